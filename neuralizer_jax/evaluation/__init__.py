"""Evaluation: from test cases and models to a table of scores."""
