"""Affine alignment of a subject to MNI152 space: by its segmentation (`centroids`) or by its image (`intensity`)."""
