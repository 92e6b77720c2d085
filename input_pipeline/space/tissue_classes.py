"""Which tissue each FreeSurfer-style label is."""

import numpy as np

# Labels of each tissue class. Labels up to 85 are those of FreeSurfer's colour table; 136, 137, 163 and 164 are voxels
# at the edge of the ventricles, along the fornix and in the temporal horn (choroid plexus). 5xx are the extra-cerebral
# classes of SynthSeg's published training maps, which come without names; these follow from position and size (mean
# volume in ml):
# 502 carotid arteries, tubes through the neck into the skull base (8); 506 eyeballs (12); 507 muscle, fat and other
# soft tissue from below the scalp to the neck (1216); 508 muscle cone behind each eye (3); 509 nasal mucosa (37);
# 511 outermost 5 mm, skin and scalp (345); 512 spinal cord below the brain stem (4); 514 dural sinuses and dura (29);
# 515 cortical bone, both tables of the skull and its base (441); 516 marrow: diploe, clivus, vertebrae (90);
# 530 optic nerves (1). Air (sinuses, pharynx, ear) is 0. 165, 257, 258 and 259 are SAMSEG's skull, CSF, head and eyes.
_LABELS: dict[str, tuple[int, ...]] = {
    "background": (),
    "white_matter": (2, 41, 25, 57, 77, 78, 79, 85, *range(251, 256), *range(3000, 5000), 5001, 5002),
    "cortex": (3, 42, 19, 20, 55, 56, *range(1000, 3000), *range(11100, 11200), *range(12100, 12200)),
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
    "csf": (24, 257),
    "ventricle": (4, 43, 5, 44, 14, 15, 72),
    "choroid": (31, 63, 136, 137, 163, 164),
    "artery": (30, 62, 502),
    "vein_dura": (514,),
    "skull": (515, 165),
    "marrow": (516,),
    "scalp": (511,),
    "soft_tissue": (507, 258),
    "eye": (506, 259),
    "orbit": (508, 530),
    "mucosa": (509,),
}

CLASSES = tuple(_LABELS)

# The classes that belong to the brain. CSF around the brain (`csf`) counts only near one of them.
BRAIN_CLASSES = (*CLASSES[1:13], "ventricle", "choroid")

# The spinal cord has the brain stem's contrast but is not brain.
SPINAL_CORD = 512

_CLASS_OF_LABEL = np.zeros(2**14, np.uint8)
for _name, _values in _LABELS.items():
    _CLASS_OF_LABEL[list(_values)] = CLASSES.index(_name)
_CLASS_OF_LABEL.flags.writeable = False


def class_indices(labels: np.ndarray) -> np.ndarray:
    """Index into `CLASSES` of each label, uint8. Unknown labels are background.

    >>> [CLASSES[index] for index in class_indices(np.array([2, 1012, 43, 9999]))]
    ['white_matter', 'cortex', 'ventricle', 'background']
    """
    labels = np.asarray(labels)
    known = (labels >= 0) & (labels < _CLASS_OF_LABEL.size)
    return _CLASS_OF_LABEL[np.where(known, labels, 0).astype(np.int64)]
