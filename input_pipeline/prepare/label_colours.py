"""Colours of anatomical structures: the same for left and right, in every protocol, picture and dataset."""

from functools import cache

import numpy as np

from input_pipeline.space.structure_names import FREESURFER_CLASSES, HAMMERS_CLASSES, NEUROMORPHOMETRICS_CLASSES

_NAMES = {
    "freesurfer": FREESURFER_CLASSES,
    "hammers": HAMMERS_CLASSES,
    "neuromorphometrics": NEUROMORPHOMETRICS_CLASSES,
    "lesion": {1: "lesion"},
    "tumour": {1: "necrotic tumour core", 2: "oedema", 4: "enhancing tumour"},
}

# As in FreeSurfer's colour table (FreeSurferColorLUT.txt), but for cerebral white matter: white is lost on a T1 image.
_FREESURFER_COLOURS = {
    "cerebral white matter": (245, 245, 190),
    "cerebral cortex": (205, 62, 78),
    "lateral ventricle": (120, 18, 134),
    "inferior lateral ventricle": (196, 58, 250),
    "cerebellar white matter": (220, 248, 164),
    "cerebellar cortex": (230, 148, 34),
    "thalamus": (0, 118, 14),
    "caudate": (122, 186, 220),
    "putamen": (236, 13, 176),
    "pallidum": (12, 48, 255),
    "third ventricle": (204, 182, 142),
    "fourth ventricle": (42, 204, 164),
    "brain stem": (119, 159, 176),
    "hippocampus": (220, 216, 20),
    "amygdala": (103, 255, 255),
    "accumbens area": (255, 165, 0),
    "ventral diencephalon": (165, 42, 42),
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
    others = sorted({name for each in _NAMES for name in structure_names(each).values()} - _FREESURFER_COLOURS.keys())
    place = {name: number for number, name in enumerate((*_FREESURFER_COLOURS, *others), start=1)}
    values = np.arange(2**16)
    structure = values + len(place)  # labels without a name come last
    structure[0] = 0
    structure[list(names)] = [place[name] for name in names.values()]
    order = np.empty(2**16, np.int32)
    order[np.lexsort((values, structure))] = values

    # Distant hues for the structures that FreeSurfer's table lacks: irrational steps around the colour circle.
    hue = structure * 0.7548777 % 1
    colours = 0.55 + 0.45 * np.cos(2 * np.pi * (hue[:, None] + np.array([0, 1 / 3, 2 / 3])))
    for label, name in names.items():
        colours[label] = _FREESURFER_COLOURS.get(name, colours[label])
    # At full brightness, as a thin dark line is hard to see.
    colours = np.rint(255 * colours / colours.max(-1, keepdims=True)).astype(np.uint8)
    colours[0] = 0
    for table in (colours, order):
        table.flags.writeable = False
    return colours, order
