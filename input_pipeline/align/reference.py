"""Centroids and volumes of brain structures in MNI152 space, by FreeSurfer label.

Made by `benchmarks/make_reference_centroids.py` from the 14 training label maps of SynthSeg
(github.com/BBillot/SynthSeg, Apache 2.0): each subject is registered to nilearn's MNI152 template; the median over
subjects and both sides is refined by aligning the subjects to it. The table is symmetric, like the template. After
alignment to it, the centroids of subjects vary (root mean square) by 1 to 2 mm for white matter and cortex, 1 to 3 mm
for deep structures, brain stem and cerebellum, 4 mm for the lateral ventricles, up to 8 mm for their inferior horns.
"""

import numpy as np

from input_pipeline.space.protocols import other_side

# label: centroid in mm (RAS), volume in mm3; structures on the right mirror those on the left
_TABLE = {
    2: ((-28.7, -18.0, 19.0), 302160),  # left cerebral white matter
    3: ((-32.6, -17.1, 16.1), 297650),  # left cerebral cortex
    4: ((-14.9, -13.0, 14.7), 23730),  # left lateral ventricle
    5: ((-32.9, -17.8, -15.6), 1060),  # left inferior lateral ventricle
    7: ((-17.9, -53.2, -33.2), 19700),  # left cerebellar white matter
    8: ((-23.9, -62.8, -36.7), 73300),  # left cerebellar cortex
    10: ((-13.0, -17.3, 6.2), 8780),  # left thalamus
    11: ((-15.9, 9.7, 9.0), 4840),  # left caudate
    12: ((-27.2, 1.4, -1.2), 6700),  # left putamen
    13: ((-21.5, -2.4, -2.6), 1950),  # left pallidum
    14: ((0.0, -8.8, -4.4), 1920),  # third ventricle
    15: ((0.0, -45.4, -33.0), 2390),  # fourth ventricle
    16: ((0.0, -30.6, -32.3), 29470),  # brain stem
    17: ((-26.5, -21.2, -15.1), 4240),  # left hippocampus
    18: ((-24.7, -3.4, -21.0), 2050),  # left amygdala
    26: ((-9.6, 11.9, -8.7), 670),  # left accumbens area
    28: ((-11.4, -15.1, -10.0), 5270),  # left ventral diencephalon
}

_LEFT = {label: (np.array(centroid), float(volume)) for label, (centroid, volume) in _TABLE.items()}
_RIGHT = {int(other_side("freesurfer")[label]): (at * (-1, 1, 1), volume) for label, (at, volume) in _LEFT.items()}

# The `reference` of `fit_affine`.
REFERENCE_CENTROIDS = _RIGHT | _LEFT
