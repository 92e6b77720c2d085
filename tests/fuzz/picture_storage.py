"""Ways to store a picture [H, W] as PNG, TIFF, .npy or .npz."""

import io
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from fuzz.anatomy import BRIGHTEST
from PIL import Image

TIFF_COMPRESSIONS = (None, "tiff_lzw", "tiff_adobe_deflate", "packbits")


@dataclass(frozen=True)
class Picture:
    """How one picture is stored.

    dtype: a data type, or `P`, `LA` or `RGB`, which are 8-bit PNG.
    levels, black: stored = black + levels for the brightest pixel, black for 0.
    compression: of a TIFF.
    fortran, compressed, channel: of an array: its order in memory, compression of a .npz, a third axis of length 1.
    """

    suffix: str = ".png"
    dtype: str = "u1"
    levels: float = 255
    black: float = 0
    compression: str | None = None
    fortran: bool = False
    compressed: bool = False
    channel: bool = False

    def __str__(self) -> str:
        changed = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        return "picture(" + ", ".join(f"{name}={value!r}" for name, value in changed.items()) + ")"

    @property
    def whole(self) -> bool:
        """Whether only whole numbers can be stored."""
        return self.dtype.lstrip("<>")[0] not in "f"


def draw_picture(rng: np.random.Generator, suffix: str, *, labels: bool) -> Picture:
    """A storage of an image, or of a label map with labels up to 255."""
    choose = rng.choice
    if suffix == ".png":
        dtype = str(choose(["u1", "u2", "P"] if labels else ["u1", "u2", "u2", "RGB", "LA", "P"]))
    elif suffix == ".tif":
        dtype = str(choose(["u1", "u2", ">u2", "i4", "f4"]))
    else:
        dtype = str(choose(["u1", "i2", "u2", "i4", "i8", "f4", "f8", ">i2", ">f4", *([] if labels else ["f2"])]))
    levels, black = 1.0, 0.0
    if not labels:
        if dtype in ("RGB", "LA", "P", "u1"):
            levels, black = [(255, 0), (200, 0), (150, 40)][rng.integers(3)]
        elif dtype.lstrip("<>")[0] == "f":
            levels = float(choose([1, 0.2, 1000, 10 ** rng.uniform(-4, 4)]))
            black = levels * float(choose([0, 0, -1, 1]))
        else:
            levels, black = float(choose([1023, 4095, 30000])), float(choose([0, 0, 1000]))
    picture = Picture(suffix, dtype, float(levels), float(black))
    if suffix == ".png":
        return picture
    if suffix == ".tif":
        return replace(picture, compression=choose(TIFF_COMPRESSIONS))
    fortran, channel = rng.uniform(size=2) < 0.25
    return replace(picture, fortran=bool(fortran), channel=bool(channel), compressed=bool(rng.uniform() < 0.5))


def write_picture(path: Path, values: np.ndarray, picture: Picture, *, labels: bool = False) -> None:
    """Writes an image from 0 to `BRIGHTEST`, or labels as they are."""
    numbers = values if labels else values / BRIGHTEST * picture.levels + picture.black
    if picture.whole:
        numbers = np.rint(numbers)
    content = io.BytesIO()  # libraries write no file whose name is not UTF-8
    if picture.suffix in (".npy", ".npz"):
        array = np.asarray(numbers, picture.dtype, order="F" if picture.fortran else "C")
        array = array[..., None] if picture.channel else array
        if picture.suffix == ".npy":
            np.save(content, array)
        else:
            (np.savez_compressed if picture.compressed else np.savez)(content, image=array)
        path.write_bytes(content.getvalue())
        return
    colours = picture.dtype in ("RGB", "LA", "P")
    image = Image.fromarray(np.ascontiguousarray(numbers.astype("u1" if colours else picture.dtype)))
    if picture.dtype in ("RGB", "LA"):
        image = image.convert(picture.dtype)
    elif colours:
        image.putpalette(np.repeat(np.arange(256), 3).tolist())
    if picture.suffix == ".png":
        image.save(content, "PNG")
    else:
        image.save(content, "TIFF", compression=picture.compression)
    path.write_bytes(content.getvalue())


def read_labels(path: Path) -> np.ndarray:
    """Reads the numbers of a picture that a command wrote."""
    name = path.name.lower()
    if name.endswith(".npy"):
        return np.load(path)
    if name.endswith(".npz"):
        return np.load(path)["image"]
    with Image.open(path) as image:
        return np.asarray(image)
