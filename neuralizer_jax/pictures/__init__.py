"""Pictures of scans and predictions, for pages and notebooks: arrays in, PNG and HTML out."""
