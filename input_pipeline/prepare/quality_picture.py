"""One picture of a subject, by which a person sees whether its images, labels and brain mask fit one another.

Drawn with NumPy and Pillow alone: a figure of matplotlib takes seconds, and thousands are made of a large dataset.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from input_pipeline.prepare.contact_sheet import label_colours
from input_pipeline.slices.record import SubjectRecord
from input_pipeline.space.modalities import series_of
from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.files.image_formats import one_line

# A pixel of the slice is this many of the picture.
MAGNIFICATION = 2

# Height and width of a panel, and the gap between two, pixels of the picture.
PANEL = 192 * MAGNIFICATION
GAP = 6

_MOST_LABEL_MAPS = 3
_MOST_FURTHER_IMAGES = 5

# Each image's own, over its pixels that are not 0.
_PERCENTILES = (0.5, 99.5)

_MASK_COLOUR = (255, 225, 0)
_GAP_COLOUR = (24, 24, 28)

# A panel in the sheet, and the strip with the subject's name that covers its caption.
_CELL = 192
_NAME_HEIGHT = 17
_NAME_LENGTH = 24
_COLUMNS = 8


def quality_picture(record: SubjectRecord, slice_index: int) -> np.ndarray:
    """Panels of one slice of a subject in a row: the main image (the first), the same with the outlines of the labels
    (a panel for each of the first three label maps) and of the brain mask, then up to five other modalities.

    Every image is scaled by itself. Only one direction of a diffusion series is shown.

    Args:
        record: images finite, in any unit.
        slice_index: which of its slices.

    Returns:
        RGB `[384, width, 3]` uint8, superior at the top, left hemisphere on the left. Panel i begins at column
        `i * (PANEL + GAP)`.
    """
    shown = _shown_images(record.modalities)
    greys = [_magnified(_displayed(record.images[index, slice_index])) for index in shown]
    names = [record.modalities[index] for index in shown]
    panels = [_captioned(greys[0], names[0], sides=True)]
    for index, protocol in enumerate(record.protocols[:_MOST_LABEL_MAPS]):
        outlined = _outlined(greys[0], record.labels[index, slice_index], _bright_colours)
        panels.append(_captioned(outlined, f"{protocol} ({record.label_sources[index]})"))
    mask = record.brain_mask[slice_index]
    panels.append(_captioned(_outlined(greys[0], mask, lambda _: _MASK_COLOUR), f"brain mask ({record.mask_source})"))
    panels += [_captioned(grey, name) for grey, name in zip(greys[1:], names[1:], strict=True)]

    picture = np.full((PANEL, picture_width(record.modalities, len(record.protocols)), 3), _GAP_COLOUR, np.uint8)
    for index, panel in enumerate(panels):
        start = index * (PANEL + GAP)
        picture[:, start : start + PANEL] = panel
    return picture


def picture_width(modalities: Sequence[str], label_maps: int) -> int:
    """Columns of the picture of a subject with these images and so many label maps."""
    panels = len(_shown_images(modalities)) + min(label_maps, _MOST_LABEL_MAPS) + 1
    return panels * (PANEL + GAP) - GAP


def save_picture(path: Path, rgb: np.ndarray) -> None:
    """Writes `[height, width, 3]` uint8 as a PNG, whole. Raises InputError where it cannot be written."""
    with written_whole(path) as temporary:
        Image.fromarray(rgb).save(temporary, "PNG")


def picture_sheet(pictures: Sequence[tuple[str, Path, int]]) -> np.ndarray:
    """One panel of each of many pictures, eight a row, with their names.

    Args:
        pictures: at least one: name, file (`save_picture` of a `quality_picture`) and index of the panel.

    Returns:
        RGB `[height, width, 3]` uint8.

    Raises:
        InputError: where a file cannot be read.
    """
    columns = min(_COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (_CELL + GAP) - GAP, rows * (_CELL + GAP) - GAP), _GAP_COLOUR)
    for index, (name, path, panel) in enumerate(pictures):
        start = panel * (PANEL + GAP)
        try:
            with Image.open(path, formats=("PNG",)) as picture:
                cell = _named(picture.crop((start, 0, start + PANEL, PANEL)), name)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error}), expected a PNG") from None
        sheet.paste(cell, (index % columns * (_CELL + GAP), index // columns * (_CELL + GAP)))
    return np.asarray(sheet)


def _shown_images(modalities: Sequence[str]) -> list[int]:
    """Indices of the images to show: the first of each modality, where all diffusion directions are one."""
    first = {}
    for index, modality in enumerate(modalities):
        first.setdefault(series_of(modality), index)
    return list(first.values())[: 1 + _MOST_FURTHER_IMAGES]


def _displayed(image: np.ndarray) -> np.ndarray:
    """Grey values uint8 of an image in any unit."""
    inside = image[image != 0]
    low, high = np.percentile(inside, _PERCENTILES) if inside.size else (0, 0)
    scaled = (image - low) / (high - low) if low < high else image != 0
    return np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8)


def _magnified(grey: np.ndarray) -> np.ndarray:
    """RGB `[384, 384, 3]` of grey values `[192, 192]`, smooth."""
    large = np.asarray(Image.fromarray(grey).resize((PANEL, PANEL), Image.Resampling.BICUBIC))
    # 64 greys look like 256 and make the file a third smaller.
    return np.repeat((large & 0xFC)[..., None], 3, axis=2)


def _outlined(rgb: np.ndarray, labels: np.ndarray, colours: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The panel with each border between two labels drawn one pixel wide, in the colour of the higher label."""
    large = labels.repeat(MAGNIFICATION, 0).repeat(MAGNIFICATION, 1)
    padded = np.pad(large, 1)
    around = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    edge = np.any([beside < large for beside in around], axis=0)
    outlined = rgb.copy()
    outlined[edge] = colours(large[edge])
    return outlined


def _bright_colours(labels: np.ndarray) -> np.ndarray:
    """`label_colours` at full brightness: a thin dark line would be lost on the image."""
    colours = label_colours(labels).astype(np.float32)
    return np.rint(colours * (255 / colours.max(-1, keepdims=True))).astype(np.uint8)


def _captioned(rgb: np.ndarray, caption: str, *, sides: bool = False) -> np.ndarray:
    """The panel with a caption in the upper left corner and, with `sides`, L and R at its left and right edge."""
    picture = Image.fromarray(rgb)
    draw = ImageDraw.Draw(picture)
    texts = [((6, 4), "la", caption)]
    if sides:
        texts += [((6, PANEL // 2), "lm", "L"), ((PANEL - 6, PANEL // 2), "rm", "R")]
    for place, anchor, text in texts:
        draw.text(place, text, "white", _font(18), anchor, stroke_width=2, stroke_fill="black")
    return np.asarray(picture)


def _named(panel: Image.Image, name: str) -> Image.Image:
    """The panel at the slice's own size, with a name instead of its caption; of a long one both ends."""
    # A file name that is not text holds lone surrogates, which cannot be drawn.
    name = one_line(name).encode(errors="replace").decode()
    name = name if len(name) <= _NAME_LENGTH else f"{name[: _NAME_LENGTH // 2]}...{name[-_NAME_LENGTH // 2 :]}"
    small = panel.resize((_CELL, _CELL), Image.Resampling.BOX)
    draw = ImageDraw.Draw(small)
    draw.rectangle((0, 0, _CELL, _NAME_HEIGHT), fill="black")
    draw.text((4, _NAME_HEIGHT // 2), name, "white", _font(13), "lm")
    return small


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
