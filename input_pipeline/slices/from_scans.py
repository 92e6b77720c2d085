"""A scanned subject's files in, its record out: read, align to MNI152, cut the slices, check."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from input_pipeline.align.checks import check_mask_agrees, check_slice_structures
from input_pipeline.align.rigid import register_rigid
from input_pipeline.raw.derivatives import Index, find_brain_mask, find_segmentation
from input_pipeline.raw.subject import RawSubject
from input_pipeline.slices.anatomy import Alignment, Beside, Scan, align, subject_brain_mask, subject_segmentation
from input_pipeline.slices.job import Job, MadeSubject
from input_pipeline.slices.labels import label_slices, mask_slices
from input_pipeline.slices.record import SubjectRecord
from input_pipeline.slices.settings import Align
from input_pipeline.space.grid import SLICE_Y, coronal_index
from input_pipeline.space.resample import coronal_slices
from input_pipeline.synthesis.template import template_brain_mask
from neuralizer_jax.errors import InputError
from neuralizer_jax.files.volumes import read_volume
from neuralizer_jax.intensity import foreground_quantiles

# Of several images, the others are aligned to the first of these.
_PREFERENCE = ("T1", "T2", "PD", "FLAIR", "DWI", "ADC", "DTI", "MRA")

# An image that shows less than this share of the brain in the slices is left out (an MRA slab at the wrong height).
_MIN_COVERAGE = 0.5

# Along an axis with voxels finer than this the image is smoothed before it is sampled at 1 mm.
_FINE_MM = 0.8


@dataclass(frozen=True, eq=False)
class _Cut:
    """An image on S planes of the grid `[S, 192, 192]`, where its field of view is, and where it is not 0."""

    modality: str
    image: np.ndarray
    in_view: np.ndarray
    nonzero: np.ndarray
    to_mni: np.ndarray
    quantiles: np.ndarray


def scan_jobs(
    subjects: Sequence[RawSubject], y: Sequence[int], *, index: Index, made: Path, align_by: Align = "auto"
) -> list[Job]:
    """One job a subject.

    Args:
        subjects: as discovered.
        y: slices, mm.
        index: the user's segmentations and masks that do not lie beside the images (`index_segmentations`).
        made: folder for those that are made on the way.
        align_by: `PrepareSettings.align`.

    Raises:
        InputError: where a file is named as the segmentation or mask of two subjects: the images have the same name.
    """
    jobs, owners = [], {}
    for raw in subjects:
        beside = _beside(raw, index, made)
        for path in filter(None, (beside.segmentation, beside.brain_mask)):
            if owners.setdefault(path, raw.subject) != raw.subject:
                both = f"{owners[path]} and {raw.subject}"
                raise InputError(
                    f"{path}: its name is right for {both}, expected SUBJECT/mri/ or a place beside the image"
                )
        jobs.append(Job(raw.subject, raw.person, partial(_slices_of, raw, tuple(y), beside, align_by)))
    return jobs


def _beside(raw: RawSubject, index: Index, made: Path) -> Beside:
    """What there is for the preferred image that has a segmentation, or else for the one that has a mask."""
    found = []
    for modality in sorted(raw.images, key=_rank):
        files = (find(raw.images[modality], raw.subject, index) for find in (find_segmentation, find_brain_mask))
        found.append(Beside(modality, *files, made))
    with_segmentation = (beside for beside in found if beside.segmentation)
    with_mask = (beside for beside in found if beside.brain_mask)
    return next(with_segmentation, None) or next(with_mask, None) or Beside(None, None, None, made)


def _slices_of(raw: RawSubject, y: tuple[int, ...], beside: Beside, align_by: Align) -> MadeSubject:
    planes = [coronal_index(place) for place in y]
    dropped: dict[str, str] = {}
    groups = _groups(raw, beside)
    reference = _reference(raw, groups[:1] if beside.modality else groups, dropped)
    segmentation = subject_segmentation(raw, reference.modality, beside)
    mask = subject_brain_mask(raw, reference.modality, beside)
    alignment = align(reference, segmentation, mask, skull_stripped=raw.skull_stripped, by=align_by)
    cuts = _cut_groups(raw, groups, reference, alignment, planes, dropped)

    to_mni = {modality: cut.to_mni for modality, cut in cuts.items()} | {reference.modality: alignment.to_mni}
    labels = label_slices(raw, segmentation, to_mni, reference.modality, planes)
    nonzero = np.any([cut.nonzero for cut in cuts.values()], axis=0) if raw.skull_stripped else None
    inside, mask_source = mask_slices(mask, segmentation, nonzero, alignment.to_mni, planes)
    if segmentation is not None:
        values, affine = segmentation.values, segmentation.affine
        middle = coronal_slices(values, affine, alignment.to_mni, labels=True, planes=[coronal_index(SLICE_Y)])
        check_slice_structures(middle)
    elif mask_source != "template":
        check_mask_agrees(inside, template_brain_mask(planes))

    coverage = {modality: _coverage(cut.in_view, inside) for modality, cut in cuts.items()}
    kept = [modality for modality in raw.images if modality in cuts and coverage[modality].mean() >= _MIN_COVERAGE]
    for modality in cuts.keys() - set(kept):
        share = f"shows {coverage[modality].mean():.0%} of the brain in the slices"
        dropped[modality] = f"{raw.images[modality]}: {share}, expected at least {_MIN_COVERAGE:.0%}"
    if not kept:
        raise InputError("; ".join(dropped.values()))
    record = SubjectRecord(
        dataset=raw.dataset,
        subject=raw.subject,
        person=raw.person,
        split="",
        age=raw.age,
        sex=raw.sex,
        y=np.array(y, np.int16),
        modalities=tuple(kept),
        images=np.stack([cuts[modality].image for modality in kept]),
        coverage=np.stack([coverage[modality] for modality in kept]),
        to_mni=np.stack([cuts[modality].to_mni for modality in kept]),
        protocols=tuple(labels),
        labels=np.stack([slices for _, slices in labels.values()]),
        label_sources=tuple(source for source, _ in labels.values()),
        brain_mask=inside,
        mask_source=mask_source,
        skull_stripped=raw.skull_stripped,
        alignment=alignment.method,
        residual_mm=alignment.residual_mm,
        mutual_information=alignment.mutual_information,
    )
    return MadeSubject(record, np.stack([cuts[modality].quantiles for modality in kept]), dropped)


def _rank(modality: str) -> tuple[int, str]:
    return _PREFERENCE.index(modality.partition("-")[0]), modality


def _groups(raw: RawSubject, beside: Beside) -> list[tuple[str, ...]]:
    """Modalities that share an alignment, the preferred first; the first group has the reference image.

    That is the group of the image that a segmentation or mask was found for, else the group on whose grid the labels
    lie, so that they are placed as exactly as can be, else that of the preferred image.
    """
    grouped = {modality for group in raw.aligned for modality in group}
    groups = [*raw.aligned, *((modality,) for modality in raw.images if modality not in grouped)]
    groups = [tuple(sorted(group, key=_rank)) for group in groups]
    grids = {labels.grid_of for labels in raw.labels}
    return sorted(groups, key=lambda g: (beside.modality not in g, grids.isdisjoint(g), _rank(g[0])))


def _cut_groups(
    raw: RawSubject,
    groups: Sequence[tuple[str, ...]],
    reference: Scan,
    alignment: Alignment,
    planes: Sequence[int],
    dropped: dict[str, str],
) -> dict[str, _Cut]:
    """The images on the planes. One image of every other group is aligned to the reference; notes what is dropped."""
    cuts = {}
    for group in groups:
        to_mni = alignment.to_mni if reference.modality in group else None
        for modality in group:
            if modality in dropped:
                continue
            try:
                scan = reference if modality == reference.modality else _read(raw, modality)
                if to_mni is None:
                    fit = register_rigid(
                        scan.volume, scan.affine, reference.volume, reference.affine, skull_stripped=raw.skull_stripped
                    )
                    to_mni = alignment.to_mni @ fit.matrix
                cuts[modality] = _cut(scan, to_mni, planes, raw.skull_stripped)
            except InputError as error:
                dropped[modality] = str(error)
    if not cuts:
        raise InputError("; ".join(dropped.values()))
    return cuts


def _read(raw: RawSubject, modality: str) -> Scan:
    return Scan(modality, *read_volume(raw.images[modality]))


def _reference(raw: RawSubject, groups: Sequence[tuple[str, ...]], dropped: dict[str, str]) -> Scan:
    """The first image that can be read; notes those that cannot."""
    for modality in (modality for group in groups for modality in group):
        try:
            return _read(raw, modality)
        except InputError as error:
            dropped[modality] = str(error)
    raise InputError("; ".join(dropped.values()))


def _cut(scan: Scan, to_mni: np.ndarray, planes: Sequence[int], skull_stripped: bool) -> _Cut:
    quantiles = foreground_quantiles(scan.volume, skull_stripped)
    sizes = np.linalg.norm(scan.affine[:3, :3], axis=0)
    volume = scan.volume
    if (sizes < _FINE_MM).any():
        # A voxel of 1 mm averages over 1 mm: about a Gaussian of 0.5 mm, of which the finer voxel has its share.
        sigmas = np.where(sizes < _FINE_MM, 0.5 * np.sqrt(np.maximum(1 - sizes**2, 0)) / sizes, 0)
        volume = ndimage.gaussian_filter(volume, sigmas, mode="nearest", truncate=3)

    slices = partial(coronal_slices, affine=scan.affine, to_mni=to_mni, planes=planes)
    in_view = slices(np.ones(volume.shape, np.uint8), labels=True) > 0
    nonzero = slices((scan.volume != 0).astype(np.uint8), labels=True) > 0 if skull_stripped else in_view
    return _Cut(scan.modality, slices(volume, labels=False), in_view, nonzero, to_mni, quantiles)


def _coverage(in_view: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Share `[S]` float32 of the brain that the field of view shows; 1 where there is no brain in the slice."""
    brain = inside.sum(axis=(1, 2))
    return np.where(brain > 0, (in_view & inside).sum(axis=(1, 2)) / np.maximum(brain, 1), 1).astype(np.float32)
