"""The settings with which a dataset is prepared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from input_pipeline.space.grid import ALL_Y, SLICE_Y

Align = Literal["auto", "intensities"]


@dataclass(frozen=True)
class PrepareSettings:
    """The settings with which a dataset is prepared; each dataset uses some of them (`prepare.jobs.settings_of`).

    Attributes:
        volumes: whether whole volumes are stored, from which training cuts slices in any plane, or coronal slices.
        slices: y of the coronal slices, mm in MNI152.
        segmentations: folder of the user's segmentations and brain masks, if they are not beside the images
            (`raw.derivatives`).
        align: how scans are aligned to MNI152. `auto`: by the centroids of the segmentation's structures, or by the
            image's intensities if there is no segmentation. `intensities`: always by intensities, as for a new scan,
            which has no labels.
        subjects: number of subjects of the phantom.
        subjects_per_map: subjects made from each label map, including the map itself.
        swap_hemispheres: whether each of them is made a second time with left and right exchanged.
        skull_stripped: share of subjects with skull-stripped images, from 0 to 1.
        seed: of everything random.
    """

    volumes: bool = False
    slices: tuple[int, ...] = (SLICE_Y,)
    segmentations: Path | None = None
    align: Align = "auto"
    subjects: int = 40
    subjects_per_map: int = 1
    swap_hemispheres: bool = False
    skull_stripped: float = 0.5
    seed: int = 0

    @property
    def y(self) -> tuple[int, ...]:
        """The coronal planes of a record, mm in MNI152: a volume has all of them."""
        return ALL_Y if self.volumes else self.slices


# These change the number of subjects, not the subjects: they may differ between runs in one folder.
COUNTS = ("subjects", "subjects_per_map", "swap_hemispheres")
