"""Image tasks on whole scans: a raw scan and a few pairs of images in, an image on the scan's own voxels out.

Slices of three planes through the whole field of view are predicted and averaged (`field.py`, `slice_predictions.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np

from neuralizer_jax.errors import InputError
from neuralizer_jax.intensity import Window, apply_window, own_window
from neuralizer_jax.model import Neuralizer
from neuralizer_jax.volumes.aligned import AlignedScan, align_scan
from neuralizer_jax.volumes.alignment import Alignment
from neuralizer_jax.volumes.background import is_skull_stripped, with_dark_background
from neuralizer_jax.volumes.choose import similarity
from neuralizer_jax.volumes.evidence import field_likeness
from neuralizer_jax.volumes.field import field_of
from neuralizer_jax.volumes.options import check_options
from neuralizer_jax.volumes.scan import Scan, to_ras
from neuralizer_jax.volumes.slice_predictions import predict_planes
from neuralizer_jax.volumes.trust import scan_warnings

Progress = Callable[[str, int, int], object]

# Images are predicted at about this voxel size, mm.
STEP_MM = 1.0

# Images of the same kind and unit are correlated at least so much, and their ranges differ by at most this factor.
_SAME_KIND = 0.7
_SAME_UNIT = 2.0

# Examples are compared with the target on a grid of so many mm.
_COMPARED_MM = 4.0


@dataclass(frozen=True, eq=False)
class ImageExample:
    """A scan, and the image that is wanted of it.

    Attributes:
        scan: the scan.
        output: float32 `[X, Y, Z]` on the scan's voxels, in any unit, finite.

    Raises:
        InputError: for an output on other voxels than the scan's, not finite, or constant.

    Example:
        >>> scan = Scan(np.arange(60).reshape(3, 4, 5), np.eye(4))
        >>> ImageExample(scan, scan.values / 2).output.dtype
        dtype('float32')
    """

    scan: Scan
    output: np.ndarray

    def __post_init__(self) -> None:  # noqa: D105
        output = np.asarray(self.output)
        if output.shape != self.scan.values.shape:
            raise InputError(
                f"{self.scan.name}: its output has shape {output.shape}, expected that of the scan,"
                f" {self.scan.values.shape}"
            )
        checked = replace(self.scan, values=output, name=f"output of {self.scan.name}")
        object.__setattr__(self, "output", checked.values)


@dataclass(frozen=True, eq=False)
class AlignedPair:
    """An aligned scan, and the output that is wanted of it on its voxels, scaled to [0, 1] by `window`."""

    scan: AlignedScan
    output: np.ndarray
    window: Window


@dataclass(frozen=True, eq=False)
class ImagePrediction:
    """The image that was predicted for a scan.

    Attributes:
        values: float32 `[X, Y, Z]`, on the voxels of `affine`.
        affine: `[4, 4]`, voxel -> world of the target in mm.
        target: the scan.
        alignment: of the target to MNI152.
        examples: names of the examples that were used and their similarity, most similar first.
        likeness: of the scan and the examples, see `evidence.field_likeness`.
    """

    values: np.ndarray
    affine: np.ndarray
    target: Scan
    alignment: Alignment
    examples: tuple[tuple[str, float], ...]
    likeness: float = 1.0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd about the scan, see `trust.scan_warnings`."""
        return scan_warnings(self.target, self.alignment, self.likeness)

    def _repr_html_(self) -> str:
        """A picture, in a notebook."""
        from neuralizer_jax.pictures.notebook_html import scan_html

        return scan_html(self.values, self.affine, title=f"{self.target.name}, predicted")


def predict_image(
    model: nn.Module,
    params: dict[str, Any],
    target: Scan,
    examples: Sequence[ImageExample],
    *,
    same_kind: bool,
    examples_per_target: int = 4,
    aligned: bool = False,
    planes: Sequence[str] = ("coronal", "axial", "sagittal"),
    cache: Path | None = None,
    on_progress: Progress = lambda stage, done, of: None,
) -> ImagePrediction:
    """Predicts an image of a whole scan from examples, on the scan's own voxels.

    Args:
        model: a 2-D `Neuralizer`, from `load_weights`.
        params: its parameters.
        target: the scan.
        examples: scans with the images that are wanted of them.
        same_kind: whether outputs are images of the same kind and unit as their scans (denoising), so that the result
            has the target's unit. If not (another modality), it has that of the examples' outputs.
        examples_per_target: so many examples are used, those that resemble the target most.
        aligned: world coordinates of all scans are those of MNI152 already: nothing is registered.
        planes: the slices that are predicted and averaged, some of sagittal, coronal, axial.
        cache: folder in which alignments are kept; None: in the user's cache folder.
        on_progress: called with the stage, and how many of its steps are done, of how many.

    Returns:
        The image. Outside of MNI152's grid, as in the neck, the network predicts nothing: an image of the same kind
        keeps the target's values there, another one has the lowest value of the examples' outputs.

    Raises:
        InputError: a target or example that cannot be aligned; options out of range.

    Example:
        >>> from neuralizer_jax import load_weights
        >>> from neuralizer_jax.volumes.read_scan import read_scan
        >>> noisy, clean = read_scan("sub-01_noisy.nii.gz"), read_scan("sub-01_clean.nii.gz")  # doctest: +SKIP
        >>> examples = [ImageExample(noisy, clean.values)]  # doctest: +SKIP
        >>> target = read_scan("sub-09_noisy.nii.gz")  # doctest: +SKIP
        >>> predict_image(*load_weights("small"), target, examples, same_kind=True).values.shape  # doctest: +SKIP
        (256, 256, 180)
    """
    network = check_options(model, planes, examples_per_target)
    if not examples:
        raise InputError("no examples, expected at least one scan with the image that is wanted of it")
    total = 1 + len(examples)
    on_progress("aligning", 0, total)
    own = align_scan(target, aligned=aligned, cache=cache)
    pairs = []
    for number, example in enumerate(examples):
        on_progress("aligning", 1 + number, total)
        pairs.append(_align(example, same_kind=same_kind, aligned=aligned, cache=cache))
    on_progress("aligning", total, total)
    place = field_of(own, STEP_MM)
    chosen = _choose(own, pairs, examples_per_target)
    images = np.stack([place.bring(pair.scan.values, pair.scan.to_mni) for pair, _ in chosen])
    outputs = np.stack([place.bring(pair.output, pair.scan.to_mni) for pair, _ in chosen])
    image = place.bring(own.values, own.to_mni)
    found = predict_field(network, params, image, images, outputs, planes, on_progress)
    values, there = place.take_back(found, own.values.shape)
    if same_kind:
        canonical = target.canonical().values
        window = window_of(target)
        values = np.where(there, in_unit_of(window, values) + clipped_part(canonical, window), canonical)
    else:
        low, high = np.mean([(pair.window.low, pair.window.high) for pair, _ in chosen], axis=0)
        values = np.where(there, in_unit_of(Window(low, high), values), low)
    names = tuple((pair.scan.name, like) for pair, like in chosen)
    likeness = field_likeness(image, images)
    return ImagePrediction(as_stored(values, target), target.affine, target, own.alignment, names, likeness)


def are_of_the_same_kind(examples: Sequence[ImageExample]) -> bool:
    """Whether the outputs of examples look like their scans, in about the same unit.

    Example:
        >>> scan = Scan(np.arange(60).reshape(3, 4, 5), np.eye(4))
        >>> same, other = ImageExample(scan, scan.values + 1), ImageExample(scan, 60 - scan.values)
        >>> are_of_the_same_kind([same]), are_of_the_same_kind([same, other])
        (True, False)
    """
    for example in examples:
        scan, output = example.scan.values.ravel(), example.output.ravel()
        if np.corrcoef(scan, output)[0, 1] < _SAME_KIND:
            return False
        own, other = own_window(scan), own_window(output)
        if not 1 / _SAME_UNIT < (own.high - own.low) / (other.high - other.low) < _SAME_UNIT:
            return False
    return bool(examples)


def predict_field(
    model: Neuralizer,
    params: dict[str, Any],
    target: np.ndarray,
    images: np.ndarray,
    outputs: np.ndarray,
    planes: Sequence[str],
    on_progress: Progress,
    *,
    mask: bool = False,
    every: int = 1,
    inside: tuple[slice, slice, slice] | None = None,
) -> np.ndarray:
    """Predicts all slices of a field in each of the planes, and averages.

    Args:
        model: the network.
        params: its parameters.
        target: `[X, Y, Z]` in [0, 1], lengths are multiples of 16.
        images: `[N, X, Y, Z]`, the examples.
        outputs: `[N, X, Y, Z]`, what is wanted of them.
        planes: some of `slices.PLANES`.
        on_progress: called with the number of planes that are done.
        mask: whether outputs are masks.
        every: every n-th slice is computed, those between are interpolated.
        inside: the part that is predicted, the rest is 0; None: all.

    Returns:
        float32 `[X, Y, Z]`: the image in [0, 1], or the probability of the mask.
    """
    # The score of an image is the image, whatever the network does to that of a mask.
    network = model if mask else model.clone(segmentation_sigmoid=False)
    if inside is None:
        inside = (slice(0, target.shape[0]), slice(0, target.shape[1]), slice(0, target.shape[2]))
    total = np.zeros(target.shape, np.float32)
    for number, plane in enumerate(planes):
        on_progress("predicting", number, len(planes))
        total[inside] += predict_planes(network, params, target, images, outputs, inside, (plane,), every)[0]
    on_progress("predicting", len(planes), len(planes))
    return total / len(planes)


def window_of(scan: Scan) -> Window:
    """The values of a scan that become 0 and 1 when it is aligned (`aligned.align_scan`)."""
    values = scan.values
    if not is_skull_stripped(values, scan.affine):
        return own_window(values)
    dark = with_dark_background(values)
    window, brightest = own_window(dark), np.argmax(dark)
    shift = float(values.flat[brightest] - dark.flat[brightest])
    return Window(window.low + shift, window.high + shift)


def in_unit_of(window: Window, found: np.ndarray) -> np.ndarray:
    """An image in [0, 1] in the unit of a scan that was scaled by this window."""
    return (window.low + (window.high - window.low) * found).astype(np.float32)


def clipped_part(scan: np.ndarray, window: Window) -> np.ndarray:
    """What scaling to a window takes from a scan: the network does not see air and the brightest voxels."""
    return scan - np.clip(scan, window.low, window.high)


def as_stored(values: np.ndarray, target: Scan) -> np.ndarray:
    """A volume in RAS order with the axes as the target has them, float32."""
    result = np.zeros(target.values.shape, np.float32)
    to_ras(result, target.affine)[0][...] = values  # through a view
    return result


def _align(example: ImageExample, *, same_kind: bool, aligned: bool, cache: Path | None) -> AlignedPair:
    scan = align_scan(example.scan, aligned=aligned, cache=cache)
    output, _ = to_ras(example.output, example.scan.affine)
    window = window_of(example.scan) if same_kind else own_window(output)
    return AlignedPair(scan, apply_window(output, window).astype(np.float16), window)


def _choose(own: AlignedScan, pairs: Sequence[AlignedPair], count: int) -> list[tuple[AlignedPair, float]]:
    """The pairs that resemble the target most over the whole field, with their similarity."""
    coarse = field_of(own, _COMPARED_MM)
    target = coarse.bring(own.values, own.to_mni)
    like = [similarity(target, coarse.bring(pair.scan.values, pair.scan.to_mni)) for pair in pairs]
    order = np.argsort(-np.array(like), kind="stable")[:count]
    return [(pairs[index], like[index]) for index in order]
