"""Good and bad cases of whole-volume prediction, with their true Dice: what `trust.py` fits and reports.

Label maps become synthesised scans, aligned as well as registration does it. Real scans go the whole way, but for those
that are moved or turned, as if their alignment had failed. A target is changed, or is no brain at all.
"""

import zlib
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
from kept_rows import network
from predict_volumes import STRUCTURES, aligned, example, others, scans_of
from scipy import ndimage
from scipy.spatial.transform import Rotation

from input_pipeline.space.grid import AFFINE
from input_pipeline.store.volumes import open_volumes
from input_pipeline.synthesis.images import synthesize_image
from neuralizer_jax import Example, InputError, Scan, predict_volume
from neuralizer_jax.intensity import normalize
from neuralizer_jax.volumes.aligned import align_example
from neuralizer_jax.volumes.reverse_check import mask_dice

LABELS = {"labelmaps": (17, 53, 10, 49, 12, 51, 4, 11, 50, 18, 54, 13, 52), "scans": STRUCTURES}
# Condition, number of examples, number of targets. Good real scans are those of `predict_volumes.py`.
PLAN = {
    "labelmaps": (
        ("good", 1, 1), ("good", 2, 1), ("T2", 2, 1), ("FLAIR", 2, 1), ("PD", 2, 1), ("inverted", 2, 1),
        ("moved", 2, 2), ("turned", 2, 2), ("noise", 2, 1), ("thick", 2, 1), ("blurred", 2, 1), ("shuffled", 2, 1),
        ("blobs", 2, 1),
    ),
    "scans": (
        ("inverted", 4, 2), ("T2-like", 4, 2), ("moved", 4, 1), ("turned", 4, 1), ("shuffled", 4, 1), ("blobs", 4, 1),
    ),
}  # fmt: skip
# So many structures are predicted in each target.
STRUCTURES_EACH = 2
# The examples of label maps are some of the first ones.
EXAMPLES = 8
# Nothing there is the structure.
NO_BRAIN = ("shuffled", "blobs")
CONTRASTS = ("T2", "FLAIR", "PD")
_CURVES = {
    "inverted": ([0, 1], [1.05, 0.05]),
    "T2-like": ([0, 0.2, 0.4, 0.6, 0.75, 1], [0.9, 0.95, 0.6, 0.45, 0.3, 0.25]),
}


def planned(kind, folder, weights):
    """All cases of a kind: `labelmaps` or `scans`, of their folder."""
    random = np.random.default_rng(0)
    subjects = list(range(len(open_volumes(folder).index))) if kind == "labelmaps" else list(scans_of(folder))
    made = []
    for condition, size, count in PLAN[kind]:
        targets = random.permutation(len(subjects))[:count].tolist()
        for target in targets:
            labels = sorted(random.choice(LABELS[kind], STRUCTURES_EACH, replace=False).tolist())
            made.append(
                {
                    "kind": kind, "folder": str(folder), "weights": weights, "subject": subjects[target],
                    "condition": condition, "examples": size, "structures": labels,
                }
            )  # fmt: skip
    return made


def measure(case):
    """True Dice and evidence of each structure; or why the target was refused."""
    kind, condition, count, labels = (case[key] for key in ("kind", "condition", "examples", "structures"))
    random = np.random.default_rng(zlib.crc32(f"{case['subject']} {condition} {count}".encode()))
    if kind == "labelmaps":
        target = synthesised(case["folder"], case["subject"], condition if condition in CONTRASTS else "T1")
        names = random.permutation([x for x in range(EXAMPLES + 1) if x != case["subject"]])[:count].tolist()
        examples, to_mni = [example_of_map(case["folder"], name) for name in names], target.scan.to_mni
    else:
        target = example(case["folder"], case["subject"])
        examples, to_mni = others(case["folder"], case["subject"]), None
    if condition in ("moved", "turned"):
        if to_mni is None:
            to_mni = aligned(case["folder"], case["subject"]).scan.alignment.to_mni
        to_mni = wrong_alignment(condition, random) @ to_mni
    values = changed(normalize(target.scan.values), condition, random)
    scan = Scan(values, target.scan.affine, "target", to_mni)
    try:
        found = predict_volume(
            *network(case["weights"]), scan, examples, label_values=labels, examples_per_target=count
        )  # fmt: skip
    except InputError as error:
        return {"refused": str(error)}
    return {
        "rows": [
            {
                "label": label,
                "dice": 0.0 if condition in NO_BRAIN else mask_dice(found.labels == label, target.labels == label),
                "evidence": asdict(found.structures[label].evidence),
            }
            for label in labels
        ]
    }


@cache
def example_of_map(folder, subject):
    """The aligned example of a label map."""
    return align_example(synthesised(folder, subject, "T1"))


@cache
def synthesised(folder, subject, modality):
    """A synthesised scan of a label map, with the errors of a registration. Some are full heads."""
    stored = _opened(folder)
    labels = stored.label_values["freesurfer"][stored.labels[stored.first_labels[subject]]]
    image = synthesize_image(labels, modality, seed=500 + subject, skull_stripped=subject % 3 != 2)
    to_mni = moved(np.random.default_rng(subject), degrees=1.5, mm=1.5, scale=0.02)
    return Example(Scan(image, AFFINE, str(subject), to_mni), labels)


@cache
def _opened(folder):
    return open_volumes(Path(folder))


def changed(image, condition, random):
    """The image `[X, Y, Z]` in [0, 1] under a condition."""
    if condition in _CURVES:
        return np.where(image > 0.02, np.interp(image, *_CURVES[condition]), 0)
    if condition == "noise":
        return np.clip(image + 0.15 * random.standard_normal(image.shape, dtype=np.float32), 0, 1)
    if condition == "thick":
        slices = np.arange(image.shape[1]) // 5 * 5
        return ndimage.uniform_filter1d(image, 5, axis=1)[:, slices]
    if condition == "blurred":
        return ndimage.gaussian_filter(image, 4)
    if condition == "shuffled":
        return _shuffled(image, random)
    if condition == "blobs":
        blobs = ndimage.gaussian_filter(random.standard_normal(image.shape, dtype=np.float32), 8)
        return np.where(image > 0.02, np.clip(0.5 + blobs / (4 * blobs.std()), 0, 1), 0)
    return image


def _shuffled(image, random, block=24):
    """Blocks of the image in another order."""
    shape = [n // block for n in image.shape]
    whole = image[tuple(slice(n * block) for n in shape)]
    blocks = whole.reshape(shape[0], block, shape[1], block, shape[2], block).transpose(0, 2, 4, 1, 3, 5)
    blocks = random.permutation(blocks.reshape(-1, block, block, block)).reshape(*shape, block, block, block)
    result = np.zeros_like(image)
    result[tuple(slice(n * block) for n in shape)] = blocks.transpose(0, 3, 1, 4, 2, 5).reshape(whole.shape)
    return result


def wrong_alignment(condition, random):
    """A map of MNI152 by which an alignment is wrong."""
    if condition == "turned":
        return moved(random, degrees=12, mm=3, scale=0)
    matrix, direction = np.eye(4), random.normal(size=3)
    matrix[:3, 3] = random.uniform(8, 20) * direction / np.linalg.norm(direction)
    return matrix


def moved(random, *, degrees, mm, scale):
    """A random map of MNI152: standard deviations of the angle about each axis, the distance and the size."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(np.deg2rad(random.normal(scale=degrees, size=3))).as_matrix()
    matrix[:3, :3] *= np.exp(random.normal(scale=scale, size=3))
    centre = np.array([0, -20, 5])
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre + random.normal(scale=mm, size=3)
    return matrix
