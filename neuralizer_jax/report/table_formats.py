"""A table of text, as Markdown, as LaTeX and as plain text."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

# A LaTeX table with more letters in a row is scaled to the width of the page.
_MOST_LETTERS = 85

_NO_VALUE = "–"  # noqa: RUF001

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    _NO_VALUE: "--",
} | {sign: f"\\{sign}" for sign in "&%$#_"}


@dataclass(frozen=True)
class Cell:
    """Plain text in a table; bold for the best of its row or column."""

    text: str
    bold: bool = False


NOTHING = Cell(_NO_VALUE)


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows.

    Attributes:
        name: of its files.
        caption: plain text.
        head: headings of the columns.
        parts: groups of rows, separated by a line.
        numbers: whether the other columns hold numbers, which are aligned right.
    """

    name: str
    caption: str
    head: tuple[str, ...]
    parts: tuple[tuple[tuple[Cell, ...], ...], ...]
    numbers: bool = True

    @property
    def frame(self) -> pd.DataFrame:
        """The text of all rows."""
        return pd.DataFrame([[cell.text for cell in row] for part in self.parts for row in part], columns=self.head)

    @property
    def bold(self) -> np.ndarray:
        """bool `[rows, columns]`."""
        return np.array([[cell.bold for cell in row] for part in self.parts for row in part], bool)


def signs(text: str) -> str:
    """The text with a typographic minus sign before each negative number."""
    return re.sub(r"(?<![\w-])-(?=\d)", "\u2212", text)


def markdown(table: Table) -> str:
    """As Markdown, the caption above.

    >>> print(markdown(Table("t", "Scores.", ("Task", "A"), (((Cell("x"), Cell("0.9", bold=True)),),))))
    Scores.
    <BLANKLINE>
    | Task   |       A |
    |:-------|--------:|
    | x      | **0.9** |
    <BLANKLINE>
    """
    cells = table.frame.map(_markdown_text)
    cells = cells.where(~table.bold, "**" + cells + "**")
    align = ["left", *["right"] * (len(table.head) - 1)]
    text = cells.to_markdown(
        index=False, headers=[_markdown_text(name) for name in table.head], colalign=align, disable_numparse=True
    )
    return f"{_markdown_text(table.caption)}\n\n{text}\n"


def latex(table: Table) -> str:
    """As a LaTeX `table`, which needs the packages booktabs and, for a wide table, graphicx."""
    heads = [_latex_text(name) for name in table.head]
    cells = table.frame.set_axis(range(len(heads)), axis="columns")
    style = (
        cells.style.hide(axis="index")
        .format(_latex_text)
        .format_index(lambda place: heads[int(str(place))], axis="columns")
    )
    style = style.apply(lambda _: np.where(table.bold, "textbf:--rwrap;", ""), axis=None)
    text = style.to_latex(
        column_format="l" + "r" * (len(table.head) - 1),
        hrules=True,
        position_float="centering",
        caption=_latex_text(table.caption),
        label="tab:" + re.sub(r"[^A-Za-z0-9]+", "-", table.name),
    )
    lines = text.splitlines()
    row = lines.index(r"\midrule")
    for part in [part for part in table.parts if part][:-1]:
        row += len(part) + 1
        lines.insert(row, r"\midrule")
    text = "\n".join([*lines, ""])
    letters = np.maximum(cells.map(len).max(), [len(name) for name in table.head]).sum() + 2 * len(heads)
    if letters > _MOST_LETTERS:
        text = text.replace(r"\begin{tabular}", r"\resizebox{\textwidth}{!}{\begin{tabular}")
        text = text.replace(r"\end{tabular}", r"\end{tabular}}")
    return text


def plain(table: Table) -> str:
    """As plain text for a terminal, the caption below."""
    text = table.frame.to_string(index=False)
    return f"{text}\n{table.caption}".rstrip()


def _markdown_text(text: str) -> str:
    return re.sub(r"([\\`*_<>|]|\](?=\())", r"\\\1", " ".join(text.split()))


def _latex_text(text: object) -> str:
    escaped = "".join(_LATEX.get(letter, letter) for letter in " ".join(str(text).split()))
    return re.sub(r"(?<![\w-])-(?=\d)", "$-$", escaped)
