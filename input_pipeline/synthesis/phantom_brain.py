"""The phantom's brain: labels from the MNI152 template that nilearn ships.

The template (ICBM 152 nonlinear symmetric 2009a, Fonov et al. 2009) is skull-stripped and has grey and white matter
probabilities. Cortex, white matter and CSF come from these maps, sharpened. Deep structures are ellipsoids in MNI
coordinates, restricted to the template's grey matter or CSF.
"""

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from input_pipeline.space import grid

# Left label, right label, centre (|x|, y, z) and half axes in mm, and allowed tissue of each structure. Later rows
# overwrite earlier ones. Midline structures have the same label twice. `solid` is grey or white matter, `grey` mostly
# grey matter, `fluid` and `dark` are CSF by the template's intensity.
_STRUCTURES = (
    (16, 16, (0, -24, -12), (15, 11, 10), "solid"),
    (16, 16, (0, -26, -29), (18, 14, 15), "solid"),
    (16, 16, (0, -39, -55), (11, 10, 24), "solid"),
    (28, 60, (10, -14, -7), (8, 9, 7), "solid"),
    (28, 60, (14, -8, -6), (6, 6, 5), "solid"),
    (10, 49, (11, -18, 8), (10, 14, 9), "solid"),
    (12, 51, (25, 6, 1), (6, 13, 10), "solid"),
    (12, 51, (29, -8, 3), (4, 13, 9), "solid"),
    (13, 52, (19, -3, -1), (6, 8, 6), "solid"),
    (11, 50, (12, 13, 6), (6, 9, 10), "grey"),
    (11, 50, (15, 2, 17), (5, 11, 6), "grey"),
    (11, 50, (18, -14, 23), (3, 10, 4), "solid"),
    (26, 58, (10, 11, -8), (5, 5, 4), "grey"),
    (18, 54, (23, -4, -19), (8, 6, 7), "grey"),
    (17, 53, (25, -12, -20), (8, 6, 6), "grey"),
    (17, 53, (28, -19, -17), (8, 8, 6), "grey"),
    (17, 53, (29, -28, -11), (7, 8, 6), "grey"),
    (17, 53, (27, -36, -3), (6, 6, 6), "grey"),
    (5, 44, (36, -18, -17), (2.5, 12, 4), "dark"),
    (14, 14, (0, -10, 1), (4, 17, 15), "dark"),
    (4, 43, (9, 18, 10), (9, 20, 14), "fluid"),
    (4, 43, (12, -12, 21), (14, 24, 11), "fluid"),
    (4, 43, (23, -38, 12), (12, 16, 16), "fluid"),
    (15, 15, (0, -44, -33), (10, 9, 14), "fluid"),
)

# Largest thickness of the cortex, mm. Grey matter farther from white matter is the inside of a sulcus.
_CORTEX_MM = 4.2


def brain_labels() -> np.ndarray:
    """FreeSurfer labels of the template's brain on the MNI152 grid, int16; 0 outside of it."""
    image, grey, white = _template()
    inside = (image > 0) | (grey + white > 0.5)
    x, y, z = coordinates()
    left = np.broadcast_to(x < 0, grid.SHAPE)
    tissue = _tissue(image, grey, white, inside)

    # The tentorium slopes down from the midline to both sides, and from y = -55 mm to the front and the back.
    tentorium = np.where(np.abs(x) < 12, 2 - 0.6 * np.abs(x), -5 - 0.33 * np.abs(x) - 0.08 * np.abs(y + 55))
    cerebellum = (y < -36) & (z < tentorium)
    table = np.array([[[24, 3, 2], [24, 42, 41]], [[24, 8, 7], [24, 47, 46]]], np.int16)
    labels = table[cerebellum.astype(np.uint8), (~left).astype(np.uint8), tissue]

    allowed = {
        "solid": tissue > 0,
        "grey": (tissue > 0) & (grey > 0.4),
        "fluid": inside & (image < 0.6),
        "dark": inside & (image < 0.63),
    }
    for left_label, right_label, centre, radii, kind in _STRUCTURES:
        for box, ellipsoid in mirrored_ellipsoids(centre, radii):
            chosen = ellipsoid & allowed[kind][box]
            labels[box][chosen] = np.where(left[box], left_label, right_label)[chosen]
    labels[~inside] = 0
    return labels


def coordinates() -> tuple[np.ndarray, ...]:
    """Coordinates x, y, z in mm of the grid's voxels, as three broadcastable arrays."""
    return np.ogrid[tuple(slice(first, first + n) for first, n in zip(grid.ORIGIN, grid.SHAPE, strict=True))]


def mirrored_ellipsoids(
    centre: tuple[float, float, float], radii: tuple[float, float, float]
) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
    """An ellipsoid and its mirror image at x = 0 (mm): for each its box on the grid, and which of the box is inside."""
    for side in (-1, 1):
        middle = np.array([side * centre[0], *centre[1:]])
        first = np.maximum(np.floor(middle - radii - grid.ORIGIN).astype(int), 0)
        last = np.ceil(middle + radii - grid.ORIGIN).astype(int) + 1
        box = tuple(slice(a, min(b, n)) for a, b, n in zip(first, last, grid.SHAPE, strict=True))
        parts = zip(coordinates_in(box), middle, radii, strict=True)
        yield box, sum(((place - m) / r) ** 2 for place, m, r in parts) < 1


def coordinates_in(box: tuple[slice, ...]) -> tuple[np.ndarray, ...]:
    """Coordinates x, y, z in mm of a box of the grid, as three broadcastable arrays."""
    return np.ogrid[tuple(slice(s.start + o, s.stop + o) for s, o in zip(box, grid.ORIGIN, strict=True))]


def _template() -> list[np.ndarray]:
    """The template's image in [0, 1] and its grey and white matter probabilities, on the MNI152 grid."""
    from nilearn import datasets

    volumes = []
    for name in ("template", "gm_template", "wm_template"):
        source = getattr(datasets, f"load_mni152_{name}")(resolution=1)
        volume = np.zeros(grid.SHAPE, np.float32)
        shift = np.round(np.array(grid.ORIGIN) - source.affine[:3, 3]).astype(int)
        first, last = np.maximum(shift, 0), np.minimum(shift + grid.SHAPE, source.shape)
        there = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
        here = tuple(slice(a, b) for a, b in zip(first - shift, last - shift, strict=True))
        volume[here] = np.asarray(source.dataobj, np.float32)[there]
        volumes.append(volume)
    return volumes


def _tissue(image: np.ndarray, grey: np.ndarray, white: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """0 CSF, 1 grey, 2 white matter, from the probabilities with enhanced local contrast.

    The template is an average of brains and therefore blurred. Its sulci are darker than their surroundings, and the
    white matter of gyri is brighter.
    """
    sulcus = np.clip(gaussian_filter(image, 3, truncate=2) - image, 0, None)
    fluid = np.clip(1 - grey - white, 0, 1) + 6.0 * sulcus
    ridge = 0.9 * white + 1.2 * (white - gaussian_filter(white, 3, truncate=2))
    grey_wins = (grey >= fluid) & (grey >= ridge)
    tissue = np.where(grey_wins, 1, np.where(ridge > fluid, 2, 0)).astype(np.uint8)
    tissue[~inside] = 0
    # Deep grey matter in this box is thicker than cortex; at the midline the cortex of both sides touches.
    x, y, z = coordinates()
    deep = (np.abs(x) < 40) & (y > -95) & (y < 22) & (z < 32) & ((np.abs(x) < 36) | (z < -8))
    deep = deep | (np.abs(x) < 12)
    far = distance_transform_edt(tissue != 2) > _CORTEX_MM
    tissue[far & ~deep & (tissue == 1)] = 0
    return tissue
