"""One picture of a prediction: target, context pairs, prediction and its spread."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuralizer_jax.errors import one_line
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.files.image_formats import label_palette

if TYPE_CHECKING:
    from neuralizer_jax.inference.predict import Prediction

_MOST_PAIRS = 4
_MOST_NAMED = 50
_HEIGHT = 2.0  # of a context image, inches
_LABEL_OPACITY = 0.7


def draw_figure(
    path: Path,
    target: np.ndarray,
    context_in: np.ndarray,
    context_out: np.ndarray,
    prediction: "Prediction",
    *,
    caption: str = "",
    label_names: Mapping[int, str] | None = None,
    sides: tuple[str, str] | None = None,
) -> None:
    """Draws a prediction to a PNG file.

    Args:
        path: the file to write.
        target: `[H, W]`, or `[H, W, C]`, of which the first channel is shown.
        context_in: `[N, H, W]` or `[N, H, W, C]`; at most four pairs are shown.
        context_out: `[N, H, W]`, images or label maps.
        prediction: the result of `predict`. Labels are drawn over the images. Its spread is shown if it is not 0.
        caption: a line below the pictures.
        label_names: names of labels for the legend, which shows numbers otherwise.
        sides: what is at the left and right edge of the pictures, such as `("L", "R")`.

    Raises:
        InputError: the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    target, context_in = (x[..., 0] if x.ndim > ndim else x for x, ndim in ((target, 2), (context_in, 3)))
    shown = min(len(context_in), _MOST_PAIRS)
    spread = prediction.std if prediction.std.ndim == 2 else prediction.std.max(0)
    colours = _label_colours(prediction.label_values)
    large = ["prediction"] + ["spread"] * bool(spread.any())
    ratios = [2, *[1] * shown, *[2] * len(large)]
    width = _HEIGHT * target.shape[1] / target.shape[0]
    size = (width * sum(ratios) + 1, 2 * _HEIGHT + 0.7)
    figure = Figure(figsize=size, dpi=150, facecolor="white", layout="compressed")
    rows: list = [["target", *(f"{row}{index}" for index in range(shown)), *large] for row in ("in", "out")]
    axes = figure.subplot_mosaic(rows, width_ratios=ratios, gridspec_kw={"wspace": 0.02, "hspace": 0.02})
    for place in axes.values():
        place.set_axis_off()

    _show(axes["target"], target)
    for index in range(shown):
        _show(axes[f"in{index}"], context_in[index])
        if colours:
            _show(axes[f"out{index}"], context_in[index], _coloured(context_out[index], colours))
        else:
            _show(axes[f"out{index}"], context_out[index])
    if prediction.labels is None:
        _show(axes["prediction"], prediction.mean)
    else:
        _show(axes["prediction"], target, _coloured(prediction.labels, colours))
    if spread.any():
        picture = axes["spread"].imshow(spread, cmap="magma", vmin=0, interpolation="nearest")
        bar = figure.colorbar(picture, ax=axes["spread"], format="%.2g", fraction=0.04, pad=0.02)
        bar.ax.tick_params(labelsize=8)
        axes["spread"].set_title("standard deviation")
    for name in ("target", "prediction"):
        axes[name].set_title(name)
        for x, side in zip((0.03, 0.97), sides or (), strict=bool(sides)):
            axes[name].text(x, 0.5, side, transform=axes[name].transAxes, color="yellow", ha="center", va="center")
    for index in range(shown):
        axes[f"in{index}"].set_title(f"pair {index + 1} of {len(context_in)}", size=9)
    if colours:
        names = {value: (label_names or {}).get(value, str(value)) for value in list(colours)[:_MOST_NAMED]}
        entries = [Patch(color=colours[value], label=_plain(name)) for value, name in names.items()]
        more = f"and {len(colours) - len(names)} more" if len(colours) > len(names) else None
        columns = -(-len(entries) // 25)
        figure.legend(handles=entries, title=more, loc="outside right center", fontsize=8, ncols=columns, frameon=False)
    figure.supxlabel(_plain(caption), size=9, color="0.35")
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png")


def _plain(text: str) -> str:
    """Returns a text that matplotlib draws as it is, with no formula between dollar signs."""
    return one_line(text).replace("$", r"\$")


def _show(axes, image: np.ndarray, labels: np.ndarray | None = None) -> None:
    low, high = np.percentile(image, (0.1, 99.9))
    # A predicted image is in [0, 1], with small deviations.
    low, high = (0, 1) if low > -0.2 and 0.2 < high < 1.2 else (low, high)
    axes.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    if labels is not None:
        axes.imshow(labels, interpolation="nearest")


def _label_colours(values: Sequence[int]) -> dict[int, tuple[float, float, float]]:
    """Returns a colour for each label, RGB in [0, 1]."""
    from matplotlib import colormaps

    colours = colormaps["tab10"](range(10))[:, :3] if len(values) <= 10 else label_palette()[1:255] / 255
    return {value: tuple(colours[index % len(colours)]) for index, value in enumerate(values)}


def _coloured(labels: np.ndarray, colours: Mapping[int, tuple[float, float, float]]) -> np.ndarray:
    """Returns RGBA `[H, W, 4]` of a label map, transparent where it has no label with a colour."""
    picture = np.zeros((*labels.shape, 4))
    for value, colour in colours.items():
        picture[labels == value] = (*colour, _LABEL_OPACITY)
    return picture
