"""Files of a dataset on disk: which files belong to a subject."""
