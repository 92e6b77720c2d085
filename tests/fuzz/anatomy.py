"""The made-up head of all cases: an asymmetric set of ellipsoids, evaluated on any grid, and its context."""

from functools import cache

import numpy as np

# Shape and spacing in mm of the grids that the files of a case share. All lengths differ: exchanged axes are seen.
GRIDS = (
    ((48, 40, 44), (4.0, 4.0, 4.0)),
    ((44, 40, 36), (4.5, 4.0, 5.0)),
    ((56, 32, 44), (3.5, 5.5, 4.0)),
)
# What surrounds the brain on each grid: a head in nothing, a head in noisy air, nothing (skull-stripped).
SURROUNDINGS = ("head", "air", "stripped")
CONTEXT_SEEDS = (1, 2, 3)
TARGET_SEED = 100
LABELS = (2, 4, 41, 43, 53)
BRIGHTEST = 1000.0

# Centre and radii in mm, grey value, label. Later ones lie on earlier ones.
_PARTS = (
    ((0, 0, 0), (78, 76, 76), 500, 0),  # skin
    ((0, 0, 0), (73, 71, 71), 150, 0),  # skull
    ((0, 0, 0), (66, 66, 65), 700, 0),
    ((-29, 2, 5), (27, 56, 42), 1000, 2),
    ((30, -2, 8), (26, 52, 45), 1000, 41),
    ((-15, -4, 16), (10, 34, 15), 250, 4),
    ((15, 4, 12), (9, 30, 14), 250, 43),
    ((38, -6, -28), (14, 28, 11), 850, 53),
)


def affine_of(shape: tuple[int, ...], spacing: tuple[float, ...]) -> np.ndarray:
    """Voxel to RAS mm `[4, 4]` of a grid with its centre at the origin."""
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -(np.array(shape) - 1) / 2 * np.array(spacing)
    return affine


def head(
    seed: int, shape: tuple[int, ...], affine: np.ndarray, surrounding: str = "head"
) -> tuple[np.ndarray, np.ndarray]:
    """Image float64 `[X, Y, Z]` from 0 to `BRIGHTEST`, and labels int32."""
    rng = np.random.default_rng(seed)
    size, shift, slope = 1 + 0.02 * rng.standard_normal(3), rng.standard_normal(3), 0.12
    places = np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3] - shift
    # Every plane along y has another picture: the head leans.
    places[..., 0] -= slope * places[..., 1]
    image, labels = np.zeros(shape), np.zeros(shape, np.int32)
    for centre, radii, grey, label in _PARTS[2 if surrounding == "stripped" else 0 :]:
        inside = (((places - np.array(centre)) / (np.array(radii) * size)) ** 2).sum(-1) < 1
        image[inside], labels[inside] = grey, label
    waves = np.sin(places @ rng.uniform(-0.3, 0.3, (3, 4))).mean(-1)
    image = image * (1 + 0.03 * waves) + (np.where(image == 0, 8 + 4 * waves, 0) if surrounding == "air" else 0)
    return np.clip(image, 0, BRIGHTEST), labels


@cache
def heads(grid: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Images and labels of target and context on one of `GRIDS`, by seed."""
    shape, spacing = GRIDS[grid]
    affine, around = affine_of(shape, spacing), SURROUNDINGS[grid]
    return {seed: head(seed, shape, affine, around) for seed in (TARGET_SEED, *CONTEXT_SEEDS)}
