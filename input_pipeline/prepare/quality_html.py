"""The look of the quality page, and how any text, of any stranger's file name, becomes HTML."""

import os
from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import quote

_STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --text: #1b1f24; --soft: #5c6570; --line: #dfe3e8;
  --accent: #2457c5; --caution: #8a4b00; --caution-back: #fff3dc; }
@media (prefers-color-scheme: dark) { :root { --page: #111418; --card: #1a1e24; --text: #e6e9ed; --soft: #9aa4af;
  --line: #2d343c; --accent: #8ab0ff; --caution: #ffca7a; --caution-back: #3a2a0c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif;
  overflow-wrap: anywhere; }
header, main { max-width: 1600px; margin: auto; padding: 0 1.5rem; }
h1 { margin: 1.6rem 0 .8rem; font-size: 1.7rem; }
h2 { margin: 2.2rem 0 .7rem; font-size: 1.15rem; }
p { margin: .4rem 0; max-width: 75ch; }
a { color: var(--accent); }
dl { display: flex; flex-wrap: wrap; gap: .6rem; margin: 0; }
dl div { display: flex; flex-direction: column-reverse; padding: .5rem 1rem; background: var(--card);
  border: 1px solid var(--line); border-radius: 8px; }
dd { margin: 0; font-size: 1.4rem; font-weight: 600; line-height: 1.2; font-variant-numeric: tabular-nums; }
dt, figcaption i { color: var(--soft); font-style: normal; }
pre { margin: .8rem 0; padding: .6rem .9rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; white-space: pre-wrap; font: 13px/1.5 ui-monospace, monospace; }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; }
table { border-collapse: collapse; background: var(--card); border: 1px solid var(--line); }
th, td { padding: .4rem .9rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
th { color: var(--soft); font-weight: 500; }
th, td.number { white-space: nowrap; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
summary { cursor: pointer; color: var(--accent); }
figure { margin: 0 0 1rem; padding: .7rem .9rem .9rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; }
figcaption { display: flex; flex-wrap: wrap; gap: 0 1.1rem; margin-bottom: .5rem; font-size: .87rem; }
figcaption p { flex-basis: 100%; }
em { padding: 0 .5rem; border: 1px solid var(--line); border-radius: 99px; font-style: normal; }
.caution { padding: .25rem .7rem; width: fit-content; color: var(--caution); background: var(--caution-back);
  border-radius: 6px; }
img { display: block; max-width: 100%; height: auto; background: #18181c; border-radius: 4px; }
"""


def text(value: object) -> str:
    """Any text as HTML text or attribute; of a file name that is not UTF-8, the bytes as `\\udcxx`."""
    return escape(str(value).encode(errors="backslashreplace").decode())


def link(path: str) -> str:
    """A relative path as a URL, by the bytes that the file system has."""
    return quote(os.fsencode(path))


def table(head: Iterable[str], lines: Iterable[Iterable[str | int | float]]) -> str:
    """A table of cells that are HTML already, or numbers (a float with three decimals)."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(map(_cell, line))}</tr>" for line in lines)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def document(title: str, header: str, sections: Mapping[str, str]) -> str:
    """The page: a title (text), then HTML: a header, and sections by their names; empty ones are left out."""
    shown = {name.lower().replace(" ", "-"): (name, body) for name, body in sections.items() if body}
    links = "".join(f'<a href="#{anchor}">{name}</a>' for anchor, (name, _) in shown.items())
    main = "".join(
        f'<section id="{anchor}"><h2>{name}</h2>\n{body}</section>\n' for anchor, (name, body) in shown.items()
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{_STYLE}</style></head>\n<body>"
        f"<header><h1>{text(title)}</h1>{header}<nav>{links}</nav></header>\n<main>{main}</main></body></html>\n"
    )


def _cell(value: str | int | float) -> str:
    if isinstance(value, str):
        return f"<td>{value}</td>"
    return f'<td class="number">{value:,}</td>' if isinstance(value, int) else f'<td class="number">{value:.3f}</td>'
