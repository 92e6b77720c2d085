"""`view`: a prediction in an interactive viewer inside of a notebook, niivue by way of `ipyniivue`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from neuralizer_jax.errors import InputError
from neuralizer_jax.inference.prediction import Prediction
from neuralizer_jax.pictures.notebook_html import label_colours
from neuralizer_jax.pictures.shown_volume import nifti_gz, shown_volume
from neuralizer_jax.volumes.image_task import ImagePrediction
from neuralizer_jax.volumes.scan import Scan
from neuralizer_jax.volumes.skull_stripping import BrainMask
from neuralizer_jax.volumes.volume_prediction import VolumePrediction

_HEIGHT = 420  # pixels


def view(
    prediction: VolumePrediction | BrainMask | ImagePrediction | Prediction | Scan,
    names: Mapping[int, str] | None = None,
    *,
    height: int = _HEIGHT,
) -> Any:
    """Opens a prediction in a notebook: scan and labels in three planes to click and scroll through.

    Needs `ipyniivue`: `pip install "neuralizer-jax[notebook]"`.

    Args:
        prediction: what was predicted, for a scan or of one plane; or a scan alone. At most 2**24 voxels are shown:
            of a larger scan every second one, or every third.
        names: of labels; others are called by their number.
        height: of the viewer in pixels.

    Returns:
        The widget, an `ipyniivue.NiiVue`: the last line of a cell shows it.

    Raises:
        InputError: `ipyniivue` is not installed, or it is no prediction.

    Example:
        >>> view(prediction, {17: "Left-Hippocampus"})  # doctest: +SKIP
    """
    scan, affine, labels, values = _parts(prediction)
    try:
        from ipyniivue import NiiVue, Volume
    except ImportError:
        raise InputError("view: needs ipyniivue, expected pip install 'neuralizer-jax[notebook]'") from None
    shown = shown_volume(scan, labels, affine, values)
    layers = [
        Volume(name="scan.nii.gz", data=nifti_gz(shown.scan, shown.affine), colormap="gray", cal_min=0, cal_max=255)
    ]
    if values:
        narrow = shown.places.astype(np.uint8 if len(values) < 256 else np.uint16)
        overlay = Volume(name="labels.nii.gz", data=nifti_gz(narrow, shown.affine, labels=True), opacity=0.5)
        colours = [(0, 0, 0), *label_colours(values, names).values()]
        red, green, blue = (list(channel) for channel in zip(*colours, strict=True))
        overlay.set_colormap_label(
            {
                "R": red, "G": green, "B": blue, "A": [0, *[255] * len(values)], "I": list(range(len(colours))),
                "labels": ["", *((names or {}).get(value, f"label {value}") for value in values)],
            }
        )  # fmt: skip
        layers.append(overlay)
    viewer = NiiVue(height=height)
    viewer.load_volumes(layers)
    return viewer


def _parts(prediction) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[int]]:
    """Scan `[X, Y, Z]`, its affine, labels `[X, Y, Z]`, and the labels to show."""
    if isinstance(prediction, VolumePrediction):
        target = prediction.target
        return target.values, target.affine, prediction.labels, list(prediction.structures)
    if isinstance(prediction, BrainMask):
        return prediction.target.values, prediction.target.affine, prediction.mask.astype(np.uint8), [1]
    if isinstance(prediction, ImagePrediction | Scan):
        return prediction.values, prediction.affine, np.zeros(prediction.values.shape, np.uint8), []
    if isinstance(prediction, Prediction):
        image = prediction.shown
        labels = np.zeros(image.shape, np.uint8) if prediction.labels is None else prediction.labels
        # Rows go down in an array, and y goes up in the viewer.
        planes = (np.atleast_3d(x[::-1].swapaxes(0, 1)) for x in (image, labels))
        return next(planes), np.eye(4), next(planes), list(prediction.label_values)
    raise InputError(
        f"view: {type(prediction).__name__} is no prediction, expected what predict or predict_volume return"
    )
