"""Small volumes of noise with boxes as labels, and a segmentation of them without network."""

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np

from neuralizer_jax.errors import InputError
from neuralizer_jax.volumes.alignment import Alignment
from neuralizer_jax.volumes.evidence import Evidence
from neuralizer_jax.volumes.skull_stripping import BrainMask
from neuralizer_jax.volumes.volume_prediction import Structure, VolumePrediction

SHAPE = (10, 12, 11)
AFFINE = np.array([[0, 0, 2.0, -10], [-2.0, 0, 0, 12], [0, 1.5, 0, -8], [0, 0, 0, 1]])
LEFT, RIGHT = 17, 53


def picture(seed):
    return np.random.default_rng(seed).integers(1, 900, SHAPE).astype(np.int16)


def label_map(*labels):
    """A box for each label."""
    result = np.zeros(SHAPE, np.uint8)
    for number, label in enumerate(labels):
        result[2:5, 2:6, 3 * number + 1 : 3 * number + 4] = label
    return result


def save(path, values, affine=AFFINE, code=1):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code)
    image.set_qform(affine, code)
    nib.save(nib.MGHImage(values.astype(np.float32), affine) if path.suffix == ".mgz" else image, path)


GOOD = Evidence(*[1.0] * len(fields(Evidence)))


class Fake(VolumePrediction):
    """A prediction whose probabilities are made up."""

    def probability(self, label):
        return np.where(self.labels == label, np.float32(0.75), np.float32(0.25))


class Predictor:
    """Marks the brightest voxels with the first label, and remembers what it was asked for."""

    def __init__(self, fail=()):
        self.fail, self.calls = fail, []

    def __call__(self, model, params, target, examples, *, label_values, on_progress, **settings):
        self.calls.append(SimpleNamespace(target=target, examples=examples, labels=label_values, **settings))
        on_progress("predicting", 0, 2)
        if target.name in self.fail:
            raise InputError(f"{target.name}: is no head")
        labels = np.where(target.values > 850, label_values[0], 0).astype(np.int32)
        structures = {}
        for label in label_values:
            voxels = int((labels == label).sum())
            used = SimpleNamespace(examples=((examples[0].scan.name, 0.5),), in_view=1.0)
            structures[label] = Structure(label, voxels, voxels * 6.0, 0.75 if voxels else 0.0, GOOD, used)
        on_progress("predicting", 2, 2)
        return Fake(labels, structures, target, Alignment(np.diag([2.0, 1, 1, 1])))


def strip(model, params, target, *, planes, on_progress):
    """A brain mask without network."""
    mask = target.values > 400
    return BrainMask(mask, mask.astype(np.float32), target, Alignment(np.eye(4)))
