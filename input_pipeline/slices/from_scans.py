"""Subjects with scans: from the files of a subject to its record."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from input_pipeline.align.checks import (
    check_few_structures,
    check_information,
    check_inside_grid,
    check_mask_agrees,
    check_mask_has_labels,
    check_slice_structures,
    shows_whole_brain,
)
from input_pipeline.align.to_mni import align_to_mni
from input_pipeline.raw.derivatives import Index
from input_pipeline.raw.subject import RawSubject
from input_pipeline.slices.anatomy import Derivatives, find_derivatives, read_brain_mask, read_segmentation
from input_pipeline.slices.images import cut_images, image_groups, read_reference
from input_pipeline.slices.job import Job, MadeSubject
from input_pipeline.slices.labels import brain_mask_slices, label_slices, labelled_brain
from input_pipeline.slices.record import SubjectRecord
from input_pipeline.slices.settings import Align
from input_pipeline.space.grid import SLICE_Y, coronal_index
from input_pipeline.space.resample import coronal_slices
from input_pipeline.synthesis.template import template_brain_mask
from neuralizer_jax.errors import InputError

# Images that show less than this share of the brain in the slices are dropped (such as MRA slabs at another height).
_MIN_COVERAGE = 0.5


def scan_jobs(
    subjects: Sequence[RawSubject], y: Sequence[int], *, index: Index, made: Path, align_by: Align = "auto"
) -> list[Job]:
    """One job per subject.

    Args:
        subjects: as discovered.
        y: slices, mm.
        index: the user's segmentations and masks that are not beside the images (`index_segmentations`).
        made: folder for the output of segmentation programs.
        align_by: `PrepareSettings.align`.

    Raises:
        InputError: if a derivative fits two subjects, because their images have the same name.
    """
    jobs: list[Job] = []
    owners: dict[Path, str] = {}
    for raw in subjects:
        try:
            derivatives = find_derivatives(raw, index, made)
        except InputError as error:
            jobs.append(Job(raw.subject, raw.person, partial(_drop, str(error))))
            continue
        for path in filter(None, (derivatives.segmentation, derivatives.brain_mask)):
            if owners.setdefault(path, raw.subject) != raw.subject:
                both = f"{owners[path]} and {raw.subject}"
                raise InputError(
                    f"{path}: its name is right for {both}, expected SUBJECT/mri/ or a place beside the image"
                )
        make = partial(prepare_scan, raw, tuple(y), derivatives, align_by)
        jobs.append(Job(raw.subject, raw.person, make, raw.chosen))
    return jobs


def prepare_scan(raw: RawSubject, y: tuple[int, ...], derivatives: Derivatives, align_by: Align) -> MadeSubject:
    """Makes the record of a subject with slices at y mm. Raises InputError with the reason if it cannot be used."""
    planes = [coronal_index(place) for place in y]

    # Read the reference image, and the segmentation and brain mask in its world.
    groups = image_groups(raw, derivatives.modality)
    reference, dropped = read_reference(raw, groups[:1] if derivatives.modality else groups)
    if reference.modality not in groups[0]:
        dropped |= _in_world_of_another(raw, groups[0][0])
        raw = replace(raw, labels=tuple(labels for labels in raw.labels if labels.grid_of), brain_mask=None)
    segmentation = read_segmentation(raw, reference.modality, derivatives)
    mask = read_brain_mask(raw, reference.modality, derivatives)
    few = None
    if segmentation and segmentation.protocol == "freesurfer" and not shows_whole_brain(segmentation.volume[0]):
        segmentation, few = None, segmentation

    # Align the reference image to MNI152: by `intensities` without the dataset's labels and brain mask.
    use_labels = align_by == "auto"
    try:
        alignment = align_to_mni(
            (reference.volume, reference.affine),
            segmentation=segmentation.volume if segmentation and use_labels else None,
            brain_mask=mask.volume if mask and (use_labels or mask.source != "published") else None,
            skull_stripped=raw.skull_stripped,
        )
        if alignment.mutual_information is not None:
            check_information(alignment.mutual_information, reference.modality)
    except InputError as error:
        path = segmentation.path if segmentation and use_labels else raw.images[reference.modality]
        raise InputError(f"{path}: {error}") from error
    if segmentation is not None:
        check_inside_grid(*segmentation.volume, alignment.to_mni)
    if few is not None:
        try:
            check_few_structures(*few.volume, alignment.to_mni)
        except InputError as error:
            dropped["labels"] = f"{few.path}: {error}"
            few = None

    # Cut images, labels and brain mask.
    images, unusable = cut_images(raw, groups, reference, alignment.to_mni, planes, dropped)
    dropped |= unusable
    to_mni = {modality: cut.to_mni for modality, cut in images.items()} | {reference.modality: alignment.to_mni}
    labels = label_slices(raw, segmentation or few, to_mni, reference.modality, planes)
    nonzero = np.any([cut.nonzero for cut in images.values()], axis=0) if raw.skull_stripped else None
    brain, mask_source = brain_mask_slices(mask, segmentation, nonzero, alignment.to_mni, planes)

    # Drop images that show too little of the brain: of the labelled brain, where there is one.
    labelled = labelled_brain(segmentation, alignment.to_mni, planes)
    if few is not None and (labels["freesurfer"][1] > 0).any():
        labelled = labels["freesurfer"][1] > 0
    tested = brain if labelled is None else labelled
    for modality, cut in images.items():
        if (share := cut.shown(tested)) < _MIN_COVERAGE:
            flaw = f"shows {share:.0%} of the brain in the slices"
        elif (share := cut.signal(tested)) < _MIN_COVERAGE:
            flaw = f"has contrast in {share:.0%} of the brain in the slices"
        else:
            continue
        dropped[modality] = f"{raw.images[modality]}: {flaw}, expected at least {_MIN_COVERAGE:.0%}"
    kept = [modality for modality in raw.images if modality in images and modality not in dropped]
    if not kept:
        raise InputError("; ".join(dropped.values()))

    # Check that the alignment is plausible.
    if segmentation is not None:
        middle = [coronal_index(SLICE_Y)]
        check_slice_structures(coronal_slices(*segmentation.volume, alignment.to_mni, labels=True, planes=middle))
        if labelled is not None:
            check_mask_has_labels(brain, labelled)
    elif mask_source != "template":
        check_mask_agrees(brain, template_brain_mask(planes))

    record = SubjectRecord(
        dataset=raw.dataset,
        subject=raw.subject,
        person=raw.person,
        age=raw.age,
        sex=raw.sex,
        y=np.array(y, np.int16),
        modalities=tuple(kept),
        images=np.stack([images[modality].image for modality in kept]),
        coverage=np.stack([images[modality].coverage(brain) for modality in kept]),
        to_mni=np.stack([images[modality].to_mni for modality in kept]),
        protocols=tuple(labels),
        labels=np.stack([slices for _, slices in labels.values()]),
        label_sources=tuple(source for source, _ in labels.values()),
        brain_mask=brain,
        mask_source=mask_source,
        skull_stripped=raw.skull_stripped,
        alignment=alignment.method,
        residual_mm=alignment.residual_mm,
        mutual_information=alignment.mutual_information,
    )
    return MadeSubject(record, np.stack([images[modality].quantiles for modality in kept]), dropped)


def _drop(reason: str) -> MadeSubject:
    """The job of a subject that cannot be used."""
    raise InputError(reason)


def _in_world_of_another(raw: RawSubject, modality: str) -> dict[str, str]:
    """What cannot be used because the image in whose world it lies cannot be."""
    reason = f"lies on the image of {modality}, which cannot be used"
    unusable = {"brain mask": f"{raw.brain_mask}: {reason}"} if raw.brain_mask else {}
    for labels in raw.labels:
        if not labels.grid_of:
            unusable["labels"] = f"{labels.path}: {reason}"
    return unusable
