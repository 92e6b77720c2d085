"""Segmentation of a scan without examples of one's own: FreeSurfer's deep structures, from built-in heads."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from input_pipeline.space.protocols import fold_freesurfer
from neuralizer_jax.errors import InputError
from neuralizer_jax.volumes.aligned import AlignedExample, AlignedScan, align_scan
from neuralizer_jax.volumes.alignment import Alignment
from neuralizer_jax.volumes.background import is_skull_stripped
from neuralizer_jax.volumes.built_in_labels import LABELS, MORE_LABELS
from neuralizer_jax.volumes.contrast import tissue_signals
from neuralizer_jax.volumes.example_heads import example_head, head_deformation
from neuralizer_jax.volumes.image_task import Progress
from neuralizer_jax.volumes.options import check_options
from neuralizer_jax.volumes.predict import predict_volume
from neuralizer_jax.volumes.scan import Scan
from neuralizer_jax.volumes.volume_prediction import VolumePrediction

# Labels outside of the brain.
_FIRST_OUTSIDE = 500


def segment(
    model: nn.Module,
    params: dict[str, Any],
    target: Scan,
    *,
    label_values: Sequence[int] | None = None,
    examples_per_target: int = 4,
    aligned: bool = False,
    deformable: bool = True,
    planes: Sequence[str] = ("coronal", "axial", "sagittal"),
    bootstrap: int = 0,
    seed: int = 0,
    devices: Sequence[jax.Device] | None = None,
    cache: Path | None = None,
    on_progress: Progress = lambda stage, done, of: None,
) -> VolumePrediction:
    """Segments structures of a scan from built-in heads in its contrast, with FreeSurfer's labels.

    The heads are warped from one template, whose deep structures are drawn as ellipsoids: real annotated scans are
    better examples (`predict_volume`, which explains the other arguments).

    Args:
        model: a 2-D `Neuralizer`, from `load_weights`.
        params: its parameters.
        target: the scan of a whole head or a brain alone, of any contrast.
        label_values: some of `LABELS` and `MORE_LABELS`; None: `LABELS`.
        examples_per_target: number of heads.
        aligned: the target's world coordinates are those of MNI152 already.
        deformable: whether target and heads are deformed to the template too.
        planes: the slices that are predicted and averaged.
        bootstrap: number of sets of heads to resample and average over; 0: the heads once.
        seed: of the resampling.
        devices: devices that share the slices; None: JAX's default device.
        cache: folder of alignments and built-in anatomies; None: in the user's cache folder.
        on_progress: called with the stage, and how many of its steps are done, of how many.

    Raises:
        InputError: the target cannot be aligned; a label that the heads do not have; options out of range.

    Example:
        >>> from neuralizer_jax import load_weights
        >>> from neuralizer_jax.volumes.read_scan import read_scan
        >>> found = segment(*load_weights("small"), read_scan("sub-09_T1w.nii.gz"))  # doctest: +SKIP
        >>> round(found.structures[17].mm3)  # doctest: +SKIP
        3412
    """
    check_options(model, planes, examples_per_target)
    labels = LABELS if label_values is None else tuple(sorted(set(label_values)))
    if unknown := sorted(set(labels) - {*LABELS, *MORE_LABELS}):
        known = ", ".join(map(str, sorted((*LABELS, *MORE_LABELS))))
        raise InputError(f"label_values: {unknown[0]} is no structure of the built-in heads, expected some of {known}")
    on_progress("aligning", 0, 1)
    own = align_scan(target, aligned=aligned, cache=cache)
    signals = tissue_signals(own)
    stripped = is_skull_stripped(target.values, target.affine)
    examples = []
    for number in range(examples_per_target):
        on_progress("making examples", number, examples_per_target)
        head = example_head(number, signals, skull_stripped=stripped, cache=cache)
        anatomy = np.where(head.labels < _FIRST_OUTSIDE, fold_freesurfer(head.labels), 0).astype(np.uint16)
        image = np.clip(head.image, 0, 1).astype(np.float16)
        deformation = head_deformation(head, skull_stripped=stripped, cache=cache) if deformable else None
        scan = AlignedScan(head.name, image, head.to_mni, Alignment(np.eye(4)), deformation)
        examples.append(AlignedExample(scan, anatomy, labels))
    on_progress("making examples", examples_per_target, examples_per_target)
    placed = target if aligned else replace(target, to_mni=own.alignment.to_mni)  # aligned once, cached or not
    prediction = predict_volume(
        model, params, placed, examples, label_values=labels, examples_per_target=examples_per_target,
        aligned=aligned, deformable=deformable, planes=planes, bootstrap=bootstrap, seed=seed, devices=devices,
        cache=cache, on_progress=on_progress,
    )  # fmt: skip
    return replace(prediction, target=target, alignment=own.alignment)
