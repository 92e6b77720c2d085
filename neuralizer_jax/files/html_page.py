"""HTML pages in one look: each is a Jinja2 template that extends `templates/base.html.j2`."""

import base64
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from neuralizer_jax.errors import OutputError
from neuralizer_jax.files.atomic_file import written_whole

_BASE = Path(__file__).parent / "templates"
_IMAGE_TYPES = {".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg"}


def render_page(template: Path, **values: Any) -> str:
    """Renders a page. Text is escaped, so names from files cannot become HTML.

    The base template shows `title`, `numbers` (pairs of what and how much, at the top) and `cautions` (lines below
    them), and leaves the blocks `style` (more CSS), `header` and `main` to the template that extends it.
    Templates have two more filters: `data_uri` embeds an image file, `url` quotes a relative path.

    Args:
        template: a Jinja2 file, for example one that begins with `{% extends "base.html.j2" %}`.
        **values: its variables.

    Returns:
        The page; bytes of file names that are not UTF-8 appear as `\\udcxx`.

    >>> page = render_page(_BASE / "base.html.j2", title="Results of <you>", numbers=[("subjects", 12)])
    >>> "Results of &lt;you&gt;" in page
    True
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([template.parent, _BASE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"data_uri": data_uri, "url": lambda path: quote(os.fsencode(path))}
    page = environment.get_template(template.name).render(**values)
    return page.encode(errors="backslashreplace").decode()


def write_html(path: Path, page: str) -> None:
    """Writes a page; makes its folder.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path.parent}: the folder cannot be made ({error.strerror or error})") from None
    with written_whole(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def data_uri(path: Path) -> str:
    """An image file (PNG, SVG or JPEG) as a URI that holds its content."""
    content = base64.b64encode(path.read_bytes()).decode()
    return f"data:{_IMAGE_TYPES[path.suffix.lower()]};base64,{content}"
