"""Prepared datasets, read in any order."""
