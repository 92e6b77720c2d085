"""What an affine map leaves between a head and the template of MNI152: a smooth deformation, kept on disk by content.

Structures of deformed scans lie on each other within a voxel or two. So the examples show the network what the
target has at the same place.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from input_pipeline.space.grid import ORIGIN, SHAPE
from neuralizer_jax.compilation_cache import user_cache
from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.volumes.boxes import Box, cut
from neuralizer_jax.volumes.displacement import FIELD_SHAPE, STEP_MM, growth, inverse

# Changes with the registration, so that older results are not used.
_VERSION = 1

# Displacements beyond this are no registration, mm.
_MOST_MM = 60


@dataclass(frozen=True, eq=False)
class Deformation:
    """A smooth map of MNI152 that does not fold: of the template to a scan that is aligned affinely.

    Attributes:
        to_scan: float16 `[3, 48, 56, 48]`, displacements in mm (`displacement.moved`).
    """

    to_scan: np.ndarray

    @cached_property
    def to_template(self) -> np.ndarray:
        """The inverse, float32 `[3, 48, 56, 48]`, displacements in mm."""
        return inverse(self.to_scan)

    @cached_property
    def growth(self) -> np.ndarray:
        """The volume in the template of a volume of 1 of the scan, at its place in the scan, float32 `[48, 56, 48]`."""
        return growth(self.to_template)


def find_deformation(
    values: np.ndarray, to_mni: np.ndarray, *, skull_stripped: bool, cache: Path | None = None
) -> Deformation:
    """Registers an affinely aligned scan to the template, or looks up what was found for the same scan before.

    Args:
        values: float16 `[X, Y, Z]` in [0, 1].
        to_mni: `[4, 4]`, voxel -> MNI152 in mm.
        skull_stripped: whether the scan shows a brain alone.
        cache: folder of the results; None: `deformations` in the user's cache folder. If it is not writable, nothing
            is kept. A damaged file is computed again.
    """
    path = _entry(values, to_mni, cache)
    if (kept := _kept(path)) is not None:
        return Deformation(kept)
    from input_pipeline.align.deform_to_template import deform_to_template

    grid = Box(ORIGIN, SHAPE)
    on_grid, seen = cut(values, to_mni, grid), cut(np.broadcast_to(np.float16(1), values.shape), to_mni, grid)
    found = deform_to_template(on_grid, seen, skull_stripped=skull_stripped, step_mm=STEP_MM).astype(np.float16)
    if path is not None:
        with suppress(OSError, InputError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(path) as temporary:  # ends in .npz, as NumPy wants it
                np.savez_compressed(temporary, to_scan=found)
    return Deformation(found)


def _entry(values: np.ndarray, to_mni: np.ndarray, cache: Path | None) -> Path | None:
    if cache is None:
        try:
            cache = user_cache() / "deformations"
        except RuntimeError:
            return None
    digest = hashlib.sha256(f"{_VERSION} {values.shape} {to_mni.tolist()}".encode())
    digest.update(np.ascontiguousarray(values).data)
    return cache / f"{digest.hexdigest()[:32]}.npz"


def _kept(path: Path | None) -> np.ndarray | None:
    """The field of a file; None if it is missing or damaged."""
    if path is None:
        return None
    with suppress(Exception), open(path, "rb") as stream, np.load(stream) as file:
        field = file["to_scan"]
        if field.shape == FIELD_SHAPE and field.dtype == np.float16 and np.abs(field).max() < _MOST_MM:
            return field
    return None
