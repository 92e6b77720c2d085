"""Subjects without scans: from label maps, or the phantom, to records with synthetic images of every modality.

Volumes have no images: training synthesises them, other ones for each episode.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from itertools import product
from pathlib import Path

import numpy as np

from input_pipeline.align.centroids import AffineFit, fit_affine, label_centroids
from input_pipeline.align.checks import check_inside_grid, check_slice_structures
from input_pipeline.align.reference import REFERENCE_CENTROIDS
from input_pipeline.raw.subject import RawSubject
from input_pipeline.slices.job import Job, MadeSubject
from input_pipeline.slices.record import SubjectRecord, quantize
from input_pipeline.slices.settings import PrepareSettings
from input_pipeline.space import grid
from input_pipeline.space.modalities import MODALITIES
from input_pipeline.space.protocols import FREESURFER_FOLD, fold_freesurfer
from input_pipeline.space.random_field import generator
from input_pipeline.space.resample import resample_to_grid
from input_pipeline.space.tissue_classes import BRAIN_CLASSES, CLASSES, class_indices
from input_pipeline.synthesis.anatomy_variation import vary_anatomy
from input_pipeline.synthesis.deformation import swap_hemispheres
from input_pipeline.synthesis.images import DTI_DIRECTIONS, brain_mask, synthesize_image
from input_pipeline.synthesis.phantom import phantom_label_map
from neuralizer_jax.errors import InputError
from neuralizer_jax.files.image_formats import one_line
from neuralizer_jax.files.volumes import read_volume

# Planes on either side of a slice, because synthesis blurs across planes.
_MARGIN = 1

# Largest share of labelled voxels with unknown labels, which become background.
_MOST_UNKNOWN = 0.01

# Largest area of brain on a face of the file. A vertex that is cut off by 2 mm shows 9 cm2.
_MOST_CUT_CM2 = 10

# Every modality, and every direction of DTI.
_SERIES = (
    *((modality, None) for modality in MODALITIES if modality != "DTI"),
    *(("DTI", direction) for direction in range(DTI_DIRECTIONS)),
)


def labelmap_jobs(subjects: Sequence[RawSubject], settings: PrepareSettings) -> Iterator[Job]:
    """Subjects made from label maps: the map itself (`NAME`) and warped copies (`NAME-w001`, ...).

    With `swap_hemispheres` each is made a second time with left and right exchanged (`NAME-swapped`, ...). A subject
    does not depend on the number of subjects.
    """
    sides = (False, True) if settings.swap_hemispheres else (False,)
    for subject, swapped, variant in product(subjects, sides, range(settings.subjects_per_map)):
        name = f"{subject.subject}{'-swapped' if swapped else ''}{f'-w{variant:03d}' if variant else ''}"
        rng = generator(settings.seed, "labelmaps", name)
        own, stripped = int(rng.integers(2**32)), bool(rng.uniform() < settings.skull_stripped)
        synthesis = None if settings.volumes else stripped
        make = partial(_from_labelmap, subject, name, settings.y, bool(variant), swapped, synthesis, own)
        yield Job(name, subject.person, make)


def phantom_jobs(settings: PrepareSettings) -> Iterator[Job]:
    """Subjects made from the phantom (`phantom-000`, ...). A subject does not depend on the number of subjects."""
    for index in range(settings.subjects):
        name, own = f"phantom-{index:03d}", int(generator(settings.seed, "population", index).integers(2**32))
        stripped = bool(generator(own, "stripped").uniform() < settings.skull_stripped)
        yield Job(name, name, partial(_from_phantom, name, settings.y, None if settings.volumes else stripped, own))


def _from_labelmap(
    raw: RawSubject, subject: str, y: tuple[int, ...], warped: bool, swapped: bool, stripped: bool | None, seed: int
) -> MadeSubject:
    labels, fit = _align(raw.labels[0].path, len(y) == grid.SHAPE[1])
    planes = _planes(y)
    labels = swap_hemispheres(labels) if swapped else labels
    slab = vary_anatomy(labels, seed, planes) if warped else labels[:, planes.start : planes.stop]
    return _synthesize(
        slab, planes, y, stripped, seed, fit.matrix,
        dataset=raw.dataset, subject=subject, person=raw.person, alignment="centroids", residual_mm=fit.residual_mm,
    )  # fmt: skip


def _from_phantom(subject: str, y: tuple[int, ...], stripped: bool | None, seed: int) -> MadeSubject:
    planes = _planes(y)
    slab = vary_anatomy(phantom_label_map(), seed, planes)
    return _synthesize(
        slab, planes, y, stripped, seed, np.eye(4), dataset="phantom", subject=subject, person=subject, alignment="none"
    )


def _synthesize(
    slab: np.ndarray, planes: range, y: tuple[int, ...], stripped: bool | None, seed: int, to_mni: np.ndarray, **origin
) -> MadeSubject:
    """Makes the record of a slab of labels `[192, len(planes), 192]`; `origin` has the record's other fields.

    The images are skull-stripped or not; with None, there are none.
    """
    columns = [grid.coronal_index(place) - planes.start for place in y]

    def slices(volume: np.ndarray) -> np.ndarray:
        return np.stack([grid.coronal_image(volume, column) for column in columns])

    labels = fold_freesurfer(slices(slab))
    if grid.SLICE_Y in y:
        check_slice_structures(labels[y.index(grid.SLICE_Y)])
    series = () if stripped is None else _SERIES
    images = np.empty((len(series), *labels.shape), np.uint16)
    for image, (modality, direction) in zip(images, series, strict=True):
        made = synthesize_image(slab, modality, seed=seed, skull_stripped=bool(stripped), direction=direction)
        image[:] = quantize(slices(made))
    inside = slices(brain_mask(slab))
    if stripped:
        labels = np.where(inside, labels, np.uint16(0))
    return MadeSubject(
        SubjectRecord(
            **origin,
            y=np.array(y, np.int16),
            modalities=tuple(name if direction is None else f"{name}-{direction:02d}" for name, direction in series),
            images=images,
            coverage=np.ones((len(series), len(y)), np.float32),
            to_mni=np.tile(to_mni, (len(series), 1, 1)),
            protocols=("freesurfer",),
            labels=labels[None],
            label_sources=("synthetic",),
            brain_mask=inside,
            mask_source="synthetic",
            skull_stripped=bool(stripped),
        )
    )


def _planes(y: tuple[int, ...]) -> range:
    """The planes of the grid that are needed to synthesise slices at y mm."""
    columns = [grid.coronal_index(place) for place in y]
    return range(max(0, min(columns) - _MARGIN), min(grid.SHAPE[1], max(columns) + _MARGIN + 1))


@lru_cache(maxsize=1)  # all subjects of a map are made one after another
def _align(path: Path, whole: bool) -> tuple[np.ndarray, AffineFit]:
    """Aligns a label map: the map on the grid, and the fit.

    Raises:
        InputError: it is no label map in FreeSurfer's numbers, or cannot be aligned, or lacks what the slices show; or
            the file does not hold the whole brain, if that is needed.
    """
    labels, affine = read_volume(path, labels=True)
    try:
        _check_numbers(labels)
        if whole:
            _check_not_cut(labels, affine)
        fit = fit_affine(label_centroids(labels, affine), REFERENCE_CENTROIDS)
        check_inside_grid(labels, affine, fit.matrix)
        on_grid = resample_to_grid(labels, affine, fit.matrix, labels=True)
        check_slice_structures(grid.coronal_image(on_grid, grid.coronal_index(grid.SLICE_Y)))
    except InputError as error:
        raise InputError(f"{one_line(path)}: {error}") from None
    return on_grid, fit


def _check_numbers(labels: np.ndarray) -> None:
    """Raises InputError if more than a few voxels have labels that FreeSurfer does not know."""
    counts = np.bincount(labels.ravel())
    values = np.arange(len(counts))
    known = (class_indices(values) > 0) | (FREESURFER_FOLD[values] != values)
    labelled, unknown = counts[1:].sum(), np.where(known, 0, counts)[1:]
    if unknown.sum() > _MOST_UNKNOWN * labelled:
        most = 1 + np.argsort(-unknown, kind="stable")[: min(3, np.count_nonzero(unknown))]
        raise InputError(
            f"{unknown.sum() / labelled:.0%} of its labelled voxels have labels that FreeSurfer does not know"
            f" ({', '.join(map(str, most))}), expected its numbers"
        )


def _check_not_cut(labels: np.ndarray, affine: np.ndarray) -> None:
    """Raises InputError if the edge of the file cuts through the brain."""
    brain = np.isin(class_indices(labels), [CLASSES.index(name) for name in BRAIN_CLASSES if name != "brain_stem"])
    edges = affine[:3, :3].T
    for axis in range(3):
        pixel = np.linalg.norm(np.cross(*np.delete(edges, axis, axis=0))) / 100  # cm2
        cut = max(np.count_nonzero(np.take(brain, end, axis)) * pixel for end in (0, -1))
        if cut > _MOST_CUT_CM2:
            raise InputError(f"the edge of the file cuts through {cut:.0f} cm2 of the brain, expected the whole brain")
