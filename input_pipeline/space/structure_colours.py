"""Colours of anatomical structures by name: those of FreeSurfer's table, the same for left and right."""

import re

import numpy as np

# As in FreeSurferColorLUT.txt, but for cerebral white matter: white is lost on a T1 image.
FREESURFER_COLOURS = {
    "cerebral white matter": (245, 245, 190),
    "cerebral cortex": (205, 62, 78),
    "lateral ventricle": (120, 18, 134),
    "inferior lateral ventricle": (196, 58, 250),
    "cerebellar white matter": (220, 248, 164),
    "cerebellar cortex": (230, 148, 34),
    "thalamus": (0, 118, 14),
    "caudate": (122, 186, 220),
    "putamen": (236, 13, 176),
    "pallidum": (12, 48, 255),
    "third ventricle": (204, 182, 142),
    "fourth ventricle": (42, 204, 164),
    "brain stem": (119, 159, 176),
    "hippocampus": (220, 216, 20),
    "amygdala": (103, 255, 255),
    "accumbens area": (255, 165, 0),
    "ventral diencephalon": (165, 42, 42),
}

# Names in label tables of FreeSurfer and BrainCOLOR, without their side.
_ALSO_CALLED = {
    "3rd ventricle": "third ventricle",
    "4th ventricle": "fourth ventricle",
    "accumbens": "accumbens area",
    "brainstem": "brain stem",
    "cerebellum cortex": "cerebellar cortex",
    "cerebellum exterior": "cerebellar cortex",
    "cerebellum white matter": "cerebellar white matter",
    "inf lat vent": "inferior lateral ventricle",
    "thalamus proper": "thalamus",
    "ventral dc": "ventral diencephalon",
}
_SIDES = {"left", "right", "lh", "rh", "l", "r"}


def without_side(name: str) -> str:
    """The name of a structure in lower case, without its side, as this package calls it.

    Example:
        >>> without_side("Left-Inf-Lat-Vent"), without_side("hippocampus_R"), without_side("ctx-lh-precuneus")
        ('inferior lateral ventricle', 'hippocampus', 'ctx precuneus')
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    words = [word for word in re.findall(r"\w+", spaced.replace("_", " ")) if word not in _SIDES]
    plain = " ".join(words)
    return _ALSO_CALLED.get(plain, plain)


def distant_colours(numbers: np.ndarray) -> np.ndarray:
    """RGB `[..., 3]` float in [0, 1] of distant hues for the structures that FreeSurfer's table lacks.

    Example:
        >>> distant_colours(np.arange(3)).round(1).tolist()
        [[1.0, 0.3, 0.3], [0.6, 0.9, 0.2], [0.1, 0.8, 0.8]]
    """
    hue = numbers * 0.7548777 % 1  # irrational steps around the colour circle
    return 0.55 + 0.45 * np.cos(2 * np.pi * (hue[..., None] + np.array([0, 1 / 3, 2 / 3])))


def bright(colours: np.ndarray) -> np.ndarray:
    """RGB `[..., 3]` uint8 at full brightness, as a thin dark line is hard to see.

    Example:
        >>> bright(np.array([0, 59, 7])).tolist()
        [0, 255, 30]
    """
    return np.rint(255 * colours / np.maximum(colours.max(-1, keepdims=True), 1e-6)).astype(np.uint8)


def colours_by_name(names: list[str]) -> list[tuple[int, int, int]]:
    """A bright colour for each name: FreeSurfer's where it has one, the same for left and right.

    Example:
        >>> colours_by_name(["Left-Thalamus-Proper", "right thalamus", "my region"])
        [(0, 255, 30), (0, 255, 30), (255, 83, 83)]
    """
    structures = [without_side(name) for name in names]
    others = sorted(set(structures) - FREESURFER_COLOURS.keys())
    known = {name: np.array(rgb) for name, rgb in FREESURFER_COLOURS.items()}
    known |= dict(zip(others, distant_colours(np.arange(len(others))), strict=True))
    return [tuple(int(x) for x in bright(known[name])) for name in structures]  # type: ignore[misc]
