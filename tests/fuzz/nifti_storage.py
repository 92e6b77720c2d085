"""Ways to store one array as a NIfTI or FreeSurfer file: type, byte order, scaling, axes, units, header."""

import gzip
from dataclasses import dataclass, fields, replace
from itertools import permutations, product
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np
from fuzz.anatomy import BRIGHTEST
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform

ORIENTATIONS = ["".join(ends) for axes in permutations(("RL", "AP", "SI")) for ends in product(*axes)]
INTEGERS = ("u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8")
FLOATS = ("f4", "f8")
# Millimetres in a unit, and its code in `xyzt_units`.
UNITS = {"mm": (1.0, 2), "unknown": (1.0, 0), "m": (1000.0, 1), "um": (0.001, 3)}


@dataclass(frozen=True)
class Storage:
    """How one array is stored. The defaults are those of an ordinary file.

    version: of NIfTI, 1 or 2; 0 for a FreeSurfer file, which has less of this.
    levels: for integers, the stored number of the brightest voxel, above that of black.
    black: the number of black.
    gain, offset: for floats, stored = gain * value + offset.
    slope, inter: the header's, as stored; a slope of 0 or NaN means no scaling.
    codes: which of the header's affines are there: `both`, `sform`, `qform`, `none`, or `differ`: sform is right.
    squeeze: a length of 1 along the last axis is left out.
    """

    version: int = 1
    compressed: bool = True
    dtype: str = "f4"
    big_endian: bool = False
    levels: float = BRIGHTEST
    black: float = 0
    gain: float = 1.0
    offset: float = 0.0
    slope: float = 1.0
    inter: float = 0.0
    orientation: str = "RAS"
    codes: str = "both"
    units: str = "mm"
    more_axes: int = 0
    squeeze: bool = False
    extension: bool = False
    gap: int = 0
    trailing: int = 0
    description: bytes = b""
    display_range: bool = False

    def __str__(self) -> str:
        changed = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        return (
            ("nifti(" if self.version else "freesurfer(")
            + ", ".join(f"{name}={value!r}" for name, value in changed.items())
            + ")"
        )

    @property
    def suffix(self) -> str:
        if not self.version:
            return ".mgz" if self.compressed else ".mgh"
        return ".nii.gz" if self.compressed else ".nii"

    @property
    def axes(self) -> np.ndarray:
        """For each axis of a RAS array, the file's axis and +1 or -1 for its direction."""
        return ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(self.orientation)).astype(int)

    @property
    def axes_to_ras(self) -> np.ndarray:
        """For each axis of the file, that of a RAS array and its direction."""
        return ornt_transform(axcodes2ornt(self.orientation), axcodes2ornt("RAS")).astype(int)


def draw_image_storage(rng: np.random.Generator, common: Storage) -> Storage:
    """Another data type, scaling and header; what `common` says of geometry stays."""
    choose = rng.choice
    header = _draw_header(rng, common)
    integers, floats = (INTEGERS, FLOATS) if header.version else (("u1", "i2", "i4"), ("f4",))
    if rng.uniform() < 0.35:
        dtype = str(choose(floats))
        scaling = {"gain": 10 ** rng.uniform(-8, 8)} if rng.uniform() < 0.5 else {}
        scaling["offset"] = float(scaling.get("gain", 1) * BRIGHTEST * choose([0, 0, -1, 0.3, 2]))
    else:
        dtype = str(choose(integers))
        most = min(np.iinfo(dtype).max, 2**20)
        levels = float(choose([n for n in (100, 127, 255, 1000, 4095, 30000, most) if 100 <= n <= most]))
        below = 0 if dtype[0] == "u" else max(float(np.iinfo(dtype).min), -1024.0)
        scaling = {"levels": levels, "black": float(choose([0, 0, below, min(most - levels, 1024)]))}
    slope, inter = [(1, 0), (0, 0), (np.nan, np.nan), (np.nan, 0), (0, 7), (None, None), (None, None)][rng.integers(7)]
    if slope is None:
        slope = float(np.float32(choose([-1, 1]) * 10 ** rng.uniform(-6, 4)))
        size = scaling["levels"] if "levels" in scaling else scaling.get("gain", 1) * BRIGHTEST
        inter = float(np.float32(slope * size * choose([0, -0.1, 1])))
    slope, inter = (float(slope), float(inter)) if header.version else (1.0, 0.0)
    return replace(header, dtype=dtype, **scaling, slope=slope, inter=inter)


def draw_label_storage(rng: np.random.Generator, common: Storage) -> Storage:
    """Another data type and header; the labels are the numbers that the header's scaling gives."""
    header = _draw_header(rng, common)
    if not header.version:
        return replace(header, dtype=str(rng.choice(["u1", "i2", "i4", "f4"])))
    slope, inter = [(1, 0), (0, 0), (np.nan, np.nan), (0.5, 0), (1, -3), (0.1, 0)][rng.integers(6)]
    dtypes = ("i2", "i4", "i8", *FLOATS) if slope not in (1, 0) or inter else INTEGERS + FLOATS
    return replace(header, dtype=str(rng.choice(dtypes)), slope=slope, inter=inter)


def _draw_header(rng: np.random.Generator, common: Storage) -> Storage:
    def rarely(value, otherwise):
        return value if rng.uniform() < 0.15 else otherwise

    if common.units == "mm" and not common.squeeze and rng.uniform() < 0.1:
        return replace(common, version=0, compressed=bool(rng.uniform() < 0.7))
    return replace(
        common,
        version=rarely(2, 1),
        compressed=bool(rng.uniform() < 0.3),
        big_endian=rarely(True, False),
        more_axes=int(rarely(rng.integers(1, 3), 0)),
        extension=rarely(True, False),
        gap=int(rarely(rng.choice([16, 64, 4096]), 0)),
        trailing=int(rarely(rng.choice([1, 100, 5000]), 0)),
        description=rarely(b"\xff\xfe\x80 not text", b""),
        display_range=rarely(True, False),
    )


def stored_image(values: np.ndarray, storage: Storage) -> np.ndarray:
    """The numbers in the file for an image from 0 to `BRIGHTEST`; a negative slope is undone, so white stays white."""
    dtype = np.dtype(storage.dtype)
    values = BRIGHTEST - values if storage.slope < 0 else values
    if dtype.kind == "f":
        return (storage.gain * values + storage.offset).astype(dtype)
    return (np.rint(values / BRIGHTEST * storage.levels) + storage.black).astype(dtype)


def stored_labels(labels: np.ndarray, storage: Storage) -> np.ndarray:
    """The numbers in the file for labels."""
    scaled = np.isfinite(storage.slope) and storage.slope != 0
    numbers = (labels - storage.inter) / storage.slope if scaled else labels
    return (numbers if storage.dtype[0] == "f" else np.rint(numbers)).astype(storage.dtype)


def write_nifti(path: Path, stored: np.ndarray, affine: np.ndarray, storage: Storage) -> None:
    """Writes the numbers `[X, Y, Z]` of a RAS array with its affine in mm."""
    array = apply_orientation(stored, storage.axes)
    affine = affine @ inv_ornt_aff(storage.axes, stored.shape)
    if not storage.version:
        image = nib.MGHImage(array, affine)
        image.header["goodRASFlag"] = storage.codes != "none"
        content = image.to_bytes()
        path.write_bytes(gzip.compress(content, 1) if storage.compressed else content)
        return
    millimetres, unit_code = UNITS[storage.units]
    affine[:3] /= millimetres
    image_class = nib.Nifti1Image if storage.version == 1 else nib.Nifti2Image
    header = image_class.header_class(endianness=">" if storage.big_endian else "<")
    shape = array.shape[: 2 if storage.squeeze and array.shape[2] == 1 and not storage.more_axes else 3]
    header.set_data_dtype(storage.dtype)
    header.set_data_shape(shape + (1,) * storage.more_axes)
    header.set_zooms(nib.affines.voxel_sizes(affine)[: len(shape)].tolist() + [1.0] * storage.more_axes)
    _set_affines(header, affine, storage.codes)
    header["xyzt_units"] = unit_code
    header["scl_slope"], header["scl_inter"] = storage.slope, storage.inter
    header["descrip"] = storage.description
    if storage.display_range:
        header["cal_min"], header["cal_max"] = 3, 4
    extension = _extension("big" if storage.big_endian else "little") if storage.extension else bytes(4)
    header["magic"] = b"n+1" if storage.version == 1 else header["magic"]
    start = header.sizeof_hdr + len(extension) + (0 if storage.extension else storage.gap)
    start += -start % 16
    header["vox_offset"] = start
    content = (header.binaryblock + extension).ljust(start, b"\0")
    content += array.astype(array.dtype.newbyteorder(">" if storage.big_endian else "<")).tobytes("F")
    content += bytes(storage.trailing)
    path.write_bytes(gzip.compress(content, 1) if storage.compressed else content)


def _extension(order: Literal["big", "little"]) -> bytes:
    """One extension of 32 bytes, a comment."""
    return b"\1\0\0\0" + (32).to_bytes(4, order) + (6).to_bytes(4, order) + b"a comment".ljust(24, b"\0")


def _set_affines(header: nib.Nifti1Header, affine: np.ndarray, codes: str) -> None:
    if codes in ("both", "qform"):
        header.set_qform(affine, code=1)
    elif codes == "differ":
        other = affine.copy()
        other[0] *= -1
        other[:3, 3] += 30
        header.set_qform(other, code=1)
    if codes in ("both", "sform", "differ"):
        header.set_sform(affine, code=2)
    else:
        header["sform_code"] = 0
    if codes in ("sform", "none"):
        header["qform_code"] = 0
