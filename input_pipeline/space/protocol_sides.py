"""Which label of a protocol is which on the other side, and which labels a segmentation task may draw."""

from functools import cache

import numpy as np

from input_pipeline.space.protocols import FREESURFER_CLASSES, HAMMERS_CLASSES, NEUROMORPHOMETRICS_TO_FREESURFER

# Left and right label of each paired FreeSurfer structure. Cortical parcels are 1xxx/2xxx, their white matter
# 3xxx/4xxx.
_FREESURFER_LEFT = (2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 17, 18, 25, 26, 28, 30, 31, 78, 136, 137)
_FREESURFER_RIGHT = (41, 42, 43, 44, 46, 47, 48, 49, 50, 51, 52, 53, 54, 57, 58, 60, 62, 63, 79, 163, 164)

# Neuromorphometrics: pairs, right and left in no fixed order; the cortical gyri, 100 to 207, are even and odd.
_NEUROMORPHOMETRICS_PAIRS = (
    (23, 30), (31, 32), (33, 34), (36, 37), (38, 39), (40, 41), (42, 43), (44, 45), (47, 48), (49, 50), (51, 52),
    (55, 56), (57, 58), (59, 60), (61, 62), (63, 64), (65, 66), (75, 76), *((n, n + 1) for n in range(100, 207, 2)),
)  # fmt: skip
_HAMMERS_MIDLINE = (19, 44, 49)

# Not drawn, of Neuromorphometrics: CSF and vessels, which are drawn only in part; what the exterior is.
_NOT_DRAWN = (46, 63, 64)

SEGMENTATION_CLASSES: dict[str, tuple[int, ...]] = {
    "freesurfer": tuple(FREESURFER_CLASSES),
    "hammers": tuple(HAMMERS_CLASSES),
    "neuromorphometrics": (
        *(label for label in NEUROMORPHOMETRICS_TO_FREESURFER if label not in _NOT_DRAWN), 71, 72, 73, 75, 76,
    ),
    "lesion": (1,),
    "tumour": (1, 2, 4),
}  # fmt: skip


@cache
def other_side(protocol: str) -> np.ndarray:
    """`[65536]` uint16: the label of the same structure on the other side; itself for one that has no side."""
    table = np.arange(2**16, dtype=np.uint16)
    if protocol == "freesurfer":
        left, right = list(_FREESURFER_LEFT), list(_FREESURFER_RIGHT)
        for first, second in ((1000, 2000), (3000, 4000)):
            left += range(first, first + 36)
            right += range(second, second + 36)
        table[left], table[right] = right, left
    elif protocol == "neuromorphometrics":
        pairs = np.array(_NEUROMORPHOMETRICS_PAIRS)
        table[pairs], table[pairs[:, ::-1]] = pairs[:, ::-1], pairs
    elif protocol == "hammers":
        sided = [label for label in HAMMERS_CLASSES if label not in _HAMMERS_MIDLINE]
        table[sided[::2]], table[sided[1::2]] = sided[1::2], sided[::2]
    table.flags.writeable = False
    return table
