"""Label protocols: conversion between them, exchange of left and right, and the classes that segmentation tasks use.

SynthSeg uses FreeSurfer's labels; `fold_freesurfer` merges FreeSurfer's finer structures into SynthSeg's.
"""

from functools import cache

import numpy as np

from input_pipeline.space.structure_names import FREESURFER_CLASSES, HAMMERS_CLASSES, NEUROMORPHOMETRICS_CLASSES

# Label conventions: which label stands for which structure.
PROTOCOLS = ("freesurfer", "hammers", "neuromorphometrics", "lesion", "tumour")

# Neuromorphometrics / BrainCOLOR (MICCAI 2012 multi-atlas challenge) -> FreeSurfer. All gyri become cortex.
# Without a counterpart, or without one per side: cerebellar vermis (71-73), basal forebrain (75, 76), cerebral exterior
# (42, 43), lesions (53, 54).
NEUROMORPHOMETRICS_TO_FREESURFER = {
    4: 14,  # 3rd ventricle
    11: 15,  # 4th ventricle
    15: 72,  # 5th ventricle
    **{23: 58, 30: 26},  # accumbens; right, left, as in all rows below
    **{31: 54, 32: 18, 33: 54, 34: 18},  # amygdala and its anterior part
    35: 16,  # brain stem
    **{36: 50, 37: 11},  # caudate
    **{38: 47, 39: 8},  # cerebellar cortex
    **{40: 46, 41: 7},  # cerebellar white matter
    **{44: 41, 45: 2},  # cerebral white matter
    46: 24,  # cerebrospinal fluid
    **{47: 53, 48: 17},  # hippocampus
    **{49: 44, 50: 5},  # inferior lateral ventricle
    **{51: 43, 52: 4},  # lateral ventricle
    **{55: 52, 56: 13},  # pallidum
    **{57: 51, 58: 12},  # putamen
    **{59: 49, 60: 10},  # thalamus
    **{61: 60, 62: 28},  # ventral diencephalon
    **{63: 62, 64: 30},  # vessel
    **{65: 3, 66: 42},  # insula; left, right
    69: 85,  # optic chiasm
    **dict.fromkeys(range(100, 208, 2), 42),  # cortical gyri
    **dict.fromkeys(range(101, 208, 2), 3),
}

# Hammers n30r95 -> FreeSurfer. Without a counterpart: cerebellum (17, 18: cortex and white matter together), corpus
# callosum (44: both sides together), substantia nigra (74, 75: part of a structure).
_HAMMERS_CORTEX = (*range(5, 17), *range(20, 34), *range(50, 74), *range(76, 96))
HAMMERS_TO_FREESURFER = {
    **{1: 53, 2: 17},  # hippocampus; right, left, as in all rows below
    **{3: 54, 4: 18},  # amygdala
    19: 16,  # brain stem
    **{35: 50, 34: 11},  # caudate
    **{37: 58, 36: 26},  # accumbens
    **{39: 51, 38: 12},  # putamen
    **{41: 49, 40: 10},  # thalamus
    **{43: 52, 42: 13},  # pallidum
    **{45: 43, 46: 4},  # lateral ventricle
    **{47: 44, 48: 5},  # its temporal horn
    49: 14,  # third ventricle
    **{label: 42 if label % 2 else 3 for label in _HAMMERS_CORTEX},
}

# FreeSurfer labels of parts -> the whole structure; 0 for structures without a label in SynthSeg (vessels, fifth
# ventricle, optic chiasm).
_FOLDED = {
    **dict.fromkeys((*range(1000, 2000), *range(11100, 11200), 19, 20), 3),  # cortical parcels, insula, operculum
    **dict.fromkeys((*range(2000, 3000), *range(12100, 12200), 55, 56), 42),
    **dict.fromkeys((*range(3000, 4000), 5001, 25, 78), 2),  # white-matter parcels, unsegmented, lesion, hypointensity
    **dict.fromkeys((*range(4000, 5000), 5002, 57, 79), 41),
    **{136: 4, 163: 43, 31: 4, 63: 43},  # edge of the lateral ventricle, choroid plexus
    **{137: 5, 164: 44},  # edge of the inferior lateral ventricle
    **{9: 10, 48: 49},  # thalamus in older versions
    **dict.fromkeys((30, 62, 72, 85), 0),
    **{257: 24, 165: 515, 258: 507, 259: 506},  # SAMSEG's CSF, skull, head and eyes: SynthSeg's, of its training maps
}

# White matter without a side: hypointensities and the five parts of the corpus callosum.
_SIDELESS_WHITE = (77, *range(251, 256))

# FreeSurfer labels of paired structures. Cortical parcels are 1xxx/2xxx, their white matter 3xxx/4xxx.
_FREESURFER_LEFT = (
    *(2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 17, 18, 25, 26, 28, 30, 31, 78, 136, 137), *range(1000, 1036),
    *range(3000, 3036),
)  # fmt: skip
_FREESURFER_RIGHT = (
    *(41, 42, 43, 44, 46, 47, 48, 49, 50, 51, 52, 53, 54, 57, 58, 60, 62, 63, 79, 163, 164), *range(2000, 2036),
    *range(4000, 4036),
)  # fmt: skip

# Neuromorphometrics structures that no task uses: CSF and vessels are segmented only in part.
_UNUSED = (46, 63, 64)

# The labels of each protocol that a segmentation task may use.
SEGMENTATION_CLASSES: dict[str, tuple[int, ...]] = {
    "freesurfer": tuple(FREESURFER_CLASSES),
    "hammers": tuple(HAMMERS_CLASSES),
    "neuromorphometrics": (
        *(label for label in NEUROMORPHOMETRICS_TO_FREESURFER if label not in _UNUSED), 71, 72, 73, 75, 76,
    ),
    "lesion": (1,),
    "tumour": (1, 2, 4),
}  # fmt: skip


def _table(mapping: dict[int, int], others: np.ndarray) -> np.ndarray:
    """Lookup table `[65536]` uint16: the mapping, and `others` for labels without an entry."""
    table = others.astype(np.uint16)
    table[list(mapping)] = list(mapping.values())
    table.flags.writeable = False
    return table


# Lookup table `[65536]` of `fold_freesurfer`, for labels with a side.
FREESURFER_FOLD = _table(_FOLDED, np.arange(2**16))
_TO_FREESURFER = {
    "neuromorphometrics": _table(NEUROMORPHOMETRICS_TO_FREESURFER, np.zeros(2**16)),
    "hammers": _table(HAMMERS_TO_FREESURFER, np.zeros(2**16)),
}


def fold_freesurfer(labels: np.ndarray) -> np.ndarray:
    """Merges parts of structures into the structures of SynthSeg; uint16 of the same shape.

    White matter without a side (corpus callosum; hypointensities where a file has one label for both sides) is assigned
    to the hemisphere whose white matter has the nearer centre, to the left if both are equally near, and to 0 if a
    hemisphere has no white matter. All other labels stay, such as CSF (24) and the extra-cerebral classes of SynthSeg's
    training maps (501 to 530).

    Args:
        labels: voxels, any number of axes, whole numbers from 0 to 65535.

    >>> fold_freesurfer(np.array([17, 1012, 2030, 24]))  # hippocampus, two cortical parcels, CSF
    array([17,  3, 42, 24], dtype=uint16)
    """
    folded = FREESURFER_FOLD[labels]
    sideless = np.isin(folded, _SIDELESS_WHITE)
    if sideless.any():
        left, right = np.argwhere(folded == 2), np.argwhere(folded == 41)
        folded[sideless] = _nearer_side(np.argwhere(sideless), left, right) if len(left) and len(right) else 0
    return folded


def to_freesurfer(labels: np.ndarray, protocol: str) -> np.ndarray:
    """Converts a label map to the labels of `fold_freesurfer`; structures without a counterpart become 0.

    Args:
        labels: as for `fold_freesurfer`.
        protocol: an anatomical one of `PROTOCOLS`.

    Returns:
        uint16 of the same shape.

    Raises:
        ValueError: for `lesion` and `tumour`, which show no anatomy, and for unknown protocols.

    >>> to_freesurfer(np.array([2, 19, 44]), "hammers")  # left hippocampus, brain stem, corpus callosum
    array([17, 16,  0], dtype=uint16)
    """
    if protocol not in ("freesurfer", *_TO_FREESURFER):
        expected = ", ".join(("freesurfer", *_TO_FREESURFER))
        raise ValueError(f"protocol {protocol!r} has no FreeSurfer labels, expected one of {expected}")
    return fold_freesurfer(labels if protocol == "freesurfer" else _TO_FREESURFER[protocol][labels])


@cache
def other_side(protocol: str) -> np.ndarray:
    """Lookup table `[65536]` uint16: the label of the same structure on the other side; itself without a side.

    >>> other_side("freesurfer")[[17, 53, 16]]  # left and right hippocampus, brain stem
    array([53, 17, 16], dtype=uint16)
    """
    table = np.arange(2**16, dtype=np.uint16)
    if protocol == "freesurfer":
        table[[*_FREESURFER_LEFT, *_FREESURFER_RIGHT]] = [*_FREESURFER_RIGHT, *_FREESURFER_LEFT]
    elif names := {"hammers": HAMMERS_CLASSES, "neuromorphometrics": NEUROMORPHOMETRICS_CLASSES}.get(protocol):
        label_of = {name: label for label, name in names.items()}
        for label, name in names.items():
            side, _, structure = name.partition(" ")
            table[label] = label_of.get(f"{'right' if side == 'left' else 'left'} {structure}", label)
    table.flags.writeable = False
    return table


def _nearer_side(voxels: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """2 or 41 for each of `voxels` `[n, axes]`: the side whose voxels have the nearer centre."""
    left, right = left.mean(0), right.mean(0)
    return np.where((voxels - (left + right) / 2) @ (right - left) > 0, 41, 2)
