"""Planes of volumes: which plane of an array `--slice` names, and how it is cut out and put back.

World coordinates are RAS millimetres, as in nibabel: +x right, +y anterior, +z superior. A plane [H, W] is always
displayed the same way, for any order and direction of the file's axes:

| fixed axis   | rows (first to last)  | columns (first to last) |
| ------------ | --------------------- | ----------------------- |
| x (sagittal) | superior to inferior  | posterior to anterior   |
| y (coronal)  | superior to inferior  | left (-x) to right (+x) |
| z (axial)    | anterior to posterior | left (-x) to right (+x) |

In an oblique volume each array axis counts as the world axis it is closest to. The plane is cut along the array axes,
without interpolation.
"""

import math
import re
from dataclasses import dataclass

import numpy as np

from neuralizer_jax.errors import InputError

_WORLD = "xyz"
# Fixed world axis -> world axes of the rows and of the columns. Rows start at the high end (superior, anterior),
# columns at the low end (left, posterior).
_ROWS = (2, 2, 1)
_COLUMNS = (1, 0, 0)

# Volume of a voxel relative to that of a box with its edges: 1 for a box, 0 if its axes lie in a plane.
_MIN_VOLUME = 1e-3

_WORLD_FORM = re.compile(r"([xyz])=([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))", re.IGNORECASE)
_VOXEL_FORM = re.compile(r"([0-2])/([0-9]{1,9})")


@dataclass(frozen=True)
class SliceChoice:
    """A plane of a volume as a user names it.

    world: `axis` is a world axis (x, y, z); otherwise an array axis of the file.
    axis: 0 to 2.
    position: millimetres along a world axis; otherwise a voxel index.
    """

    world: bool
    axis: int
    position: float

    def __str__(self) -> str:
        """Returns the text that `parse_slice` reads."""
        return f"{_WORLD[self.axis]}={self.position:g}" if self.world else f"{self.axis}/{self.position}"


@dataclass(frozen=True)
class Plane:
    """One plane of an array, and how the image [H, W] is made of it.

    shape: shape of the array: two or more axes, those after the third of length 1.
    axis, index: the fixed array axis (0 to 2) and the index on it.
    fixed: the world axis (0 to 2) that is fixed: 0 in a sagittal, 1 in a coronal, 2 in an axial plane.
    rows, columns: array axes of the image's rows and columns.
    flip_rows, flip_columns: the image runs against that array axis.
    whole: the array consists of this plane alone.
    """

    shape: tuple[int, ...]
    axis: int
    index: int
    fixed: int
    rows: int
    columns: int
    flip_rows: bool
    flip_columns: bool
    whole: bool

    @property
    def slicer(self) -> tuple[int | slice, ...]:
        """Index that cuts this plane out of the array."""
        free = (self.rows, self.columns)
        axes = range(len(self.shape))
        return tuple(slice(None) if a in free else self.index if a == self.axis else 0 for a in axes)

    @property
    def pixel_to_voxel(self) -> np.ndarray:
        """`[4, 4]`: (row, column, plane, 1) of the displayed image to the array's index."""
        matrix = np.zeros((4, 4))
        matrix[self.axis, 2:] = 1, self.index
        matrix[3, 3] = 1
        for column, (axis, flip) in enumerate(((self.rows, self.flip_rows), (self.columns, self.flip_columns))):
            matrix[axis, column] = -1 if flip else 1
            matrix[axis, 3] = (*self.shape, 1)[axis] - 1 if flip else 0
        return matrix

    def to_image(self, cut: np.ndarray) -> np.ndarray:
        """Turns `array[plane.slicer]` into the displayed image [H, W]."""
        image = cut if self.rows < self.columns else cut.T
        return image[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]

    def to_array(self, image: np.ndarray) -> np.ndarray:
        """Turns an image [H, W] back into the array's axis order, with length 1 along the fixed axis.

        Raises:
            ValueError: the image has another shape than this plane.
        """
        lengths = (*self.shape, 1)[:3]
        if image.shape != (lengths[self.rows], lengths[self.columns]):
            raise ValueError(f"an image {image.shape} does not fit a plane of {lengths}, axis {self.axis} fixed")
        image = image[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]
        cut = image if self.rows < self.columns else image.T
        if self.whole:
            return cut.reshape(self.shape)
        return np.expand_dims(cut, self.axis)


def parse_slice(text: str) -> SliceChoice:
    """Reads `y=-17` (world axis and mm, RAS) or `1/112` (array axis and voxel index, both from 0).

    Raises:
        InputError: any other text.

    Example:
        >>> parse_slice("y=-17")
        SliceChoice(world=True, axis=1, position=-17.0)
        >>> str(parse_slice("1/112"))
        '1/112'
    """
    stripped = text.strip()
    if match := _WORLD_FORM.fullmatch(stripped):
        return SliceChoice(True, _WORLD.index(match[1].lower()), float(match[2]))
    if match := _VOXEL_FORM.fullmatch(stripped):
        return SliceChoice(False, int(match[1]), int(match[2]))
    raise InputError(
        f"slice {text!r}: expected a world axis and millimetres, such as y=-17, "
        "or an array axis (0-2) and a voxel index, such as 1/112"
    )


def locate_plane(shape: tuple[int, ...], affine: np.ndarray, choice: SliceChoice | None) -> Plane:
    """Finds the chosen plane of an array.

    Args:
        shape: shape of the array; axes after the third have length 1.
        affine: `[4, 4]`, voxel to RAS mm.
        choice: the plane of a volume. A world coordinate selects the plane with the nearest centre (the lower one of
            two), and may lie half a voxel outside the outermost centres. An array with at most two axes longer than 1
            is an image, which needs no choice.

    Raises:
        InputError: without the name of the file: a volume without a choice, a choice outside the volume, or an affine
            that does not span three dimensions.

    Example:
        >>> plane = locate_plane((64, 80, 72), np.diag([2.0, 2, 2, 1]), parse_slice("y=21"))
        >>> plane.axis, plane.index, plane.to_image(np.zeros((64, 72))).shape
        (1, 10, (72, 64))
    """
    lengths = (shape[0], shape[1], (*shape, 1)[2])
    directions = axis_directions(affine)
    whole = sum(n > 1 for n in lengths) < 3
    if whole:
        axis, index = max(a for a in range(3) if lengths[a] == 1), 0
    elif choice is None:
        raise InputError(
            f"is a volume of {' x '.join(map(str, lengths))} voxels, expected a choice of a plane, "
            f"such as --slice y=-17 (mm) or --slice 1/{lengths[1] // 2} (array axis/index)"
        )
    elif choice.world:
        axis, index = _nearest_plane(lengths, affine, directions, choice)
    else:
        axis, index = choice.axis, int(choice.position)
        if index >= lengths[axis]:
            raise InputError(f"slice {choice} is outside the volume: axis {axis} has indices 0 to {lengths[axis] - 1}")
    fixed = directions[axis][0]
    array_axis = {world: a for a, (world, _) in enumerate(directions)}
    rows, columns = array_axis[_ROWS[fixed]], array_axis[_COLUMNS[fixed]]
    return Plane(
        shape=tuple(shape),
        axis=axis,
        index=index,
        fixed=fixed,
        rows=rows,
        columns=columns,
        flip_rows=directions[rows][1] > 0,
        flip_columns=directions[columns][1] < 0,
        whole=whole,
    )


def axis_directions(affine: np.ndarray) -> list[tuple[int, int]]:
    """Returns for each array axis the closest world axis, and +1 or -1 for its direction.

    Raises:
        InputError: the affine is not finite or does not span three dimensions.
    """
    from nibabel.orientations import io_orientation

    if not np.isfinite(affine).all():
        raise InputError("its affine holds NaN or infinity, expected finite numbers")
    edges = affine[:3, :3]
    if abs(np.linalg.det(edges)) <= _MIN_VOLUME * np.linalg.norm(edges, axis=0).prod():
        raise InputError("its affine is singular, expected voxels with a size along three directions")
    return [(int(world), int(sign)) for world, sign in io_orientation(affine)]


def _nearest_plane(
    lengths: tuple[int, int, int], affine: np.ndarray, directions: list[tuple[int, int]], choice: SliceChoice
) -> tuple[int, int]:
    """Returns the array axis and index of the plane with the centre nearest to a world coordinate."""
    axis = next(a for a, (world, _) in enumerate(directions) if world == choice.axis)
    centre = (np.array(lengths) - 1) / 2
    ends = []
    for index in (0, lengths[axis] - 1):
        centre[axis] = index
        ends.append(float((affine[:3, :3] @ centre + affine[:3, 3])[choice.axis]))
    low, high = min(ends), max(ends)
    step = abs(float(affine[choice.axis, axis]))
    if not (low - step / 2 <= choice.position <= high + step / 2):
        name = _WORLD[choice.axis]
        raise InputError(f"slice {choice} is outside the volume: {name} runs from {low:.1f} to {high:.1f} mm")
    # Counted from the low end and rounded before a tie is broken, so that a flipped copy of the volume gives the same
    # plane in spite of other rounding errors.
    steps = math.ceil(round((choice.position - low) / step, 6) - 0.5)
    steps = min(max(steps, 0), lengths[axis] - 1)
    return axis, steps if ends[0] == low else lengths[axis] - 1 - steps
