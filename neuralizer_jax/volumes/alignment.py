"""Alignment of scans to MNI152 by their intensities, kept on disk by content: target and examples alike.

Labels are not used: an example may have one structure alone, and a target has none. Both get the same errors.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuralizer_jax.compilation_cache import user_cache
from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.volumes.background import is_skull_stripped, with_dark_background
from neuralizer_jax.volumes.scan import Scan

# Changes with the registration, so that older results are not used.
_VERSION = 3

# Mutual information with the template below which a scan is no head, or was not aligned (`align.checks`), nats.
_LEAST_INFORMATION = 0.1


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where a scan lies in MNI152.

    Attributes:
        to_mni: `[4, 4]`, world of the scan in mm -> MNI152 in mm.
        mutual_information: with the template, nats; None: the alignment was given.
    """

    to_mni: np.ndarray
    mutual_information: float | None = None


def align(scan: Scan, *, cache: Path | None = None) -> Alignment:
    """Registers a scan to MNI152, or looks up what was found for the same voxels and affine before.

    Args:
        scan: the scan. If its `to_mni` is known, that is the result.
        cache: folder of the results; None: `alignments` in the user's cache folder. If it is not writable, nothing is
            kept. A damaged entry is computed again.

    Raises:
        InputError: the scan is no head, or cannot be aligned; the message names it.
    """
    if scan.to_mni is not None:
        return Alignment(scan.to_mni)
    scan = scan.canonical()
    entry = _entry(scan, cache)
    found = _kept(entry)
    if found is None:
        found = _register(scan)
        if entry is not None:
            with suppress(OSError, InputError):
                entry.parent.mkdir(parents=True, exist_ok=True)
                with written_whole(entry) as temporary:
                    temporary.write_text(
                        json.dumps({"to_mni": found.to_mni.tolist(), "mutual_information": found.mutual_information})
                    )
    if found.mutual_information is not None and found.mutual_information < _LEAST_INFORMATION:
        raise InputError(
            f"{scan.name}: its mutual information with the MNI152 template is {found.mutual_information:.2f}, expected"
            f" at least {_LEAST_INFORMATION}: it is no scan of a head, or could not be aligned"
        )
    return found


def _register(scan: Scan) -> Alignment:
    from input_pipeline.align.intensities import register_to_template

    stripped = is_skull_stripped(scan.values, scan.affine)
    values = with_dark_background(scan.values) if stripped else scan.values
    try:
        fit = register_to_template(values, scan.affine, skull_stripped=stripped, heads=_heads())
    except InputError as error:
        raise InputError(f"{scan.name}: {error}") from None
    return Alignment(fit.matrix, fit.mutual_information)


def _heads() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Phantom heads of the contrasts whose skulls and fluids differ most."""
    from input_pipeline.space.grid import AFFINE
    from input_pipeline.synthesis.images import synthesize_image
    from input_pipeline.synthesis.phantom import phantom_label_map

    labels = phantom_label_map()
    for modality in ("T1", "T2"):
        yield synthesize_image(labels, modality, seed=0), AFFINE


def _entry(scan: Scan, cache: Path | None) -> Path | None:
    """The file of a scan's alignment; None if there is no place for it."""
    if cache is None:
        try:
            cache = user_cache() / "alignments"
        except RuntimeError:
            return None
    digest = hashlib.sha256(f"{_VERSION} {scan.values.shape} {scan.affine.tolist()}".encode())
    digest.update(np.ascontiguousarray(scan.values).data)
    return cache / f"{digest.hexdigest()[:32]}.json"


def _kept(entry: Path | None) -> Alignment | None:
    """The alignment of a file; None if it is missing or damaged."""
    if entry is None:
        return None
    try:
        content = json.loads(entry.read_text(encoding="utf-8"))
        matrix = np.array(content["to_mni"], np.float64)
        information = float(content["mutual_information"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    usable = matrix.shape == (4, 4) and np.isfinite(matrix).all() and abs(np.linalg.det(matrix[:3, :3])) > 1e-3
    return Alignment(matrix, information) if usable and np.isfinite(information) else None
