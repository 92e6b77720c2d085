"""Rows of images on one page: for the demo and for looking over a dataset."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neuralizer_jax.files.atomic_file import written_whole

# Inches a picture, and dots an inch: 192 pixels are shown at 1.25 times their size.
_SIZE = 2.0
_DPI = 120


def draw_contact_sheet(
    path: Path,
    rows: Sequence[Sequence[np.ndarray]],
    *,
    row_titles: Sequence[str] = (),
    column_titles: Sequence[str] = (),
) -> Path:
    """Writes a picture (PNG, PDF: by the file's ending) of rows of images.

    Args:
        path: where.
        rows: images `[height, width]` a row; rows may differ in length. Integers are label maps and get a colour a
            value, 0 black; floating-point images are shown in grey from 0 to 1.
        row_titles: to the left of each row.
        column_titles: above each column.

    Returns:
        The path.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = max(len(row) for row in rows)
    figure = Figure(figsize=(_SIZE * columns, _SIZE * len(rows)), facecolor="black", layout="constrained", dpi=_DPI)
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, images in enumerate(rows):
        for column in range(columns):
            axis = axes[row, column]
            axis.set(xticks=[], yticks=[])
            axis.set_facecolor("black")
            axis.spines[:].set_visible(False)
            if column < len(images):
                image = np.asarray(images[column])
                if np.issubdtype(image.dtype, np.floating):
                    axis.imshow(image, cmap="gray", vmin=0, vmax=1)
                else:
                    axis.imshow(label_colours(image), interpolation="nearest")
    for axis, title in zip(axes[0], column_titles, strict=False):
        axis.set_title(title, color="white", fontsize=9)
    for axis, title in zip(axes[:, 0], row_titles, strict=False):
        axis.set_ylabel(title, color="white", fontsize=9)
    with written_whole(Path(path)) as temporary:
        figure.savefig(temporary, facecolor="black")
    return Path(path)


def label_colours(labels: np.ndarray) -> np.ndarray:
    """RGB `[..., 3]` uint8 of label values: a fixed colour a value, neighbouring values far apart, 0 black."""
    values = np.asarray(labels).astype(np.int64)
    # Irrational steps around the colour circle and, more slowly, in brightness.
    hue, bright = (values * 0.7548777) % 1, (values * 0.5698403) % 1
    wave = np.cos(2 * np.pi * (hue[..., None] + np.array([0, 1 / 3, 2 / 3])))
    colour = (0.55 + 0.45 * wave) * (0.5 + 0.5 * bright[..., None])
    return (255 * np.where((values != 0)[..., None], colour, 0)).astype(np.uint8)
