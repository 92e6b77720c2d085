"""Image files: one 2-D image in from PNG, TIFF, NumPy or NIfTI, one like it out, and which files are example pairs."""
