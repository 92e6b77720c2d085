"""Label numbers of one segmentation protocol in those of another."""

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
