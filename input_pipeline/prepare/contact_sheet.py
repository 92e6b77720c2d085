"""A picture of many images in rows, as the demo shows its phantoms."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from input_pipeline.prepare.label_colours import label_colours
from neuralizer_jax.files.atomic_file import written_whole

# Inches for each image, and dots per inch: 192 pixels are shown at 1.25 times their size.
_SIZE = 2.0
_DPI = 120


def draw_contact_sheet(
    path: Path,
    rows: Sequence[Sequence[np.ndarray]],
    *,
    row_titles: Sequence[str] = (),
    column_titles: Sequence[str] = (),
) -> Path:
    """Writes a picture of rows of images, as PNG or PDF by the file's ending.

    Args:
        path: the file to write.
        rows: images `[height, width]`; rows may differ in length. Integers are label maps in FreeSurfer's numbers and
            shown in colours; floating-point images are shown in grey from 0 to 1.
        row_titles: texts to the left of the rows.
        column_titles: texts above the columns.

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
