"""Prediction of whole volumes: a raw scan and a few annotated ones in, a label map on the scan's own grid out.

Scans are aligned to MNI152 (`alignment.py`). Each structure is predicted by itself (`structure.py`) from the examples
that resemble the target most where it lies (`choose.py`). Then structures compete on the target's grid (`compete.py`).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from neuralizer_jax.errors import InputError
from neuralizer_jax.volumes.aligned import AlignedExample, align_example, align_scan
from neuralizer_jax.volumes.choose import choose
from neuralizer_jax.volumes.compete import Competition
from neuralizer_jax.volumes.evidence import Evidence, gather
from neuralizer_jax.volumes.options import check_options
from neuralizer_jax.volumes.scan import Example, Scan, to_ras
from neuralizer_jax.volumes.structure import StructurePrediction, predict_structure
from neuralizer_jax.volumes.trust import expected_dice
from neuralizer_jax.volumes.volume_prediction import Structure, VolumePrediction


def predict_volume(
    model: nn.Module,
    params: dict[str, Any],
    target: Scan,
    examples: Sequence[Example | AlignedExample],
    *,
    label_values: Sequence[int] | None = None,
    examples_per_target: int = 8,
    aligned: bool = False,
    deformable: bool = True,
    planes: Sequence[str] = ("coronal", "axial", "sagittal"),
    bootstrap: int = 0,
    seed: int = 0,
    devices: Sequence[jax.Device] | None = None,
    cache: Path | None = None,
    on_progress: Callable[[str, int, int], object] = lambda stage, done, of: None,
) -> VolumePrediction:
    """Segments a whole scan from a few annotated ones, of any orientation and voxel size.

    Args:
        model: a 2-D `Neuralizer`, from `load_weights`.
        params: its parameters.
        target: the scan.
        examples: annotated scans. For several targets, align them once with `aligned.align_example`.
        label_values: labels to segment; None: all that an example was annotated for.
        examples_per_target: a structure is predicted from so many examples, those that resemble the target most where
            it lies, of those that were annotated for it.
        aligned: world coordinates of all scans are those of MNI152 already, which saves the affine registration.
        deformable: whether target and examples are deformed to the template too. Examples that are aligned already
            must have been treated as the target is.
        planes: the slices that are predicted and averaged, some of sagittal, coronal, axial.
        bootstrap: number of sets of examples to resample, with replacement, and average over; 0: the examples once.
        seed: of the resampling.
        devices: devices that share the slices; None: JAX's default device.
        cache: folder in which alignments and deformations are kept; None: in the user's cache folder.
        on_progress: called with the stage, and how many of its steps are done, of how many.

    Raises:
        InputError: a target or example that cannot be aligned; no example for a label; options out of range.

    Example:
        >>> from neuralizer_jax import load_weights
        >>> from neuralizer_jax.volumes.read_scan import read_example, read_scan
        >>> examples = [read_example("sub-01_T1w.nii.gz", "sub-01_dseg.nii.gz")]  # doctest: +SKIP
        >>> target = read_scan("sub-09_T1w.nii.gz")  # doctest: +SKIP
        >>> predict_volume(*load_weights("small"), target, examples).structures[17].mm3  # doctest: +SKIP
        3412.0
    """
    network = check_options(model, planes, examples_per_target)
    planes = tuple(planes)
    if bootstrap < 0 or seed < 0:
        raise InputError(f"bootstrap, seed: are {bootstrap}, {seed}, expected 0 or more")
    if not examples:
        raise InputError("no examples, expected at least one annotated scan")
    on_progress("aligning", 0, 1 + len(examples))
    own = align_scan(target, aligned=aligned, deformable=deformable, cache=cache)
    others: list[AlignedExample] = []
    for index, example in enumerate(examples):
        on_progress("aligning", 1 + index, 1 + len(examples))
        if not isinstance(example, AlignedExample):
            example = align_example(example, aligned=aligned, deformable=deformable, cache=cache)
        others.append(example)
    on_progress("aligning", 1 + len(examples), 1 + len(examples))
    labels = _labels(others, label_values)

    competition = Competition(own.values.shape)
    found: dict[int, tuple[StructurePrediction, Evidence, tuple[slice, slice, slice]]] = {}
    for index, label in enumerate(labels):
        on_progress("predicting", index, len(labels))
        usable = [example for example in others if label in example.annotated]
        chosen = choose(own, usable, label, examples_per_target)
        structure = predict_structure(
            network, params, own, chosen, label, planes=planes, bootstrap=bootstrap, seed=seed, devices=devices
        )
        evidence = gather(network, params, own, [example for example, _ in chosen], structure)
        part, probability = own.take_back(structure.probability, structure.box)
        competition.enter(label, part, probability)
        found[label] = structure, evidence, part
    if not any(structure.in_view for structure, *_ in found.values()):
        raise InputError(
            f"{target.name}: none of the structures lies inside of it, expected a scan of the same part of the head as"
            " the examples" + (", in the same world" if aligned else "")
        )
    on_progress("predicting", len(labels), len(labels))

    in_ras = competition.labels()
    result = np.zeros(target.values.shape, np.int32)
    to_ras(result, target.affine)[0][...] = in_ras  # through a view
    voxel_mm3 = abs(float(np.linalg.det(target.affine[:3, :3])))
    structures = {}
    for label, (structure, evidence, part) in found.items():
        voxels = int(np.count_nonzero(in_ras[part] == label))
        confidence = expected_dice(evidence) if voxels else 0.0
        structures[label] = Structure(label, voxels, voxels * voxel_mm3, confidence, evidence, structure)
    return VolumePrediction(result, structures, target, own.alignment, own.deformation)


def _labels(examples: Sequence[AlignedExample], label_values: Sequence[int] | None) -> tuple[int, ...]:
    """The labels to segment: all that an example shows, or those that are wanted."""
    known = {label for example in examples for label in example.moments}
    if not known:
        raise InputError("the examples show no label, expected at least one labelled voxel")
    if absent := sorted(set(label_values or ()) - known):
        raise InputError(f"label_values: {absent[0]} occurs in no example, expected some of {_some(known)}")
    return tuple(sorted(known if label_values is None else set(label_values)))


def _some(values: set[int]) -> str:
    return ", ".join(map(str, sorted(values)[:10])) + (", ..." if len(values) > 10 else "")
