"""The common space and its names: MNI152 grid, resampling, modalities, label protocols, tissue classes."""
