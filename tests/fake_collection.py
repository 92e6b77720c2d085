"""A collection of slices in memory, small and made up, with every kind of subject that planning has to tell apart."""

import numpy as np

from input_pipeline.prepare.splits import split_subjects
from input_pipeline.store.memmap import UnpackedSlices
from input_pipeline.store.table import SliceCollection

SIZE = 32


def entry(subject, person, modalities, label_sources, *, y=(-17,), stripped=False, mask="synthetic"):
    return {
        "subject": subject, "person": person, "split": "train", "y": list(y), "modalities": list(modalities),
        "label_sources": label_sources, "mask_source": mask, "skull_stripped": stripped,
    }  # fmt: skip


def label_image(rng, classes):
    """Rectangles of the classes: the left ones of a pair (even places) left of the middle."""
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


def opened_in_split(folders, split) -> SliceCollection:
    """As `slice_collection.open_collection`, all subjects as though they were of that split."""
    collection = fake_collection(tuple(folders))
    for own in collection.entries:
        own["split"] = split
    return collection


def fake_dataset(folder) -> UnpackedSlices:
    """One of them, its persons in splits."""
    dataset = fake_collection((folder.name,)).datasets[0]
    splits = split_subjects(folder.name, {entry["subject"]: entry["person"] for entry in dataset.index})
    for own in dataset.index:
        own["split"] = splits[own["subject"]]
    return dataset


def fake_collection(names=tuple(DATASETS)) -> SliceCollection:
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
