"""Context pairs of the demo: coronal slices of the MNI152 template of nilearn, as folders of PNG files."""

from pathlib import Path

import numpy as np

SIZE = 192
TARGET_Y = -17
CONTEXT_Y = (-29, -25, -21, -13, -9, -5)
TISSUES = ("CSF", "grey matter", "white matter")


def write_demo_pairs(folder: Path, seed: int = 0) -> dict[str, Path]:
    """Writes a folder with a target and context pairs for each of two tasks.

    The target is the slice at y = -17 mm. The context pairs are slices of the same brain, 4 to 12 mm away.

    Args:
        folder: the folder to write, made if missing.
        seed: seed of the noise.

    Returns:
        The folder of each task: `segmentation` (labels 1 to 3: `TISSUES`) and `denoising` (smooth bias and Rician
        noise).
    """
    from neuralizer_jax.files.image_files import write_image

    image, labels = _template()
    rng = np.random.default_rng(seed)
    tasks = {}
    for task in ("segmentation", "denoising"):
        tasks[task] = folder / task
        tasks[task].mkdir(parents=True, exist_ok=True)
        for name, y in [("target_{}", TARGET_Y), *((f"ctx_{{}}{i}", y) for i, y in enumerate(CONTEXT_Y))]:
            clean = _coronal(image, y)
            shown, answer = (clean, _coronal(labels, y)) if task == "segmentation" else (_degrade(clean, rng), clean)
            write_image(tasks[task] / f"{name.format('in')}.png", shown, None, kind="image")
            if y != TARGET_Y:
                output = tasks[task] / f"{name.format('out')}.png"
                write_image(output, answer, None, kind="labels" if task == "segmentation" else "image")
    names = (f"{label}\t{tissue}\n" for label, tissue in enumerate(TISSUES, 1))
    (tasks["segmentation"] / "dseg.tsv").write_text("index\tname\n" + "".join(names))
    return tasks


def _template() -> tuple[np.ndarray, np.ndarray]:
    """Returns the template in [0, 1] and its tissue labels, `[x, y, z]` at 1 mm in RAS order."""
    from nilearn import datasets

    image, grey, white = (
        np.asarray(load(resolution=1).dataobj, np.float32)
        for load in (
            datasets.load_mni152_template,
            datasets.load_mni152_gm_template,
            datasets.load_mni152_wm_template,
        )
    )
    inside = image > 0
    labels = np.where(inside, 1 + np.argmax([1 - grey - white, grey, white], axis=0), 0)
    return image / image.max(), labels.astype(np.int32)


def _coronal(volume: np.ndarray, y: int) -> np.ndarray:
    """Returns the plane at `y` mm, `[SIZE, SIZE]`, superior at the top, left hemisphere on the left."""
    first_y = -134  # mm, of the template's grid
    plane = volume[:, y - first_y, ::-1].T
    for axis in (0, 1):
        missing = max(0, SIZE - plane.shape[axis])
        plane = np.pad(plane, [(missing // 2, missing - missing // 2) if axis == a else (0, 0) for a in (0, 1)])
        start = (plane.shape[axis] - SIZE) // 2
        plane = np.take(plane, np.arange(start, start + SIZE), axis=axis)
    return plane


def _degrade(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Multiplies by a smooth random field of about +-40 % and adds Rician noise of standard deviation 0.06."""
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    slope = rng.normal(size=3)
    field = np.exp(0.4 * (slope[0] * x + slope[1] * y + slope[2] * x * y) / np.linalg.norm(slope))
    noise = rng.normal(scale=0.06, size=(2, SIZE, SIZE))
    noisy = np.hypot(image * field + noise[0], noise[1])
    return (noisy / noisy.max()).astype(np.float32)
