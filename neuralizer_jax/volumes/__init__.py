"""Whole volumes: unregistered scans and a few annotated ones in, a label map on the scan's own grid out."""
