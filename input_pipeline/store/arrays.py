"""Large arrays on disk: written row after row, and mapped into memory."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import DTypeLike


def new_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> BinaryIO:
    """Opens a file in NumPy's format to write the rows of an array, little-endian and in C order.

    Not a mapped file: where the disk is full, writing to one kills the process.
    """
    file = path.open("wb")
    header = {"descr": np.dtype(dtype).newbyteorder("<").str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file


def mapped_array(path: Path) -> np.ndarray:
    """Maps an array into memory. Raises OSError or ValueError if the file is missing or damaged."""
    # A plain array on the mapped file: numpy.memmap is slow to index.
    return np.asarray(np.load(path, mmap_mode="r"))
