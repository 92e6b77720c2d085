"""Colours of anatomical structures: the same for left and right, in every protocol, picture and dataset."""

from functools import cache

import numpy as np

from input_pipeline.space.protocols import FREESURFER_CLASSES, HAMMERS_CLASSES, NEUROMORPHOMETRICS_CLASSES

_NAMES = {
    "freesurfer": FREESURFER_CLASSES,
    "hammers": HAMMERS_CLASSES,
    "neuromorphometrics": NEUROMORPHOMETRICS_CLASSES,
    "lesion": {1: "lesion"},
    "tumour": {1: "necrotic tumour core", 2: "oedema", 4: "enhancing tumour"},
}

# As in FreeSurfer's colour table (FreeSurferColorLUT.txt).
_FREESURFER_COLOURS = {
    "cerebral white matter": (245, 245, 245),
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
    """Name of each label of a protocol, without its side.

    >>> structure_names("freesurfer")[17], structure_names("freesurfer")[53]
    ('hippocampus', 'hippocampus')
    """
    return {label: name.removeprefix("left ").removeprefix("right ") for label, name in _NAMES[protocol].items()}


def label_colours(labels: np.ndarray, protocol: str = "freesurfer") -> np.ndarray:
    """RGB `[..., 3]` uint8 of label values, whole numbers from 0 to 65535; 0 is black."""
    return _colour_table(protocol)[labels]


def outline_order(labels: np.ndarray, protocol: str) -> np.ndarray:
    """Labels renumbered so that left and right of a structure are neighbours; 0 stays 0.

    Where two structures meet, the same one of them is the higher on both sides of the brain.
    """
    return _order_table(protocol)[labels]


@cache
def _colour_table(protocol: str) -> np.ndarray:
    """`[65536, 3]` uint8. Structures that FreeSurfer's table lacks get distant hues, one for each name."""
    values = np.arange(2**16)
    # Irrational steps around the colour circle and, more slowly, in brightness.
    hue, bright = (values * 0.7548777) % 1, (values * 0.5698403) % 1
    wave = np.cos(2 * np.pi * (hue[:, None] + np.array([0, 1 / 3, 2 / 3])))
    generic = (255 * (0.55 + 0.45 * wave) * (0.5 + 0.5 * bright[:, None])).astype(np.uint8)
    names = sorted({name for each in _NAMES for name in structure_names(each).values()})
    colours = generic.copy()
    for label, name in structure_names(protocol).items():
        colours[label] = _FREESURFER_COLOURS.get(name, generic[1 + names.index(name)])
    colours[0] = 0
    colours.flags.writeable = False
    return colours


@cache
def _order_table(protocol: str) -> np.ndarray:
    names = structure_names(protocol)
    first: dict[str, int] = {}
    for label in sorted(names):
        first.setdefault(names[label], label)
    values = np.arange(2**16)
    structure = values.copy()
    structure[list(names)] = [first[name] for name in names.values()]
    order = np.empty(2**16, np.int32)
    order[np.lexsort((values, structure))] = values
    order.flags.writeable = False
    return order
