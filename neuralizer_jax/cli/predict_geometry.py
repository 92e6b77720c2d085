"""The one check of where the images of `neuralizer predict` lie, and how the context gets onto the grid of a target.

NIfTI files say where they lie (`files.geometry`). What contradicts is refused, what cannot be known is noted.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.geometry import Geometry, lies_on, same_spacing, tilt
from neuralizer_jax.files.image_files import ImageFile
from neuralizer_jax.files.planes import SliceChoice
from neuralizer_jax.preprocess import Resampling

# A plane that lies or tilts further away than this shows other anatomy: mm, degrees. Training moved heads by as much.
_FAR = 10
_TILTED = 15

# Pixels of the same size: over 200 pixels, a fifth of a pixel.
_SAME_STEP = 1e-3


def check_geometry(
    targets: Sequence[ImageFile],
    inputs: Sequence[ImageFile],
    outputs: Sequence[ImageFile],
    choice: SliceChoice | None,
    *,
    resample: bool,
) -> None:
    """Checks that targets and context show the same kind of plane, and that outputs lie on their inputs.

    Raises:
        InputError: some headers give an orientation and others none; two images show different planes; an output lies
            elsewhere than its input; without `resample`, a context input has another size than a target and one of them
            does not tell the size of its pixels in mm.
    """
    located = [(image, image.source.geometry) for image in [*targets, *inputs, *outputs] if image.source]
    known = [image for image, geometry in located if geometry.code]
    if 0 < len(known) < len(located):
        unknown = next(image for image, geometry in located if not geometry.code)
        raise InputError(
            f"{unknown.path}: left and right cannot be known, as its header gives no orientation (NIfTI: sform and "
            f"qform code are 0), expected one as in {known[0].path}"
        )
    for given, shown in zip(inputs, outputs, strict=True):
        _check_view(shown, given, choice)
        if given.pixels.shape[:2] != shown.pixels.shape[:2]:
            raise InputError(
                f"{shown.path}: has {_size(shown)} pixels, expected {_size(given)} as its input {given.path}"
            )
        for own, other in _geometries(shown, given):
            if not lies_on(own, other):
                raise InputError(
                    f"{shown.path}: does not lie on its input {given.path}: pixels of {own.spacing_text()} around "
                    f"{_place(own)}, expected {other.spacing_text()} around {_place(other)}"
                )
    for target in targets:
        for given in inputs:
            _check_view(given, target, choice)
            if _size(given) != _size(target) and not (resample or (given.source and target.source)):
                raise InputError(
                    f"{given.path}: has {_size(given)} pixels, expected {_size(target)} as {target.path} "
                    "(or --resample)"
                )


def to_grid_of(target: ImageFile, given: ImageFile, choice: SliceChoice | None, *, resample: bool) -> Resampling:
    """How a context input, and its output, are put on the pixels of a target.

    Two images whose headers tell the size of a pixel are laid on each other in mm, if they differ in size or pixels, or
    with `resample`. Their centres coincide, as scans of different people share no space. A slice in mm says that the
    files do share one; then each pixel keeps its place. Other images are stretched.
    """
    size, old = target.pixels.shape[:2], given.pixels.shape[:2]
    for own, other in _geometries(given, target):
        if not _in_mm(given, target, resample):
            break
        step = np.divide(other.spacing, own.spacing)
        shift = np.zeros(2)
        if choice and choice.world:
            shift = (other.centre - own.centre) @ own.affine[:3, :2] / np.square(own.spacing)
        if np.allclose(step, 1, atol=_SAME_STEP):
            step = np.ones(2)
        return Resampling(size, tuple(step.tolist()), tuple(shift.tolist()))
    return Resampling(size, tuple(n / new for n, new in zip(old, size, strict=True)), (0.0, 0.0))


def check_overlap(inputs: Sequence[ImageFile], resamplings: Iterable[Sequence[Resampling]]) -> None:
    """Raises InputError if a context input shows nothing on the grid of a target."""
    for of_target in dict.fromkeys(map(tuple, resamplings)):
        for given, resample in zip(inputs, of_target, strict=True):
            pixels = resample(given.pixels, nearest=False)
            if pixels.min() == pixels.max():
                raise InputError(
                    f"{given.path}: is empty where the target lies, as the headers say, expected images of one space"
                )


def geometry_notes(
    targets: Sequence[ImageFile],
    inputs: Sequence[ImageFile],
    outputs: Sequence[ImageFile],
    choice: SliceChoice | None,
    *,
    resample: bool,
) -> list[str]:
    """Returns notes on what the headers leave open, on resampling, and on planes that lie far from each other."""
    pairs = list(itertools.product(inputs, targets))
    notes = [*_unknown([*targets, *inputs, *outputs]), *_resampled(pairs, resample)]
    apart, tilted = [], []
    for given, target in pairs:
        for own, other in _geometries(given, target):
            names = f"{given.path} and {target.path}"
            in_place = choice is not None and choice.world and _in_mm(given, target, resample)
            apart.append((_distance(own, other, choice, fixed_axis_alone=in_place), names))
            tilted.append((tilt(own, other) if own.code else 0.0, names))
    for found, limit, what in (
        (apart, _FAR, "planes {:.0f} mm apart"),
        (tilted, _TILTED, "planes tilted by {:.0f} degrees"),
    ):
        if beyond := sorted((value, names) for value, names in found if value > limit):
            value, names = beyond[-1]
            more = f" ({len(beyond) - 1} more pairs too)" if len(beyond) > 1 else ""
            notes.append(f"{names}: {what.format(value)}{more}, expected scans that are aligned")
    return notes


def _unknown(images: Sequence[ImageFile]) -> Iterator[str]:
    """Notes on orientation that headers do not give, or give twice."""
    located = [(image, image.source.geometry) for image in images if image.source]
    if located and len(located) < len(images):
        yield (
            f"{_names([image for image in images if not image.source])}: no header tells where this lies, expected "
            f"pixels of the size and order in which {located[0][0].path} is displayed (rows from superior or anterior, "
            "columns from left or posterior)"
        )
    if two_sided := [image for image in images if image.source and image.source.contradictory]:
        yield f"{_names(two_sided)}: sform and qform of the header disagree about left and right, the sform counts"
    if unknown := [image for image, geometry in located if not geometry.code]:
        yield (
            f"{_names(unknown)}: left and right cannot be known, as the header gives no orientation, expected the same "
            "order of voxels in all files"
        )


def _resampled(pairs: Sequence[tuple[ImageFile, ImageFile]], resample: bool) -> Iterator[str]:
    """Notes on context inputs that are put on other pixels."""
    changed = [(given, target) for given, target in pairs if _grid(given) != _grid(target)]
    in_mm = [(given, target) for given, target in changed if _in_mm(given, target, resample)]
    stretched = [
        given for given, target in changed if _size(given) != _size(target) and not _in_mm(given, target, resample)
    ]
    if stretched:
        yield f"{_names(stretched)}: stretched to the size of the target, as the size of a pixel in mm is not known"
    if in_mm:
        given, target = in_mm[0]
        names = _names([given for given, _ in in_mm])
        yield f"{names}: resampled from {_grid(given)} to {_grid(target)} as {target.path} has"


def _in_mm(given: ImageFile, target: ImageFile, resample: bool) -> bool:
    """Whether a context input is laid on a target in mm."""
    return any(
        resample or own.shape != other.shape or not same_spacing(own, other)
        for own, other in _geometries(given, target)
    )


def _geometries(one: ImageFile, other: ImageFile) -> Iterator[tuple[Geometry, Geometry]]:
    """The geometries of two images, if both have one."""
    if one.source and other.source:
        yield one.source.geometry, other.source.geometry


def _check_view(image: ImageFile, expected: ImageFile, choice: SliceChoice | None) -> None:
    for own, other in _geometries(image, expected):
        if own.fixed != other.fixed:
            hint = ""
            if choice and not choice.world and own.code:
                hint = f" (--slice {'xyz'[other.fixed]}={other.centre[other.fixed]:.4g} cuts such a plane of any file)"
            raise InputError(
                f"{image.path}: shows {own.view} plane, expected {other.view} one as {expected.path}{hint}"
            )


def _distance(own: Geometry, other: Geometry, choice: SliceChoice | None, *, fixed_axis_alone: bool) -> float:
    """How far one plane lies from another, in mm along the axis where it is farthest; 0 where they share no space."""
    if min(own.code, other.code) < (1 if choice and choice.world else 2):
        return 0.0  # code 1 is the space of a scanner, in which heads lie anywhere
    moved = np.abs(own.centre - other.centre)
    return float(moved[own.fixed] if fixed_axis_alone else moved.max())


def _place(geometry: Geometry) -> str:
    return "({:.4g}, {:.4g}, {:.4g}) mm".format(*geometry.centre)


def _names(images: Sequence[ImageFile]) -> str:
    paths = list(dict.fromkeys(str(image.path) for image in images))
    return paths[0] + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")


def _grid(image: ImageFile) -> str:
    spacing = f" of {image.source.geometry.spacing_text()}" if image.source else ""
    return f"{_size(image)} pixels{spacing}"


def _size(image: ImageFile) -> str:
    return "x".join(map(str, image.pixels.shape[:2]))
