"""Evaluation: scores of test subjects in one table, statistics, figures, tables, a page."""
