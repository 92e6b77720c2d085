"""What a prediction shows of itself in a notebook: pictures and a table, as HTML of bounded size that loads nothing."""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from markupsafe import Markup

from input_pipeline.space.structure_colours import colours_by_name
from neuralizer_jax.pictures.shown_volume import shown_volume
from neuralizer_jax.pictures.volume_pictures import draw_rows, thumbnail, voxels_by_place

Colour = tuple[int, int, int]

# Rows of a table, pixels along the longer side of a picture of one plane, and pixels of the width of a scan's picture.
_MOST_ROWS = 40
_MOST_PIXELS = 512
_SCAN_WIDTH = 900

_OPACITY = 0.6

# Intensities that become black and white.
_PERCENTILES = (0.1, 99.9)


def label_colours(labels: Sequence[int], names: Mapping[int, str] | None = None) -> dict[int, Colour]:
    """A colour for each label, RGB from 0 to 255: that of its name where FreeSurfer has one.

    Example:
        >>> label_colours([10, 17], {10: "Left-Thalamus"})
        {10: (0, 255, 30), 17: (255, 83, 83)}
    """
    return dict(
        zip(labels, colours_by_name([(names or {}).get(label, f"label {label}") for label in labels]), strict=True)
    )


def scan_html(
    scan: np.ndarray,
    affine: np.ndarray,
    labels: np.ndarray | None = None,
    rows: Mapping[int, Sequence[str]] | None = None,
    head: Sequence[str] = (),
    title: str = "",
) -> str:
    """A scan in three planes through most of its labels, with their outlines, and a table of the labels.

    Args:
        scan: `[X, Y, Z]`, finite, in any unit, axes in any order.
        affine: `[4, 4]`, voxel -> world in mm (RAS).
        labels: `[X, Y, Z]`, whole numbers, 0 the background.
        rows: cells of the table by label.
        head: of the table, besides the first column, which is the label.
        title: a line above.

    Example:
        >>> scan = np.random.default_rng(0).random((30, 30, 30))
        >>> html = scan_html(scan, np.eye(4), np.int32(scan > 0.9), {1: ["12"]}, ["mm³"], "<a scan>")
        >>> html.count("<img"), "&lt;a scan&gt;" in html
        (1, True)
    """
    rows = rows or {}
    colours = label_colours(list(rows))
    volume = shown_volume(scan, np.zeros(scan.shape, np.uint8) if labels is None else labels, affine, list(rows))
    drawn = draw_rows(volume, voxels_by_place(volume.places), list(colours.values()), [])
    picture = Markup('<img src="{}" style="max-width: 100%" alt="{}">').format(thumbnail(drawn[0], _SCAN_WIDTH), title)
    return _together(title, [picture], _table(head, rows, colours))


def plane_html(
    panels: Mapping[str, np.ndarray],
    rows: Mapping[int, Sequence[str]] | None = None,
    head: Sequence[str] = (),
    title: str = "",
) -> str:
    """Pictures of one plane side by side, and a table of labels.

    Args:
        panels: by caption an image `[H, W]`, or RGB `[H, W, 3]` uint8.
        rows: cells of the table by label.
        head: of the table, besides the first column, which is the label.
        title: a line above.

    Example:
        >>> plane_html({"target": np.eye(8), "prediction": np.eye(8)}).count("<img")
        2
    """
    shown = [
        Markup(
            '<figure style="margin: 0"><img src="{}" alt="{}" style="height: 240px; image-rendering: pixelated">'
            "<figcaption>{}</figcaption></figure>"
        ).format(_png(image), caption, caption)
        for caption, image in panels.items()
    ]
    return _together(title, shown, _table(head, rows or {}, label_colours(list(rows or {}))))


def overlaid(image: np.ndarray, labels: np.ndarray, values: Sequence[int]) -> np.ndarray:
    """An image with labels in colour over it, RGB `[H, W, 3]` uint8; in the colours of `label_colours`.

    Example:
        >>> overlaid(np.eye(2), np.array([[0, 0], [17, 0]]), [17])[..., 0].tolist()
        [[255, 0], [153, 255]]
    """
    picture = np.repeat(_grey(image)[..., None], 3, axis=-1).astype(np.float32)
    for label, colour in label_colours(values).items():
        inside = labels == label
        picture[inside] = (1 - _OPACITY) * picture[inside] + _OPACITY * np.array(colour)
    return picture.astype(np.uint8)


def _grey(image: np.ndarray) -> np.ndarray:
    low, high = np.percentile(image, _PERCENTILES)
    low, high = (low, high) if high > low else (float(np.min(image)), float(np.max(image)))
    return np.clip(255 * (image - low) / max(high - low, 1e-12), 0, 255).astype(np.uint8)


def _png(image: np.ndarray) -> str:
    from PIL import Image

    step = -(-max(image.shape[:2]) // _MOST_PIXELS)
    image = image[::step, ::step]
    content = io.BytesIO()
    Image.fromarray(image if image.ndim == 3 else _grey(image)).save(content, "PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def _table(head: Sequence[str], rows: Mapping[int, Sequence[str]], colours: Mapping[int, Colour]) -> Markup:
    if not rows:
        return Markup("")
    lines = [_line("th", ["label", *head])]
    for label in list(rows)[:_MOST_ROWS]:
        red, green, blue = colours[label]
        swatch = Markup(
            '<span style="display: inline-block; width: .8em; height: .8em; margin-right: .4em;'
            ' background: rgb({}, {}, {})"></span>{}'
        ).format(red, green, blue, label)
        lines.append(_line("td", [swatch, *rows[label]]))
    if len(rows) > _MOST_ROWS:
        lines.append(_line("td", [f"and {len(rows) - _MOST_ROWS} more"]))
    return Markup("<table>{}</table>").format(Markup("").join(lines))


def _line(kind: str, cells: Iterable[str]) -> Markup:
    cell = Markup(f'<{kind} style="text-align: left; padding: 2px 12px 2px 0">{{}}</{kind}>')
    return Markup("<tr>{}</tr>").format(Markup("").join(cell.format(text) for text in cells))


def _together(title: str, pictures: Iterable[Markup], table: Markup) -> str:
    return Markup('<div><p>{}</p><div style="display: flex; flex-wrap: wrap; gap: 12px">{}</div>{}</div>').format(
        title, Markup("").join(pictures), table
    )
