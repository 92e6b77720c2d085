"""The part of the configuration that says how slices are cut from volumes. Slice datasets do not read it."""

from typing import Any

from ml_collections import ConfigDict

from input_pipeline.cut import deformation, geometry, lesions, scans
from input_pipeline.space.grid import ORIGIN, SHAPE
from neuralizer_jax.errors import InputError

_HIGHEST = [start + length - 1 for start, length in zip(ORIGIN, SHAPE, strict=True)]


def _plane(axis: int) -> dict[str, Any]:
    return {
        "weight": 1.0,  # how often the plane is drawn, relative to the others; 0: never
        "positions": (float(ORIGIN[axis]), float(_HIGHEST[axis])),  # mm in MNI152, uniform where there is brain
    }


DEFAULTS: dict[str, Any] = {
    "planes": {"sagittal": _plane(0), "coronal": _plane(1), "axial": _plane(2)},
    **geometry.DEFAULTS,
    "deformation": deformation.DEFAULTS,
    # Images of subjects that have labels only.
    "scans": scans.DEFAULTS,
    "lesions": lesions.DEFAULTS,
}


def check_volumes(config: ConfigDict) -> None:
    """Checks the values of `DEFAULTS`, changed. Raises InputError: names the key, its value and what was expected."""
    deformation.check_deformation(config.deformation)
    weights = {name: plane.weight for name, plane in config.planes.items()}
    if min(weights.values()) < 0 or not any(weights.values()):
        raise InputError(f"volumes.planes: weights are {weights}, expected 0 or more, not all 0")
    for name, value, least, most in (
        ("shared.scale", config.shared.scale, 0.1, 10),
        ("misalignment.shift", config.misalignment.shift, 0, 100),
        ("misalignment.rotation", config.misalignment.rotation, 0, 90),
        ("misalignment.scale", config.misalignment.scale, 0, 0.4),
        ("scans.thickness", config.scans.thickness, 0, 20),
        ("scans.blur", config.scans.blur, 0, 2),
        ("lesions.count", config.lesions.count, 1, lesions.MOST),
        ("lesions.radius", config.lesions.radius, 0.5, 50),
    ):
        if not least <= value[0] <= value[1] <= most:
            raise InputError(f"volumes.{name}: {value}, expected a range within {least} to {most}")
