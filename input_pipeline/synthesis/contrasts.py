"""What each tissue looks like in each modality.

Means are typical signals relative to the brightest tissue of a full-head scan, after scaling to [0, 1] by percentiles.
They follow the order of the relaxation times at 1.5 to 3 T (Stanisz et al. 2005, MRM 54:507; Wansapura et al. 1999,
JMRI 9:531) and of diffusivity (white and grey matter 0.7 to 0.9, CSF 3.0 um^2/ms): T1 white > grey > CSF; T2 and PD
(long TR) CSF > grey > white; FLAIR grey > white > CSF; ADC CSF brightest; DWI and DTI CSF dark, no signal from fat; MRA
(time of flight) arteries brightest, background suppressed.
"""

import numpy as np

from input_pipeline.space.modalities import MODALITIES
from input_pipeline.space.tissue_classes import CLASSES

# Mean of each class (row) in each modality (column). Last column: standard deviation relative to the mean, both over
# the voxels of an image and over subjects.
# fmt: off
_TABLE = {
    #                      T1    T2    PD   MRA FLAIR   ADC   DWI   DTI  spread
    "background":        (.00,  .00,  .00,  .00,  .00,  .00,  .00,  .00, .00),
    "white_matter":      (.74,  .33,  .53,  .43,  .44,  .26,  .45,  .45, .04),
    "cortex":            (.46,  .48,  .66,  .49,  .58,  .30,  .55,  .56, .07),
    "thalamus":          (.60,  .40,  .60,  .46,  .50,  .27,  .51,  .51, .06),
    "caudate":           (.52,  .43,  .63,  .48,  .55,  .27,  .51,  .52, .05),
    "putamen":           (.57,  .40,  .62,  .47,  .53,  .26,  .49,  .50, .05),
    "pallidum":          (.68,  .27,  .55,  .43,  .40,  .26,  .37,  .38, .04),
    "hippocampus":       (.46,  .50,  .67,  .49,  .61,  .32,  .57,  .57, .06),
    "amygdala":          (.47,  .49,  .67,  .49,  .60,  .31,  .56,  .56, .06),
    "ventral_dc":        (.66,  .35,  .57,  .44,  .46,  .27,  .47,  .47, .07),
    "brain_stem":        (.62,  .37,  .56,  .43,  .47,  .26,  .47,  .47, .07),
    "cerebellum_white":  (.66,  .35,  .54,  .43,  .45,  .25,  .46,  .46, .04),
    "cerebellum_cortex": (.46,  .46,  .66,  .49,  .54,  .27,  .54,  .54, .08),
    "csf":               (.15,  .86,  .75,  .20,  .10,  .88,  .11,  .11, .10),
    "ventricle":         (.12,  .92,  .78,  .18,  .07,  .92,  .08,  .08, .05),
    "choroid":           (.34,  .66,  .70,  .53,  .48,  .62,  .30,  .30, .12),
    "artery":            (.30,  .10,  .20,  .96,  .15,  .25,  .06,  .06, .06),
    "vein_dura":         (.34,  .26,  .42,  .55,  .36,  .28,  .14,  .14, .15),
    "skull":             (.08,  .06,  .09,  .08,  .06,  .04,  .03,  .03, .30),
    "marrow":            (.58,  .34,  .46,  .36,  .36,  .10,  .08,  .08, .20),
    "scalp":             (.86,  .54,  .60,  .50,  .60,  .10,  .10,  .10, .14),
    "soft_tissue":       (.42,  .22,  .42,  .38,  .30,  .22,  .14,  .14, .20),
    "eye":               (.16,  .90,  .74,  .24,  .12,  .86,  .12,  .12, .06),
    "orbit":             (.46,  .36,  .50,  .43,  .42,  .26,  .22,  .22, .12),
    "mucosa":            (.42,  .62,  .58,  .43,  .62,  .42,  .28,  .28, .15),
}
# fmt: on

# Factor on the standard deviations, for modalities in which the tissues differ little.
_SPREAD_FACTOR = {"PD": 0.6, "MRA": 0.7}


def class_means(modality: str) -> np.ndarray:
    """Mean signal of each of `CLASSES` in [0, 1], float32. Raises ValueError for an unknown modality."""
    if modality not in MODALITIES:
        raise ValueError(f"modality {modality!r} is unknown, expected one of {', '.join(MODALITIES)}")
    return np.array([_TABLE[name][MODALITIES.index(modality)] for name in CLASSES], np.float32)


def class_spreads(modality: str) -> np.ndarray:
    """Standard deviation of the signal of each of `CLASSES`, float32, in the units of `class_means`."""
    relative = np.array([_TABLE[name][-1] for name in CLASSES], np.float32)
    return class_means(modality) * relative * np.float32(_SPREAD_FACTOR.get(modality, 1))
