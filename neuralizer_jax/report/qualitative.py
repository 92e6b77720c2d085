"""Qualitative grids: input, context pair, truth, each model's prediction, and its error."""

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from neuralizer_jax.errors import InputError
from neuralizer_jax.evaluation.examples import read_example
from neuralizer_jax.evaluation.scores import ALL
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.metrics import dice, psnr
from neuralizer_jax.report.figure_style import paper_style
from neuralizer_jax.report.shown_names import models_in_order, shown_task

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS = 9

# Inches: side of an image, gap between groups of columns, height of a row's title, of a line and of the legend.
_SIDE, _GAP, _TITLE, _LINE, _LEGEND = 1.92, 0.12, 0.4, 0.31, 0.6

# Points, so that letters have 7 points when a grid of three models is printed 7 inches wide.
_LETTERS = 20
_OUTLINED: dict[str, Any] = {"color": "white", "path_effects": [withStroke(linewidth=4, foreground="black")]}

# Letters in a line of a heading.
_HEADING = 12

# Outlines of the true and the predicted mask (Okabe and Ito, 2008).
_TRUE, _PREDICTED = "#56B4E9", "#E69F00"

# The error in the brightest colour: half of the range of an image.
_LARGEST_ERROR = 0.5
_ERROR_COLOURS = "inferno"

# Axes of the arrays in an example, and the names in its title.
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

    The rows of a task begin with the examples that most models have predicted. Classes without a name keep their label.
    Experiments in `alike` look like others: they are drawn only if there are no others. Returns the files written.

    Raises:
        InputError: if a file is not an example, or cannot be read or written.
    """
    experiments: dict[str, list[Example]] = {}
    for example in map(_load, examples):
        experiments.setdefault(str(example["experiment"]), []).append(example)
    shown = {name: of for name, of in experiments.items() if name not in alike} or experiments
    paths = []
    for experiment, of_experiment in shown.items():
        paths.append(folder / f"qualitative_{re.sub(r'[^A-Za-z0-9_.-]', '-', experiment)}.png")
        with paper_style(), written_whole(paths[-1]) as temporary:
            figure = examples_figure(most_predicted(of_experiment), class_names)
            figure.savefig(temporary, dpi=100, metadata={"Software": None})
    return paths


def examples_figure(examples: Sequence[Example], class_names: Mapping[str, str]) -> Figure:
    """A row for each example: input, context pair, truth, then each model's prediction, then each model's error.

    Masks are outlined on the image, the true one in blue and the predicted one in orange. Images have the left
    hemisphere on the left. Of a baseline's trainings, the one with the most subjects is shown.
    """
    models = models_in_order(model for example in examples for model in _predictions(example))
    headings = ["input", "context in", "context out", "truth", *models, *(f"error of {model}" for model in models)]
    # Gaps separate context, truth, predictions and errors.
    lefts = np.arange(len(headings)) * (_SIDE + _GAP / 3)
    lefts += _GAP * (1 + np.sum([np.arange(len(headings)) >= at for at in (1, 3, 4, 4 + len(models))], axis=0))
    width, row = float(lefts[-1]) + _SIDE + _GAP, _TITLE + _SIDE
    headings = [fill(heading, _HEADING) for heading in headings]
    top = _GAP + _LINE * max(heading.count("\n") + 1 for heading in headings)
    height = top + len(examples) * row + _LEGEND
    figure = Figure(figsize=(width, height))

    def add_axes(left: float, bottom: float, across: float, up: float) -> "Axes":
        return figure.add_axes((left / width, bottom / height, across / width, up / height), xticks=[], yticks=[])

    for left, heading in zip(lefts, headings, strict=True):
        at = (left + _SIDE / 2) / width, 1 - (top - 0.06) / height
        figure.text(*at, heading, ha="center", va="baseline", size=_LETTERS, linespacing=1.05)
    for place, example in enumerate(examples):
        bottom = height - top - (place + 1) * row
        title = figure.text(
            _GAP / width, (bottom + _SIDE + 0.08) / height, _title(example, class_names), size=_LETTERS, weight="bold"
        )
        title.set_fontsize(_LETTERS * min(1, 0.95 * width * figure.dpi / title.get_window_extent().width))
        panels = [add_axes(left, bottom, _SIDE, _SIDE) for left in lefts]
        _draw_row(panels, example, models)
    _draw_error_scale(add_axes(float(lefts[-1]), 0.62 * _LEGEND, _SIDE, 0.25 * _LEGEND))
    if any(_is_mask(example) for example in examples):
        for left, text, colour in ((lefts[0], "true outline", _TRUE), (lefts[2], "predicted outline", _PREDICTED)):
            figure.text(left / width, 0.1 / height, f"— {text}", color=colour, size=_LETTERS, weight="bold")
    return figure


def _draw_row(panels: Sequence["Axes"], example: Example, models: Sequence[str]) -> None:
    is_mask, truth, found = _is_mask(example), example["target_out"], _predictions(example)
    target, pair = _rgb(example["target_in"]), _rgb(example["context_in"][0])
    for axes, image in zip(panels, (target, pair), strict=False):
        _show(axes, image)
    for axes, image, output in ((panels[2], pair, example["context_out"][0]), (panels[3], target, truth)):
        _show(axes, image if is_mask else _rgb(output))
        if is_mask:
            _outline(axes, output, _TRUE)
    _write(panels[0], "L", 0.03, 0.03)
    _write(panels[0], "R", 0.97, 0.03, ha="right")
    for place, model in enumerate(models):
        axes, errors = panels[4 + place], panels[4 + len(models) + place]
        if model not in found:
            for empty in (axes, errors):
                empty.text(0.5, 0.5, "none", ha="center", va="center", color="0.5", size=_LETTERS)
                empty.set_axis_off()
            continue
        prediction, subjects = found[model]
        _show(axes, target if is_mask else _rgb(prediction))
        if is_mask:
            _outline(axes, truth, _TRUE, 3.2)
            _outline(axes, prediction, _PREDICTED)
        _show(errors, np.abs(prediction - truth), cmap=_ERROR_COLOURS, vmax=_LARGEST_ERROR)
        _write(axes, _score(prediction, truth, is_mask), 0.04, 0.04)
        if subjects:
            _write(axes, f"N = {subjects}", 0.04, 0.96, va="top")


def _write(axes: "Axes", text: str, x: float, y: float, **where: Any) -> None:
    axes.text(x, y, text, transform=axes.transAxes, size=_LETTERS, **_OUTLINED, **where)


def _show(axes: "Axes", image: np.ndarray, **look: Any) -> None:
    image = np.nan_to_num(image)
    axes.imshow(np.clip(image, 0, 1) if image.ndim == 3 else image, **{"vmin": 0, "vmax": 1} | look)
    axes.spines[:].set_visible(False)


def _outline(axes: "Axes", mask: np.ndarray, colour: str, width: float = 1.6) -> None:
    inside = mask > 0.5
    if inside.any() and not inside.all():
        axes.contour(inside, levels=[0.5], colors=[colour], linewidths=width)


def _draw_error_scale(axes: "Axes") -> None:
    axes.imshow(np.linspace(0, 1, 256)[None], aspect="auto", cmap=_ERROR_COLOURS, extent=(0, _LARGEST_ERROR, 0, 1))
    for x, text, side in ((0.0, "0", "left"), (0.5, "error", "center"), (1.0, f"{_LARGEST_ERROR}", "right")):
        axes.text(x, -0.15, text, transform=axes.transAxes, ha=side, va="top", size=_LETTERS)


def most_predicted(examples: Sequence[Example]) -> list[Example]:
    """Up to `MOST_ROWS` examples by task: for each task the one with the most predictions, then the next ones."""
    by_task: dict[str, list[Example]] = {}
    for example in sorted(examples, key=lambda example: -len(_predictions(example))):
        by_task.setdefault(str(example["task"]), []).append(example)
    in_turn = [example for rank in zip_longest(*by_task.values()) for example in rank if example is not None]
    chosen = {id(example) for example in in_turn[:MOST_ROWS]}
    return [example for task in sorted(by_task) for example in by_task[task] if id(example) in chosen]


def _load(path: Path) -> dict[str, np.ndarray]:
    example = read_example(path)
    if missing := [name for name in _NEEDED if name not in example]:
        raise InputError(f"{path}: has no {', '.join(missing)}, expected an example of an evaluation")
    size = dict(zip("HW", example["target_out"].shape, strict=False))
    for name, axes in _SHAPES.items():
        shape = example[name].shape
        expected = [axis if isinstance(axis, int) else size.get(axis, axis) for axis in axes]
        fits = len(shape) == len(axes) and all(e in ("k", length) for e, length in zip(expected, shape, strict=True))
        if not fits or not example[name].size or example[name].dtype.kind not in "fiub":
            raise InputError(f"{path}: {name} has shape {shape}, expected [{', '.join(map(str, expected))}]")
    return example


def _predictions(example: Example) -> dict[str, tuple[np.ndarray, str]]:
    """Each model's prediction, and a baseline's number of training subjects; of several trainings the one with most."""
    found: dict[str, tuple[np.ndarray, str]] = {}
    columns = (example[name].tolist() for name in ("models", "train_subjects"))
    for model, subjects, image in zip(*columns, example["predictions"], strict=True):
        if model not in found or _number(found[model][1]) < _number(subjects):
            found[model] = image, subjects
    return found


def _number(subjects: str) -> float:
    return float("inf") if subjects == ALL else float(subjects or 0)


def _is_mask(example: Example) -> bool:
    return bool(np.isin(example["target_out"], (0, 1)).all())


def _score(prediction: np.ndarray, truth: np.ndarray, is_mask: bool) -> str:
    arrays = (jnp.asarray(image[None, ..., None]) for image in (prediction, truth))
    return f"{float(dice(*arrays)[0]):.2f}" if is_mask else f"{float(psnr(*arrays)[0]):.1f} dB"


def _title(example: Example, class_names: Mapping[str, str]) -> str:
    task, dataset, modality, label, subject = (str(example[name]) for name in _NAMES)
    parts = [shown_task(task), class_names.get(label, label), modality, dataset, subject]
    return "  ·  ".join([*filter(None, parts), f"N = {len(example['context_in'])}"])


def _rgb(image: np.ndarray) -> np.ndarray:
    """RGB of an image `[H, W]`, or `[H, W, 3]`: grey, or in colours if several channels are used."""
    if image.ndim == 3:
        used = np.flatnonzero(image.any((0, 1)))
        if len(used) > 1:
            return image
        image = image[..., used[0] if len(used) else 0]
    return np.repeat(image[..., None], 3, axis=-1)
