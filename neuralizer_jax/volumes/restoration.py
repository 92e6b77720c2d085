"""Restoration of a scan from built-in examples: denoising, bias correction, super-resolution, inpainting.

Examples are heads in the target's own contrast (`example_heads.py`), with the target's own noise, slices and holes.
They are made along the target's axes (`field.py`), so that the network sees target and examples alike. Results have the
target's unit.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np
from scipy import ndimage

from input_pipeline.space.random_field import generator
from input_pipeline.synthesis.degradation import add_bias, add_noise, noise_level, thick_slices
from neuralizer_jax.errors import InputError
from neuralizer_jax.intensity import Window
from neuralizer_jax.volumes.aligned import AlignedScan, align_scan
from neuralizer_jax.volumes.background import is_skull_stripped
from neuralizer_jax.volumes.evidence import field_likeness
from neuralizer_jax.volumes.example_heads import example_name, heads_in_field
from neuralizer_jax.volumes.field import Field, field_of
from neuralizer_jax.volumes.image_task import (
    STEP_MM,
    ImagePrediction,
    Progress,
    as_stored,
    clipped_part,
    in_unit_of,
    predict_field,
    window_of,
)
from neuralizer_jax.volumes.options import check_options
from neuralizer_jax.volumes.scan import Scan

RESTORATIONS = ("denoising", "bias-correction", "super-resolution", "inpainting")

# A bias field is smooth: it is predicted on a grid of this voxel size in mm.
_BIAS_STEP_MM = 2.0

# Standard deviation of the logarithm of the examples' bias fields, from the first to the last.
_BIAS = (0.1, 0.35)

# A bias field varies over at least this distance, mm; where there is less signal than this share, it is not measured.
_FIELD_MM = 20.0
_LEAST_SIGNAL = 0.1

# Noise of examples as a share of the range: the network was trained with about as much.
_NOISE = (0.02, 0.2)

# Slices that are thicker by this factor than what they are refined to have something to gain.
_THICK = 1.5

# Fewer voxels are no region that someone removed.
_LEAST_HOLE = 20


def restore(
    model: nn.Module,
    params: dict[str, Any],
    target: Scan,
    task: str,
    *,
    examples_per_target: int = 4,
    aligned: bool = False,
    planes: Sequence[str] = ("coronal", "axial", "sagittal"),
    cache: Path | None = None,
    on_progress: Progress = lambda stage, done, of: None,
) -> ImagePrediction:
    """Restores a scan from built-in examples.

    Args:
        model: a 2-D `Neuralizer`, from `load_weights`.
        params: its parameters.
        target: the scan, of any contrast, orientation and voxel size, of a whole head or a brain alone.
        task: `denoising`: noise is removed. `bias-correction`: the target is divided by a smooth field.
            `super-resolution`: thick slices become voxels of about 1 mm. `inpainting`: regions of the head with the
            value of the background are filled, and nothing else changes.
        examples_per_target: number of built-in examples.
        aligned: the target's world coordinates are those of MNI152 already.
        planes: the slices that are predicted and averaged, some of sagittal, coronal, axial.
        cache: folder of alignments and built-in anatomies; None: in the user's cache folder.
        on_progress: called with the stage, and how many of its steps are done, of how many.

    Returns:
        The image in the target's unit: on the target's own voxels, and for super-resolution along its axes in smaller
        voxels. Outside of MNI152's grid, as in the neck, it is the target.

    Raises:
        InputError: an unknown task, or one with nothing to do; the target cannot be aligned; options out of range.

    Example:
        >>> from neuralizer_jax import load_weights
        >>> from neuralizer_jax.volumes.read_scan import read_scan
        >>> target = read_scan("sub-09_T1w.nii.gz")  # doctest: +SKIP
        >>> restore(*load_weights("small"), target, "denoising").values.shape  # doctest: +SKIP
        (256, 256, 180)
    """
    network = check_options(model, planes, examples_per_target)
    if task not in RESTORATIONS:
        raise InputError(f"task: is {task}, expected one of {', '.join(RESTORATIONS)}")
    canonical = target.canonical()
    holes = _holes(canonical) if task == "inpainting" else np.zeros(0, bool)
    if task == "super-resolution":
        _check_thick(canonical)
    if task == "bias-correction" and canonical.values.min() < 0:
        raise InputError(
            f"{target.name}: holds negative values, expected signals from 0, which a bias field multiplies"
        )
    on_progress("aligning", 0, 1)
    own = align_scan(target, aligned=aligned, cache=cache)
    place = field_of(own, _BIAS_STEP_MM if task == "bias-correction" else STEP_MM)
    stripped = is_skull_stripped(target.values, target.affine)
    clean, _ = heads_in_field(
        own, place, examples_per_target, skull_stripped=stripped, cache=cache, on_progress=on_progress
    )
    window = window_of(target)
    likeness = 1.0

    def predicted(image: np.ndarray, images: np.ndarray, **options: Any) -> np.ndarray:
        nonlocal likeness
        likeness = field_likeness(image, images)
        return predict_field(network, params, image, images, clean, planes, on_progress, **options)

    image = place.bring(own.values, own.to_mni)
    if task == "denoising":
        sigma = float(np.clip(noise_level(image, image > _LEAST_SIGNAL), *_NOISE))
        noisy = np.stack([np.minimum(add_noise(x, sigma, _random(n)), 1) for n, x in enumerate(clean)])
        values, there = place.take_back(predicted(image, noisy), own.values.shape)
        if stripped:  # the background is no image
            there &= own.values > 0
        # The air is noise as well.
        rest = clipped_part(canonical.values, window)
        rest = np.where(rest < 0, ndimage.gaussian_filter(np.minimum(rest, 0), 1.0), rest)
        values = np.where(there, in_unit_of(window, values) + rest, canonical.values)
    elif task == "bias-correction":
        values = canonical.values / _bias_field(image, clean, place, window, own, predicted)
    elif task == "inpainting":
        at = place.bring(holes, own.to_mni) > 0
        found = predicted(np.where(at, 0, image), np.where(at, 0, clean), inside=_box(at, own.name))
        values, _ = place.take_back(found, own.values.shape)
        values = np.where(holes, in_unit_of(window, values), canonical.values)
    else:
        sizes = 1 / np.diag(place.to_scan)[:3]
        first = -place.to_scan[:3, 3] * sizes
        thick = [thick_slices(x, np.where(sizes > 1.01, sizes, 1), first) for x in clean]
        found = predicted(image, np.stack(thick))
        values, affine = _finer(found, place, canonical, window)
    if task != "super-resolution":
        values, affine = as_stored(values, target), target.affine
    # Built-in examples have no similarity: they are made for the target.
    names = tuple((example_name(number), 1.0) for number in range(examples_per_target))
    return ImagePrediction(values, affine, target, own.alignment, names, likeness)


def _random(number: int) -> np.random.Generator:
    return generator(number, "degradation")


def _bias_field(
    image: np.ndarray, clean: np.ndarray, place: Field, window: Window, own: AlignedScan, predicted: Callable
) -> np.ndarray:
    """The smooth factor of a scan's signal on its own voxels (axes in RAS order), 1 on average over the head."""
    # A field multiplies the signal, which is not 0 where the scaled image is 0.
    offset = max(window.low, 0.0) / window.high

    def multiplied(x: np.ndarray, number: int) -> np.ndarray:
        strength = np.interp(number, (0, max(1, len(clean) - 1)), _BIAS)
        changed = add_bias(offset + (1 - offset) * x, strength, place.steps, _random(number))
        return np.clip((changed / max(1.0, float(changed.max())) - offset) / (1 - offset), 0, 1)

    found = predicted(image, np.stack([multiplied(x, n) for n, x in enumerate(clean)]))
    signal, corrected = (offset + (1 - offset) * x for x in (image, found))
    inside = ((image > _LEAST_SIGNAL) & (found > _LEAST_SIGNAL)).astype(np.float32)
    sigmas = _FIELD_MM / 2 / place.steps
    smooth_signal, smooth_corrected, weight = (
        ndimage.gaussian_filter(x, sigmas, mode="constant", truncate=3)
        for x in (signal * inside, corrected * inside, inside)
    )
    smooth = np.log(np.maximum(smooth_signal, 1e-6) / np.maximum(smooth_corrected, 1e-6))
    # Far from the head the field is that of the nearest place where it was measured.
    measured = weight > 0.05
    if not measured.any():
        raise InputError(f"{own.name}: shows no signal in the head, expected a scan of a head")
    nearest = ndimage.distance_transform_edt(~measured, return_distances=False, return_indices=True)
    smooth = smooth[tuple(nearest)]
    smooth -= smooth[inside > 0].mean()
    values, _ = place.take_back(smooth, own.values.shape)
    return np.exp(values)


def _check_thick(scan: Scan) -> None:
    sizes = np.linalg.norm(scan.affine[:3, :3], axis=0)
    least = _THICK * max(STEP_MM, sizes.min())
    if sizes.max() <= least:
        shown = " x ".join(f"{size:.3g}" for size in sizes)
        raise InputError(f"{scan.name}: voxels are {shown} mm, expected slices thicker than {least:.3g} mm to refine")


def _finer(found: np.ndarray, place: Field, scan: Scan, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """The scan (axes in RAS order) in voxels as small as the field's, with what was predicted; and the affine."""
    ratio, offset = np.diag(place.to_scan)[:3], place.to_scan[:3, 3]
    # The field's voxels, continued over the whole scan.
    before = np.floor((offset + 0.5) / ratio).astype(int)
    low = offset - before * ratio
    count = np.floor((np.array(scan.values.shape) - 0.5 - low) / ratio).astype(int) + 1
    values = ndimage.affine_transform(
        scan.values, ratio, low, output_shape=tuple(count), order=1, mode="nearest", prefilter=False
    )
    first, last = np.maximum(before, 0), np.minimum(before + place.shape, count)
    part = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    inner = tuple(slice(a, b) for a, b in zip(first - before, last - before, strict=True))
    values[part] = in_unit_of(window, found[inner]) + clipped_part(values[part], window)
    step = np.diag([*ratio, 1.0])
    step[:3, 3] = low
    return values, scan.affine @ step


def _holes(scan: Scan) -> np.ndarray:
    """The regions of a scan that are 0, or as its background, and enclosed; bool."""
    values = scan.values
    edge = np.concatenate([np.take(values, (0, -1), axis).ravel() for axis in range(3)])
    background = 0 if (values == 0).any() else np.median(edge)
    pieces, count = ndimage.label(values == background)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    outside = np.unique(np.concatenate([np.take(pieces, (0, -1), axis).ravel() for axis in range(3)]))
    holes = sizes >= _LEAST_HOLE
    holes[outside] = False
    holes[0] = False
    if not holes.any():
        raise InputError(
            f"{scan.name}: no region inside of the head has the value {background:g}, expected one to fill"
        )
    return holes[pieces]


def _box(mask: np.ndarray, name: str) -> tuple[slice, slice, slice]:
    if not mask.any():
        raise InputError(
            f"{name}: the regions to fill lie outside of MNI152 after alignment, expected them in the head"
        )
    ends = []
    for axis in range(3):
        found = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        ends.append(slice(int(found[0]), int(found[-1]) + 1))
    return ends[0], ends[1], ends[2]
