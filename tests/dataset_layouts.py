"""Folder and file names of the datasets, in every layout that users have and `discover` must find."""

OASIS3_FOLDERS = (
    "OAS30001_MR_d0129/anat1",
    "sub-OAS30001/ses-d0129/anat",
    "OAS30001_MR_d0129/scans/anat1-T1w/resources/NIFTI/files",
    "OAS30001_MR_d0129/scans/anat1-T1w/resources/BIDS/files",
    "OAS30001_MR_d0129/anat1/NIFTI",
    "OAS30001_MR_d0129/anat1/BIDS",
)
OASIS3_FREESURFER_FOLDERS = (
    "freesurfer/OAS30001_MR_d0129/mri",
    "OAS30001_Freesurfer53_d0129/out/resources/DATA/files/OAS30001_MR_d0129/mri",
    "OAS30001_Freesurfer50_d0129/mri",
)

BRATS2021_FOLDERS = ("RSNA_ASNR_MICCAI_BraTS2021_TrainingData_16July2021/", "", "BraTS2021_TrainingSet/UCSF-PDGM/")

# For each modality; DTI without the direction.
IXI_FOLDERS = ("", "{}/", "IXI-{}/")

ATLAS2_FOLDERS = ("ATLAS_2/Training/R009/", "data/train/derivatives/ATLAS/", "")
ATLAS2_NAME = "sub-{0}/ses-1/anat/sub-{0}_ses-1_space-MNI152NLin2009aSym_{1}.nii.gz"
ATLAS2_MASK = "label-L_desc-T1lesion_mask"

# Image and label map.
HAMMERS_FILES = (
    ("Hammers_mith-n30r95/a01.nii.gz", "Hammers_mith-n30r95/a01-seg.nii.gz"),
    ("Hammers-MRIs-n30/a01.nii.gz", "Hammers-labelsets-n30r95/a01_IFHW_r95_zy.nii.gz"),
    ("HABAD-n30r95/a01.nii.gz", "HABAD-n30r95/a01-seg.nii.gz"),
    ("a01.nii", "a01-seg.nii"),
)

# DWI, ADC, FLAIR, mask.
ISLES2022_ZENODO = (
    "ISLES-2022/sub-strokecase{0}/ses-0001/dwi/sub-strokecase{0}_ses-0001_dwi.nii.gz",
    "ISLES-2022/sub-strokecase{0}/ses-0001/dwi/sub-strokecase{0}_ses-0001_adc.nii.gz",
    "ISLES-2022/sub-strokecase{0}/ses-0001/anat/sub-strokecase{0}_ses-0001_FLAIR.nii.gz",
    "ISLES-2022/derivatives/sub-strokecase{0}/ses-0001/sub-strokecase{0}_ses-0001_msk.nii.gz",
)
ISLES2022_CHALLENGE = (
    *(
        f"dataset/rawdata/sub-strokecase{{0}}/ses-0001/sub-strokecase{{0}}_ses-0001_{suffix}.nii.gz"
        for suffix in ("dwi", "adc", "flair")
    ),
    "dataset/derivatives/sub-strokecase{0}/ses-0001/sub-strokecase{0}_ses-0001_msk.nii.gz",
)

WMH2017_FOLDERS = (
    "training/Utrecht",
    "test/Singapore",
    "training/Amsterdam/GE3T",
    "test/Amsterdam/GE1T5",
    "test/Amsterdam/Philips_VU .PETMR_01.",
    "test/Amsterdam/Philips_VU_PETMR_01_",
    "Utrecht",
    "GE3T",
    "public",
    "",
)


def brats_case(number: str, *suffixes: str, folder: str = "") -> list[str]:
    """The files of a case, all of them or those with the suffixes."""
    case = f"BraTS2021_{number}"
    return [f"{folder}{case}/{case}_{suffix}.nii.gz" for suffix in suffixes or ("t1", "t1ce", "t2", "flair", "seg")]


def wmh_subject(folder: str, ending: str = ".nii.gz") -> list[str]:
    """The files of a subject, also those of no use."""
    orig = ("FLAIR", "T1", "3DT1", "3DT1_mask", "FLAIR_mask", "T1_mask")
    names = (*(f"orig/{name}" for name in orig), *(f"pre/{name}" for name in ("FLAIR", "T1", "3DT1")), "wmh")
    return [f"{folder}/{name}{ending}" for name in names]
