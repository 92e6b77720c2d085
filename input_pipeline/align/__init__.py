"""Alignment to MNI152 space by structures (`centroids`) or intensities, and of one scan of a subject to another."""
