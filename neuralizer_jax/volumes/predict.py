"""Prediction of whole volumes: a raw scan and a few annotated ones in, a label map on the scan's own grid out.

Scans are aligned to MNI152 (`alignment.py`). Each structure is predicted by itself (`structure.py`) from the examples
that resemble the target most where it lies (`choose.py`). Then structures compete on the target's grid (`compete.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np

from neuralizer_jax.errors import InputError
from neuralizer_jax.inference.predict import check_model
from neuralizer_jax.intensity import normalize
from neuralizer_jax.volumes.alignment import Alignment, align
from neuralizer_jax.volumes.boxes import Box, cut
from neuralizer_jax.volumes.choose import similarity
from neuralizer_jax.volumes.compete import Competition, on_grid
from neuralizer_jax.volumes.moments import label_moments
from neuralizer_jax.volumes.scan import Example, Scan, to_ras
from neuralizer_jax.volumes.slices import PLANES
from neuralizer_jax.volumes.structure import GridExample, GridScan, StructurePrediction, predict_structure

# Around a structure, examples are compared with the target so far, mm.
_COMPARED_MM = 10


@dataclass(frozen=True, eq=False)
class Structure:
    """What was found of a structure.

    Attributes:
        label: its value.
        voxels: of the target that have the label.
        mm3: their volume.
        confidence: mean probability of these voxels; 0 if there are none.
        prediction: probabilities in each plane, and the examples used.
    """

    label: int
    voxels: int
    mm3: float
    confidence: float
    prediction: StructurePrediction


@dataclass(frozen=True, eq=False)
class VolumePrediction:
    """The prediction for one scan.

    Attributes:
        labels: `[X, Y, Z]` int32 on the target's own voxels, 0 or one of the examples' labels.
        structures: {label: what was found of it}, in ascending order.
        target: the scan.
        alignment: of the target to MNI152.
    """

    labels: np.ndarray
    structures: dict[int, Structure]
    target: Scan
    alignment: Alignment

    def probability(self, label: int) -> np.ndarray:
        """The probability of a structure on the target's own voxels, float32 `[X, Y, Z]`. It is computed when asked.

        Example:
            >>> prediction.probability(17).shape == prediction.labels.shape  # doctest: +SKIP
            True
        """
        found = self.structures[label].prediction
        values = np.zeros(self.labels.shape, np.float32)
        in_ras, affine = to_ras(values, self.target.affine)  # a view, filled below
        part, probability = on_grid(found.probability, found.box, self.alignment.to_mni @ affine, in_ras.shape)
        in_ras[part] = probability
        return values


def predict_volume(
    model: nn.Module,
    params: dict[str, Any],
    target: Scan,
    examples: Sequence[Example],
    *,
    label_values: Sequence[int] | None = None,
    examples_per_target: int = 8,
    refine: int = 1,
    aligned: bool = False,
    planes: Sequence[str] = ("coronal", "axial", "sagittal"),
    cache: Path | None = None,
    on_progress: Callable[[str, int, int], object] = lambda stage, done, of: None,
) -> VolumePrediction:
    """Segments a whole scan from a few annotated ones, of any orientation and voxel size.

    Args:
        model: a 2-D `Neuralizer`, from `load_weights`.
        params: its parameters.
        target: the scan.
        examples: annotated scans. Where their `to_mni` is known, they are not registered.
        label_values: labels to segment; None: all that an example was annotated for.
        examples_per_target: a structure is predicted from so many examples, those that resemble the target most where
            it lies, of those that were annotated for it.
        refine: how often each example is moved and scaled so that its structure lies where it was found in the target,
            and the structure predicted again.
        aligned: world coordinates of all scans are those of MNI152 already: nothing is registered.
        planes: the slices that are predicted and averaged, some of sagittal, coronal, axial.
        cache: folder in which alignments are kept; None: in the user's cache folder.
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
    network = check_model(model, None)
    planes = tuple(planes)
    labels = _check(network.dim, examples, label_values, examples_per_target, refine, planes)
    scans = [target, *(example.scan for example in examples)]
    alignments = []
    for index, scan in enumerate(scans):
        on_progress("aligning", index, len(scans))
        alignments.append(Alignment(np.eye(4)) if aligned else align(scan, cache=cache))
    on_progress("aligning", len(scans), len(scans))

    own = _on_grid(target, alignments[0])
    others = [_example(example, alignment, labels) for example, alignment in zip(examples, alignments[1:], strict=True)]
    competition, found, steps = Competition(own.values.shape), {}, len(labels) * (refine + 1)
    for index, label in enumerate(labels):
        usable = [grid for example, grid in zip(examples, others, strict=True) if label in example.values]
        chosen = _choose(own, usable, label, examples_per_target)
        done = iter(range(index * (refine + 1) + 1, steps + 1))
        found[label] = predict_structure(
            network, params, own, chosen, label, planes=planes, refine=refine,
            on_pass=lambda done=done: on_progress("predicting", next(done), steps),
        )  # fmt: skip
        competition.enter(label, *on_grid(found[label].probability, found[label].box, own.to_mni, own.values.shape))
    on_progress("predicting", steps, steps)
    result = np.zeros(target.values.shape, np.int32)
    to_ras(result, target.affine)[0][...] = competition.labels()
    return _prediction(result, found, target, alignments[0])


def _check(dim, examples, label_values, examples_per_target, refine, planes) -> tuple[int, ...]:
    """Checks the options and returns the labels to segment."""
    if dim != 2:
        raise InputError(f"the network has {dim} spatial axes, expected 2: slices are predicted")
    if not examples:
        raise InputError("no examples, expected at least one annotated scan")
    if examples_per_target < 1:
        raise InputError(f"examples_per_target: is {examples_per_target}, expected at least 1")
    if refine < 0:
        raise InputError(f"refine: is {refine}, expected 0 or more")
    if not planes or set(planes) - set(PLANES) or len(set(planes)) < len(planes):
        raise InputError(f"planes: are {', '.join(planes) or 'none'}, expected some of {', '.join(PLANES)}")
    shown = {int(x) for example in examples for x in np.unique(example.labels[example.labels > 0])}
    known = {label for example in examples for label in example.values} & shown
    if not known:
        raise InputError("the examples show no label, expected at least one labelled voxel")
    if absent := sorted(set(label_values or ()) - known):
        raise InputError(f"label_values: {absent[0]} occurs in no example, expected some of {_some(known)}")
    return tuple(sorted(known if label_values is None else set(label_values)))


def _some(values: set[int]) -> str:
    return ", ".join(map(str, sorted(values)[:10])) + (", ..." if len(values) > 10 else "")


def _on_grid(scan: Scan, alignment: Alignment) -> GridScan:
    canonical = scan.canonical()
    values = normalize(canonical.values, foreground_of=canonical.values)
    return GridScan(scan.name, values, alignment.to_mni @ canonical.affine)


def _example(example: Example, alignment: Alignment, labels: tuple[int, ...]) -> GridExample:
    scan = _on_grid(example.scan, alignment)
    values, _ = to_ras(example.labels, example.scan.affine)
    return GridExample(scan, values, label_moments(values, scan.to_mni, labels))


def _choose(
    target: GridScan, examples: Sequence[GridExample], label: int, count: int
) -> list[tuple[GridExample, float]]:
    """The examples that resemble the target most around the structure, with their similarity."""
    showing = [example.moments[label] for example in examples if label in example.moments]
    low = np.floor(np.min([x.low for x in showing], axis=0)).astype(int) - _COMPARED_MM
    high = np.ceil(np.max([x.high for x in showing], axis=0)).astype(int) + _COMPARED_MM
    shape = (high - low + 1).tolist()
    box = Box((int(low[0]), int(low[1]), int(low[2])), (shape[0], shape[1], shape[2]))
    own = cut(target.values, target.to_mni, box)
    like = [similarity(own, cut(example.scan.values, example.scan.to_mni, box)) for example in examples]
    order = np.argsort(-np.array(like), kind="stable")[:count]
    return [(examples[index], like[index]) for index in order]


def _prediction(
    labels: np.ndarray, found: dict[int, StructurePrediction], target: Scan, alignment: Alignment
) -> VolumePrediction:
    prediction = VolumePrediction(labels, {}, target, alignment)
    voxel_mm3 = abs(float(np.linalg.det(target.affine[:3, :3])))
    for label, structure in found.items():
        canonical, affine = to_ras(labels, target.affine)
        part, probability = on_grid(structure.probability, structure.box, alignment.to_mni @ affine, canonical.shape)
        inside = canonical[part] == label
        voxels = int(inside.sum())
        confidence = float(probability[inside].mean()) if voxels else 0.0
        prediction.structures[label] = Structure(label, voxels, voxels * voxel_mm3, confidence, structure)
    return prediction
