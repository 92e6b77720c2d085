"""What each tissue looks like in each modality, and which tissue each FreeSurfer-style label value is.

The means are typical signal relative to the brightest tissue of a full-head scan, after the usual percentile scaling
to [0, 1]. They follow the textbook order of the relaxation times at 1.5 to 3 T (Stanisz et al. 2005, MRM 54:507;
Wansapura et al. 1999, JMRI 9:531) and of diffusivity (white and grey matter 0.7 to 0.9, CSF 3.0 um^2/ms): T1 white >
grey > CSF; T2 and PD (long TR) CSF > grey > white; FLAIR grey > white > CSF; ADC CSF highest; DWI and DTI CSF dark, no
fat signal; MRA (time of flight) arteries brightest, background suppressed.
"""

import numpy as np

from input_pipeline.space.modalities import MODALITIES

# Mean a class (row) and modality (column, the order of `MODALITIES`); the last column is the class's spread: its
# standard deviation relative to the mean, over the voxels of one image and over subjects alike.
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

CLASSES = tuple(_TABLE)

# Where the tissues differ little, they vary little too: factor on the spreads.
_SPREAD_OF_MODALITY = {"PD": 0.6, "MRA": 0.7}

# The classes that belong to the brain. CSF around the brain (`csf`) counts where it is close to one of them.
BRAIN_CLASSES = (*CLASSES[1:13], "ventricle", "choroid")

# Label values of each class. Up to 85: FreeSurfer's colour table; 136, 137, 163, 164: voxels at the edge of the
# ventricles, along the fornix and in the temporal horn (choroid plexus). 5xx: the extra-cerebral classes of SynthSeg's
# published training maps, which come without names; named here after where they lie and how large they are (mean
# volume in ml):
# 502 carotid arteries, tubes through the neck into the skull base (8); 506 eye balls (12); 507 muscle, fat and other
# soft tissue from below the scalp to the neck (1216); 508 muscle cone behind each eye (3); 509 nasal mucosa (37);
# 511 outermost 5 mm, skin and scalp (345); 512 spinal cord below the brain stem (4); 514 dural sinuses and dura (29);
# 515 cortical bone, both tables of the skull and its base (441); 516 marrow: diploe, clivus, vertebrae (90);
# 530 optic nerves (1). Air (sinuses, pharynx, ear) is 0.
_LABELS = {
    "white_matter": (2, 41, 25, 57, 77, 78, 79, 85, *range(251, 256), *range(3000, 3036), *range(4000, 4036)),
    "cortex": (3, 42, *range(1000, 1036), *range(2000, 2036)),
    "thalamus": (9, 10, 48, 49),
    "caudate": (11, 50, 26, 58),
    "putamen": (12, 51),
    "pallidum": (13, 52),
    "hippocampus": (17, 53),
    "amygdala": (18, 54),
    "ventral_dc": (28, 60),
    "brain_stem": (16, 512),
    "cerebellum_white": (7, 46),
    "cerebellum_cortex": (8, 47),
    "csf": (24,),
    "ventricle": (4, 43, 5, 44, 14, 15, 72),
    "choroid": (31, 63, 136, 137, 163, 164),
    "artery": (30, 62, 502),
    "vein_dura": (514,),
    "skull": (515,),
    "marrow": (516,),
    "scalp": (511,),
    "soft_tissue": (507,),
    "eye": (506,),
    "orbit": (508, 530),
    "mucosa": (509,),
}
_CLASS_OF_LABEL = np.zeros(4096, np.uint8)
for _name, _values in _LABELS.items():
    _CLASS_OF_LABEL[list(_values)] = CLASSES.index(_name)
_CLASS_OF_LABEL.flags.writeable = False

# Spinal cord has the brain stem's contrast but is not brain.
SPINAL_CORD = 512


def class_indices(labels: np.ndarray) -> np.ndarray:
    """Index into `CLASSES` of each label value, uint8. Values without a class are background."""
    labels = np.asarray(labels)
    known = (labels >= 0) & (labels < _CLASS_OF_LABEL.size)
    return _CLASS_OF_LABEL[np.where(known, labels, 0).astype(np.int64)]


def class_means(modality: str) -> np.ndarray:
    """Mean signal of each of `CLASSES` in [0, 1], float32. Raises ValueError for an unknown modality."""
    if modality not in MODALITIES:
        raise ValueError(f"modality {modality!r} is unknown, expected one of {', '.join(MODALITIES)}")
    return np.array([row[MODALITIES.index(modality)] for row in _TABLE.values()], np.float32)


def class_spreads(modality: str) -> np.ndarray:
    """Standard deviation of the signal of each of `CLASSES`, float32, in the units of `class_means`."""
    relative = np.array([row[-1] for row in _TABLE.values()], np.float32)
    return class_means(modality) * relative * np.float32(_SPREAD_OF_MODALITY.get(modality, 1))
