"""The planned slices and label maps, fetched: the second of three steps. NumPy, no arithmetic but a table lookup."""

import numpy as np

from input_pipeline.contrast_table import class_indices
from input_pipeline.episode_plan import Plan
from input_pipeline.operations import TASK_AUGMENTATIONS, TASKS
from input_pipeline.protocol_sides import other_side
from input_pipeline.slice_collection import SliceCollection

_TISSUE = class_indices(np.arange(2**16))


def gather(plan: Plan, collection: SliceCollection, channels: int, members: int) -> dict[str, np.ndarray]:
    """Fetches what the plan asks for.

    Args:
        plan: of a batch.
        collection: that it was made for.
        channels: C, at least as many as a task of the plan needs.
        members: N, at least as many as the plan has; further ones are 0.

    Returns:
        `images` `[C, B, 1 + N, H, W]` uint16, the target first; 65535 is 1; channels that the task does not need are 0.
        `masks` `[B, 1 + N, H, W]` uint8, 0 or 1: the classes or the brain; 0 where the task has no mask.
        `labels` `[B, 1 + N, H, W]` uint8, indices into `contrast_table.CLASSES`; 0 where no image is synthesised.
    """
    batch, count = plan.subject.shape
    height, width = collection.datasets[0].images.shape[1:]
    # Memory of zeros costs nothing until it is written to: few tasks have a second or a third channel.
    images = np.zeros((channels, batch, 1 + members, height, width), np.uint16)
    masks = np.zeros((batch, 1 + members, height, width), np.uint8)
    labels = np.zeros((batch, 1 + members, height, width), np.uint8)
    needs = [task.needs for task in TASKS.values()]
    from_labels = np.array([augmentation.touches == "images" for augmentation in TASK_AUGMENTATIONS.values()], bool)
    synthetic = (plan.augmentations & from_labels).any(1)
    for b in range(batch):
        tables = _class_tables(plan.protocol[b], plan.classes[b]) if plan.protocol[b] else ()
        for i in range(count):
            subject, index = plan.subject[b, i], plan.slice[b, i]
            entry, place = collection.entries[subject], collection.place_of[subject]
            data = collection.datasets[collection.dataset_of[subject]]
            turn = slice(None, None, -1 if plan.flip[b, i] else 1)
            slices = len(entry["y"])
            for channel, image in enumerate(plan.images[b, i]):
                if image >= 0:
                    images[channel, b, i] = data.images[data.first_image[place] + image * slices + index, :, turn]
            protocols = list(entry["label_sources"])
            if tables:
                row = data.first_labels[place] + protocols.index(plan.protocol[b]) * slices + index
                masks[b, i] = tables[int(plan.flip[b, i])][data.labels[row, :, turn]]
            elif needs[plan.task[b]] == "brain mask":
                masks[b, i] = data.masks[data.first_mask[place] + index, :, turn]
            if synthetic[b]:
                row = data.first_labels[place] + protocols.index("freesurfer") * slices + index
                labels[b, i] = _TISSUE[data.labels[row, :, turn]]
    return {"images": images, "masks": masks, "labels": labels}


def _class_tables(protocol: str, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each label value whether it is one of the classes `[65536]` uint8: in an image, and in a flipped one.

    In a flipped image the left structure is the one that was on the right.
    """
    table = np.zeros(2**16, np.uint8)
    table[classes[classes > 0]] = 1
    return table, table[other_side(protocol)]
