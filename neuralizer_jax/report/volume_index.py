"""The index of the pages of several scans, those to check first on top.

Each page holds a summary of itself, so that pages of an earlier run are listed too.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.html_page import render_page, write_html
from neuralizer_jax.files.natural_order import natural_order

_TEMPLATE = Path(__file__).parent / "templates/volumes.html.j2"

# The summary stands in the head of a page, before the volumes.
_SUMMARY = re.compile(r'<script type="application/json" id="summary">(.*?)</script>', re.DOTALL)
_HEAD_BYTES = 2**19
_KEYS = {"name", "found", "structures", "warnings", "picture"}


def write_volume_index(path: Path, pages: Iterable[Path]) -> int:
    """Writes a page that lists the pages that `write_volume_page` wrote.

    Args:
        path: an HTML file.
        pages: HTML files in the folder of `path` or below; other pages and hidden files are passed over.

    Returns:
        How many pages it lists.

    Raises:
        InputError: the index cannot be written, or a page cannot be read.
    """
    entries = []
    for page in sorted(pages, key=lambda page: natural_order(page.name)):
        if not page.name.startswith(".") and (summary := _summary(page)):
            entries.append(summary | {"link": page.relative_to(path.parent).as_posix()})
    entries.sort(key=lambda entry: -len(entry["warnings"]))
    to_check = sum(bool(entry["warnings"]) for entry in entries)
    text = render_page(
        _TEMPLATE, title="Segmented scans", entries=entries, numbers=[("scans", len(entries)), ("to check", to_check)]
    )
    write_html(path, text)
    return len(entries)


def _summary(page: Path) -> dict[str, Any] | None:
    """What a page says of itself; None if it is another page."""
    try:
        with open(page, "rb") as stream:
            head = stream.read(_HEAD_BYTES).decode(errors="replace")
    except OSError as error:
        raise InputError(f"{page}: cannot be read ({error.strerror or error})") from None
    if not (found := _SUMMARY.search(head)):
        return None
    try:
        summary = json.loads(found[1])
    except ValueError:
        return None
    return summary if isinstance(summary, dict) and summary.keys() >= _KEYS else None
