"""A population of heads made of nothing but the MNI152 template that nilearn ships.

One label map (`phantom_brain` inside, `phantom_head` around it), symmetric as the template is, and subjects made of it
by warping. The labels are those of `contrast_table`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from input_pipeline import mni_grid
from input_pipeline.anatomy_variation import vary_anatomy
from input_pipeline.phantom_brain import brain_labels
from input_pipeline.phantom_head import head_labels
from input_pipeline.random_field import generator


@lru_cache(maxsize=1)
def phantom_label_map() -> tuple[np.ndarray, np.ndarray]:
    """The label map, read-only uint16 on the grid of `mni_grid`, and its affine. Takes some seconds once a process."""
    labels = head_labels(brain_labels()).astype(np.uint16)
    affine = mni_grid.AFFINE.copy()
    for array in (labels, affine):
        array.flags.writeable = False
    return labels, affine


@dataclass(frozen=True)
class PhantomSubject:
    """One head of the phantom population.

    Attributes:
        seed: of everything random in it; also for `synthesis.synthesize_image`.
        slab: labels `[192, planes, 192]` uint16 in RAS order around the coronal slice, which is the middle plane.
    """

    seed: int
    slab: np.ndarray

    def coronal(self, slab: np.ndarray | None = None) -> np.ndarray:
        """The slice `[192, 192]` of the labels, or of an image synthesised from `slab`."""
        slab = self.slab if slab is None else slab
        return mni_grid.coronal_image(slab, slab.shape[1] // 2)


def phantom_subjects(count: int, seed: int, y: int = mni_grid.SLICE_Y, planes: int = 3) -> Iterator[PhantomSubject]:
    """Warped copies of the phantom: subject i is the same whatever the count.

    Args:
        count: how many.
        seed: of the population.
        y: the coronal slice, mm.
        planes: thickness of the slab in mm, odd: synthesis blurs over the neighbours.
    """
    if planes < 1 or planes % 2 == 0:
        raise ValueError(f"planes is {planes}, expected an odd number")
    labels, _ = phantom_label_map()
    middle = mni_grid.coronal_index(y)
    region = range(middle - planes // 2, middle + planes // 2 + 1)
    for index in range(count):
        own = subject_seed(seed, index)
        yield PhantomSubject(own, vary_anatomy(labels, own, region))


def subject_seed(seed: int, index: int) -> int:
    """The seed of a subject of the population of `seed`."""
    return int(generator(seed, "population", index).integers(2**32))
