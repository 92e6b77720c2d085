"""Names of image modalities."""

# A diffusion-tensor series has one image per direction: DTI-00, DTI-01, ...
MODALITIES = ("T1", "T2", "PD", "MRA", "FLAIR", "ADC", "DWI", "DTI")


def series_of(modality: str) -> str:
    """The modality without its diffusion direction.

    >>> series_of("DTI-05"), series_of("T1")
    ('DTI', 'T1')
    """
    return modality.partition("-")[0]
