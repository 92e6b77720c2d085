"""The images of a scanned subject: which is the reference, how the others lie to it, and their slices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import ndimage

from input_pipeline.align.rigid import register_rigid
from input_pipeline.raw.subject import RawSubject
from input_pipeline.space.modalities import series_of
from input_pipeline.space.resample import coronal_slices
from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.volumes import read_volume
from neuralizer_jax.intensity import foreground_quantiles, zero_background

# The order in which modalities are considered as the reference image.
_PREFERENCE = ("T1", "T2", "PD", "FLAIR", "DWI", "ADC", "DTI", "MRA")

# An image has contrast where it differs from its background by this share of its brightest values, unless it is the
# same nearly everywhere.
_SHOWN = 0.02
# The background of a skull-stripped image varies by less than this share of them.
_EQUAL = 1e-6

# Along an axis with voxels smaller than this, an image is smoothed before it is sampled at 1 mm.
_FINE_MM = 0.8


@dataclass(frozen=True, eq=False)
class Scan:
    """An image: its modality, voxels `[X, Y, Z]` float32, and affine `[4, 4]`, voxel -> world in mm (RAS)."""

    modality: str
    volume: np.ndarray
    affine: np.ndarray


@dataclass(frozen=True, eq=False)
class ImageSlices:
    """An image on S coronal planes of the grid.

    Attributes:
        image: `[S, 192, 192]` float32, in the unit of the file.
        in_view: `[S, 192, 192]` bool, the field of view.
        differs: `[S, 192, 192]` bool, where the image differs from its background.
        brightness: difference of the brightest values of the volume and its background.
        nonzero: `[S, 192, 192]` bool, where a skull-stripped image is not its background; `in_view` for full heads.
        to_mni: `[4, 4]`, world of the image -> MNI152.
        quantiles: of the volume's foreground (`intensity.foreground_quantiles`).
    """

    image: np.ndarray
    in_view: np.ndarray
    differs: np.ndarray
    brightness: float
    nonzero: np.ndarray
    to_mni: np.ndarray
    quantiles: np.ndarray

    def coverage(self, brain: np.ndarray) -> np.ndarray:
        """Share `[S]` float32 of a brain mask `[S, 192, 192]` within the field of view; 1 in slices without brain."""
        pixels = brain.sum(axis=(1, 2))
        shown = (self.in_view & brain).sum(axis=(1, 2))
        return np.where(pixels > 0, shown / np.maximum(pixels, 1), 1).astype(np.float32)

    def shown(self, brain: np.ndarray) -> float:
        """Share of a brain mask `[S, 192, 192]` within the field of view; 1 without brain."""
        return float(self.in_view[brain].mean()) if brain.any() else 1.0

    def signal(self, brain: np.ndarray) -> float:
        """Share of a brain mask `[S, 192, 192]` where the image has contrast; 0 if it is flat, 1 without brain."""
        if not brain.any():
            return 1.0
        low, high = np.percentile(self.image[brain], (5, 95))
        return float(self.differs[brain].mean()) if high - low > _SHOWN * self.brightness else 0.0


def preference(modality: str) -> tuple[int, str]:
    """Sort key: the preferred reference image first."""
    return _PREFERENCE.index(series_of(modality)), modality


def image_groups(raw: RawSubject, derivatives_of: str | None) -> list[tuple[str, ...]]:
    """Groups of modalities that share an alignment. The first group contains the reference image.

    It is the group with derivatives, else the group on whose grid labels were drawn, for the most exact alignment of
    the labels, else the group of the preferred modality.

    Args:
        raw: the subject.
        derivatives_of: the modality with a segmentation or brain mask of the user, if any.
    """
    grouped = {modality for group in raw.aligned for modality in group}
    groups = [*raw.aligned, *((modality,) for modality in raw.images if modality not in grouped)]
    groups = [tuple(sorted(group, key=preference)) for group in groups]
    grids = {labels.grid_of for labels in raw.labels}
    return sorted(groups, key=lambda g: (derivatives_of not in g, grids.isdisjoint(g), preference(g[0])))


def read_reference(raw: RawSubject, groups: Sequence[tuple[str, ...]]) -> tuple[Scan, dict[str, str]]:
    """The first image that can be read, and the modalities before it that cannot. Raises InputError if none can."""
    dropped: dict[str, str] = {}
    for modality in (modality for group in groups for modality in group):
        try:
            return _read(raw, modality), dropped
        except InputError as error:
            dropped[modality] = str(error)
    raise InputError("; ".join(dropped.values()))


def cut_images(
    raw: RawSubject,
    groups: Sequence[tuple[str, ...]],
    reference: Scan,
    to_mni: np.ndarray,
    planes: Sequence[int],
    unreadable: Mapping[str, str],
) -> tuple[dict[str, ImageSlices], dict[str, str]]:
    """Reads and cuts all images. The first usable image of every other group is aligned rigidly to the reference.

    Args:
        raw: the subject.
        groups: as returned by `image_groups`.
        reference: the reference image.
        to_mni: `[4, 4]`, world of the reference image -> MNI152.
        planes: of the grid, along y.
        unreadable: modalities to leave out, with the reason.

    Returns:
        The slices of each modality, and the modalities that were dropped, with the reason.

    Raises:
        InputError: if no image can be used.
    """
    images, dropped = {}, dict(unreadable)
    for group in groups:
        group_to_mni = to_mni if reference.modality in group else None
        for modality in group:
            if modality in dropped:
                continue
            try:
                scan = reference if modality == reference.modality else _read(raw, modality)
                if group_to_mni is None:
                    fit = register_rigid(
                        scan.volume, scan.affine, reference.volume, reference.affine, skull_stripped=raw.skull_stripped
                    )
                    group_to_mni = to_mni @ fit.matrix
                images[modality] = _cut(scan, group_to_mni, planes, raw.skull_stripped)
            except InputError as error:
                beginning = f"{one_line(raw.images[modality])}: "  # that of the reader already
                dropped[modality] = beginning + str(error).removeprefix(beginning)
    if not images:
        raise InputError("; ".join(dropped.values()))
    return images, dropped


def _read(raw: RawSubject, modality: str) -> Scan:
    volume, affine = read_volume(raw.images[modality])
    return Scan(modality, zero_background(volume) if raw.skull_stripped else volume, affine)


def _cut(scan: Scan, to_mni: np.ndarray, planes: Sequence[int], skull_stripped: bool) -> ImageSlices:
    quantiles = foreground_quantiles(scan.volume, skull_stripped)
    sizes = np.linalg.norm(scan.affine[:3, :3], axis=0)
    volume = scan.volume
    if (sizes < _FINE_MM).any():
        # A voxel of 1 mm averages like a Gaussian with a standard deviation of 0.5 mm; a finer voxel has part of it.
        sigmas = np.where(sizes < _FINE_MM, 0.5 * np.sqrt(np.maximum(1 - sizes**2, 0)) / sizes, 0)
        volume = ndimage.gaussian_filter(volume, sigmas, mode="nearest", truncate=3)

    slices = partial(coronal_slices, affine=scan.affine, to_mni=to_mni, planes=planes)
    in_view = slices(np.ones(volume.shape, np.uint8), labels=True) > 0
    background = _background(scan.volume)
    brightness = abs(float(quantiles[len(quantiles) * 99 // 100]) - background)
    inside = np.abs(scan.volume - background) > _EQUAL * brightness
    nonzero = slices(inside.astype(np.uint8), labels=True) > 0 if skull_stripped else in_view
    image = slices(volume, labels=False)
    differs = in_view & (np.abs(image - background) > _SHOWN * brightness)
    return ImageSlices(image, in_view, differs, brightness, nonzero, to_mni, quantiles)


def _background(volume: np.ndarray) -> float:
    """The value around a head: that of most voxels on the volume's faces, else 0."""
    faces = np.concatenate([np.take(volume, (0, -1), axis).ravel() for axis in range(3)])
    values, counts = np.unique(faces, return_counts=True)
    return float(values[counts.argmax()]) if 2 * counts.max() > faces.size else 0.0
