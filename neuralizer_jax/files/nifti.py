"""NIfTI and FreeSurfer files of predictions: reads one plane and its place, and writes an image that overlays it."""

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.geometry import Geometry
from neuralizer_jax.files.image_formats import check_plane_size, smallest_integers
from neuralizer_jax.files.planes import Plane, SliceChoice, locate_plane

if TYPE_CHECKING:
    import nibabel as nib
    from nibabel.nifti1 import Nifti1Header

    from neuralizer_jax.files.volumes import OpenVolume

# Types of stored labels, the smallest first.
LABEL_TYPES = (np.uint8, np.int16, np.int32)

# Voxels of a volume that are kept to measure its intensities.
_SAMPLES = 500_000


@dataclass(frozen=True, eq=False)
class NiftiSource:
    """The place of an image in the world.

    header: a NIfTI header that describes the plane alone, for FreeSurfer files too.
    plane: the plane of the file's array.
    geometry: where the displayed image lies.
    contradictory: the header's sform, which counts, and its qform disagree about left and right.
    """

    header: "Nifti1Header"
    plane: Plane
    geometry: Geometry
    contradictory: bool = False


def read_plane(path: Path, choice: SliceChoice | None) -> tuple[np.ndarray, NiftiSource, np.ndarray | None]:
    """Reads an image, or the chosen plane of a volume.

    Returns:
        The scaled values [H, W], their place, and for a volume every n-th of its voxels, `[n]`, scaled as well.

    Raises:
        InputError: as `volumes.open_volume`; the choice names no plane of the file, or is in mm where the header gives
            no orientation.
    """
    from neuralizer_jax.files.volumes import NO_ORIENTATION, open_volume

    with open_volume(path) as volume:
        shape = volume.image.shape
        if choice and choice.world and not volume.oriented and sum(n > 1 for n in shape) > 2:
            raise InputError(
                f"slice {choice} cannot be found, as {NO_ORIENTATION}, "
                f"expected an array axis and a voxel index, such as --slice 1/{shape[1] // 2}"
            )
        plane = locate_plane(shape, volume.affine, choice)
        check_plane_size([(*plane.shape, 1)[axis] for axis in (plane.rows, plane.columns)])
        voxels = volume.stored()
        values = volume.scaled(plane.to_image(voxels[plane.slicer]))
        # An odd step, which does not divide the usual lengths of rows and planes.
        samples = None if plane.whole else volume.scaled(voxels.ravel("K")[:: voxels.size // _SAMPLES | 1])
        geometry = Geometry(volume.affine @ plane.pixel_to_voxel, values.shape, plane.fixed, volume.code)
        header = nifti_header(volume)
        if not plane.whole:
            _move_to_plane(header, plane)
        contradictory = sides_disagree(header)
    return values, NiftiSource(header, plane, geometry, contradictory), samples


def encode_plane(values: np.ndarray, source: NiftiSource, suffix: str) -> bytes:
    """Encodes an image as a NIfTI or FreeSurfer file at the place of `source`.

    A 2-D file keeps its shape; a plane of a volume becomes a volume one voxel thick, in the file's axis order. Affine,
    zooms, units, description and extensions are those of the source; scaling, display range and intent are not.
    FreeSurfer files have affine and zooms alone.

    `values` are `[H, W]`, float32, or labels, which are stored as the smallest of uint8, int16 and int32.

    Raises:
        InputError: without the path, for labels outside int32, or for FreeSurfer a place without orientation.
        ValueError: values of another shape than the plane.
    """
    labels = values.dtype.kind in "iu"
    if labels:
        values = smallest_integers(values, LABEL_TYPES)
    array = source.plane.to_array(values)
    if suffix in (".mgz", ".mgh"):
        array = array.reshape((*array.shape, 1)[:3])
    intent = "label" if labels else "none"
    content = nifti_or_mgh(array, source.header, suffix, intent=intent, oriented=bool(source.geometry.code)).to_bytes()
    return gzip.compress(content, compresslevel=6, mtime=0) if suffix in (".nii.gz", ".mgz") else content


def nifti_or_mgh(
    array: np.ndarray, header: "Nifti1Header", suffix: str, *, intent: str, oriented: bool
) -> "nib.Nifti1Image | nib.MGHImage":
    """Makes the image that overlays the one of a header, which may have another shape.

    Args:
        array: what to store, in the type to store it in.
        header: of the other image; its scaling, display range and intent are not taken.
        suffix: `.nii`, `.nii.gz`, `.mgh` or `.mgz`.
        intent: of a NIfTI header, `label` or `none`.
        oriented: whether the header says where left and right are.

    Raises:
        InputError: without the path, for FreeSurfer a place without orientation.
    """
    import nibabel

    from neuralizer_jax.files.volumes import affine_in_mm

    if suffix in (".mgz", ".mgh"):
        if not oriented:
            raise InputError(f"{suffix} needs an orientation, which the target has not, expected .nii.gz")
        return nibabel.MGHImage(array, affine_in_mm(header, header.get_best_affine()))
    header = header.copy()
    header.set_data_dtype(array.dtype)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0
    header.set_intent(intent)
    image_class = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    # Without an affine, nibabel keeps the header's qform and sform and their codes.
    return image_class(array, None, header)


def nifti_header(volume: "OpenVolume") -> "Nifti1Header":
    """Returns a copy of the header; for a FreeSurfer file, the NIfTI header that says the same."""
    import nibabel

    if not isinstance(volume.image, nibabel.MGHImage):
        return volume.image.header.copy()
    header = nibabel.Nifti1Image(np.broadcast_to(np.uint8(0), volume.image.shape), volume.affine).header
    header.set_sform(volume.affine, volume.code)
    header.set_xyzt_units("mm")
    return header


def sides_disagree(header: "Nifti1Header") -> bool:
    """Whether one of sform and qform is left-handed and the other right-handed."""
    from nibabel.spatialimages import HeaderDataError

    try:
        forms = [header.get_sform(coded=True), header.get_qform(coded=True)]
    except (ValueError, HeaderDataError):  # no rotation; a valid sform counts instead
        return False
    signs = {np.sign(np.linalg.det(form)) for form, code in forms if code}
    return {-1, 1} <= signs


def _move_to_plane(header: "Nifti1Header", plane: Plane) -> None:
    """Changes the header of a volume to that of one plane: same grid, origin moved along the fixed axis."""
    from nibabel.spatialimages import HeaderDataError

    affine = header.get_best_affine()  # first: without qform and sform it depends on the shape
    header.set_data_shape([1 if a == plane.axis else n for a, n in enumerate(plane.shape[:3])])
    sform, sform_code = header.get_sform(coded=True)
    try:
        qform, qform_code = header.get_qform(coded=True)
    except (ValueError, HeaderDataError):  # no rotation; a valid sform counts instead
        qform_code = header["qform_code"] = 0
    if qform_code:
        for name, step in zip(("qoffset_x", "qoffset_y", "qoffset_z"), qform[:3, plane.axis], strict=True):
            header[name] += step * plane.index
    if sform_code:
        for name, step in zip(("srow_x", "srow_y", "srow_z"), sform[:3, plane.axis], strict=True):
            header[name][3] += step * plane.index
    if not qform_code and not sform_code:
        affine[:3, 3] += affine[:3, plane.axis] * plane.index
        header.set_sform(affine, code="aligned")
    # One slice has no acquisition order.
    for name in ("slice_start", "slice_end", "slice_code", "slice_duration"):
        header[name] = 0
