"""Pictures of a labelled scan: sagittal, coronal and axial slices with outlines, left hemisphere on the left."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from neuralizer_jax.pictures.shown_volume import ShownVolume

Colour = tuple[int, int, int]

# Rows of pictures besides the overview. Around a structure they show so much, and no less in all, mm.
_MOST_ROWS = 3
_AROUND_MM, _LEAST_MM = 18, 80

_WIDTH = 9.0  # of a row, inches
_GAP = 0.06  # between slices, inches
_DPI = 130

# Horizontal and vertical axis of each plane's picture, by the axis that is fixed; what lies at its left and right edge.
_AXES = {0: (1, 2), 1: (0, 2), 2: (0, 1)}
_EDGES = {0: "PA", 1: "LR", 2: "LR"}


@dataclass(frozen=True)
class Row:
    """Three slices of a scan.

    Attributes:
        picture: a PNG as a URI that holds its content.
        place: x, y and z of the slices, voxel indices.
        around: the place of the structure that is shown in the list of labels, from 1; None: the whole scan.
        seen: the places of the labels that the slices show.
    """

    picture: str
    place: tuple[int, int, int]
    around: int | None
    seen: tuple[int, ...]


def draw_rows(
    volume: ShownVolume, voxels: Mapping[int, np.ndarray], colours: Sequence[Colour], order: Sequence[int]
) -> list[Row]:
    """Draws the slices that show most structures, then slices through structures, enlarged.

    Args:
        volume: scan and labels.
        voxels: those of each label, `voxels_by_place(volume.places)`.
        colours: RGB of each label, 0 to 255.
        order: places of the labels in `colours`, from 1, those to look at first. A structure that is seen already gets
            no slices of its own.
    """
    whole = tuple(slice(0, n) for n in volume.scan.shape)
    rows = [_row(volume, colours, _overview(volume.places), whole, None)]
    seen: set[int] = set()
    for place in order:
        if len(rows) <= _MOST_ROWS and place in voxels and place not in seen:
            inside = voxels[place]
            rows.append(_row(volume, colours, middle(inside), _around(volume, inside), place))
            seen.update(rows[-1].seen)
    return rows


def thumbnail(row: Row, width: int) -> str:
    """A row as a JPEG of at most `width` pixels, as a URI that holds its content."""
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(row.picture.partition(",")[2])), formats=("PNG",)) as picture:
        small = picture.convert("RGB")
    small.thumbnail((width, width))
    content = io.BytesIO()
    small.save(content, "JPEG", quality=80)
    return _uri(content, "jpeg")


def voxels_by_place(places: np.ndarray) -> dict[int, np.ndarray]:
    """The voxels of each label that occurs, `[voxels, 3]`, by its place in the list of labels.

    Example:
        >>> {place: voxels.tolist() for place, voxels in voxels_by_place(np.array([[[0, 2, 0, 2]]])).items()}
        {2: [[0, 0, 1], [0, 0, 3]]}
    """
    found = {}
    for place, box in enumerate(ndimage.find_objects(places), start=1):
        if box is not None:
            found[place] = np.argwhere(places[box] == place) + [x.start for x in box]
    return found


def middle(inside: np.ndarray) -> tuple[int, int, int]:
    """The voxel of a structure that is nearest to its centre.

    Args:
        inside: `[voxels, 3]`, its voxels.

    Example:
        >>> middle(np.array([[0, 0, 0], [1, 5, 5], [9, 9, 9]]))
        (1, 5, 5)
    """
    x, y, z = inside[np.square(inside - inside.mean(axis=0)).sum(axis=1).argmin()].tolist()
    return x, y, z


def _overview(places: np.ndarray) -> tuple[int, int, int]:
    """The slice along each axis that shows most structures; of equals the one with most labelled voxels."""
    best = []
    for axis in range(3):
        planes = np.moveaxis(places, axis, 0)
        scores = [(np.count_nonzero(np.bincount(plane.ravel())), np.count_nonzero(plane)) for plane in planes]
        found = max(range(len(scores)), key=scores.__getitem__)
        best.append(found if places.any() else places.shape[axis] // 2)
    return best[0], best[1], best[2]


def _around(volume: ShownVolume, inside: np.ndarray) -> tuple[slice, ...]:
    low, high, spacing = inside.min(axis=0), inside.max(axis=0) + 1, volume.spacing
    half = np.maximum((high - low) * spacing / 2 + _AROUND_MM, _LEAST_MM / 2) / spacing
    centre = (low + high) / 2
    first = np.maximum(np.floor(centre - half), 0).astype(int)
    last = np.minimum(np.ceil(centre + half), volume.scan.shape).astype(int)
    return tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))


def _row(volume: ShownVolume, colours: Sequence[Colour], place, box: tuple[slice, ...], around: int | None) -> Row:
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke

    sizes = np.array([x.stop - x.start for x in box]) * volume.spacing
    inch = (_WIDTH - 2 * _GAP) / sum(sizes[_AXES[axis][0]] for axis in range(3))  # a mm
    height = inch * max(sizes[_AXES[axis][1]] for axis in range(3))
    seen: set[int] = set()
    with mpl.rc_context():
        mpl.rcdefaults()  # whatever the style of a notebook
        figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, facecolor="black")
        left = 0.0
        for axis in range(3):
            across, up = _AXES[axis]
            width, tall = inch * sizes[across], inch * sizes[up]
            axes = figure.add_axes((left / _WIDTH, (height - tall) / 2 / height, width / _WIDTH, tall / height))
            left += width + _GAP
            plane = (*box[:axis], place[axis], *box[axis + 1 :])
            labels = volume.places[plane]
            seen.update(np.unique(labels[labels > 0]).tolist())
            _draw(axes, volume.scan[plane], labels, colours)
            for x, side, align in zip((0.02, 0.98), _EDGES[axis], ("left", "right"), strict=True):
                axes.text(x, 0.5, side, transform=axes.transAxes, color="white", size=11, va="center", ha=align,
                          path_effects=[withStroke(linewidth=2, foreground="black")])  # fmt: skip
        content = io.BytesIO()
        figure.savefig(content, format="png", metadata={"Software": None})
    return Row(_uri(content, "png"), tuple(place), around, tuple(sorted(seen)))


def _uri(content: io.BytesIO, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode()}"


def _draw(axes, image: np.ndarray, labels: np.ndarray, colours: Sequence[Colour]) -> None:
    """A slice, `[across, up]`, with the outline of each label."""
    edges = (-0.5, image.shape[0] - 0.5, -0.5, image.shape[1] - 0.5)
    axes.imshow(image.T, cmap="gray", vmin=0, vmax=255, origin="lower", aspect="auto", interpolation="bilinear")
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        mask = np.pad((labels[box] == label).T, 1).astype(float)  # so that an outline closes at the edge
        x, y = (np.arange(part.start - 1, part.stop + 1) for part in box)
        axes.contour(x, y, mask, levels=[0.5], colors=[np.array(colours[label - 1]) / 255], linewidths=1.1)
    axes.set(xlim=edges[:2], ylim=edges[2:])
    axes.set_axis_off()
