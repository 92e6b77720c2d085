"""The curves of a run, drawn from its `metrics.csv`: losses, and the validation scores of each task."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.training.metrics_log import read_metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Length of the moving average of the training loss, as a share of its values.
_WINDOW = 1 / 40

# The axis is logarithmic if the loss falls below this share of its start.
_LOG_BELOW = 0.2

# Fewer validations than this are marked by points.
_FEW = 30

# Metric, name with unit, decimals.
_PANELS = (("dice", "Dice", 3), ("psnr", "PSNR (dB)", 1))

_TRAINING, _VALIDATION = "0.35", "tab:red"

Curve = tuple[np.ndarray, np.ndarray]


def draw_curves(metrics_path: Path, out_path: Path) -> None:
    """Draws the curves of a run, finished or not.

    Args:
        metrics_path: `metrics.csv` of the run.
        out_path: the file to write, PNG or PDF by its suffix.

    Raises:
        InputError: `metrics.csv` is missing or damaged, or the file cannot be written.

    Example:
        >>> _ = Path("metrics.csv").write_text("step,name,value\\n1,train/loss,0.5\\n2,train/loss,0.25\\n")
        >>> draw_curves(Path("metrics.csv"), Path("curves.png"))
    """
    figure = curves_figure(read_metrics(metrics_path))
    with written_whole(out_path) as temporary:
        figure.savefig(temporary)


def curves_figure(metrics: Mapping[str, Curve]) -> "Figure":
    """The curves of a run.

    Left: the losses, with the lowest validation loss marked. Right: the mean validation score of each task, at the
    largest context size (solid) and the smallest (dashed); the legend shows the last value.

    Args:
        metrics: of `read_metrics`: steps `[S]` and values `[S]` by name.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.ticker import MaxNLocator

    metrics = {name: _finite(*curve) for name, curve in metrics.items()}
    scores = _scores(metrics)
    tasks = dict.fromkeys(task for _, task in scores)
    colours = {task: colormaps["tab10"](index % 10) for index, task in enumerate(tasks)}

    figure = Figure(figsize=(14, 6.5), dpi=100, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12))
    panels = [panel for panel in _PANELS if any(metric == panel[0] for metric, _ in scores)] or _PANELS[:1]
    grid = figure.add_gridspec(len(panels), 2)
    losses = figure.add_subplot(grid[:, 0])
    _draw_losses(losses, metrics)
    for row, (metric, label, digits) in enumerate(panels):
        axes = figure.add_subplot(grid[row, 1], sharex=losses)
        axes.set_ylabel(label)
        of_metric = {task: sizes for (its_metric, task), sizes in scores.items() if its_metric == metric}
        _draw_scores(axes, of_metric, colours, digits)
    for axes in figure.axes:
        axes.grid(color="0.9", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlim(left=0)
        axes.set_xlabel("step")
    return figure


def _draw_losses(axes: "Axes", metrics: dict[str, Curve]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_title("Loss", loc="left")
    drawn = []
    if "train/loss" in metrics:
        steps, values = metrics["train/loss"]
        drawn.append(_smoothed(values))
        axes.plot(steps, values, color=_TRAINING, alpha=0.25, linewidth=0.8)
        axes.plot(steps, drawn[0], color=_TRAINING, linewidth=1.8, label="training")
    if "validation/loss" in metrics:
        steps, values = metrics["validation/loss"]
        drawn.append(values)
        axes.plot(steps, values, color=_VALIDATION, linewidth=1.8, marker=_marker(values), label="validation")
        if len(values):
            best = int(np.argmin(values))
            label = f"best: {values[best]:.4f} at step {steps[best]:,}"
            star: dict[str, Any] = {"color": _VALIDATION, "markersize": 15, "markeredgecolor": "white"}
            axes.plot(steps[best], values[best], "*", label=label, **star)
    values = np.concatenate(drawn) if drawn else np.zeros(0)
    if len(values) and 0 < values.min() < _LOG_BELOW * values.max():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    if drawn:
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.1), ncols=3, frameon=False)
    else:
        _nothing(axes, "nothing recorded yet")


def _draw_scores(axes: "Axes", tasks: dict[str, dict[int, Curve]], colours: dict[str, tuple], digits: int) -> None:
    if not tasks:
        _nothing(axes, "no validation yet")
        return
    sizes = sorted({size for of_task in tasks.values() for size in of_task})
    dashed = f" (dashed: N = {sizes[0]})" if len(sizes) > 1 else ""
    axes.set_title(f"Validation, N = {sizes[-1]}{dashed}", loc="left")
    # The legend lists the curves as they end, from top to bottom.
    last = {task: of_task[max(of_task)][1][-1] for task, of_task in tasks.items()}
    for task in sorted(tasks, key=lambda task: last[task], reverse=True):
        steps, values = tasks[task][max(tasks[task])]
        label = f"{last[task]:.{digits}f}  {task.replace('_', ' ')}"
        line: dict[str, Any] = {"color": colours[task], "marker": _marker(values), "markersize": 4}
        axes.plot(steps, values, linewidth=1.8, label=label, **line)
        if len(tasks[task]) > 1:
            axes.plot(*tasks[task][min(tasks[task])], "--", linewidth=1, markerfacecolor="white", **line)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=9.5)


def _scores(metrics: dict[str, Curve]) -> dict[tuple[str, str], dict[int, Curve]]:
    """Curves of `validation/METRIC/TASK/N=SIZE`, by (metric, task) and context size."""
    scores: dict[tuple[str, str], dict[int, Curve]] = {}
    for name, curve in metrics.items():
        path, found, size = name.rpartition("/N=")
        if found and path.startswith("validation/") and len(curve[0]):
            _, metric, task = path.split("/", 2)
            scores.setdefault((metric, task), {})[int(size)] = curve
    return scores


def _smoothed(values: np.ndarray) -> np.ndarray:
    """The moving average `[S]`, over fewer values at the ends."""
    window = np.ones(2 * int(len(values) * _WINDOW / 2) + 1)
    return np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same")


def _finite(steps: np.ndarray, values: np.ndarray) -> Curve:
    finite = np.isfinite(values)
    return steps[finite], values[finite]


def _marker(values: np.ndarray) -> str | None:
    return "o" if len(values) < _FEW else None


def _nothing(axes: "Axes", text: str) -> None:
    axes.text(0.5, 0.5, text, ha="center", va="center", color="0.5", transform=axes.transAxes)
    axes.set_yticks([])
