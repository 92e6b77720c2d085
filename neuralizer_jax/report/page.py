"""The page of a report: one HTML file that needs no other, without scripts, readable in the dark and on paper."""

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.report.table_formats import Cell, Table, signs

# Tables of more columns are set tightly.
_MOST_COLUMNS = 5

# In tables of rows longer than this, in letters, intervals stand below their numbers.
_MOST_LETTERS = 110

_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}

_STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --text: #1b1f24; --soft: #5c6570; --line: #dfe3e8;
  --caution: #8a4b00; --caution-back: #fff3dc; }
@media (prefers-color-scheme: dark) { :root { --page: #111418; --card: #1a1e24; --text: #e6e9ed; --soft: #9aa4af;
  --line: #2d343c; --caution: #ffca7a; --caution-back: #3a2a0c; } }
* { box-sizing: border-box; }
body { margin: 0 0 4rem; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif;
  overflow-wrap: anywhere; }
header, main { max-width: 1200px; margin: auto; padding: 0 1.5rem; }
h1 { margin: 1.6rem 0 .8rem; font-size: 1.7rem; }
h2 { margin: 2.4rem 0 .7rem; font-size: 1.2rem; }
p { margin: .5rem 0; max-width: 80ch; }
dl { display: flex; flex-wrap: wrap; gap: .6rem; margin: 0; }
dl div { display: flex; flex-direction: column-reverse; justify-content: flex-end; max-width: 17rem;
  padding: .6rem 1rem; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
dd { margin: 0; font-size: 1.25rem; font-weight: 600; line-height: 1.3; font-variant-numeric: tabular-nums; }
dd small { font-size: .8rem; font-weight: 400; white-space: nowrap; }
dt, .caption, th { color: var(--soft); }
.caution { padding: .35rem .8rem; width: fit-content; color: var(--caution); background: var(--caution-back);
  border-radius: 6px; }
.wide { margin: .8rem 0; overflow-x: auto; }
table { border-collapse: collapse; background: var(--card); border: 1px solid var(--line);
  font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: .35rem .8rem; text-align: right; vertical-align: top; border-top: 1px solid var(--line); }
th:first-child, td:first-child, .words td, .words th { text-align: left; }
td { white-space: nowrap; }
td small { color: var(--soft); font-weight: 400; }
.tall small, .stacked small { display: block; }
.tall td:first-child { white-space: normal; }
.tall th, .tall td { padding: .35rem .4rem; font-size: .8rem; }
.tall th { font-size: .7rem; line-height: 1.25; vertical-align: bottom; hyphens: auto; }
.words td { white-space: normal; }
.words td:last-child { overflow-wrap: anywhere; min-width: 16rem; }
tbody + tbody tr:first-child td { border-top: 2px solid var(--soft); }
th { font-weight: 500; }
pre { margin: .6rem 0; padding: .6rem .9rem; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  white-space: pre-wrap; font: 13px/1.5 ui-monospace, monospace; }
img { display: block; max-width: 100%; height: auto; padding: .6rem; background: #fff; border: 1px solid var(--line);
  border-radius: 8px; }
@media print { :root { --page: #fff; --card: #fff; --text: #000; --soft: #444; --line: #bbb; color-scheme: light; }
  body { font-size: 10px; } h2, .caption { break-after: avoid; } .caption, img, tr, dl div { break-inside: avoid; }
  img { max-height: 22cm; border: 0; padding: 0; } .wide { overflow: visible; } td, th { padding: .2rem .4rem; }
  .tall th, .tall td { padding: .2rem; font-size: 7px; } }
"""


@dataclass(frozen=True)
class Picture:
    """An image file, PNG or SVG, to be shown so many CSS pixels wide at most."""

    path: Path
    alt: str
    width: int


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        title: heading.
        blocks: a text is a paragraph, one in a list of texts a line of a code block.
    """

    title: str
    blocks: Sequence["str | list[str] | Table | Picture"]


def write_page(
    path: Path,
    title: str,
    numbers: Iterable[tuple[str, str]],
    cautions: Iterable[str],
    sections: Iterable[Section],
) -> None:
    """Writes a page.

    Args:
        path: the file.
        title: of the page, plain text as all that follows.
        numbers: (what, how much), at the top; what is in brackets is shown smaller.
        cautions: lines below them.
        sections: in their order.

    Raises:
        InputError: where it cannot be written.
    """
    tiles = "".join(f"<div><dt>{escape(what)}</dt><dd>{_number(much)}</dd></div>" for what, much in numbers)
    warnings = "".join(f'<p class="caution">{escape(signs(line))}</p>' for line in cautions)
    body = "".join(
        f"<section><h2>{escape(section.title)}</h2>\n{''.join(map(_block, section.blocks))}</section>\n"
        for section in sections
    )
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><header><h1>{escape(title)}</h1>"
        f"<dl>{tiles}</dl>{warnings}</header>\n<main>{body}</main></body></html>\n"
    )
    with written_whole(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="backslashreplace")


def _block(block: str | list[str] | Table | Picture) -> str:
    match block:
        case str():
            return f'<p class="caption">{escape(signs(block))}</p>\n'
        case list():
            return f"<pre>{escape(chr(10).join(block))}</pre>\n"
        case Picture():
            content = base64.b64encode(block.path.read_bytes()).decode()
            source = f"data:{_TYPES[block.path.suffix]};base64,{content}"
            return f'<img src="{source}" alt="{escape(block.alt)}" style="width: {block.width}px">\n'
        case Table():
            return _table(block)


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.head)
    bodies = "".join(f"<tbody>{''.join(map(_row, part))}</tbody>" for part in table.parts if part)
    look = _look(table) if table.numbers else "words"
    return f'<div class="wide"><table class="{look}"><thead><tr>{head}</tr></thead>{bodies}</table></div>\n'


def _look(table: Table) -> str:
    """How a table of numbers is set so that it fits the page: its style."""
    if len(table.head) > _MOST_COLUMNS:
        return "tall"
    columns = zip(*(row for part in table.parts for row in part), strict=True)
    letters = sum(max(len(cell.text) for cell in column) for column in columns)
    return "stacked" if letters > _MOST_LETTERS else ""


def _row(row: Iterable[Cell]) -> str:
    return f"<tr>{''.join(map(_cell, row))}</tr>\n"


def _cell(cell: Cell) -> str:
    return f"<td><b>{_number(cell.text)}</b></td>" if cell.bold else f"<td>{_number(cell.text)}</td>"


def _number(text: str) -> str:
    """A number with what tells how sure it is, in brackets or after ±, shown smaller."""
    value, sure = re.fullmatch(r"(.*?)( \[.*| ±.*)?", signs(text), re.DOTALL).groups()
    return escape(value) + (f" <small>{escape(sure.strip())}</small>" if sure else "")
