"""Structures of each label protocol: label -> name, beginning with `left` or `right` for structures with a side."""

# FreeSurfer: the structures of SynthSeg 1.
_FREESURFER_SIDES = {
    (2, 41): "cerebral white matter", (3, 42): "cerebral cortex", (4, 43): "lateral ventricle",
    (5, 44): "inferior lateral ventricle", (7, 46): "cerebellar white matter", (8, 47): "cerebellar cortex",
    (10, 49): "thalamus", (11, 50): "caudate", (12, 51): "putamen", (13, 52): "pallidum", (17, 53): "hippocampus",
    (18, 54): "amygdala", (26, 58): "accumbens area", (28, 60): "ventral diencephalon",
}  # fmt: skip
FREESURFER_CLASSES: dict[int, str] = {14: "third ventricle", 15: "fourth ventricle", 16: "brain stem"} | {
    label: f"{side} {name}"
    for sides, name in _FREESURFER_SIDES.items()
    for label, side in zip(sides, ("left", "right"), strict=True)
}

# The gyri of the Desikan-Killiany atlas, in the order of their numbers: 1001 and more on the left, 2001 on the right.
_DESIKAN_KILLIANY = (
    "banks of the superior temporal sulcus", "caudal anterior cingulate", "caudal middle frontal", "corpus callosum",
    "cuneus", "entorhinal", "fusiform", "inferior parietal", "inferior temporal", "isthmus cingulate",
    "lateral occipital", "lateral orbitofrontal", "lingual", "medial orbitofrontal", "middle temporal",
    "parahippocampal", "paracentral", "pars opercularis", "pars orbitalis", "pars triangularis", "pericalcarine",
    "postcentral", "posterior cingulate", "precentral", "precuneus", "rostral anterior cingulate",
    "rostral middle frontal", "superior frontal", "superior parietal", "superior temporal", "supramarginal",
    "frontal pole", "temporal pole", "transverse temporal", "insula",
)  # fmt: skip

# FreeSurfer: what `aseg` and `aparc+aseg` hold besides.
FREESURFER_NAMES: dict[int, str] = dict(
    sorted(
        [*FREESURFER_CLASSES.items(), (24, "cerebrospinal fluid"), (30, "left vessel"), (62, "right vessel")]
        + [(31, "left choroid plexus"), (63, "right choroid plexus"), (72, "fifth ventricle"), (85, "optic chiasm")]
        + [(77, "white matter hypointensities"), (80, "non-white matter hypointensities")]
        + [(251, "corpus callosum, posterior"), (252, "corpus callosum, mid posterior")]
        + [(253, "corpus callosum, central"), (254, "corpus callosum, mid anterior")]
        + [(255, "corpus callosum, anterior")]
        + [
            (first + number, f"{side} {name}")
            for side, first in (("left", 1001), ("right", 2001))
            for number, name in enumerate(_DESIKAN_KILLIANY)
        ]
    )
)

# Hammers n30r95, by the lower of the two labels of a structure. Odd labels are on the right.
_HAMMERS_SIDES = {
    1: "hippocampus", 3: "amygdala", 5: "anterior temporal lobe, medial part",
    7: "anterior temporal lobe, lateral part", 9: "parahippocampal and ambient gyri",
    11: "superior temporal gyrus, middle part", 13: "middle and inferior temporal gyri", 15: "fusiform gyrus",
    17: "cerebellum", 20: "insula, posterior long gyrus", 22: "lateral remainder of the occipital lobe",
    24: "anterior cingulate gyrus", 26: "posterior cingulate gyrus", 28: "middle frontal gyrus",
    30: "posterior temporal lobe", 32: "angular gyrus", 34: "caudate", 36: "accumbens", 38: "putamen", 40: "thalamus",
    42: "pallidum", 45: "lateral ventricle without temporal horn", 47: "lateral ventricle, temporal horn",
    50: "precentral gyrus", 52: "straight gyrus", 54: "anterior orbital gyrus", 56: "inferior frontal gyrus",
    58: "superior frontal gyrus", 60: "postcentral gyrus", 62: "superior parietal gyrus", 64: "lingual gyrus",
    66: "cuneus", 68: "medial orbital gyrus", 70: "lateral orbital gyrus", 72: "posterior orbital gyrus",
    74: "substantia nigra", 76: "subgenual frontal cortex", 78: "subcallosal area", 80: "pre-subgenual frontal cortex",
    82: "superior temporal gyrus, anterior part", 84: "supramarginal gyrus", 86: "insula, anterior short gyrus",
    88: "insula, middle short gyrus", 90: "insula, posterior short gyrus", 92: "insula, anterior inferior cortex",
    94: "insula, anterior long gyrus",
}  # fmt: skip
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

# Neuromorphometrics (BrainCOLOR), by left and right label; cortical gyri by the right label, the left one follows it.
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
