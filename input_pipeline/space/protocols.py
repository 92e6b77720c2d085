"""Label numbers of one segmentation protocol in those of another, and the structures that a task may ask for by name.

FreeSurfer's and SynthSeg's numbers are one system, of which `fold_freesurfer` keeps SynthSeg's structures.
"""

import numpy as np

# Label conventions: which number stands for which structure.
PROTOCOLS = ("freesurfer", "hammers", "neuromorphometrics", "lesion", "tumour")


# Neuromorphometrics / BrainCOLOR (MICCAI 2012 multi-atlas challenge) -> FreeSurfer, structures that both have, by name.
# Cortical gyri are one cortex a side. Not in it, as FreeSurfer has no such structure or not by side: cerebellar vermis
# (71-73), basal forebrain (75, 76), cerebral exterior (42, 43), lesions (53, 54), unlabelled.
NEUROMORPHOMETRICS_TO_FREESURFER = {
    4: 14,  # 3rd ventricle
    11: 15,  # 4th ventricle
    15: 72,  # 5th ventricle
    **{23: 58, 30: 26},  # accumbens; here and below right, left
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
    **{65: 3, 66: 42},  # insula, left first
    69: 85,  # optic chiasm
    **dict.fromkeys(range(100, 208, 2), 42),  # cortical gyri
    **dict.fromkeys(range(101, 208, 2), 3),
}

# Hammers n30r95 -> FreeSurfer, structures that both have, by name; odd is right. Not in it: cerebellum (17, 18: cortex
# and white matter in one), corpus callosum (44: both sides in one), substantia nigra (74, 75: a part of one).
_HAMMERS_CORTEX = (*range(5, 17), *range(20, 34), *range(50, 74), *range(76, 96))
HAMMERS_TO_FREESURFER = {
    **{1: 53, 2: 17},  # hippocampus; here and below right, left
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

# The structures of SynthSeg 1: those of FreeSurfer's that a segmentation task may ask for.
_FREESURFER_SIDES = {
    (2, 41): "cerebral white matter",
    (3, 42): "cerebral cortex",
    (4, 43): "lateral ventricle",
    (5, 44): "inferior lateral ventricle",
    (7, 46): "cerebellar white matter",
    (8, 47): "cerebellar cortex",
    (10, 49): "thalamus",
    (11, 50): "caudate",
    (12, 51): "putamen",
    (13, 52): "pallidum",
    (17, 53): "hippocampus",
    (18, 54): "amygdala",
    (26, 58): "accumbens area",
    (28, 60): "ventral diencephalon",
}
FREESURFER_CLASSES: dict[int, str] = {14: "third ventricle", 15: "fourth ventricle", 16: "brain stem"} | {
    label: f"{side} {name}"
    for sides, name in _FREESURFER_SIDES.items()
    for label, side in zip(sides, ("left", "right"), strict=True)
}

# Structures of Hammers n30r95 by the lower of their two numbers.
_HAMMERS_SIDES = {
    1: "hippocampus",
    3: "amygdala",
    5: "anterior temporal lobe, medial part",
    7: "anterior temporal lobe, lateral part",
    9: "parahippocampal and ambient gyri",
    11: "superior temporal gyrus, middle part",
    13: "middle and inferior temporal gyri",
    15: "fusiform gyrus",
    17: "cerebellum",
    20: "insula, posterior long gyrus",
    22: "lateral remainder of the occipital lobe",
    24: "anterior cingulate gyrus",
    26: "posterior cingulate gyrus",
    28: "middle frontal gyrus",
    30: "posterior temporal lobe",
    32: "angular gyrus",
    34: "caudate",
    36: "accumbens",
    38: "putamen",
    40: "thalamus",
    42: "pallidum",
    45: "lateral ventricle without temporal horn",
    47: "lateral ventricle, temporal horn",
    50: "precentral gyrus",
    52: "straight gyrus",
    54: "anterior orbital gyrus",
    56: "inferior frontal gyrus",
    58: "superior frontal gyrus",
    60: "postcentral gyrus",
    62: "superior parietal gyrus",
    64: "lingual gyrus",
    66: "cuneus",
    68: "medial orbital gyrus",
    70: "lateral orbital gyrus",
    72: "posterior orbital gyrus",
    74: "substantia nigra",
    76: "subgenual frontal cortex",
    78: "subcallosal area",
    80: "pre-subgenual frontal cortex",
    82: "superior temporal gyrus, anterior part",
    84: "supramarginal gyrus",
    86: "insula, anterior short gyrus",
    88: "insula, middle short gyrus",
    90: "insula, posterior short gyrus",
    92: "insula, anterior inferior cortex",
    94: "insula, anterior long gyrus",
}
HAMMERS_CLASSES: dict[int, str] = dict(
    sorted(
        [(19, "brain stem"), (44, "corpus callosum"), (49, "third ventricle")]
        + [
            (label, f"{'right' if label % 2 else 'left'} {name}")
            for lower, name in _HAMMERS_SIDES.items()
            for label in (lower, lower + 1)
        ]
    )
)

# Structures of Neuromorphometrics by left and right number; gyri by the right one, the left one is the next.
_NEUROMORPHOMETRICS_SIDES = {
    (30, 23): "accumbens area", (32, 31): "amygdala", (34, 33): "amygdala, anterior part", (37, 36): "caudate",
    (39, 38): "cerebellar cortex", (41, 40): "cerebellar white matter", (43, 42): "cerebral exterior",
    (45, 44): "cerebral white matter", (48, 47): "hippocampus", (50, 49): "inferior lateral ventricle",
    (52, 51): "lateral ventricle", (54, 53): "lesion", (56, 55): "pallidum", (58, 57): "putamen", (60, 59): "thalamus",
    (62, 61): "ventral diencephalon", (64, 63): "vessel", (65, 66): "insula", (67, 68): "operculum",
    (75, 76): "basal forebrain",
}  # fmt: skip
_NEUROMORPHOMETRICS_GYRI = {
    100: "anterior cingulate gyrus", 102: "anterior insula", 104: "anterior orbital gyrus", 106: "angular gyrus",
    108: "calcarine cortex", 110: "cingulate gyrus", 112: "central operculum", 114: "cuneus", 116: "entorhinal area",
    118: "frontal operculum", 120: "frontal pole", 122: "fusiform gyrus", 124: "straight gyrus",
    126: "inferior frontal gyrus", 128: "inferior occipital gyrus", 130: "intermediate orbital gyrus",
    132: "inferior temporal gyrus", 134: "lingual gyrus", 136: "lateral orbital gyrus", 138: "middle cingulate gyrus",
    140: "medial frontal cortex", 142: "middle frontal gyrus", 144: "middle occipital gyrus",
    146: "medial orbital gyrus", 148: "postcentral gyrus, medial segment", 150: "precentral gyrus, medial segment",
    152: "superior frontal gyrus, medial segment", 154: "middle temporal gyrus", 156: "occipital pole",
    158: "orbitofrontal cortex", 160: "occipital fusiform gyrus", 162: "inferior frontal gyrus, opercular part",
    164: "inferior frontal gyrus, orbital part", 166: "posterior cingulate gyrus", 168: "precuneus",
    170: "parahippocampal gyrus", 172: "posterior insula", 174: "parietal operculum", 176: "postcentral gyrus",
    178: "posterior orbital gyrus", 180: "planum polare", 182: "precentral gyrus", 184: "planum temporale",
    186: "subcallosal area", 188: "supracalcarine cortex", 190: "superior frontal gyrus",
    192: "supplementary motor cortex", 194: "supramarginal gyrus", 196: "superior occipital gyrus",
    198: "superior parietal lobule", 200: "superior temporal gyrus", 202: "temporal pole",
    204: "inferior frontal gyrus, triangular part", 206: "transverse temporal gyrus",
}  # fmt: skip
NEUROMORPHOMETRICS_CLASSES: dict[int, str] = dict(
    sorted(
        [(4, "third ventricle"), (11, "fourth ventricle"), (15, "fifth ventricle"), (35, "brain stem")]
        + [(46, "cerebrospinal fluid"), (69, "optic chiasm"), (71, "cerebellar vermis, lobules 1 to 5")]
        + [(72, "cerebellar vermis, lobules 6 and 7"), (73, "cerebellar vermis, lobules 8 to 10")]
        + [(right, f"right {name}") for (_, right), name in _NEUROMORPHOMETRICS_SIDES.items()]
        + [(left, f"left {name}") for (left, _), name in _NEUROMORPHOMETRICS_SIDES.items()]
        + [(right, f"right {name}") for right, name in _NEUROMORPHOMETRICS_GYRI.items()]
        + [(right + 1, f"left {name}") for right, name in _NEUROMORPHOMETRICS_GYRI.items()]
    )
)

# Parts, and other names, of a structure; 0 for what SynthSeg has none for (vessels, fifth ventricle, optic chiasm).
_FOLDED = {
    **dict.fromkeys((*range(1000, 2000), *range(11100, 11200), 19, 20), 3),  # parcels, insula, operculum
    **dict.fromkeys((*range(2000, 3000), *range(12100, 12200), 55, 56), 42),
    **dict.fromkeys((*range(3000, 4000), 5001, 25, 78), 2),  # parcels, unsegmented, lesion, hypointensity
    **dict.fromkeys((*range(4000, 5000), 5002, 57, 79), 41),
    **{136: 4, 163: 43, 31: 4, 63: 43},  # edge of the lateral ventricle, choroid plexus
    **{137: 5, 164: 44},  # edge of its inferior horn
    **{9: 10, 48: 49},  # thalamus of older versions
    **dict.fromkeys((30, 62, 72, 85), 0),
}

# White matter without a side: hypointensities, and the five parts of the corpus callosum.
_SIDELESS_WHITE = (77, *range(251, 256))


def _table(mapping: dict[int, int], others: np.ndarray) -> np.ndarray:
    """`[65536]` uint16: the new number of each, those of `others` where the mapping has none."""
    table = others.astype(np.uint16)
    table[list(mapping)] = list(mapping.values())
    table.flags.writeable = False
    return table


_FOLD = _table(_FOLDED, np.arange(2**16))
_TO_FREESURFER = {
    "neuromorphometrics": _table(NEUROMORPHOMETRICS_TO_FREESURFER, np.zeros(2**16)),
    "hammers": _table(HAMMERS_TO_FREESURFER, np.zeros(2**16)),
}


def fold_freesurfer(labels: np.ndarray) -> np.ndarray:
    """FreeSurfer's numbers with parts united to the structures of SynthSeg, uint16 of the same shape.

    White matter without a side (the corpus callosum; hypointensities in a file of one label for both sides) goes to
    the hemisphere whose white matter's centre is nearer, to the left where both are equally near, to 0 where one
    hemisphere has no white matter. Structures of no meaning here keep their numbers; so do CSF (24) and the classes
    around the brain in SynthSeg's training maps (501 to 530).

    Args:
        labels: voxels, of any number of axes, with whole numbers from 0 to 65535.
    """
    folded = _FOLD[labels]
    sideless = np.isin(folded, _SIDELESS_WHITE)
    if sideless.any():
        left, right = np.argwhere(folded == 2), np.argwhere(folded == 41)
        folded[sideless] = _nearer_side(np.argwhere(sideless), left, right) if len(left) and len(right) else 0
    return folded


def to_freesurfer(labels: np.ndarray, protocol: str) -> np.ndarray | None:
    """A label map of any protocol in the numbers that `fold_freesurfer` gives; 0 where the structure has none there.

    Args:
        labels: as for `fold_freesurfer`.
        protocol: one of `PROTOCOLS`.

    Returns:
        uint16 of the same shape; None for the protocols that show no anatomy (`lesion`, `tumour`).
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol {protocol!r} is unknown, expected one of {', '.join(PROTOCOLS)}")
    if protocol in ("lesion", "tumour"):
        return None
    return fold_freesurfer(labels if protocol == "freesurfer" else _TO_FREESURFER[protocol][labels])


def _nearer_side(voxels: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """2 or 41 for each of `voxels` `[n, axes]`: whether the centre of `left` or that of `right` is nearer."""
    left, right = left.mean(0), right.mean(0)
    return np.where((voxels - (left + right) / 2) @ (right - left) > 0, 41, 2)
