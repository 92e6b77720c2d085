"""Scans and annotated examples as they come: from arrays with affines, nibabel images, or files.

The axes of an array are kept in the order they have. Computations use the closest RAS order (`Scan.canonical`), so that
all 48 ways to store a scan give the same result.
"""

from dataclasses import dataclass

import numpy as np

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.image_formats import smallest_integers, whole_numbers
from neuralizer_jax.files.planes import axis_directions

# A plane or two hold no structure to segment in 3-D.
_LEAST_PLANES = 3

# An affine is stored in float32, and changes in its last digits when axes are turned. In mm.
_DIGITS = 5


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan, with its axes in any order.

    Attributes:
        values: float32 `[X, Y, Z]`, in any unit, finite.
        affine: float64 `[4, 4]`, voxel -> world in mm (RAS).
        name: what messages call the scan, usually its file.
        to_mni: float64 `[4, 4]`, world in mm -> MNI152 in mm where it is known already; None: found by registration.

    Raises:
        InputError: for another number of axes, fewer than three planes, values that are not finite real numbers, a
            constant scan, or an affine that is none.

    Example:
        >>> scan = Scan(np.arange(60).reshape(3, 4, 5), np.diag([-2.0, 1, 1, 1]))
        >>> scan.values.dtype, scan.canonical().affine[0, 0]
        (dtype('float32'), np.float64(2.0))
    """

    values: np.ndarray
    affine: np.ndarray
    name: str = "scan"
    to_mni: np.ndarray | None = None

    def __post_init__(self) -> None:  # noqa: D105
        values = _volume(self.values, self.name)
        if values.dtype.kind not in "biuf":
            raise InputError(f"{self.name}: holds {values.dtype}, expected real numbers")
        values = np.asarray(values, np.float32)
        if not np.isfinite(values).all():
            raise InputError(f"{self.name}: holds NaN or infinite values, expected finite numbers")
        if values.min() == values.max():
            raise InputError(f"{self.name}: is constant (all voxels are {values.flat[0]:g}), expected an image")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "affine", _affine(self.affine, self.name))
        if self.to_mni is not None:
            object.__setattr__(self, "to_mni", _affine(self.to_mni, f"{self.name}: to_mni"))

    def canonical(self) -> "Scan":
        """The same scan with its axes in the closest RAS order; a view."""
        return Scan(*to_ras(self.values, self.affine), self.name, self.to_mni)


@dataclass(frozen=True, eq=False)
class Example:
    """An annotated scan.

    Attributes:
        scan: the scan.
        labels: `[X, Y, Z]` on the scan's voxels, whole numbers of at least 0, 0 the background.
        annotated: the labels that were looked for, in ascending order: the scan shows none of them where `labels` does
            not. None becomes the labels that occur.

    Raises:
        InputError: for labels on other voxels than the scan's, that are not whole numbers, or all 0 although nothing is
            said to be annotated.

    Example:
        >>> scan = Scan(np.arange(60).reshape(3, 4, 5), np.eye(4))
        >>> Example(scan, scan.values > 30).annotated
        (1,)
    """

    scan: Scan
    labels: np.ndarray
    annotated: tuple[int, ...] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:  # noqa: D105
        labels = np.asarray(self.labels)
        if labels.shape != self.scan.values.shape:
            raise InputError(
                f"{self.scan.name}: its labels have shape {labels.shape}, expected that of the scan,"
                f" {self.scan.values.shape}"
            )
        try:
            labels = whole_numbers(labels, np.int32)
        except InputError as error:
            raise InputError(f"labels of {self.scan.name}: {error}") from None
        present = set(np.unique(labels[labels != 0]).tolist())
        if min(present, default=0) < 0:
            raise InputError(f"labels of {self.scan.name}: hold {min(present)}, expected 0 or more")
        if not present and not self.annotated:
            raise InputError(f"labels of {self.scan.name}: are 0 everywhere, expected at least one labelled voxel")
        object.__setattr__(self, "labels", smallest_integers(labels, (np.uint16, np.int32)))
        wanted = present if self.annotated is None else set(self.annotated) - {0}
        object.__setattr__(self, "annotated", tuple(sorted(wanted)))


def to_ras(values: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A volume with its axes in the closest RAS order, and its affine; a view.

    Example:
        >>> to_ras(np.arange(3).reshape(3, 1, 1), np.diag([-1.0, 1, 1, 1]))[0].ravel()
        array([2, 1, 0])
    """
    directions = axis_directions(affine)
    axes = [axis for axis, _ in directions]
    turned = affine.copy()
    result = values
    for axis, (_, sign) in enumerate(directions):
        if sign < 0:
            result = np.flip(result, axis)
            turned[:3, 3] += turned[:3, axis] * (values.shape[axis] - 1)
            turned[:3, axis] *= -1
    order = np.argsort(axes)
    turned[:3, :3] = turned[:3, order]
    return result.transpose(order), np.round(turned, _DIGITS) + 0.0


def _volume(values: np.ndarray, name: str) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != 3:
        raise InputError(f"{name}: has shape {values.shape}, expected three axes")
    if min(values.shape) < _LEAST_PLANES:
        size = " x ".join(map(str, values.shape))
        raise InputError(f"{name}: has {size} voxels, expected a volume of at least {_LEAST_PLANES} planes")
    return values


def _affine(affine: np.ndarray, name: str) -> np.ndarray:
    affine = np.asarray(affine, np.float64)
    if affine.shape != (4, 4):
        raise InputError(f"{name}: its affine has shape {affine.shape}, expected (4, 4)")
    try:
        axis_directions(affine)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return affine
