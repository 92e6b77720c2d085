"""The page of a report: one HTML file with its figures and tables."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from neuralizer_jax.files.html_page import render_page, write_html
from neuralizer_jax.report.table_formats import Table, signs

_TEMPLATE = Path(__file__).parent / "templates/report.html.j2"

# A table with more columns, or with longer rows (in letters), is set in small type, intervals below their numbers.
_MOST_COLUMNS, _MOST_LETTERS = 5, 110


@dataclass(frozen=True)
class Picture:
    """An image file, PNG or SVG, shown at most `width` CSS pixels wide."""

    path: Path
    alt: str
    width: int


# A paragraph, lines in a fixed-width font, a table or a picture.
Block = str | list[str] | Table | Picture


def write_page(
    path: Path,
    title: str,
    numbers: Iterable[tuple[str, str]],
    cautions: Iterable[str],
    sections: Mapping[str, Sequence[Block]],
) -> None:
    """Writes a page. All text is plain.

    At the top are the numbers, pairs of what and how much, with the cautions below; then each heading with its content.

    Raises:
        InputError: if the file cannot be written.
    """
    page = render_page(
        _TEMPLATE,
        title=title,
        numbers=[(what, shown_number(much)) for what, much in numbers],
        cautions=map(signs, cautions),
        sections=sections,
        shown=shown_number,
        look=_css_classes,
    )
    write_html(path, page)


def shown_number(text: str) -> Markup:
    """A number as HTML, with its interval in brackets, or its deviation after ±, in small letters.

    >>> shown_number("0.812 [0.790, 0.830]")
    Markup('0.812 <small>[0.790, 0.830]</small>')
    """
    text = signs(text)
    found = re.search(r" (\[|±)", text)
    if not found:
        return escape(text)
    return Markup("{} <small>{}</small>").format(text[: found.start()], text[found.start() + 1 :])


def _css_classes(table: Table) -> str:
    if not table.numbers:
        return "words"
    columns = zip(*(row for part in table.parts for row in part), strict=True)
    letters = sum(max(len(cell.text) for cell in column) for column in columns)
    return "numbers dense" if len(table.head) > _MOST_COLUMNS or letters > _MOST_LETTERS else "numbers"
