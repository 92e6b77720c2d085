"""Affine registration of an image to the T1-weighted MNI152 template (nilearn's, skull-stripped, 1 mm).

The metric is Mattes mutual information (https://doi.org/10.1109/TMI.2003.809072), which also works for other modalities
than T1, though less accurately. The result is deterministic: one thread, all voxels of coarse grids, no random samples.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import product

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from input_pipeline.align.registration import Fit, Grid, descend, matrix_of, mutual_information, one_thread, pyramid
from input_pipeline.space.grid import WHOLE_HEAD_MM
from neuralizer_jax.errors import InputError

_START_ANGLES = (-20, 0, 20)  # degrees about each axis; the optimiser reaches angles between them and up to 30
_STARTS = 5  # the best starts are optimised
_CLEAR = 0.25  # nats; mutual information of a head with the brain above which it certainly fits
_SCALES = (0.5, 2.0)  # plausible ratio of the sizes of two heads
_EVERY_MM = 15  # a slab of a head is looked for at every so many mm along its short axis


def register_to_template(
    volume: np.ndarray,
    affine: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    skull_stripped: bool,
    heads: Iterable[tuple[np.ndarray, np.ndarray]] = (),
) -> Fit:
    """Registers an image to MNI152; mutual information is measured over the template's brain.

    Starts from rotations by up to 20 degrees about each axis; then a similarity transform at 8 mm, and an affine one at
    4 and 2 mm. Heads rotated by more than about 35 degrees are not found. Left and right are never exchanged.

    A slab of a head, shorter than 130 mm along an axis, is registered the other way round, so that all of it counts: it
    starts from several places along that axis, and mutual information is measured over the slab. With its skull it is
    registered to the `heads` alone, if there are any.

    Args:
        volume: `[X, Y, Z]`, one image.
        affine: `[4, 4]`, voxel -> world in mm (RAS).
        mask: brain mask on the same voxels; the volume is set to 0 outside of it.
        skull_stripped: whether the volume is 0 outside of the brain.
        heads: images of a head with its skull in MNI152, `[X, Y, Z]` and affine, made when they are asked for. A head
            that fits the brain alone badly is registered to them too, and the fit with the most mutual information over
            the brain is taken.

    Raises:
        InputError: for an image without contrast, without a head, or an implausible scale.
    """
    if mask is not None:
        if mask.shape != volume.shape:
            raise InputError(f"brain mask of shape {mask.shape}, expected the volume's {volume.shape}")
        volume = np.where(mask, np.asarray(volume, np.float32), np.float32(0))
    stripped = skull_stripped or mask is not None

    places = _slab_places(volume, affine)
    # Zeros around a skull-stripped brain are known; intensities around a field of view that cuts the head are not.
    image = pyramid(volume, affine, margin=32 if stripped and places is None else 0)
    others = iter(() if stripped else heads)
    try:
        with one_thread():
            if places is None:
                to_image, information = _register(_template(), image, stripped)
                while information < _CLEAR and (head := next(others, None)) is not None:
                    other, _ = _register(pyramid(*head, margin=8), image, stripped, whole=True)
                    found = _information(_template()[-1], image[-1], other)
                    to_image, information = max((to_image, information), (other, found), key=lambda fit: fit[1])
            else:
                templates = [pyramid(*head, margin=8) for head in others] or [_template()]
                fits = [_register_slab(image, template, places, stripped) for template in templates]
                to_image, information = max(fits, key=lambda fit: fit[1])
    except RuntimeError:  # of SimpleITK, in several lines
        raise InputError("cannot be registered to the template, expected a scan of a head") from None

    to_moving = matrix_of(to_image)
    scales = np.linalg.svd(to_moving[:3, :3], compute_uv=False)
    if not _SCALES[0] < scales[-1] <= scales[0] < _SCALES[1]:
        raise InputError(
            f"the image fits the template at scales of {scales[-1]:.2g} to {scales[0]:.2g},"
            f" expected {_SCALES[0]} to {_SCALES[1]}"
        )
    return Fit(np.linalg.inv(to_moving), information)


@cache
def _template() -> tuple[Grid, ...]:
    from nilearn.datasets import load_mni152_template

    image = load_mni152_template(resolution=1)
    return pyramid(np.asarray(image.dataobj), image.affine, margin=8)


def _register(
    template: tuple[Grid, ...], image: tuple[Grid, ...], stripped: bool, whole: bool = False
) -> tuple[sitk.AffineTransform, float]:
    """The map from the world of the template, a brain or a whole head, to that of the image; mutual information."""
    masks = [template_level.like(_mask(template_level, stripped, whole)) for template_level in template]
    return _fit(template, image, masks, [_start(template[1], image[1], stripped, whole)])


def _register_slab(
    image: tuple[Grid, ...], template: tuple[Grid, ...], places: np.ndarray, stripped: bool
) -> tuple[sitk.AffineTransform, float]:
    """The map from the world of a template to that of a slab; mutual information over the slab."""
    masks = [level.like(_near(level.head(skull_stripped=True), level, 8 if stripped else 4)) for level in image]
    whole = template[1].points(template[1].head(skull_stripped=True)).mean(0)
    slab = image[1].points(masks[1].values > 0).mean(0)
    to_template, information = _fit(image, template, masks, [(slab, whole + place, 1.0) for place in places])
    return sitk.AffineTransform(to_template.GetInverse()), information


def _fit(
    fixed: tuple[Grid, ...],
    moving: tuple[Grid, ...],
    masks: Sequence[Grid],
    starts: Sequence[tuple[np.ndarray, np.ndarray, float]],
) -> tuple[sitk.AffineTransform, float]:
    """The map from the world of the fixed to that of the moving image; mutual information in the masks."""
    transform = _affine_of(_best_similarity(fixed[0], moving[0], starts, masks[0]))
    _optimise(fixed[1], moving[1], transform, masks[1], 1.0)
    return transform, _optimise(fixed[2], moving[2], transform, masks[2], 0.5)


def _information(template: Grid, image: Grid, transform: sitk.Transform) -> float:
    """Mutual information over the template's brain."""
    method = mutual_information(transform, template.like(_mask(template, stripped=False)))
    return -method.MetricEvaluate(template.image(), image.image())


def _slab_places(volume: np.ndarray, affine: np.ndarray) -> np.ndarray | None:
    """Where the middle of a slab may lie beside that of the head, `[n, 3]` mm; None if the volume is no slab."""
    if volume.ndim != 3:
        return None
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    lengths = np.array(volume.shape) * steps
    axis = int(np.argmin(lengths))
    if lengths[axis] >= WHOLE_HEAD_MM:
        return None
    count = int((WHOLE_HEAD_MM - lengths[axis]) / 2 // _EVERY_MM) + 1
    return np.outer(np.arange(-count, count + 1) * _EVERY_MM, affine[:3, axis] / steps[axis])


def _start(template: Grid, image: Grid, stripped: bool, whole: bool) -> tuple[np.ndarray, np.ndarray, float]:
    """Centre of the template's brain or head, centre of the image's, and ratio of their sizes."""
    brain, image_brain = template.points(template.head(not whole)), image.points(image.head(stripped))
    size = float(np.clip(np.cbrt(len(image_brain) / len(brain)), 0.8, 1.25)) if stripped else 1.0
    return brain.mean(0), image_brain.mean(0), size


def _best_similarity(
    fixed: Grid, moving: Grid, starts: Sequence[tuple[np.ndarray, np.ndarray, float]], mask: Grid
) -> sitk.Similarity3DTransform:
    transforms = []
    for (fixed_centre, centre, size), *angles in product(starts, *[np.deg2rad(_START_ANGLES).tolist()] * 3):
        transform = sitk.Similarity3DTransform()
        transform.SetCenter(fixed_centre.tolist())
        transform.SetMatrix(sitk.Euler3DTransform((0, 0, 0), *angles).GetMatrix())
        transform.SetScale(size)
        transform.SetTranslation((centre - fixed_centre).tolist())
        transforms.append(transform)
    fixed_image, moving_image = fixed.image(), moving.image()
    costs = [mutual_information(x, mask).MetricEvaluate(fixed_image, moving_image) for x in transforms]
    ranked = [transforms[index] for index in np.argsort(costs, kind="stable")[:_STARTS]]
    information = [_optimise(fixed, moving, transform, mask, 4.0) for transform in ranked]
    return ranked[int(np.argmax(information))]


def _affine_of(transform: sitk.Similarity3DTransform) -> sitk.AffineTransform:
    result = sitk.AffineTransform(3)
    result.SetCenter(transform.GetCenter())
    result.SetMatrix(transform.GetMatrix())
    result.SetTranslation(transform.GetTranslation())
    return result


def _optimise(template: Grid, image: Grid, transform: sitk.Transform, mask: Grid, step: float) -> float:
    """Optimises `transform` (world of the template -> world of the image) in place; returns the mutual information."""
    method = mutual_information(transform, mask)
    method.SetOptimizerScalesFromPhysicalShift()
    return descend(method, template, image, step=step, last_step=step / 100)


def _mask(template: Grid, stripped: bool, whole: bool = False) -> np.ndarray:
    """The template's brain; for skull-stripped images, with the edge around it. Or the whole head with its edge."""
    inside = template.values > 0.1
    if whole:
        inside = ndimage.binary_fill_holes(inside)
    return _near(inside, template, 4 if whole else 8 if stripped else 0)


def _near(inside: np.ndarray, grid: Grid, distance: float) -> np.ndarray:
    """A mask, and what is nearer to it than so many mm."""
    return ndimage.distance_transform_edt(~inside, sampling=grid.spacing) < distance if distance else inside
