"""Says for each image of a plan where its slice lies in which volume. In the place of `gather`, for volumes.

Integers only: `read_volumes` reads the slices, from volumes in the memory of the host (mapped from the files) or of the
accelerator.
"""

import numpy as np

from input_pipeline.episodes.plan import MAX_CLASSES, PROTOCOLS, Plan
from input_pipeline.space.protocols import other_side
from input_pipeline.store.volume_table import VolumeCollection
from input_pipeline.store.volumes import PLANES

# Code of a made-up lesion, and of no class.
LESION, NO_CLASS = -2, -1

# Shape after `[B, 1 + N]` of each array.
SHAPES = {
    "dataset": (),
    "axis": (),
    "position": (),
    "centre": (2,),
    "pivot": (2,),
    "flip": (),
    "shown": (3,),
    "label_row": (),
    "codes": (MAX_CLASSES,),
    "tissue_row": (),
    "mask_row": (),
    "strippable": (),
}


def gather_volumes(plan: Plan, collection: VolumeCollection, members: int) -> dict[str, np.ndarray]:
    """Looks up where the images of a plan are.

    Args:
        plan: of a batch.
        collection: the one it was planned for.
        members: N, at least `plan.members`; padding repeats the target.

    Returns:
        `SHAPES`, int32: `dataset`; `axis` and `position` of the plane, in the flipped volume; `centre`; `pivot`;
        `flip`, 0 or 1; `shown`, in each channel the row of `images`, or as in `Plan.images`; `label_row` of `labels`
        that holds `codes` (`NO_CLASS`: none; `LESION`: a made-up lesion); `tissue_row` of FreeSurfer labels, -1: none;
        `mask_row` of `masks`; `strippable`, whether that is the brain in a full head.
    """
    batch, count = plan.subject.shape
    found = {name: np.zeros((batch, count, *shape), np.int32) for name, shape in SHAPES.items()}
    found["axis"][:], found["position"][:] = np.divmod(plan.slice, PLANES)
    found["centre"][:] = plan.centre[:, None]
    found["pivot"][:] = plan.pivot[:, None]
    found["flip"][:] = plan.flip
    found["codes"][:] = NO_CLASS
    found["tissue_row"][:] = -1
    found["dataset"][:] = collection.dataset_of[plan.subject]
    found["strippable"][:] = collection.full_heads[plan.subject]
    for b in range(batch):
        protocol = PROTOCOLS[plan.protocol[b]]
        for i in range(count):
            subject = int(plan.subject[b, i])
            data, place = collection.datasets[collection.dataset_of[subject]], collection.place_of[subject]
            sources = collection.entries[subject]["label_sources"]
            protocols = list(sources)
            images = plan.images[b, i]
            found["shown"][b, i] = np.where(images >= 0, data.first_image[place] + images, images)
            found["mask_row"][b, i] = data.first_mask[place]
            if sources.get("freesurfer", "template") != "template":
                found["tissue_row"][b, i] = data.first_labels[place] + protocols.index("freesurfer")
            if protocol in sources:
                found["label_row"][b, i] = data.first_labels[place] + protocols.index(protocol)
                found["codes"][b, i] = _codes(collection, subject, protocol, plan.classes[b], bool(plan.flip[b, i]))
            elif protocol:
                found["codes"][b, i] = LESION
    there = np.minimum(np.arange(1 + members), count) % count
    return {name: values[:, there] for name, values in found.items()}


def _codes(collection: VolumeCollection, subject: int, protocol: str, classes: np.ndarray, flipped: bool) -> np.ndarray:
    """The codes of classes. In a flipped image the left structure is the one that was on the right."""
    codes = collection.codes(subject, protocol)
    labels = other_side(protocol)[classes] if flipped else classes
    return np.array([codes.get(int(label), NO_CLASS) if label else NO_CLASS for label in labels])
