"""Good and bad cases of whole-volume prediction, with their true Dice: what `trust.py` fits and reports.

Label maps become synthesised T1 scans, aligned as well as registration does it; real scans are aligned by their
intensities. A target is changed, moved, or no brain at all. The cases are kept in a file.
"""

import json
import time
import zlib
from dataclasses import asdict
from itertools import cycle

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from input_pipeline.space.grid import AFFINE
from input_pipeline.store.volumes import open_volumes
from input_pipeline.synthesis.images import synthesize_image
from neuralizer_jax import load_weights
from neuralizer_jax.intensity import normalize
from neuralizer_jax.volumes.aligned import AlignedExample, AlignedScan, align_example
from neuralizer_jax.volumes.alignment import Alignment
from neuralizer_jax.volumes.boxes import cut
from neuralizer_jax.volumes.choose import choose
from neuralizer_jax.volumes.evidence import gather
from neuralizer_jax.volumes.moments import moments
from neuralizer_jax.volumes.read_scan import read_example
from neuralizer_jax.volumes.slices import PLANES
from neuralizer_jax.volumes.structure import predict_structure

LABELS = {
    "labelmaps": (17, 53, 10, 49, 12, 51, 4, 11, 50, 18, 54, 13, 52),
    "scans": (47, 48, 59, 60, 57, 58, 51, 52, 35),
}
# Condition, number of examples, number of cases. Few examples take little time, and give good and bad predictions.
PLAN = {
    "labelmaps": (
        ("good", 2, 24), ("good", 4, 10), ("good", 1, 8), ("T2", 2, 4), ("FLAIR", 2, 4), ("PD", 2, 4), ("gamma", 2, 4),
        ("inverted", 2, 4), ("moved", 2, 8), ("turned", 2, 8), ("noise", 2, 4), ("thick", 2, 4), ("blurred", 2, 3),
        ("shuffled", 2, 4), ("blobs", 2, 4), ("upside down", 2, 4),
    ),
    "scans": (
        ("good", 2, 40), ("good", 8, 3), ("good", 1, 8), ("inverted", 2, 4), ("T2-like", 2, 4), ("moved", 2, 5),
        ("turned", 2, 5), ("noise", 2, 2), ("thick", 2, 2), ("shuffled", 2, 3), ("blobs", 2, 3), ("upside down", 2, 3),
    ),
}  # fmt: skip
# Nothing there is the structure.
NO_BRAIN = ("shuffled", "blobs", "upside down")
_CURVES = {
    "inverted": ([0, 1], [1.05, 0.05]),
    "T2-like": ([0, 0.2, 0.4, 0.6, 0.75, 1], [0.9, 0.95, 0.6, 0.45, 0.3, 0.25]),
}


def cases(kind, subjects):
    """All cases in a fixed random order, so that the first of them are of every condition: dictionaries."""
    random = np.random.default_rng(0)
    labels, targets = (cycle(random.permutation(x).tolist()) for x in (LABELS[kind], subjects))
    made = [
        {"subject": next(targets), "label": next(labels), "condition": condition, "examples": size}
        for condition, size, count in PLAN[kind]
        for _ in range(count)
    ]
    return [made[index] for index in random.permutation(len(made))]


class LabelMaps:
    """Synthesised scans of the label maps of a prepared dataset of volumes, with the errors of a registration."""

    def __init__(self, folder, work):
        """Opens the dataset; images are kept in the work folder."""
        self.stored, self.work, self.read = open_volumes(folder), work, {}
        self.subjects = list(range(len(self.stored.index)))

    def labels(self, subject):
        """FreeSurfer labels on the MNI152 grid."""
        row = self.stored.first_labels[subject]
        return self.stored.label_values["freesurfer"][self.stored.labels[row]]

    def image(self, subject, modality):
        """The image of a modality, scaled; kept in the folder as uint8."""
        path = self.work / f"image-{subject}-{modality}.npy"
        if not path.exists():
            image = synthesize_image(
                self.labels(subject), modality, seed=500 + subject, skull_stripped=subject % 3 != 2
            )
            np.save(path, np.round(255 * image).astype(np.uint8))
        return normalize(np.load(path).astype(np.float32)).astype(np.float16)

    def example(self, subject, label, condition, random):
        """The synthesised scan of a subject, in the contrast of the condition."""
        modality = condition if condition in ("T2", "FLAIR", "PD") else "T1"
        if (subject, modality) not in self.read:
            self.read[subject, modality] = self.image(subject, modality), self.labels(subject)
        to_mni = _moved(random, degrees=1.5, mm=1.5, scale=0.02) @ AFFINE
        image, labels = self.read[subject, modality]
        scan = AlignedScan(str(subject), image, to_mni, Alignment(np.eye(4)))
        return AlignedExample(scan, labels, (label,), {label: moments(labels == label, to_mni)})


class Scans:
    """The scans `*_SS.nii.gz` with their labels `*_glm.nii.gz`."""

    def __init__(self, folder, work):
        """Finds the scans; alignments are kept in the user's cache."""
        self.files = sorted(folder.glob("*_SS.nii.gz"))
        self.subjects, self.aligned = list(range(len(self.files))), {}

    def example(self, subject, label, condition, random):
        """The scan of a subject."""
        if subject not in self.aligned:
            path = self.files[subject]
            self.aligned[subject] = align_example(read_example(path, path.with_name(path.name.replace("SS", "glm"))))
        return self.aligned[subject]


def measured(source, case, model, params):
    """The case with true Dice, evidence, seconds of prediction and evidence; prediction, target and examples."""
    random = np.random.default_rng(zlib.crc32(json.dumps(case).encode()))
    condition, label = case["condition"], case["label"]
    others = [subject for subject in source.subjects if subject != case["subject"]]
    examples = [source.example(x, label, "good", random) for x in random.permutation(others)[: case["examples"]]]
    truth = source.example(case["subject"], label, condition, random)
    scan = truth.scan
    moved = np.eye(4)
    if condition == "moved":
        moved = _moved(random, degrees=0, mm=0, scale=0)
        direction = random.normal(size=3)
        moved[:3, 3] += random.uniform(8, 20) * direction / np.linalg.norm(direction)
    elif condition == "turned":
        moved = _moved(random, degrees=12, mm=3, scale=0)
    values = changed(scan.values.astype(np.float32), condition, random).astype(np.float16)
    target = AlignedScan("target", values, moved @ scan.to_mni, scan.alignment)
    chosen = choose(target, [x for x in examples if label in x.moments], label, case["examples"])
    used = [example for example, _ in chosen]
    start = time.process_time()
    refine = int(case["examples"] > 2)
    found = predict_structure(model, params, target, chosen, label, planes=tuple(PLANES), refine=refine)
    predicted = time.process_time()
    evidence = asdict(gather(model, params, target, used, found))
    row = case | {
        "dice": true_dice(found, truth.labels, target, condition),
        "evidence": evidence,
        "seconds": [round(predicted - start, 1), round(time.process_time() - predicted, 1)],
    }
    return row, found, target, used


def true_dice(found, labels, target, condition):
    """Dice with the truth. Part of the truth may lie outside of the box."""
    if condition in NO_BRAIN:
        return 0.0
    mask = found.probability > 0.5
    inside = cut(labels, target.to_mni, found.box, label=found.label) > 0
    whole = np.count_nonzero(labels == found.label) * abs(np.linalg.det(target.to_mni[:3, :3]))
    return float(2 * (mask & inside).sum() / max(1, mask.sum() + max(inside.sum(), whole)))


def changed(image, condition, random):
    """The image `[X, Y, Z]` in [0, 1] under a condition."""
    if condition in _CURVES:
        return np.where(image > 0.02, np.interp(image, *_CURVES[condition]), 0)
    if condition == "gamma":
        return image**1.7
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
    return image[:, :, ::-1] if condition == "upside down" else image


def _shuffled(image, random, block=24):
    """Blocks of the image in another order."""
    shape = [n // block for n in image.shape]
    whole = image[tuple(slice(n * block) for n in shape)]
    blocks = whole.reshape(shape[0], block, shape[1], block, shape[2], block).transpose(0, 2, 4, 1, 3, 5)
    blocks = random.permutation(blocks.reshape(-1, block, block, block)).reshape(*shape, block, block, block)
    result = np.zeros_like(image)
    result[tuple(slice(n * block) for n in shape)] = blocks.transpose(0, 3, 1, 4, 2, 5).reshape(whole.shape)
    return result


def _moved(random, *, degrees, mm, scale):
    """A random map of MNI152: standard deviations of the angle about each axis, the distance and the size."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(np.deg2rad(random.normal(scale=degrees, size=3))).as_matrix()
    matrix[:3, :3] *= np.exp(random.normal(scale=scale, size=3))
    centre = np.array([0, -20, 5])
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre + random.normal(scale=mm, size=3)
    return matrix


def rows_of(kind, folder, work, minutes, look=lambda row, *details: None):
    """Cases with true Dice and evidence: those kept in the work folder, and more of them for so many minutes.

    Args:
        kind: `labelmaps` or `scans`.
        folder: the folder of the dataset.
        work: folder in which images and cases are kept.
        minutes: after which no more case is begun.
        look: called with each new row, its prediction, target and examples.
    """
    work.mkdir(parents=True, exist_ok=True)
    kept, end = work / f"{kind}.jsonl", time.monotonic() + 60 * minutes
    found = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    source = {"labelmaps": LabelMaps, "scans": Scans}[kind](folder, work)
    model, params = load_weights("small")
    for case in cases(kind, source.subjects):
        if time.monotonic() > end:
            break
        if any(case.items() <= row.items() for row in found):
            continue
        row, *details = measured(source, case, model, params)
        look(row, *details)
        found.append(row)
        with kept.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(row, flush=True)
    return found
