"""How a dataset is prepared: what a user may choose."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from input_pipeline.space.grid import SLICE_Y

Align = Literal["auto", "intensities"]


@dataclass(frozen=True)
class PrepareSettings:
    """How a dataset is prepared; each dataset uses some of it (`prepare.jobs.settings_of`).

    Attributes:
        slices: y of the coronal slices, mm in MNI152.
        segmentations: folder of the user's segmentations and brain masks (`brain_segmentation`), where they do not lie
            beside the images.
        align: how scans are aligned to MNI152. `auto`: by the centroids of the segmentation's structures, else by the
            image's intensities. `intensities`: always by intensities, so that labels have no influence.
        subjects: how many.
        subjects_per_map: how many are made of a label map, itself among them.
        swap_hemispheres: whether there are as many again with left and right exchanged.
        skull_stripped: share of the subjects whose images are, from 0 to 1.
        seed: of everything random.
    """

    slices: tuple[int, ...] = (SLICE_Y,)
    segmentations: Path | None = None
    align: Align = "auto"
    subjects: int = 40
    subjects_per_map: int = 1
    swap_hemispheres: bool = False
    skull_stripped: float = 0.5
    seed: int = 0


# These say how many subjects there are, not what a subject is like: they may change from run to run.
COUNTS = ("subjects", "subjects_per_map", "swap_hemispheres")
