"""From the files of one subject to the record of its aligned slices: read, align, cut, check."""
