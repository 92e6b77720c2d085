"""One subject: its files in, its aligned slices out."""
