"""Cells of tables that people open in a spreadsheet."""

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def plain_cell(text: str) -> str:
    """The text of a cell, with a single quote in front where a spreadsheet would run it as a formula.

    >>> plain_cell("=1+1"), plain_cell("Left-Hippocampus")
    ("'=1+1", 'Left-Hippocampus')
    """
    return f"'{text}" if text.startswith(_FORMULAS) else text
