"""Qualitative grids: what went in, what it should be, what each model made of it, and where it is wrong."""

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from textwrap import fill

import numpy as np

from neuralizer_jax.errors import InputError
from neuralizer_jax.evaluation.examples import read_example
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.metrics import dice, psnr
from neuralizer_jax.report.shown_names import models_in_order, shown_task
from neuralizer_jax.report.statistics import is_baseline

MOST_ROWS = 9

# Pixels: least side of an image, space between images; height of letters, as a share of that side: with three models
# 7 pt where a page is 7 inches wide.
_LEAST, _GAP, _LETTERS = 160, 6, 0.145
_DPI = 100

# Letters in a line of a heading.
_HEADING = 12

# The error that is drawn brightest: half of the range of an image.
_LARGEST_ERROR = 0.5
_ERROR_COLOURS = "inferno"

# Axes of what an example holds, and the names that are in its title.
_SHAPES = {
    "target_in": ("H", "W", 3),
    "target_out": ("H", "W"),
    "context_in": ("k", "H", "W", 3),
    "context_out": ("k", "H", "W"),
    "predictions": ("k", "H", "W"),
}
_NAMES = ("task", "dataset", "modality", "class", "subject")
_NEEDED = (*_SHAPES, *_NAMES, "experiment")

Example = Mapping[str, np.ndarray]


def draw_examples(
    examples: Sequence[Path], folder: Path, class_names: Mapping[str, str], alike: Collection[str] = ()
) -> list[Path]:
    """Draws the examples of each experiment to `qualitative_EXPERIMENT.png`, up to 9 rows.

    The columns are the input, a context pair, the truth, then the prediction of each model and its error: the absolute
    difference to the truth, on a fixed scale. Of a baseline's trainings the one with the most subjects is shown. Of
    each task those examples come first that most models have predicted.

    Args:
        examples: files, at least one.
        folder: to write to.
        class_names: what to call a class; those that are not in it are called as they are.
        alike: experiments that show what others do: drawn only where there are no others.

    Returns:
        The files written.

    Raises:
        InputError: a file that is no example, or that cannot be read or written.
    """
    loaded = [_load(path) for path in examples]
    experiments: dict[str, list[Example]] = {}
    for example in loaded:
        experiments.setdefault(str(example["experiment"]), []).append(example)
    shown = {name: of for name, of in experiments.items() if name not in alike} or experiments
    paths = []
    for experiment, of_experiment in shown.items():
        rows = _rows(of_experiment)
        models = models_in_order(model for example in rows for model in _predictions(example))
        largest = max(size for example in rows for size in example["target_out"].shape)
        side = largest * -(-_LEAST // largest)
        paths.append(folder / f"qualitative_{re.sub(r'[^A-Za-z0-9_.-]', '-', experiment)}.png")
        _draw_page(paths[-1], rows, models, side, class_names)
    return paths


def _rows(examples: Sequence[Example]) -> list[Example]:
    """The examples to show, by task: of each task the one with the most predictions, then the next ones."""
    by_task: dict[str, list[Example]] = {}
    for example in sorted(examples, key=lambda example: -len(_predictions(example))):
        by_task.setdefault(str(example["task"]), []).append(example)
    in_turn = [example for rank in zip_longest(*by_task.values()) for example in rank if example is not None]
    chosen = in_turn[:MOST_ROWS]
    return [example for task in sorted(by_task) for example in by_task[task] if any(example is one for one in chosen)]


def _load(path: Path) -> dict[str, np.ndarray]:
    example = read_example(path)
    missing = [name for name in _NEEDED if name not in example]
    if missing:
        raise InputError(f"{path}: has no {', '.join(missing)}, expected an example of an evaluation")
    size = dict(zip("HW", example["target_out"].shape, strict=False))
    for name, axes in _SHAPES.items():
        shape = example[name].shape
        expected = tuple(size.get(axis, axis) for axis in axes)
        fits = len(shape) == len(axes) and all(e in ("k", length) for e, length in zip(expected, shape, strict=True))
        if not fits or not example[name].size or example[name].dtype.kind not in "fiub":
            raise InputError(f"{path}: {name} has shape {shape}, expected [{', '.join(map(str, expected))}]")
    return example


def _predictions(example: Example) -> dict[str, tuple[np.ndarray, int]]:
    """By model its prediction; of a baseline's trainings, NAME@N, that with the largest N, and this N, else 0."""
    found: dict[str, tuple[int, np.ndarray]] = {}
    for model, image in zip(example["models"].tolist(), example["predictions"], strict=True):
        name, _, subjects = model.partition("@")
        number = int(subjects) if is_baseline(name) and subjects.isdigit() else 0
        name = name if number else model
        if name not in found or found[name][0] < number:
            found[name] = number, image
    return {name: (image, number) for name, (number, image) in found.items()}


def _draw_page(
    path: Path,
    examples: Sequence[Example],
    models: Sequence[str],
    side: int,
    class_names: Mapping[str, str],
) -> None:
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke

    columns = ["input", "context in", "context out", "truth", *models, *(f"error of {model}" for model in models)]
    columns = [fill(column, _HEADING) for column in columns]
    line = round(1.3 * _LETTERS * side)
    # More space before the truth, the predictions and the errors.
    breaks = (3, 4, 4 + len(models))
    lefts = [
        _GAP + place * (side + _GAP) + 2 * _GAP * sum(place >= at for at in breaks) for place in range(len(columns))
    ]
    headings = line * max(column.count("\n") + 1 for column in columns)
    row = line + 2 * _GAP + side
    tops = [headings + number * row + line + 2 * _GAP for number in range(len(examples))]
    width, height = lefts[-1] + side + _GAP, tops[-1] + side + 3 * _GAP + 2 * line
    canvas = np.full((height, width, 3), 255, np.uint8)
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)

    def write(x: float, y: float, text: str, ha: str = "left", va: str = "center", **style: object) -> None:
        size = 72 / _DPI * _LETTERS * side
        drawn = figure.text(
            x / width, 1 - y / height, text, ha=ha, va=va, size=size, linespacing=1.1, parse_math=False, **style
        )
        # A long title is written smaller. Letters are rounded to pixels: their width is not quite in proportion.
        drawn.set_size(size * min(1, 0.95 * width / max(1, drawn.get_window_extent().width)))

    outlined = {"color": "white", "path_effects": [withStroke(linewidth=4, foreground="black")]}
    for left, column in zip(lefts, columns, strict=True):
        write(left + side / 2, headings - 0.2 * line, column, ha="center", va="baseline")
    for top, example in zip(tops, examples, strict=True):
        write(_GAP, top - _GAP - 0.2 * line, _title(example, class_names), va="baseline", weight="bold")
        for left, image in zip(lefts, _images(example, models), strict=True):
            if image is None:
                write(left + side / 2, top + side / 2, "none", ha="center", color="0.5")
            else:
                canvas[top:, left:][:side, :side] = _enlarged(image, side)
        for left, (score, subjects) in zip(lefts[4:], _scores(example, models), strict=False):
            write(left + _GAP, top + side - _GAP, score, va="bottom", **outlined)
            write(left + _GAP, top + _GAP, subjects, va="top", **outlined)
    ramp = colormaps[_ERROR_COLOURS](np.linspace(0, 1, side))[:, :3]
    top = tops[-1] + side + 2 * _GAP
    canvas[top : top + line // 2, lefts[-1] :][:, :side] = np.uint8(np.round(255 * ramp))
    for text, share, ha in (("0", 0, "left"), ("error", 0.5, "center"), (f"{_LARGEST_ERROR}", 1, "right")):
        write(lefts[-1] + share * side, top + 1.2 * line, text, ha=ha)
    # Pixels as they are: nothing is interpolated.
    figure.figimage(canvas, zorder=-1)
    with written_whole(path) as temporary:
        figure.savefig(temporary, metadata={"Software": None})


def _title(example: Example, class_names: Mapping[str, str]) -> str:
    task, dataset, modality, label, subject = (str(example[name]) for name in _NAMES)
    parts = [shown_task(task), class_names.get(label, label), modality, dataset, subject]
    return "  ·  ".join([*filter(None, parts), f"N = {len(example['context_in'])}"])


def _images(example: Example, models: Sequence[str]) -> list[np.ndarray | None]:
    """RGB in [0, 1] `[H, W, 3]` for each column, None where there is none."""
    from matplotlib import colormaps

    truth, found = example["target_out"], _predictions(example)
    predictions = [found[model][0] if model in found else None for model in models]
    images = [_grey(example["target_in"]), _grey(example["context_in"][0]), _grey(example["context_out"][0])]
    images += [_grey(truth), *(None if image is None else _grey(image) for image in predictions)]
    return images + [
        None if image is None else colormaps[_ERROR_COLOURS](np.abs(image - truth) / _LARGEST_ERROR)[..., :3]
        for image in predictions
    ]


def _scores(example: Example, models: Sequence[str]) -> list[tuple[str, str]]:
    """What stands on each prediction: Dice where the truth is a mask, else PSNR; and a baseline's training subjects."""
    truth, found = example["target_out"], _predictions(example)
    is_mask = np.isin(truth, (0, 1)).all()
    shown = dict.fromkeys(models, ("", ""))
    for model, (image, subjects) in found.items():
        score = float((dice if is_mask else psnr)(image[None, ..., None], truth[None, ..., None])[0])
        shown[model] = f"{score:.2f}" if is_mask else f"{score:.1f} dB", f"N = {subjects}" if subjects else ""
    return list(shown.values())


def _grey(image: np.ndarray) -> np.ndarray:
    """RGB of an image `[H, W]`, or `[H, W, 3]`: in colours where several channels are used."""
    if image.ndim == 3:
        used = np.flatnonzero(image.any((0, 1)))
        if len(used) > 1:
            return image
        image = image[..., used[0] if len(used) else 0]
    return np.repeat(image[..., None], 3, axis=-1)


def _enlarged(image: np.ndarray, side: int) -> np.ndarray:
    """uint8 `[side, side, 3]`: as many times as large as fits, in the middle of white."""
    pixels = np.uint8(np.round(255 * np.clip(np.nan_to_num(image), 0, 1)))
    times = side // max(pixels.shape[:2])
    pixels = pixels.repeat(times, 0).repeat(times, 1)
    framed = np.full((side, side, 3), 255, np.uint8)
    top, left = ((side - length) // 2 for length in pixels.shape[:2])
    framed[top:, left:][: pixels.shape[0], : pixels.shape[1]] = pixels
    return framed
