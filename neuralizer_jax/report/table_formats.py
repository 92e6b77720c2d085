"""A table of text, and the same as Markdown and as LaTeX."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Where rows have more letters than this, headings that are so much longer than what is below them stand upright; where
# that is not enough, the table is scaled to the width of the page.
_MOST_LETTERS, _LONGER = 85, 4

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
    """What stands in a table: plain text, bold where it is the best of its row or column."""

    text: str
    bold: bool = False


NOTHING = Cell(_NO_VALUE)


@dataclass(frozen=True)
class Table:
    """A table. Its first column names the rows.

    Attributes:
        name: of its files.
        caption: what it shows, and what was averaged over what; plain text.
        head: names of the columns.
        parts: groups of rows, with a line between them.
        numbers: whether the other columns hold numbers, which stand to the right.
    """

    name: str
    caption: str
    head: tuple[str, ...]
    parts: tuple[tuple[tuple[Cell, ...], ...], ...]
    numbers: bool = True


def signs(text: str) -> str:
    """The text with a minus sign, as typography has it, before each negative number."""
    return re.sub(r"(?<![\w-])-(?=\d)", "\u2212", text)


def markdown(table: Table) -> str:
    """As Markdown, the caption above."""
    lines = [_markdown_row(map(_markdown_text, table.head))]
    lines.append(_markdown_row([":---", *["---:"] * (len(table.head) - 1)]))
    for row in (row for part in table.parts for row in part):
        texts = (_markdown_text(cell.text) for cell in row)
        lines.append(_markdown_row(f"**{text}**" if cell.bold else text for text, cell in zip(texts, row, strict=True)))
    return "\n".join([_markdown_text(table.caption), "", *lines, ""])


def latex(table: Table) -> str:
    """As LaTeX, a `table` environment; needs the packages booktabs and, for a wide one, graphicx."""
    columns = "l" + "r" * (len(table.head) - 1)
    below = [max(len(row[place].text) for part in table.parts for row in part) for place in range(len(table.head))]
    letters = [max(len(name), longest) for name, longest in zip(table.head, below, strict=True)]
    heads = [_latex_text(name) for name in table.head]
    if _is_wide(letters):
        for place, (name, longest) in enumerate(zip(table.head, below, strict=True)):
            if len(name) > longest + _LONGER:
                heads[place], letters[place] = rf"\rotatebox{{90}}{{{heads[place]}}}", longest
    bodies = [
        "\n".join(" & ".join(_latex_cell(cell) for cell in row) + r" \\" for row in part)
        for part in table.parts
        if part
    ]
    tabular = "\n".join(
        [
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(heads) + r" \\",
            r"\midrule",
            "\n\\midrule\n".join(bodies),
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )
    if _is_wide(letters):
        tabular = f"\\resizebox{{\\textwidth}}{{!}}{{%\n{tabular}}}"
    label = re.sub(r"[^A-Za-z0-9]+", "-", table.name)
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_latex_text(table.caption)}}}",
            rf"\label{{tab:{label}}}",
            tabular,
            r"\end{table}",
            "",
        ]
    )


def _is_wide(letters: Sequence[int]) -> bool:
    return sum(letters) + 2 * len(letters) > _MOST_LETTERS


def _markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_text(text: str) -> str:
    return re.sub(r"([\\`*_<>|]|\](?=\())", r"\\\1", " ".join(text.split()))


def _latex_cell(cell: Cell) -> str:
    text = _latex_text(cell.text)
    return rf"\textbf{{{text}}}" if cell.bold else text


def _latex_text(text: str) -> str:
    escaped = "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))
    return re.sub(r"(?<![\w-])-(?=\d)", "$-$", escaped)
