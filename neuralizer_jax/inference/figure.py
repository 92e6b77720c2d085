"""One picture of a prediction: target, example pairs, prediction and its spread, as for a slide."""

from pathlib import Path

import numpy as np

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.inference.predict import Prediction

_MOST_PAIRS = 4

# Inches: height of a large picture, gap between pictures, space above and below.
_HEIGHT, _GAP, _ABOVE, _BELOW = 4.0, 0.08, 0.45, 0.4


def draw_figure(
    path: Path,
    target: np.ndarray,
    context_in: np.ndarray,
    context_out: np.ndarray,
    prediction: Prediction,
    caption: str = "",
) -> None:
    """Draws a prediction to a PNG file.

    Args:
        path: file to write, ending in `.png`.
        target: `[H, W]` or `[H, W, C]`, of which the first channel is shown.
        context_in: `[N, H, W]` or `[N, H, W, C]`; at most four pairs are drawn.
        context_out: `[N, H, W]`, images or label maps.
        prediction: what `predict` returned for them. Labels are drawn over the images; the spread only where several
            context sets were drawn.
        caption: a line below.

    Raises:
        InputError: another ending, or a file that cannot be written.
    """
    from matplotlib.figure import Figure

    if path.suffix.lower() != ".png":
        raise InputError(f"{path}: figures are drawn as PNG, expected a name that ends in .png")
    target, context_in = (x[..., 0] if x.ndim > ndim else x for x, ndim in ((target, 2), (context_in, 3)))
    shown = min(len(context_in), _MOST_PAIRS)
    segmentation = prediction.labels is not None
    colours = _label_colours(prediction.label_values)
    spread = prediction.std if prediction.std.ndim == 2 else prediction.std.max(0)

    large = _HEIGHT * target.shape[1] / target.shape[0]
    height = (_HEIGHT - _GAP) / 2
    small = height * target.shape[1] / target.shape[0]
    pairs_left = _GAP + large + 3 * _GAP
    prediction_left = pairs_left + shown * (small + _GAP) + 2 * _GAP
    width = prediction_left + large + _GAP + (large + 7 * _GAP + 0.5 if spread.any() else 0)
    figure = Figure(figsize=(width, _BELOW + _HEIGHT + _ABOVE), dpi=150, facecolor="white")

    def axes_at(left, bottom, width, height):
        size = figure.get_size_inches()
        return figure.add_axes((left / size[0], (_BELOW + bottom) / size[1], width / size[0], height / size[1]))

    def show(left, image, labels=None, *, row=None):
        at = (left, 0, large, _HEIGHT) if row is None else (left, row * (height + _GAP), small, height)
        axes = axes_at(*at)
        axes.set_axis_off()
        low, high = np.percentile(image, (0.1, 99.9))
        # An output a little outside of [0, 1] is still an image in [0, 1].
        low, high = (0, 1) if low > -0.2 and 0.2 < high < 1.2 else (low, high)
        axes.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        if labels is not None:
            axes.imshow(_coloured(labels, colours), interpolation="nearest")
        return axes

    def title(left, width, text):
        size = figure.get_size_inches()
        x, y = (left + width / 2) / size[0], (_BELOW + _HEIGHT + 0.08) / size[1]
        figure.text(x, y, text, ha="center", va="bottom", size=12)

    show(_GAP, target)
    title(_GAP, large, "target")
    for index in range(shown):
        left = pairs_left + index * (small + _GAP)
        show(left, context_in[index], row=1)
        if segmentation:
            show(left, context_in[index], context_out[index], row=0)
        else:
            show(left, context_out[index], row=0)
    more = f" ({shown} of {len(context_in)})" if len(context_in) > shown else ""
    title(pairs_left, shown * (small + _GAP) - _GAP, f"examples{more}" if shown < 3 else f"example pairs{more}")
    if segmentation:
        show(prediction_left, target, prediction.labels)
    else:
        show(prediction_left, prediction.mean)
    title(prediction_left, large, "prediction")
    if spread.any():
        left = prediction_left + large + 3 * _GAP
        axes = axes_at(left, 0, large, _HEIGHT)
        axes.set_axis_off()
        picture = axes.imshow(spread, cmap="magma", vmin=0, vmax=spread.max(), interpolation="nearest")
        bar = figure.colorbar(picture, cax=axes_at(left + large + _GAP, 0, 0.12, _HEIGHT), format="%.1e")
        bar.ax.tick_params(labelsize=8)
        title(left, large, "uncertainty (standard deviation)")
    # The legend stands below the prediction, as far as it fits there.
    room = int(large / 0.45)
    entries = [(f"\u25a0 {value}", colour) for value, colour in colours.items()]
    if len(entries) > room:
        entries = [*entries[: room - 1], (f"+ {len(entries) - room + 1}", "0.35")]
    for index, (text, colour) in enumerate(entries):
        x, y = (prediction_left + 0.45 * index) / width, 0.12 / (_BELOW + _HEIGHT + _ABOVE)
        figure.text(x, y, text, color=colour, ha="left", va="bottom", size=10)
    figure.text(0.5, 0.12 / (_BELOW + _HEIGHT + _ABOVE), caption, ha="center", va="bottom", size=10, color="0.35")
    with written_whole(path) as temporary:
        figure.savefig(temporary)


def _label_colours(values: tuple[int, ...]) -> dict[int, tuple[float, float, float]]:
    """A colour for each label, repeating after twenty."""
    from matplotlib import colormaps

    palette = colormaps["tab10" if len(values) <= 10 else "tab20"].colors
    return {value: palette[index % len(palette)] for index, value in enumerate(values)}


def _coloured(labels: np.ndarray, colours: dict[int, tuple[float, float, float]]) -> np.ndarray:
    """RGBA `[H, W, 4]` of a label map: translucent colours, nothing where a label has none."""
    picture = np.zeros((*labels.shape, 4))
    for value, colour in colours.items():
        picture[labels == value] = (*colour, 0.7)
    return picture
