"""Where a displayed plane lies in the world, and how two planes differ.

World coordinates are RAS millimetres. Planes are displayed alike for any storage (`planes`), so two planes can be laid
on each other if they show the same world axis and have pixels of the same size.
"""

from dataclasses import dataclass

import numpy as np

VIEWS = ("a sagittal", "a coronal", "an axial")

# A label map lies on its image if no corner is further away than this, in voxels. Rotations are stored as rounded
# quaternions, which moves corners by a hundredth of a voxel.
SAME_PLACE = 0.25

# Pixels count as equal if their sizes differ by less. Heads differ by as much from person to person.
_SAME_SPACING = 0.05


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where the pixels of a displayed image lie.

    affine: `[4, 4]`, (row, column, plane, 1) of the image to RAS mm.
    shape: `(H, W)`.
    fixed: the fixed world axis, 0 to 2; see VIEWS.
    code: the kind of space, as `volumes.OpenVolume`; 0: the orientation is not known.
    """

    affine: np.ndarray
    shape: tuple[int, ...]
    fixed: int
    code: int

    @property
    def spacing(self) -> tuple[float, float]:
        """Size of a pixel along rows and along columns, mm."""
        rows, columns = np.linalg.norm(self.affine[:3, :2], axis=0)
        return float(rows), float(columns)

    @property
    def view(self) -> str:
        """The name of the plane, one of VIEWS."""
        return VIEWS[self.fixed]

    @property
    def sides(self) -> tuple[str, str] | None:
        """What is at the left and right edge of the image, `("L", "R")` or `("P", "A")`; None if unknown."""
        return (("P", "A") if self.fixed == 0 else ("L", "R")) if self.code else None

    @property
    def centre(self) -> np.ndarray:
        """The middle of the image, `[3]`, RAS mm."""
        height, width = self.shape
        return (self.affine @ [(height - 1) / 2, (width - 1) / 2, 0, 1])[:3]

    def spacing_text(self) -> str:
        """For messages: `2 x 2 mm`, rows first."""
        return " x ".join(f"{size:.3g}" for size in self.spacing) + " mm"


def lies_on(own: Geometry, other: Geometry) -> bool:
    """Whether the pixels of two images of one shape lie at the same places, within a quarter of a voxel of `other`.

    >>> one = Geometry(np.diag([2.0, 2, 2, 1]), (10, 10), 1, 1)
    >>> moved = Geometry(np.diag([2.0, 2, 2, 1]) + np.eye(4, k=3) * 0.6, (10, 10), 1, 1)
    >>> lies_on(one, one), lies_on(moved, one)
    (True, False)
    """
    height, width = own.shape
    corners = np.array([(0, 0, 0, 1), (height - 1, 0, 0, 1), (0, width - 1, 0, 1), (height - 1, width - 1, 0, 1)]).T
    moved = np.linalg.solve(other.affine, own.affine @ corners) - corners
    return bool(np.abs(moved).max() <= SAME_PLACE)


def same_spacing(one: Geometry, other: Geometry) -> bool:
    """Whether the pixels of two images have the same size, within 5 %."""
    ratio = np.divide(one.spacing, other.spacing)
    return bool(np.maximum(ratio, 1 / ratio).max() <= 1 + _SAME_SPACING)


def tilt(one: Geometry, other: Geometry) -> float:
    """The largest angle between corresponding axes of two planes, in degrees.

    >>> turned = np.eye(4)
    >>> turned[:2, :2] = [[0.94, -0.342], [0.342, 0.94]]
    >>> round(tilt(Geometry(np.eye(4), (10, 10), 1, 1), Geometry(turned, (10, 10), 1, 1)))
    20
    """
    directions = [g.affine[:3, :3] / np.linalg.norm(g.affine[:3, :3], axis=0) for g in (one, other)]
    cosines = np.abs((directions[0] * directions[1]).sum(axis=0))
    return float(np.degrees(np.arccos(np.clip(cosines.min(), 0, 1))))
