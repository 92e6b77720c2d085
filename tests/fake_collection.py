"""A small made-up collection of slices, in memory or on disk, with every kind of subject that planning tells apart."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from input_pipeline.prepare.splits import split_subjects
from input_pipeline.store.memmap import UnpackedSlices
from input_pipeline.store.records import SliceStore
from input_pipeline.store.table import SliceCollection

SIZE = 32


def entry(subject, person, modalities, label_sources, *, y=(-17,), stripped=False, mask="synthetic"):
    return {
        "subject": subject, "person": person, "split": "train", "y": list(y), "modalities": list(modalities),
        "label_sources": label_sources, "mask_source": mask, "skull_stripped": stripped,
    }  # fmt: skip


def label_image(rng, classes):
    """Rectangles of the classes; the left class of a pair (even places) lies left of the middle."""
    image = np.zeros((SIZE, SIZE), np.uint16)
    for place, label in enumerate(classes):
        top, left = 4 * (place // 2) + 1, 4 + (place % 2) * 16 + int(rng.integers(0, 4))
        image[top : top + 3, left : left + 8] = label
    return image


HEAD_MODALITIES = ["T1", "T2", "FLAIR", "DTI-00", "DTI-01", "DTI-02"]

DATASETS = {
    # Ten full heads; DTI of three directions; label 54 in two subjects only, 12 in one.
    "heads": [
        entry(f"h{n}", f"h{n}", HEAD_MODALITIES, {"freesurfer": "synthetic"}, y=(-21, -17))
        for n in range(10)
    ],
    # Six real, skull-stripped scans of one modality with a protocol of their own.
    "regions": [
        entry(
            f"r{n}", f"r{n}", ["T1"], {"neuromorphometrics": "published", "freesurfer": "mapped"},
            stripped=True, mask="published",
        )
        for n in range(6)
    ],
    # Two sessions of each of four persons; no anatomy of their own.
    "lesions": [
        entry(f"l{n}_{s}", f"l{n}", ["FLAIR", "T1"], {"lesion": "published", "freesurfer": "template"}, mask="template")
        for n in range(4) for s in range(2)
    ],
}  # fmt: skip

_CLASSES = {
    "heads": {"freesurfer": (2, 41, 10, 49, 17, 53)},
    "regions": {"neuromorphometrics": (45, 44, 60, 59, 48, 47), "freesurfer": (2, 41, 10, 49, 17, 53)},
    "lesions": {"lesion": (1,), "freesurfer": (2, 41)},
}  # fmt: skip


def write_datasets(folder: Path, splits: Sequence[str] = (), *, subjects: int | None = None) -> Path:
    """Writes `DATASETS` as `open_collection` reads them, each to `folder / NAME`.

    Args:
        folder: is returned.
        splits: subject n of a dataset is in split n modulo their number; none: persons are split as by `prepare`.
        subjects: at most this many of each dataset.
    """
    for name in DATASETS:
        dataset = fake_collection((name,)).datasets[0]
        index = dataset.index[:subjects]
        by_person = split_subjects(name, {own["subject"]: own["person"] for own in index})
        for number, own in enumerate(index):
            own["split"] = splits[number % len(splits)] if splits else by_person[own["subject"]]
        version, unpacked = folder / name / "1.0.0", folder / name / "unpacked"
        version.mkdir(parents=True)
        unpacked.mkdir()
        (version / "dataset_info.json").touch()
        (version / "metadata.json").write_text(json.dumps({"subjects": index}))
        store = SliceStore(folder / name)
        fingerprint = json.dumps(store.index, sort_keys=True).encode() + store.fingerprint()
        (unpacked / "dataset.txt").write_text(hashlib.sha256(fingerprint).hexdigest())
        counts = {
            "images": sum(len(own["y"]) * len(own["modalities"]) for own in index),
            "labels": sum(len(own["y"]) * len(own["label_sources"]) for own in index),
            "masks": sum(len(own["y"]) for own in index),
        }
        for array, count in counts.items():
            np.save(unpacked / f"{array}.npy", getattr(dataset, array)[:count])
    return folder


def fake_collection(names: Sequence[str] = tuple(DATASETS)) -> SliceCollection:
    """The datasets in memory, all subjects in split `train`."""
    rng = np.random.default_rng(0)
    datasets, entries = [], []
    for name in names:
        index, images, labels, masks, first = [], [], [], [], []
        for number, original in enumerate(DATASETS[name]):
            own = dict(original)
            first.append((len(images), len(labels), len(masks)))
            slices = len(own["y"])
            images += [
                rng.integers(1, 65536, (SIZE, SIZE)).astype(np.uint16) for _ in range(slices * len(own["modalities"]))
            ]
            own["label_pixels"] = {}
            for protocol in own["label_sources"]:
                classes = _CLASSES[name][protocol]
                if name == "heads":
                    classes = (*classes, *((54,) if number < 2 else ()), *((12,) if number == 0 else ()))
                maps = [label_image(rng, classes) for _ in range(slices)]
                labels += maps
                own["label_pixels"][protocol] = {
                    str(c): [int((image == c).sum()) for image in maps] for c in sorted(classes)
                }
            masks += [np.pad(np.ones((SIZE - 8, SIZE - 8), np.uint8), 4) for _ in range(slices)]
            index.append(own)
        stacked = [np.stack(images), np.stack(labels), np.stack(masks)]
        datasets.append(UnpackedSlices(index, *stacked, *np.array(first).T))
        entries += [(len(datasets) - 1, place, own) for place, own in enumerate(index)]
    people = {}
    counts = np.array([len(own["y"]) for _, _, own in entries])
    return SliceCollection(
        names=tuple(names),
        datasets=tuple(datasets),
        entries=tuple(own for _, _, own in entries),
        dataset_of=np.array([dataset for dataset, _, _ in entries]),
        place_of=np.array([place for _, place, _ in entries]),
        person_of=np.array([people.setdefault((d, own["person"]), len(people)) for d, _, own in entries]),
        first_row=np.concatenate([[0], counts.cumsum()])[:-1],
        subject_of=np.repeat(np.arange(len(entries)), counts),
        y=np.array([y for _, _, own in entries for y in own["y"]]),
    )
