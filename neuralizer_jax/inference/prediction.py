"""What `predict` returns: the image or the probabilities of labels, their spread, and how a notebook shows them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Prediction:
    """A prediction for one target. In a notebook it shows itself.

    Attributes:
        mean: float32 `[*spatial]`, averaged over the bootstrap draws. An image task: the image, in the scale of the
            normalized context outputs. One label: its probability. L labels: the probability of each,
            `[L, *spatial]`.
        std: standard deviation over the draws, of the shape of `mean`; zero for one draw.
        labels: for a segmentation, the label of each pixel, int32 `[*spatial]`: 0 or one of `label_values`.
        label_values: for a segmentation, the labels in ascending order, as in the context outputs.
        target: the first channel of the target, `[*spatial]`, for pictures; None: not known.
    """

    mean: np.ndarray
    std: np.ndarray
    labels: np.ndarray | None = None
    label_values: tuple[int, ...] = ()
    target: np.ndarray | None = None

    @property
    def shown(self) -> np.ndarray:
        """What pictures show, `[*spatial]`: the predicted image, or below the labels of a segmentation the target.

        Without a target it is the highest probability of a label.
        """
        if self.labels is None:
            return self.mean
        return _over_labels(self.mean, self.labels) if self.target is None else self.target

    def _repr_html_(self) -> str:
        """Pictures and a table of labels, in a notebook; of a volume the middle plane."""
        from neuralizer_jax.pictures.notebook_html import overlaid, plane_html

        panels = {} if self.target is None else {"target": _plane(self.target)}
        size = " x ".join(map(str, self.shown.shape))
        rows = {}
        if self.labels is None:
            title = f"image {size}, from {self.mean.min():.3g} to {self.mean.max():.3g}"
            panels["prediction"] = _plane(self.mean)
        else:
            title = f"segmentation {size}"
            panels["labels"] = overlaid(_plane(self.shown), _plane(self.labels), self.label_values)
            for place, label in enumerate(self.label_values):
                inside = self.labels == label
                probability = self.mean if self.mean.ndim == inside.ndim else self.mean[place]
                mean = f"{probability[inside].mean():.2f}" if inside.any() else ""
                rows[label] = [f"{inside.sum():,}", f"{inside.mean():.1%}", mean]
        if self.std.any():
            panels["standard deviation"] = _plane(_over_labels(self.std, self.shown))
        return plane_html(panels, rows, ("pixels", "share", "mean probability inside"), title)


def _over_labels(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The largest over labels, `[*spatial]`."""
    return values if values.ndim == like.ndim else values.max(0)


def _plane(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 2 else image[..., image.shape[-1] // 2]
