"""Which planes and positions episodes show, and where in them the images lie. Slices are all coronal."""

import numpy as np
from ml_collections import ConfigDict

from input_pipeline.space.grid import SLICE_SHAPE
from input_pipeline.store.table import PLANE_NAMES, SliceCollection
from input_pipeline.store.volume_table import VolumeCollection
from neuralizer_jax.errors import InputError


class Planes:
    """The planes and positions that are shown.

    Attributes:
        names: names of the planes.
        rows: `[R]` bool, the rows of the collection that are shown.
    """

    def __init__(self, config: ConfigDict, collection: SliceCollection, selected: tuple[str, ...]):
        """Finds the rows.

        Args:
            config: `config.default_config`, changed.
            collection: of slices or volumes.
            selected: names of the planes that are not held out.

        Raises:
            InputError: no plane is left, or one shows no brain at its positions.
        """
        self._collection = collection
        self.names: tuple[str, ...] = selected
        self.rows = collection.in_brain.copy()
        if not isinstance(collection, VolumeCollection):
            return
        settings = config.volumes.planes
        self.names = tuple(name for name in selected if settings[name].weight > 0)
        if not self.names:
            raise InputError("volumes.planes: no plane that is left has a weight above 0, expected one")
        for plane, name in enumerate(PLANE_NAMES):
            low, high = settings[name].positions
            own = collection.plane_of == plane
            self.rows &= ~own | ((collection.y >= low) & (collection.y <= high) & (name in self.names))
            if name in self.names and not self.rows[own].any():
                raise InputError(
                    f"volumes.planes.{name}.positions: no brain from {low} to {high} mm, expected a range of MNI152"
                )
        weights = np.array([settings[name].weight for name in self.names], float)
        self._weights = weights / weights.sum()

    def draw(self, rng: np.random.Generator, name: str = "") -> int:
        """Samples a plane by its weight, index into `PLANE_NAMES`; that of `name` if it is given."""
        if not name:
            name = self.names[0] if len(self.names) == 1 else self.names[rng.choice(len(self.names), p=self._weights)]
        return PLANE_NAMES.index(name)

    def rows_of(self, subject: int, plane: int) -> np.ndarray:
        """The rows of a subject that are shown: of a plane, or of any if none of the plane shows its brain."""
        rows = self._collection.rows_of(subject)
        of_plane = self.rows[rows] & (self._collection.plane_of[rows] == plane)
        return rows[of_plane if of_plane.any() else self.rows[rows]]


def middles(
    rng: np.random.Generator,
    extent: int,
    collection: VolumeCollection,
    row: int,
    classes: np.ndarray,
    protocol: str,
    flipped: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Samples the middle of images: near the class, or if there is none anywhere in the brain.

    Args:
        rng: source of the random numbers.
        extent: width of the images, mm.
        collection: the volumes.
        row: of the target.
        classes: labels of the segmented union; 0: none.
        protocol: of the labels.
        flipped: whether left and right are exchanged.

    Returns:
        The middle of the images, and that of the first class or the brain, `[2]` int64 along rows and columns, mm from
        the middle of the grid.
    """
    room = (SLICE_SHAPE[0] - extent) / 2
    jitter = rng.uniform(-1, 1, 2)
    middle, spread = collection.centre(row, int(classes[0]), protocol, flipped)
    # A class may lie anywhere in the image; of the brain, any part may be shown.
    reach = 0.25 * extent if classes.any() else 0.8 * spread
    centre = np.clip(np.round(middle + reach * jitter), -room, room)
    return centre.astype(np.int64), np.round(middle).astype(np.int64)
