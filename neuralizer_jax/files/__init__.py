"""Files: images and volumes, context pairs, names of labels, HTML pages, and files that are written whole."""
