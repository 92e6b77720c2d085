"""Colours of anatomical structures: the same for left and right, in every protocol, picture and dataset."""

from functools import cache

import numpy as np

from input_pipeline.space.structure_colours import FREESURFER_COLOURS, bright, distant_colours
from input_pipeline.space.structure_names import FREESURFER_CLASSES, HAMMERS_CLASSES, NEUROMORPHOMETRICS_CLASSES

_NAMES = {
    "freesurfer": FREESURFER_CLASSES,
    "hammers": HAMMERS_CLASSES,
    "neuromorphometrics": NEUROMORPHOMETRICS_CLASSES,
    "lesion": {1: "lesion"},
    "tumour": {1: "necrotic tumour core", 2: "oedema", 4: "enhancing tumour"},
}


def structure_names(protocol: str) -> dict[int, str]:
    """Name of each label of a protocol, without its side."""
    return {label: name.removeprefix("left ").removeprefix("right ") for label, name in _NAMES[protocol].items()}


def label_colours(labels: np.ndarray, protocol: str = "freesurfer") -> np.ndarray:
    """RGB `[..., 3]` uint8 of label values, whole numbers from 0 to 65535; 0 is black."""
    return _tables(protocol)[0][labels]


def outline_order(labels: np.ndarray, protocol: str) -> np.ndarray:
    """Labels renumbered by structure, left and right next to each other; 0 stays 0.

    So where two structures meet, the same one of them is the higher on both sides of the brain.
    """
    return _tables(protocol)[1][labels]


@cache
def _tables(protocol: str) -> tuple[np.ndarray, np.ndarray]:
    """Colour `[65536, 3]` uint8 and order `[65536]` int32 of each label."""
    names = structure_names(protocol)
    others = sorted({name for each in _NAMES for name in structure_names(each).values()} - FREESURFER_COLOURS.keys())
    place = {name: number for number, name in enumerate((*FREESURFER_COLOURS, *others), start=1)}
    values = np.arange(2**16)
    structure = values + len(place)  # labels without a name come last
    structure[0] = 0
    structure[list(names)] = [place[name] for name in names.values()]
    order = np.empty(2**16, np.int32)
    order[np.lexsort((values, structure))] = values

    colours = distant_colours(structure)
    for label, name in names.items():
        colours[label] = FREESURFER_COLOURS.get(name, colours[label])
    colours = bright(colours)
    colours[0] = 0
    for table in (colours, order):
        table.flags.writeable = False
    return colours, order
