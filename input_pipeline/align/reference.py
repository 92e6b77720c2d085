"""Centroids and volumes of brain structures in MNI152 space, by FreeSurfer label.

Made by `benchmarks/make_reference_centroids.py` from the 14 training label maps of SynthSeg
(github.com/BBillot/SynthSeg, Apache 2.0): each subject is registered to nilearn's MNI152 template; the median over
subjects and both sides is refined by aligning the subjects to it. The table is symmetric, like the template. After
alignment to it, the centroids of subjects vary (root mean square) by 1 to 2 mm for white matter and cortex, 1 to 3 mm
for deep structures, brain stem and cerebellum, 4 mm for the lateral ventricles, up to 8 mm for their inferior horns.
"""

import numpy as np

# label: name, centroid in mm (RAS), volume in mm3
_TABLE = {
    2: ("left cerebral white matter", (-28.7, -18.0, 19.0), 302160),
    3: ("left cerebral cortex", (-32.6, -17.1, 16.1), 297650),
    4: ("left lateral ventricle", (-14.9, -13.0, 14.7), 23730),
    5: ("left inferior lateral ventricle", (-32.9, -17.8, -15.6), 1060),
    7: ("left cerebellar white matter", (-17.9, -53.2, -33.2), 19700),
    8: ("left cerebellar cortex", (-23.9, -62.8, -36.7), 73300),
    10: ("left thalamus", (-13.0, -17.3, 6.2), 8780),
    11: ("left caudate", (-15.9, 9.7, 9.0), 4840),
    12: ("left putamen", (-27.2, 1.4, -1.2), 6700),
    13: ("left pallidum", (-21.5, -2.4, -2.6), 1950),
    14: ("third ventricle", (0.0, -8.8, -4.4), 1920),
    15: ("fourth ventricle", (0.0, -45.4, -33.0), 2390),
    16: ("brain stem", (0.0, -30.6, -32.3), 29470),
    17: ("left hippocampus", (-26.5, -21.2, -15.1), 4240),
    18: ("left amygdala", (-24.7, -3.4, -21.0), 2050),
    26: ("left accumbens area", (-9.6, 11.9, -8.7), 670),
    28: ("left ventral diencephalon", (-11.4, -15.1, -10.0), 5270),
    41: ("right cerebral white matter", (28.7, -18.0, 19.0), 302160),
    42: ("right cerebral cortex", (32.6, -17.1, 16.1), 297650),
    43: ("right lateral ventricle", (14.9, -13.0, 14.7), 23730),
    44: ("right inferior lateral ventricle", (32.9, -17.8, -15.6), 1060),
    46: ("right cerebellar white matter", (17.9, -53.2, -33.2), 19700),
    47: ("right cerebellar cortex", (23.9, -62.8, -36.7), 73300),
    49: ("right thalamus", (13.0, -17.3, 6.2), 8780),
    50: ("right caudate", (15.9, 9.7, 9.0), 4840),
    51: ("right putamen", (27.2, 1.4, -1.2), 6700),
    52: ("right pallidum", (21.5, -2.4, -2.6), 1950),
    53: ("right hippocampus", (26.5, -21.2, -15.1), 4240),
    54: ("right amygdala", (24.7, -3.4, -21.0), 2050),
    58: ("right accumbens area", (9.6, 11.9, -8.7), 670),
    60: ("right ventral diencephalon", (11.4, -15.1, -10.0), 5270),
}

NAMES = {label: name for label, (name, _, _) in _TABLE.items()}

# The `reference` of `fit_affine`.
REFERENCE_CENTROIDS = {label: (np.array(centroid), float(volume)) for label, (_, centroid, volume) in _TABLE.items()}
