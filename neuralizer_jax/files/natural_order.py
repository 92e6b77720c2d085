"""Sorting of names with numbers in them."""

import re


def natural_order(text: str) -> tuple[list[str | int], str]:
    """A sort key that puts `a2` before `a10`.

    >>> sorted(["s10", "s2", "s1"], key=natural_order)
    ['s1', 's2', 's10']
    """
    pieces = re.split(r"([0-9]+)", text)
    return [int(piece) if i % 2 else piece for i, piece in enumerate(pieces)], text
