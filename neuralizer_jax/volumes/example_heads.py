"""Built-in examples: heads with the tissues of the phantom in the contrast of a target, made on first use."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from input_pipeline.space.grid import AFFINE, SHAPE
from input_pipeline.space.tissue_classes import class_indices
from input_pipeline.synthesis.contrasts import class_means
from input_pipeline.synthesis.example_heads import example_image, example_labels
from input_pipeline.synthesis.images import brain_mask
from neuralizer_jax.compilation_cache import user_cache
from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.volumes.aligned import AlignedScan
from neuralizer_jax.volumes.contrast import tissue_signals
from neuralizer_jax.volumes.deformation import Deformation, find_deformation
from neuralizer_jax.volumes.field import Field

# Changes with the anatomies, so that older ones are not used.
_VERSION = 1


@dataclass(frozen=True, eq=False)
class ExampleHead:
    """A head.

    Attributes:
        name: what messages call it.
        image: float32 `[X, Y, Z]` without noise, in the unit of the signals that it was made with.
        labels: uint16, FreeSurfer labels, 5xx outside of the brain.
        brain: bool.
        to_mni: `[4, 4]`, voxel -> MNI152 in mm.
    """

    name: str
    image: np.ndarray
    labels: np.ndarray
    brain: np.ndarray
    to_mni: np.ndarray


def heads_in_field(
    target: AlignedScan,
    place: Field,
    count: int,
    *,
    skull_stripped: bool,
    cache: Path | None = None,
    on_progress: Callable[[str, int, int], object] = lambda stage, done, of: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Makes heads in the contrast of a target, in its field.

    Args:
        target: the aligned scan.
        place: its field.
        count: number of heads.
        skull_stripped: whether the target shows a brain alone.
        cache: as for `example_head`.
        on_progress: called with the number of heads that are made.

    Returns:
        Images in [0, 1], scaled as the target is, and brain masks, float32 `[count, *place.shape]` each.
    """
    signals = tissue_signals(target)
    images, brains = np.zeros((2, count, *place.shape), np.float32)
    for number in range(count):
        on_progress("making examples", number, count)
        head = example_head(number, signals, skull_stripped=skull_stripped, cache=cache)
        images[number] = np.clip(place.bring(head.image, head.to_mni), 0, 1)
        brains[number] = place.bring(head.brain, head.to_mni)
    on_progress("making examples", count, count)
    return images, brains


def example_head(
    number: int, signals: tuple[np.ndarray, np.ndarray], *, skull_stripped: bool, cache: Path | None = None
) -> ExampleHead:
    """Makes a head.

    Args:
        number: which anatomy.
        signals: mean and standard deviation of each tissue class, from `contrast.tissue_signals`.
        skull_stripped: whether the image is 0 outside of the brain.
        cache: folder of the anatomies; None: `examples` in the user's cache folder. If it is not writable, nothing is
            kept. A damaged file is made again.
    """
    labels = _kept_labels(number, cache)
    brain = brain_mask(labels)
    image = example_image(labels, *signals, seed=number)
    if skull_stripped:
        image, labels = np.where(brain, image, 0), np.where(brain, labels, 0)
    return ExampleHead(example_name(number), image, labels, brain, AFFINE)


def head_deformation(head: ExampleHead, *, skull_stripped: bool, cache: Path | None = None) -> Deformation:
    """The deformation of a head, from its anatomy in the template's contrast: found once, whatever the target's is.

    Args:
        head: the head.
        skull_stripped: whether it was made so, as for `example_head`. It is treated as the target is.
        cache: as for `deformation.find_deformation`.
    """
    signal = np.where(head.labels > 0, class_means("T1")[class_indices(head.labels)], 0)
    values = (signal / signal.max()).astype(np.float16)
    return find_deformation(values, head.to_mni, skull_stripped=skull_stripped, cache=cache)


def example_name(number: int) -> str:
    """What messages call a built-in head."""
    return f"built-in head {number + 1}"


def _kept_labels(number: int, cache: Path | None) -> np.ndarray:
    if cache is None:
        try:
            cache = user_cache() / "examples"
        except RuntimeError:
            return example_labels(number)
    path = cache / f"head-{number:02d}-v{_VERSION}.npz"
    with suppress(Exception), open(path, "rb") as stream, np.load(stream) as file:  # a damaged file is made again
        labels = file["labels"]
        if labels.shape == SHAPE and labels.dtype == np.uint16:
            return labels
    labels = example_labels(number)
    with suppress(OSError, InputError):
        cache.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as temporary:  # ends in .npz, as NumPy wants it
            np.savez_compressed(temporary, labels=labels)
    return labels
