"""Damage to files: random bytes changed in valid ones, and files that are something else than their name says."""

import gzip
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

# The checksums of these formats find any change of the pixels.
CHECKED = (".nii.gz", ".mgz", ".png", ".npz")


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """Changes, deletes or inserts some bytes, most often near the start, where headers are."""
    data = bytearray(content)
    for _ in range(int(rng.choice([1, 1, 2, 8]))):
        size = min(len(data), 600) if rng.uniform() < 0.7 else len(data)
        place, length = int(rng.integers(max(1, size))), int(rng.choice([1, 1, 2, 4, 100]))
        length = min(length, len(data) - place)
        change = str(
            rng.choice(["bit", "bytes", "extreme", "delete", "insert", "end"], p=[0.3, 0.3, 0.2, 0.1, 0.05, 0.05])
        )
        if change == "bit" and length:
            data[place] ^= 1 << int(rng.integers(8))
        elif change == "bytes":
            data[place : place + length] = rng.bytes(length)
        elif change == "extreme":
            data[place : place + length] = [b"\xff", b"\x00", b"\x7f", b"\x80"][rng.integers(4)] * length
        elif change == "delete":
            del data[place : place + length]
        elif change == "insert":
            data[place:place] = rng.bytes(length)
        else:
            del data[int(rng.integers(max(1, len(data)))) :]
    return bytes(data)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _nifti(change: Callable[[np.ndarray, nib.Nifti1Header], np.ndarray]) -> Callable[[Path], None]:
    """Writes a NIfTI file with other voxels and another header."""

    def write(path: Path) -> None:
        image = nib.load(path, mmap=False)
        header = image.header.copy()
        voxels = change(np.asarray(image.dataobj), header)
        header.set_data_dtype(voxels.dtype)
        content = type(image)(voxels, None, header).to_bytes()
        path.write_bytes(gzip.compress(content, 1) if path.name.lower().endswith(".gz") else content)

    return write


def _as_colours(voxels: np.ndarray, _) -> np.ndarray:
    grey = (255 * (voxels > 0)).astype(np.uint8)
    return np.stack([grey] * 3, -1).view([(channel, np.uint8) for channel in "RGB"])[..., 0]


def _flat_affine(voxels: np.ndarray, header: nib.Nifti1Header) -> np.ndarray:
    header["qform_code"], header["sform_code"] = 0, 1
    header["srow_x"] = header["srow_y"]
    return voxels


def _affine_with_nan(voxels: np.ndarray, header: nib.Nifti1Header) -> np.ndarray:
    header["qform_code"], header["sform_code"] = 0, 1
    header["srow_z"][1] = np.nan
    return voxels


def _raster(make: Callable[[np.ndarray], list[np.ndarray]]) -> Callable[[Path], None]:
    """Writes one or several pictures of the same size into a PNG or TIFF."""

    def write(path: Path) -> None:
        with Image.open(path) as image:
            frames = [Image.fromarray(frame) for frame in make(np.asarray(image.convert("L")))]
        content = io.BytesIO()
        kind = "PNG" if path.name.lower().endswith("png") else "TIFF"
        frames[0].save(content, kind, save_all=len(frames) > 1, append_images=frames[1:])
        path.write_bytes(content.getvalue())

    return write


def _array(change: Callable[[np.ndarray], dict[str, np.ndarray]]) -> Callable[[Path], None]:
    """Writes other arrays into a .npy (the first of them) or .npz."""

    def write(path: Path) -> None:
        loaded, content = np.load(path), io.BytesIO()
        if path.name.lower().endswith(".npz"):
            np.savez(content, **change(loaded["image"]))
        else:
            np.save(content, next(iter(change(loaded).values())))
        path.write_bytes(content.getvalue())

    return write


_NIFTI, _NUMPY, _RASTER = (".nii", ".nii.gz"), (".npy", ".npz"), (".png", ".tif")
ANY = (*_NIFTI, ".mgz", ".mgh", *_NUMPY, *_RASTER)

# What to do to a file, of which formats; `image` or `labels` if it matters. Each must be refused by name.
SPOILERS: dict[str, tuple[tuple[str, ...], str, Callable[[Path], None]]] = {
    "truncated": (ANY, "", _truncate),
    "empty": (ANY, "", lambda path: path.write_bytes(b"")),
    "a folder": (ANY, "", _folder),
    "a link to nothing": (ANY, "", _dangling),
    "a pipe": (ANY, "", _pipe),
    "text": (ANY, "", lambda path: path.write_text("subject,age\n" * 100)),
    "compressed text": (ANY, "", lambda path: path.write_bytes(gzip.compress(b"text" * 999))),
    "a pickle": (ANY, "", lambda path: path.write_bytes(pickle.dumps({"image": 1}))),
    "complex": (_NIFTI, "", _nifti(lambda voxels, _: voxels.astype(np.complex64))),
    "colours": (_NIFTI, "", _nifti(_as_colours)),
    "three volumes": (_NIFTI, "", _nifti(lambda voxels, _: np.stack([voxels.reshape(voxels.shape[:3])] * 3, -1))),
    "a flat affine": (_NIFTI, "", _nifti(_flat_affine)),
    "an affine with NaN": (_NIFTI, "", _nifti(_affine_with_nan)),
    "constant": (_NIFTI, "image", _nifti(lambda voxels, _: np.full_like(voxels, 7))),
    "half numbers": (_NIFTI, "labels", _nifti(lambda voxels, _: voxels.astype(np.float32) + 0.5)),
    "huge labels": (_NUMPY, "labels", _array(lambda array: {"image": array.astype(np.float64) * 1e12})),
    "several arrays": ((".npz",), "", _array(lambda array: {"a": array, "b": array})),
    "objects": (_NUMPY, "", _array(lambda array: {"image": array.astype(object)})),
    "complex array": (_NUMPY, "", _array(lambda array: {"image": array.astype(complex)})),
    "words": (_NUMPY, "", _array(lambda array: {"image": array.astype(str)})),
    "four axes": (_NUMPY, "", _array(lambda array: {"image": np.stack([np.stack([array, array])] * 2)})),
    "several frames": (_RASTER, "", _raster(lambda grey: [grey, 255 - grey])),
    "coloured labels": (_RASTER, "labels", _raster(lambda grey: [np.stack([grey, 255 - grey, grey], -1)])),
}
