"""Reports: scores in, statistics, figures, tables and a page out."""
