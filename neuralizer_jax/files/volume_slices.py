"""Which plane of a volume, and how it lies: array shape + affine + choice in, a `Plane` that cuts and puts back out.

World coordinates are RAS millimetres, as an affine of nibabel gives them: +x right, +y anterior, +z superior.
A cut plane [H, W] always lies the same way, whatever order and direction the file's axes have:

| fixed axis   | rows (first to last)  | columns (first to last) |
| ------------ | --------------------- | ----------------------- |
| x (sagittal) | superior to inferior  | posterior to anterior   |
| y (coronal)  | superior to inferior  | left (-x) to right (+x) |
| z (axial)    | anterior to posterior | left (-x) to right (+x) |

For an oblique affine the file's axes are named after the world axes they are closest to, and the plane is cut along
the file's grid: nothing is interpolated.
"""

import math
import re
from dataclasses import dataclass

import numpy as np

from neuralizer_jax.errors import InputError

_WORLD = "xyz"
# Fixed world axis -> the world axes along which the rows and the columns run. Rows start at the high end of theirs
# (superior, anterior), columns at the low end (left, posterior).
_ROWS = (2, 2, 1)
_COLUMNS = (1, 0, 0)

_WORLD_FORM = re.compile(r"([xyz])=([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))", re.IGNORECASE)
_VOXEL_FORM = re.compile(r"([0-2])/([0-9]{1,9})")


@dataclass(frozen=True)
class SliceChoice:
    """One plane of a volume, as a user names it.

    axis: 0-2; a RAS world axis (x, y, z) where `world`, else an axis of the file's own array.
    position: millimetres along the world axis, or a voxel index.
    """

    world: bool
    axis: int
    position: float

    def __str__(self) -> str:
        """Write the choice as `parse_slice` reads it."""
        return f"{_WORLD[self.axis]}={self.position:g}" if self.world else f"{self.axis}/{self.position}"


@dataclass(frozen=True)
class Plane:
    """One plane of an array of `shape`, and the [H, W] image of it.

    shape: the file's array, two axes or more, those after the third all of length 1.
    axis, index: the array axis (0-2) that stands still, and where.
    rows, columns: the array axes that the image's rows and columns step along.
    flip_rows, flip_columns: whether the image runs against the array there.
    whole: the array is this plane and nothing else.
    """

    shape: tuple[int, ...]
    axis: int
    index: int
    rows: int
    columns: int
    flip_rows: bool
    flip_columns: bool
    whole: bool

    @property
    def slicer(self) -> tuple[int | slice, ...]:
        """What to index the file's array with, to read this plane and no more."""
        free = (self.rows, self.columns)
        index = (*(self.index if a == self.axis else 0 for a in range(len(self.shape))),)
        return tuple(slice(None) if a in free else i for a, i in enumerate(index))

    def to_image(self, cut: np.ndarray) -> np.ndarray:
        """Turn `array[plane.slicer]` into the image [H, W] as displayed."""
        image = cut if self.rows < self.columns else cut.T
        return image[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]

    def to_array(self, image: np.ndarray) -> np.ndarray:
        """Put an image [H, W] back into the file's axis order: [the file's shape], with 1 along a cut axis.

        Raises ValueError when the image has another shape than this plane.
        """
        lengths = (*self.shape, 1)[:3] if len(self.shape) == 2 else self.shape[:3]
        if image.shape != (lengths[self.rows], lengths[self.columns]):
            raise ValueError(f"an image {image.shape} does not fit a plane of {lengths}, axis {self.axis} fixed")
        image = image[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]
        cut = image if self.rows < self.columns else image.T
        if self.whole:
            return cut.reshape(self.shape)
        return np.expand_dims(cut, self.axis)


def parse_slice(text: str) -> SliceChoice:
    """Read `y=-17` (a world coordinate, mm, RAS) or `1/112` (array axis / voxel index, both from 0).

    Raises:
        InputError: any other text.
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
    """Find the plane of an array of `shape` with voxel-to-RAS `affine` [4, 4].

    An array with at most two axes longer than 1 is an image already: its one plane is taken and `choice` is not
    needed. In a volume, a world coordinate takes the plane whose centre is nearest to it (of two equally near, the
    lower one) and may lie up to half a voxel outside the outermost centres.

    Raises:
        InputError: a volume without a choice, a choice outside the volume, an array that is neither image nor volume,
            or an affine that does not span three dimensions. The message does not name the file.
    """
    lengths = _spatial_lengths(shape)
    directions = _directions(affine)
    whole = sum(n > 1 for n in lengths) < 3
    if whole:
        axis, index = max(a for a in range(3) if lengths[a] == 1), 0
    elif choice is None:
        raise InputError(
            f"is a volume of {_times(lengths)} voxels: choose one plane of it, "
            f"for example --slice y=-17 (mm) or --slice 1/{lengths[1] // 2} (array axis/index)"
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
        rows=rows,
        columns=columns,
        flip_rows=directions[rows][1] > 0,
        flip_columns=directions[columns][1] < 0,
        whole=whole,
    )


def _spatial_lengths(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The lengths of the three spatial axes; a missing third one counts as 1."""
    if len(shape) < 2 or min(shape) < 1:
        raise InputError(f"has the shape {_times(shape)}: expected a 2-D image or a 3-D volume")
    if any(n > 1 for n in shape[3:]):
        raise InputError(f"has {len(shape)} axes ({_times(shape)}): expected a 2-D image or one 3-D volume")
    return (*shape, 1)[:3]


def _directions(affine: np.ndarray) -> list[tuple[int, int]]:
    """For each array axis, the world axis it is closest to and +1 or -1, whether it runs with or against it."""
    from nibabel.orientations import io_orientation

    edges = affine[:3, :3]
    volume = math.prod(np.linalg.norm(edges, axis=0))
    # 1e-4 of the volume a rectangular voxel with these edges has: the axes lie in one plane, rounding apart.
    if not np.isfinite(affine).all() or not abs(np.linalg.det(edges)) > 1e-4 * volume:
        raise InputError("has an affine that does not span three dimensions: its orientation cannot be told")
    return [(int(world), int(sign)) for world, sign in io_orientation(affine)]


def _nearest_plane(
    lengths: tuple[int, int, int], affine: np.ndarray, directions: list[tuple[int, int]], choice: SliceChoice
) -> tuple[int, int]:
    """The array axis and index of the plane whose centre is nearest to a world coordinate."""
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
    # Counted from the low end and rounded before the tie is broken, so that a flipped copy of the volume gives the
    # same plane although its affine has other rounding errors.
    steps = math.ceil(round((choice.position - low) / step, 6) - 0.5)
    steps = min(max(steps, 0), lengths[axis] - 1)
    return axis, steps if ends[0] == low else lengths[axis] - 1 - steps


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
