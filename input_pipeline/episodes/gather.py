"""Fetches the planned slices and label maps. The second of three steps: plan, gather, apply.

NumPy on memory-mapped arrays: copies, table lookups, and block means where the episodes are smaller than the slices.
"""

import numpy as np

from input_pipeline.episodes.plan import PROTOCOLS, Plan
from input_pipeline.ops.registry import TASK_AUGMENTATIONS, TASKS
from input_pipeline.space.protocols import other_side
from input_pipeline.space.tissue_classes import class_indices
from input_pipeline.store.table import SliceCollection

_TISSUE = class_indices(np.arange(2**16))


def reduction(length: int, size: int) -> int:
    """Width of the blocks of pixels that are averaged before a slice of `length` pixels is shown with `size` pixels.

    A divisor of `length`. Interpolation does the rest where `size` does not divide `length`.
    """
    return max(factor for factor in range(1, max(1, length // size) + 1) if length % factor == 0)


def gather(plan: Plan, collection: SliceCollection, channels: int, members: int, size: int) -> dict[str, np.ndarray]:
    """Fetches the slices of a plan.

    Args:
        plan: of a batch.
        collection: the one it was planned for.
        channels: C, at least what the tasks of the plan need.
        members: N, at least `plan.members`; padding is 0.
        size: width of a whole slice in pixels of the episodes; H and W are the slices' divided by `reduction`.

    Returns:
        `images` `[C, B, 1 + N, H, W]` uint16, target first, 65535 is intensity 1; channels that the task does not need
        are 0. `masks` `[B, 1 + N, H, W]` uint8, 0 or 1: the union of classes or the brain, 0 where the task has no
        mask. `labels` `[B, 1 + N, H, W]` uint8, indices into `tissue_classes.CLASSES`, 0 where no image is synthesised.
        `flip` `[B, 1 + N]` bool, images that `apply` flips; `masks` are of the classes after the flip.
    """
    batch, count = plan.subject.shape
    length = collection.datasets[0].images.shape[-1]
    factor = reduction(length, size)
    height = width = length // factor
    # Only what no slice is written to is set to 0: touching memory is most of the work here.
    images = np.empty((channels, batch, 1 + members, height, width), np.uint16)
    masks = np.empty((batch, 1 + members, height, width), np.uint8)
    labels = np.empty((batch, 1 + members, height, width), np.uint8)
    images[:, :, count:] = masks[:, count:] = labels[:, count:] = 0
    needs = [task.needs for task in TASKS.values()]
    from_labels = np.array([augmentation.touches == "images" for augmentation in TASK_AUGMENTATIONS.values()], bool)
    synthetic = (plan.augmentations & from_labels).any(1)
    for b in range(batch):
        protocol, has_brain_mask = PROTOCOLS[plan.protocol[b]], needs[plan.task[b]] == "brain mask"
        if protocol:
            tables = _class_tables(protocol, plan.classes[b])
        elif not has_brain_mask:
            masks[b, :count] = 0
        if not synthetic[b]:
            labels[b, :count] = 0
        for i in range(count):
            subject, index = plan.subject[b, i], plan.slice[b, i]
            entry, place = collection.entries[subject], collection.place_of[subject]
            data = collection.datasets[collection.dataset_of[subject]]
            slices, protocols = len(entry["y"]), list(entry["label_sources"])
            for channel, image in enumerate(plan.images[b, i, :channels]):
                row = data.first_image[place] + image * slices + index
                images[channel, b, i] = _means(data.images[row], factor) if image >= 0 else 0
            if protocol:
                row = data.first_labels[place] + protocols.index(protocol) * slices + index
                masks[b, i] = _majority(tables[int(plan.flip[b, i])][data.labels[row]], factor)
            elif has_brain_mask:
                masks[b, i] = _majority(data.masks[data.first_mask[place] + index], factor)
            if synthetic[b]:
                row = data.first_labels[place] + protocols.index("freesurfer") * slices + index
                labels[b, i] = _TISSUE[data.labels[row]][factor // 2 :: factor, factor // 2 :: factor]
    flip = np.zeros((batch, 1 + members), bool)
    flip[:, :count] = plan.flip
    return {"images": images, "masks": masks, "labels": labels, "flip": flip}


def _means(values: np.ndarray, factor: int) -> np.ndarray:
    return values if factor == 1 else _blocks(values, factor) // factor**2


def _majority(mask: np.ndarray, factor: int) -> np.ndarray:
    return mask if factor == 1 else 2 * _blocks(mask, factor) >= factor**2


def _blocks(values: np.ndarray, factor: int) -> np.ndarray:
    """Sums over blocks of `factor` x `factor` pixels, uint32."""
    parts = (values[row::factor, column::factor] for row in range(factor) for column in range(factor))
    return np.stack([part.astype(np.uint32) for part in parts]).sum(axis=0, dtype=np.uint32)


def _class_tables(protocol: str, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two tables `[65536]` uint8 that are 1 at the labels of the classes: for an image and for a flipped one.

    In a flipped image the left structure is the one that was on the right.
    """
    table = np.zeros(2**16, np.uint8)
    table[classes[classes > 0]] = 1
    return table, table[other_side(protocol)]
