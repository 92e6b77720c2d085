"""One dataset: all subjects, splits, records on disk, quality page."""
