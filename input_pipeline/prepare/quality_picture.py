"""A picture of a subject that shows whether its images, labels and brain mask match.

Drawn with NumPy and Pillow alone: a matplotlib figure takes seconds, and a large dataset needs thousands.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from input_pipeline.prepare.label_colours import label_colours, outline_order
from input_pipeline.slices.record import SubjectRecord
from input_pipeline.space.grid import ALL_Y, ORIGIN, SHAPE, SLICE_SHAPE, SLICE_Y, volume_of
from input_pipeline.space.modalities import series_of
from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.atomic_file import written_whole

# Side of a slice; of a panel, which shows it enlarged; and the gap between panels. All in pixels.
SIDE = SLICE_SHAPE[0]
PANEL = 2 * SIDE
GAP = 6

_MOST_LABEL_MAPS = 3
_MOST_FURTHER_IMAGES = 5
_MOST_SLICES = 12

# The slices of a volume, x, y and z in mm: through the left hippocampus, as `SLICE_Y`, and the basal ganglia.
_PLANES = (-26, SLICE_Y, 6)

# Intensities that become black and white, over the pixels of the slice that are not 0.
_PERCENTILES = (0.5, 99.5)

_MASK_COLOUR = (255, 225, 0)
_GAP_COLOUR = (24, 24, 28)

# The contact sheet: panels in a row, height of the name, and its longest length in characters.
_COLUMNS = 8
_NAME_HEIGHT = 17
_NAME_LENGTH = 24


def quality_picture(record: SubjectRecord) -> np.ndarray:
    """The middle slice of a subject in a row of panels and, if it has several slices, all of them below.

    The row shows the first image, then the same image with the outlines of each label map (at most three) and of the
    brain mask, then further modalities (at most five). Below, every slice shows the first image with the outlines of
    the first label map, or of the brain mask if there are no labels. Of more than twelve slices, twelve evenly spaced
    ones are shown; of a volume, an axial and a sagittal slice. Each image has its own grey scale. A diffusion series
    shows one direction. Without an image, the first label map is shown in colours.

    Args:
        record: images finite, in any unit.

    Returns:
        RGB `[height, width, 3]` uint8, superior at the top, left hemisphere on the left. Panel i of the row begins at
        column `i * (PANEL + GAP)`.
    """
    below = (
        sorted(set(np.linspace(0, len(record.y) - 1, _MOST_SLICES).round().astype(int))) if len(record.y) > 1 else []
    )
    captions = [f"y = {place} mm" for place in record.y]
    if len(record.y) == len(ALL_Y):
        record, captions = _three_planes(record)
        below = [1, 2]  # the row shows the coronal one
    shown = _shown_images(record.modalities)
    first, further = (shown[0], shown[1:]) if shown else (None, [])
    middle = int(np.argmin(np.abs(record.y - SLICE_Y)))
    masked = _with_mask(record, first, middle), f"brain mask ({record.mask_source})"
    row = [] if first is None else [(_panel(record, first, middle), record.modalities[first])]
    for index, (protocol, source) in enumerate(zip(record.protocols, record.label_sources, strict=True)):
        if index < _MOST_LABEL_MAPS:
            row.append((_with_labels(record, first, index, middle), f"{protocol} ({source})"))
    row += [masked, *((_panel(record, index, middle), record.modalities[index]) for index in further)]
    panels = [_captioned(*panel, sides=not index) for index, panel in enumerate(row)]
    for place in below:
        outlined = _with_labels(record, first, 0, place) if record.protocols else _with_mask(record, first, place)
        panels.append(_captioned(outlined, captions[place]))
    return _grid(panels, len(row))


def save_picture(path: Path, rgb: np.ndarray) -> None:
    """Writes `[height, width, 3]` uint8 as a PNG. Raises InputError if it cannot be written."""
    with written_whole(path) as temporary:
        Image.fromarray(rgb).save(temporary, "PNG")


def picture_sheet(pictures: Sequence[tuple[str, Path, int]]) -> np.ndarray:
    """One panel of each of many pictures with their names, eight in a row.

    Args:
        pictures: at least one: name, file (a `quality_picture`) and index of the panel.

    Returns:
        RGB `[height, width, 3]` uint8.

    Raises:
        InputError: a file cannot be read.
    """
    cells = []
    for name, path, panel in pictures:
        start = panel * (PANEL + GAP)
        try:
            with Image.open(path, formats=("PNG",)) as picture:
                cells.append(_named(picture.crop((start, 0, start + PANEL, PANEL)), name))
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error}), expected a PNG") from None
    return _grid(cells, _COLUMNS)


def _three_planes(record: SubjectRecord) -> tuple[SubjectRecord, list[str]]:
    """A record with one coronal, axial and sagittal slice of a volume, padded to one size, and their captions."""
    x, y, z = (place - origin for place, origin in zip(_PLANES, ORIGIN, strict=True))
    side = max(SHAPE)

    def cut(images: np.ndarray) -> np.ndarray:
        volume = volume_of(images)
        planes = np.zeros((3, *images.shape[:-3], side, side), images.dtype)
        for plane, image in zip(planes, (volume[..., y, :], volume[..., z], volume[..., x, :, :]), strict=True):
            width, height = image.shape[-2:]
            left, top = (side - width) // 2, (side - height) // 2
            plane[..., top : top + height, left : left + width] = np.swapaxes(image, -2, -1)[..., ::-1, :]
        return np.moveaxis(planes, 0, -3)

    images, labels, mask = map(cut, (record.images, record.labels, record.brain_mask))
    captions = [f"{'xyz'[axis]} = {_PLANES[axis]} mm" for axis in (1, 2, 0)]
    return replace(record, y=np.full(3, SLICE_Y), images=images, labels=labels, brain_mask=mask), captions


def _shown_images(modalities: Sequence[str]) -> list[int]:
    """Indices of the images to show: the first of each modality."""
    first: dict[str, int] = {}
    for index, modality in enumerate(modalities):
        first.setdefault(series_of(modality), index)
    return list(first.values())[: 1 + _MOST_FURTHER_IMAGES]


def _grey(image: np.ndarray) -> np.ndarray:
    """Grey values uint8 of an image in any unit."""
    inside = image[image != 0]
    low, high = np.percentile(inside, _PERCENTILES) if inside.size else (0, 0)
    scaled = (image - low) / (high - low) if low < high else image != 0
    return np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8)


def _panel(record: SubjectRecord, index: int | None, place: int) -> np.ndarray:
    """RGB of an image of a slice at twice its size, smooth; without one, of its first label map, dark off the brain."""
    if index is None:
        colours = label_colours(record.labels[0, place], record.protocols[0])
        return np.where(record.brain_mask[place, ..., None], colours, colours // 3).repeat(2, 0).repeat(2, 1)
    grey = Image.fromarray(_grey(record.images[index, place]))
    large = np.asarray(grey.resize((2 * grey.width, 2 * grey.height), Image.Resampling.BICUBIC))
    # 64 greys look like 256 and make the file a third smaller.
    return np.repeat((large & 0xFC)[..., None], 3, axis=2)


def _with_labels(record: SubjectRecord, index: int | None, labels: int, place: int) -> np.ndarray:
    values, protocol = record.labels[labels, place], record.protocols[labels]
    return _outlined(_panel(record, index, place), outline_order(values, protocol), label_colours(values, protocol))


def _with_mask(record: SubjectRecord, index: int | None, place: int) -> np.ndarray:
    mask = record.brain_mask[place]
    colours = np.broadcast_to(np.array(_MASK_COLOUR, np.uint8), (*mask.shape, 3))
    return _outlined(_panel(record, index, place), mask, colours)


def _outlined(rgb: np.ndarray, regions: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """The panel with borders one pixel wide between regions, on the side of the higher number and in its colour."""
    regions, colours = (array.repeat(2, 0).repeat(2, 1) for array in (regions, colours))
    padded = np.pad(regions, 1)
    around = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    edge = np.any([neighbour < regions for neighbour in around], axis=0)
    return np.where(edge[..., None], colours, rgb)


def _grid(images: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Images of one size `[height, width, 3]` in rows, with gaps between them."""
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height, width, _ = images[0].shape
    grid = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), _GAP_COLOUR, np.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * (height + GAP), index % columns * (width + GAP)
        grid[top : top + height, left : left + width] = image
    return grid


def _captioned(rgb: np.ndarray, caption: str, *, sides: bool = False) -> np.ndarray:
    """The panel with a caption in its upper left corner and, with `sides`, L and R at its left and right edge."""
    picture = Image.fromarray(rgb).resize((PANEL, PANEL), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    texts = [((6, 4), "la", caption)]
    if sides:
        texts += [((6, PANEL // 2), "lm", "L"), ((PANEL - 6, PANEL // 2), "rm", "R")]
    for place, anchor, text in texts:
        draw.text(place, text, "white", _font(18), anchor, stroke_width=2, stroke_fill="black")
    return np.asarray(picture)


def _named(panel: Image.Image, name: str) -> np.ndarray:
    """The panel at the slice's own size, with a name in place of its caption; a long name is cut in the middle."""
    # A file name that is not UTF-8 holds lone surrogates, which cannot be drawn.
    name = one_line(name).encode(errors="replace").decode()
    name = name if len(name) <= _NAME_LENGTH else f"{name[: _NAME_LENGTH // 2]}...{name[-_NAME_LENGTH // 2 :]}"
    small = panel.resize((SIDE, SIDE), Image.Resampling.BOX)
    draw = ImageDraw.Draw(small)
    draw.rectangle((0, 0, SIDE, _NAME_HEIGHT), fill="black")
    draw.text((4, _NAME_HEIGHT // 2), name, "white", _font(13), "lm")
    return np.asarray(small)


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
