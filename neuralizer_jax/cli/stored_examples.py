"""Examples from a prepared dataset of volumes, `OUT/DATASET-volumes`."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from input_pipeline.slices.record import SOURCES, dequantize
from input_pipeline.space.grid import AFFINE
from input_pipeline.store.volumes import open_volumes
from neuralizer_jax.cli.volume_results import key_of
from neuralizer_jax.errors import InputError
from neuralizer_jax.volumes.scan import Example, Scan

# Contrast of a target, by the end of its name as in BIDS.
_MODALITIES = {"T1w": "T1", "T2w": "T2", "PDw": "PD", "FLAIR": "FLAIR"}


@dataclass(frozen=True, eq=False)
class UnreadExample:
    """An annotated scan that is read when it is needed.

    Attributes:
        name: what messages call the scan.
        subject: its name in tables, another one for each scan.
        person: who it shows.
        key: hash of its content.
        read: reads it.
    """

    name: str
    subject: str
    person: str
    key: str
    read: Callable[[], Example]


def stored_examples(folder: Path, targets: Sequence[Path]) -> tuple[list[UnreadExample], set[int], str, list[str]]:
    """Finds the subjects with an image and labels.

    Of several modalities, that of the targets is taken, or the usual one; of several protocols, the one of the best
    source. Labels from the template are not used.

    Returns:
        The examples, the labels that they show, their protocol, and notes on what was chosen.

    Raises:
        InputError: the dataset cannot be read, or no subject has an image and labels.
    """
    dataset = open_volumes(folder)
    modalities = Counter(name for entry in dataset.index for name in set(entry["modalities"]))
    ranks = {
        (SOURCES.index(source), protocol)
        for entry in dataset.index
        if entry["modalities"]
        for protocol, source in entry["label_sources"].items()
        if source != "template"
    }
    if not modalities or not ranks:
        lack = "labels" if modalities else "images"
        raise InputError(f"{folder}: has no {lack}, expected scans with labels as examples")
    shown = {_MODALITIES.get(target.name.partition(".")[0].rpartition("_")[2]) for target in targets}
    modality = min(modalities, key=lambda name: (name not in shown, -modalities[name], name))
    protocol = min(ranks)[1]
    notes = [
        f"{folder}: {what} {taken} is taken, of {', '.join(sorted(found))}"
        for what, taken, found in (
            ("modality", modality, set(modalities)), ("protocol", protocol, {name for _, name in ranks}),
        )
        if len(found) > 1
    ]  # fmt: skip
    every: set[int] = set()
    examples = []
    for number, entry in enumerate(dataset.index):
        source = entry["label_sources"].get(protocol, "template")
        if modality in entry["modalities"] and source != "template":
            own = {int(label) for label, voxels in entry["label_voxels"][protocol].items() if voxels} - {0}
            every |= own
            examples.append((number, own if source == "partial" else None))
    values = dataset.label_values[protocol]
    unread = []
    for number, annotated in examples:
        entry = dataset.index[number]
        image = dataset.images[dataset.first_image[number] + entry["modalities"].index(modality)]
        codes = dataset.labels[dataset.first_labels[number] + list(entry["label_sources"]).index(protocol)]
        looked_for = tuple(sorted(every if annotated is None else annotated))
        name = f"{folder}: {entry['subject']}"
        read = partial(_read, image, codes, values, name, looked_for)
        key = key_of(image, codes, values, looked_for)
        unread.append(UnreadExample(name, entry["subject"], entry["person"], key, read))
    return unread, every, protocol, notes


def _read(image: np.ndarray, codes: np.ndarray, values: np.ndarray, name: str, annotated: tuple[int, ...]) -> Example:
    # Aligned again, as the target is, by intensities.
    return Example(Scan(dequantize(image), AFFINE, name), values[codes], annotated)
