"""Pictures of a validation: for each task what went in, what came out, what it should be, and its context."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from neuralizer_jax.files.atomic_file import written_whole

# Pixels: least width of an image, which its heading needs; space between images; height of a title and the headings.
_LEAST, _GAP, _TITLE, _HEADING = 160, 6, 30, 28
_DPI = 100

# Context pairs shown.
_PAIRS = 3

# The difference that is drawn brightest: half of the range of an image.
_LARGEST_DIFFERENCE = 0.5


@dataclass(frozen=True, eq=False)
class PictureRow:
    """An episode to be shown.

    Attributes:
        title: of its row.
        target_in: `[H, W, 3]` in [0, 1].
        prediction: `[H, W]`.
        target_out: `[H, W]`.
        context: of a few members, input `[H, W, 3]` and output `[H, W]`.
    """

    title: str
    target_in: np.ndarray
    prediction: np.ndarray
    target_out: np.ndarray
    context: tuple[tuple[np.ndarray, np.ndarray], ...]


def picture_rows(
    episode: Mapping[str, ArrayLike], prediction: ArrayLike, tasks: Sequence[str], dice: ArrayLike, psnr: ArrayLike
) -> dict[str, PictureRow]:
    """The first episode of each task in a batch.

    Those of several batches are joined by `rows |= picture_rows(...)`: later batches, of larger context sets, win.

    Args:
        episode: the batch.
        prediction: `[B, H, W, C]`, of which the first channel is shown; probabilities for segmentations.
        tasks: the names that `task` of an episode counts into.
        dice: `[B]`, told for segmentations.
        psnr: `[B]` in dB, told for the others.

    Returns:
        By task.
    """
    prediction, dice, psnr = np.asarray(prediction), np.asarray(dice), np.asarray(psnr)
    rows = {}
    for b, place in enumerate(np.asarray(episode["task"])):
        name = tasks[place]
        if name in rows:
            continue
        members = np.flatnonzero(np.asarray(episode["context_mask"][b]))
        score = f"Dice {dice[b]:.3f}" if episode["is_segmentation"][b] else f"PSNR {psnr[b]:.1f} dB"
        # Copies of single images: a view would keep the whole batch in memory.
        rows[name] = PictureRow(
            title=f"{name.replace('_', ' ')}:  {score},  N = {len(members)}",
            target_in=np.array(episode["target_in"][b]),
            prediction=np.array(prediction[b, ..., 0], np.float32),
            target_out=np.array(episode["target_out"][b, ..., 0]),
            context=tuple(
                (np.array(episode["context_in"][b, i]), np.array(episode["context_out"][b, i, ..., 0]))
                for i in members[:_PAIRS]
            ),
        )
    return rows


def draw_validation(path: Path, rows: Iterable[PictureRow]) -> Path:
    """Writes a picture: a row an episode, with input, prediction, truth, their difference, and context pairs.

    Args:
        path: the file to write, PNG.
        rows: at least one.

    Returns:
        `path`.

    Raises:
        InputError: a file that cannot be written.
    """
    from matplotlib.figure import Figure

    rows = list(rows)
    pictures = [[_pixels(image, is_difference=place == 3) for place, image in enumerate(_images(row))] for row in rows]
    high, wide = pictures[0][0].shape[:2]
    pairs = max(len(row.context) for row in rows)
    headings = ["input", "prediction", "truth", f"difference, 0 to {_LARGEST_DIFFERENCE}"]
    headings += [f"context {pair + 1} {end}" for pair in range(pairs) for end in ("in", "out")]
    # More space before the context, and between its pairs.
    lefts = [_GAP + place * (wide + _GAP) + (place >= 4) * (place // 2) * _GAP for place in range(len(headings))]
    tops = [_HEADING + number * (_TITLE + high) for number in range(len(rows))]
    width, height = lefts[-1] + wide + _GAP, tops[-1] + _TITLE + high + _GAP

    canvas = np.zeros((height, width, 3), np.uint8)
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="black")

    def text(x: float, y: float, words: str, **style: object) -> None:
        figure.text(x / width, 1 - y / height, words, color="white", fontsize=9, va="center", **style)

    for left, heading in zip(lefts, headings, strict=True):
        text(left + wide / 2, _HEADING / 2, heading, ha="center")
    for top, row, images in zip(tops, rows, pictures, strict=True):
        text(_GAP, top + 0.55 * _TITLE, row.title, weight="bold")
        for left, image in zip(lefts, images, strict=False):
            canvas[top + _TITLE :, left:][:high, :wide] = image
    # Pixels as they are: nothing is interpolated.
    figure.figimage(canvas)
    with written_whole(path) as temporary:
        # Noise does not become smaller by more compression.
        figure.savefig(temporary, pil_kwargs={"compress_level": 1})
    return path


def _images(row: PictureRow) -> list[np.ndarray]:
    difference = np.abs(row.prediction - row.target_out) / _LARGEST_DIFFERENCE
    context = (image for pair in row.context for image in pair)
    return [row.target_in, row.prediction, row.target_out, difference, *context]


def _pixels(image: np.ndarray, *, is_difference: bool) -> np.ndarray:
    """RGB uint8 of `[H, W]`, or of `[H, W, 3]`: in colours only where several channels are used; enlarged if small."""
    from matplotlib import colormaps

    if image.ndim == 3:
        used = np.flatnonzero(image.any((0, 1)))
        image = image if len(used) > 1 else image[..., used[0] if len(used) else 0]
    if image.ndim == 2:
        image = colormaps["inferno" if is_difference else "gray"](image)[..., :3]
    pixels = np.uint8(np.round(255 * np.clip(image, 0, 1)))
    times = -(-_LEAST // image.shape[1])
    return pixels.repeat(times, 0).repeat(times, 1)
