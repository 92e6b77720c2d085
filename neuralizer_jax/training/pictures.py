"""Pictures of a validation: for each task an input, its prediction, the truth and the context."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.training.parallel import HostArrays

# Pixels: least width of an image, so that its heading fits; gap between images; height of a title and of the headings.
_LEAST, _GAP, _TITLE, _HEADING = 160, 6, 30, 28
_DPI = 100

# Context pairs shown.
_PAIRS = 3

# The difference that is drawn brightest: half of the range of an image.
_LARGEST_DIFFERENCE = 0.5


@dataclass(frozen=True, eq=False)
class PictureRow:
    """An episode to be drawn.

    Attributes:
        title: above the row.
        target_in: `[H, W, 3]` in [0, 1].
        prediction: `[H, W]`.
        target_out: `[H, W]`.
        context: a few pairs, input `[H, W, 3]` and output `[H, W]`.
    """

    title: str
    target_in: np.ndarray
    prediction: np.ndarray
    target_out: np.ndarray
    context: tuple[tuple[np.ndarray, np.ndarray], ...]


def picture_rows(episode: HostArrays, found: HostArrays, tasks: Sequence[str]) -> dict[str, PictureRow]:
    """The first episode of each task in a batch, by task.

    Batches of growing context size are joined by `rows |= picture_rows(...)`: the largest context is drawn.

    Args:
        episode: the batch.
        found: what `eval_step` returns for it; the first channel of `prediction` is drawn.
        tasks: task names; `task` of an episode indexes them.
    """
    rows: dict[str, PictureRow] = {}
    for b, index in enumerate(episode["task"]):
        name = tasks[index]
        if name in rows:
            continue
        pairs = np.flatnonzero(episode["context_mask"][b])
        segmented = episode["is_segmentation"][b]
        score = f"Dice {found['dice'][b]:.3f}" if segmented else f"PSNR {found['psnr'][b]:.1f} dB"
        # Copies of single images: a view would keep the whole batch in memory.
        rows[name] = PictureRow(
            title=f"{name.replace('_', ' ')}:  {score},  N = {len(pairs)}",
            target_in=np.array(episode["target_in"][b]),
            prediction=np.array(found["prediction"][b, ..., 0], np.float32),
            target_out=np.array(episode["target_out"][b, ..., 0]),
            context=tuple(
                (np.array(episode["context_in"][b, i]), np.array(episode["context_out"][b, i, ..., 0]))
                for i in pairs[:_PAIRS]
            ),
        )
    return rows


def draw_validation(path: Path, rows: Iterable[PictureRow]) -> Path:
    """Draws a row for each episode: input, prediction, truth, their difference, and context pairs. Returns `path`.

    Args:
        path: the PNG file to write.
        rows: at least one.

    Raises:
        InputError: the file cannot be written.

    Example:
        >>> image = np.linspace(0, 1, 4096).reshape(64, 64)
        >>> row = PictureRow("denoising", image, image, image, context=((image, image),))
        >>> draw_validation(Path("validation.png"), [row]).exists()
        True
    """
    from matplotlib.figure import Figure

    rows = list(rows)
    pictures = [[_pixels(image, is_difference=n == 3) for n, image in enumerate(_images(row))] for row in rows]
    high, wide = pictures[0][0].shape[:2]
    headings = ["input", "prediction", "truth", f"difference, 0 to {_LARGEST_DIFFERENCE}"]
    pairs = max(len(row.context) for row in rows)
    headings += [f"context {pair + 1} {end}" for pair in range(pairs) for end in ("in", "out")]
    # A wider gap before each context pair.
    lefts = [_GAP + n * (wide + _GAP) + (n >= 4) * (n // 2) * _GAP for n in range(len(headings))]
    tops = [_HEADING + _TITLE + number * (_TITLE + high) for number in range(len(rows))]
    width, height = lefts[-1] + wide + _GAP, tops[-1] + high + _GAP

    canvas = np.zeros((height, width, 3), np.uint8)
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="black")
    style = {"color": "white", "fontsize": 9, "va": "center"}
    for left, heading in zip(lefts, headings, strict=True):
        figure.text((left + wide / 2) / width, 1 - _HEADING / 2 / height, heading, style, ha="center")
    for top, row, images in zip(tops, rows, pictures, strict=True):
        figure.text(_GAP / width, 1 - (top - 0.45 * _TITLE) / height, row.title, style, weight="bold")
        for left, image in zip(lefts, images, strict=False):
            canvas[top : top + high, left : left + wide] = image
    figure.figimage(canvas)  # pixel by pixel, without interpolation
    with written_whole(path) as temporary:
        # More compression hardly makes noisy images smaller.
        figure.savefig(temporary, pil_kwargs={"compress_level": 1})
    return path


def _images(row: PictureRow) -> list[np.ndarray]:
    difference = np.abs(row.prediction - row.target_out) / _LARGEST_DIFFERENCE
    context = (image for pair in row.context for image in pair)
    return [row.target_in, row.prediction, row.target_out, difference, *context]


def _pixels(image: np.ndarray, *, is_difference: bool) -> np.ndarray:
    """RGB uint8 of `[H, W]` or `[H, W, 3]`, in colours only if several channels are used; small images are enlarged."""
    from matplotlib import colormaps

    if image.ndim == 3:
        used = np.flatnonzero(image.any((0, 1)))
        image = image if len(used) > 1 else image[..., used[0] if len(used) else 0]
    if image.ndim == 2:
        image = colormaps["inferno" if is_difference else "gray"](image)[..., :3]
    pixels = np.uint8(np.round(255 * np.clip(image, 0, 1)))
    times = -(-_LEAST // image.shape[1])
    return pixels.repeat(times, 0).repeat(times, 1)
