"""One picture of a prediction: target, example pairs, prediction and its spread, as for a slide."""

from pathlib import Path

import numpy as np

from neuralizer_jax.atomic_file import written_whole
from neuralizer_jax.errors import InputError
from neuralizer_jax.inference import Prediction

_MOST_PAIRS = 4


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
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    if path.suffix.lower() != ".png":
        raise InputError(f"{path}: figures are drawn as PNG, expected a name that ends in .png")
    target, context_in = (x[..., 0] if x.ndim > ndim else x for x, ndim in ((target, 2), (context_in, 3)))
    shown = min(len(context_in), _MOST_PAIRS)
    segmentation = prediction.labels is not None
    has_spread = bool(prediction.std.any())

    # A large picture spans both rows; a pair has its input above its output.
    widths = [2] + [1] * shown + [2] * (1 + has_spread)
    height = 5.0
    figure = Figure(figsize=(0.5 * height * sum(widths) * target.shape[1] / target.shape[0], height + 0.8), dpi=150)
    top, bottom = 1 - 0.5 / (height + 0.8), 0.3 / (height + 0.8)
    grid = figure.add_gridspec(
        2, len(widths), width_ratios=widths, left=0.01, right=0.99, top=top, bottom=bottom, wspace=0.03, hspace=0.03
    )

    def show(place, image, *, labels=None, **how):
        axes = figure.add_subplot(place)
        axes.set_axis_off()
        low, high = (0, 1) if image.min() >= 0 and image.max() <= 1 else np.percentile(image, (0.1, 99.9))
        picture = axes.imshow(image, **({"cmap": "gray", "vmin": low, "vmax": high} | how))
        if labels is not None:
            axes.imshow(_colours(labels, prediction.label_values, colormaps["tab20"].colors))
        return axes, picture

    show(grid[:, 0], target)[0].set_title("target")
    for index in range(shown):
        image, output = context_in[index], context_out[index]
        show(grid[0, 1 + index], image)
        show(grid[1, 1 + index], *((image,) if segmentation else (output,)), labels=output if segmentation else None)
    middle = (sum(widths[: 1]) + shown / 2) / sum(widths) * 0.98 + 0.01
    more = f", {shown} of {len(context_in)}" if len(context_in) > shown else ""
    figure.text(middle, top + 0.012, f"example pairs (input above output{more})", ha="center", va="bottom", size=12)

    if segmentation:
        show(grid[:, 1 + shown], target, labels=prediction.labels)[0].set_title("prediction")
    else:
        show(grid[:, 1 + shown], prediction.mean)[0].set_title("prediction")
    if has_spread:
        std = prediction.std if prediction.std.ndim == 2 else prediction.std.max(0)
        axes, picture = show(grid[:, 2 + shown], std, cmap="magma", vmin=0, vmax=std.max())
        axes.set_title("uncertainty (standard deviation)")
        figure.colorbar(picture, cax=axes.inset_axes([0.9, 0.05, 0.03, 0.35])).ax.tick_params(
            labelcolor="white", labelsize=9, left=True, right=False, labelleft=True, labelright=False, color="white"
        )
    figure.text(0.5, 0.1 / (height + 0.8), caption, ha="center", va="bottom", size=10, color="0.35")
    with written_whole(path) as temporary:
        figure.savefig(temporary, facecolor="white")


def _colours(labels: np.ndarray, values: tuple[int, ...], palette) -> np.ndarray:
    """RGBA `[H, W, 4]` of a label map: a colour for each of `values`, transparent elsewhere."""
    picture = np.zeros((*labels.shape, 4))
    for index, value in enumerate(values):
        picture[labels == value] = (*palette[index % len(palette)], 0.7)
    return picture
