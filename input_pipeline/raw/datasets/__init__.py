"""The datasets, one module each: what a dataset is, how to get it, and which files belong to which subject.

A module has `NAME`, `DESCRIPTION`, `HOW_TO_GET` and `discover(root) -> Discovery`. Files are recognised by their names
alone, at any depth; no image is opened. If a file is in the folder twice, the first in natural order is taken and the
other dropped. The keys of `Discovery.dropped` are a subject id, a subject id and a modality, or a path under the root.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from input_pipeline.raw.datasets import (
    atlas2,
    bids,
    brats2021,
    hammers,
    isles2022,
    ixi,
    labelmaps,
    multiatlas2012,
    oasis3,
    wmh2017,
)
from input_pipeline.raw.subject import Discovery


@dataclass(frozen=True)
class Dataset:
    """A dataset that `neuralizer prepare` knows.

    Attributes:
        name: as on the command line, and of the folder it is prepared into.
        description: one sentence.
        how_to_get: where to download it and under which terms.
        discover: finds the subjects in the folder of raw files; None if the dataset needs no files.
    """

    name: str
    description: str
    how_to_get: str
    discover: Callable[[Path], Discovery] | None


DATASETS: dict[str, Dataset] = {
    module.NAME: Dataset(module.NAME, module.DESCRIPTION, module.HOW_TO_GET, module.discover)
    for module in (
        oasis3, brats2021, ixi, atlas2, hammers, isles2022, wmh2017, multiatlas2012, bids, labelmaps,
    )
}  # fmt: skip
DATASETS["phantom"] = Dataset(
    "phantom",
    "Phantoms: warped label maps of the MNI152 template, and images of every modality synthesised from them.",
    "Nothing to download: the template comes with nilearn.",
    None,
)
