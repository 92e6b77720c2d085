"""A drawn episode for the weights that come with the package: heads of ellipses, made of a seed with NumPy alone.

Comes in: the name of one of `TASKS`. Goes out: what `predict` takes, and the truth. `make_pretrained.py` stores what
PyTorch computes of it.
"""

from dataclasses import dataclass

import numpy as np

TASKS = ("segmentation", "image")  # as `predict` calls them: of the ventricles; removing bias and noise
SIZE = 64
MEMBERS = 4


@dataclass(frozen=True)
class DrawnEpisode:
    """Images in [0, 1], masks of 0 and 1, float32: target_in, target_out [S, S]; context_in, context_out [N, S, S]."""

    target_in: np.ndarray
    target_out: np.ndarray
    context_in: np.ndarray
    context_out: np.ndarray


def draw_episode(task: str, seed: int = 0) -> DrawnEpisode:
    """An episode of a task: every member is another head."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    pairs = np.array([_pair(task, rng) for _ in range(1 + MEMBERS)], np.float32)
    return DrawnEpisode(pairs[0, 0], pairs[0, 1], pairs[1:, 0], pairs[1:, 1])


# Ellipses that are drawn over one another: centre y, x, radii y, x, of a picture from -1 to 1, and intensity. Skull,
# fluid, grey matter, white matter, left and right ventricle.
_ELLIPSES = (
    (0.0, 0.0, 0.90, 0.75, 0.20),
    (0.0, 0.0, 0.82, 0.67, 0.10),
    (0.0, 0.0, 0.76, 0.62, 0.50),
    (0.0, 0.0, 0.58, 0.46, 0.80),
    (-0.1, -0.17, 0.26, 0.12, 0.10),
    (-0.1, 0.17, 0.26, 0.12, 0.10),
)
_VENTRICLES = 2  # so many of the last


def _pair(task: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Input and output [S, S] of one head. Sums and products alone, so that every NumPy draws the same bits."""
    y, x = (np.arange(SIZE) * (2 / SIZE) - 1 for _ in range(2))
    y, x = np.meshgrid(y, x, indexing="ij")
    clean, mask = np.zeros((SIZE, SIZE)), np.zeros((SIZE, SIZE))
    shift, stretch = 0.2 * (rng.random(2) - 0.5), 0.9 + 0.2 * rng.random(2)
    for index, (centre_y, centre_x, radius_y, radius_x, intensity) in enumerate(_ELLIPSES):
        own = 0.96 + 0.08 * rng.random(2)
        away_y = (y - centre_y - shift[0]) / (radius_y * stretch[0] * own[0])
        away_x = (x - centre_x - shift[1]) / (radius_x * stretch[1] * own[1])
        inside = away_y * away_y + away_x * away_x < 1
        clean[inside] = intensity
        if index >= len(_ELLIPSES) - _VENTRICLES:
            mask[inside] = 1
    slope = 0.5 * (rng.random(2) - 0.5)
    noise = rng.random((SIZE, SIZE)) - 0.5
    if task == "segmentation":
        return np.clip(clean + 0.05 * noise, 0, 1), mask
    return np.clip(clean * (1 + slope[0] * y + slope[1] * x) + 0.5 * noise, 0, 1), clean
