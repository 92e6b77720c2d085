"""Reads a slice of a volume, and synthesises its images if the subject has none. Pure JAX, on host and accelerator."""

from collections.abc import Callable
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from input_pipeline.cut.deformation import in_plane, sample_deformation
from input_pipeline.cut.geometry import sample_plane
from input_pipeline.cut.lesions import lesion_mask, lesion_mean
from input_pipeline.cut.sampling import linear, nearest
from input_pipeline.cut.scans import contrast, plane_offsets, sample_scan, synthesize
from input_pipeline.episodes.gather_volumes import LESION
from input_pipeline.ops.registry import CHANNELS, TASKS
from input_pipeline.space.tissue_classes import class_indices
from input_pipeline.store.volume_table import FIRST_CONTRAST, VolumeCollection

Stored = dict[str, np.ndarray]


def stored_arrays(collection: VolumeCollection) -> Stored:
    """The volumes that slices are cut from, by kind and number of the dataset: `labels.0`, `masks.0`, `images.0`."""
    return {
        f"{kind}.{number}": getattr(data, kind)
        for number, data in enumerate(collection.datasets)
        for kind in ("labels", "masks", "images")
    }


def volume_reader(config: ConfigDict, collection: VolumeCollection) -> Callable:
    """Returns the function that reads one image of an episode from volumes.

    Its arguments are `task` (index into `TASKS`), whether labels are needed, the random keys that its episode shares
    and its own, `stored_arrays`, and the image's part of what `gather_volumes` returns. It returns images
    `[size, size, 3]` and mask `[size, size]`, float32, and tissue labels `[size, size]` int32, as `apply` needs them.
    """
    settings, size = config.volumes, config.size
    random_contrasts = config.task_augmentations.synthetic_modality
    any_real = any(len(data.images) for data in collection.datasets)
    any_synthetic = bool(collection.synthetic.any())
    datasets = range(len(collection.datasets))
    channels = np.array([CHANNELS[task.needs] for task in TASKS.values()])
    needs = {kind: np.array([task.needs == kind for task in TASKS.values()]) for kind in ("class", "brain mask")}
    tissues = _tissue_tables(collection)
    places = (np.arange(size, dtype=np.float32) - (size - 1) / 2) * (config.extent / size)

    def of_dataset(kind, read, stored, own, row, points):
        """Reads volumes of the image's dataset, which has some."""
        all_volumes = [stored[f"{kind}.{n}"] for n in datasets]
        filled = [volumes for volumes in all_volumes if len(volumes)]
        place = np.cumsum([len(volumes) > 0 for volumes in all_volumes]) - 1
        branches = [lambda volumes=volumes: read(volumes, row, points) for volumes in filled]
        return jax.lax.switch(jnp.asarray(place)[own["dataset"]], branches)

    def read(task, labels_needed, shared_key, own_key, stored, own):
        for_plane, for_scan, for_contrast, for_lesions = jax.random.split(shared_key, 4)
        keys = jax.random.split(own_key, 6)
        plane = sample_plane(
            for_plane, keys[0], settings, axis=own["axis"], position=own["position"], centre=own["centre"],
            pivot=own["pivot"], flip=own["flip"] > 0,
        )  # fmt: skip
        points = in_plane(sample_deformation(keys[1], settings.deformation), plane.matrix, places, places)
        scan = sample_scan(for_scan, keys[2], settings.scans)
        wants_brain, wants_class = (jnp.asarray(needs[kind])[task] for kind in ("brain mask", "class"))
        stripped = scan.stripped & ~wants_brain & (own["strippable"] > 0)
        zeros = jnp.zeros((size, size), jnp.int32)
        brain = jax.lax.cond(
            wants_brain | stripped,
            lambda: of_dataset("masks", nearest, stored, own, own["mask_row"], points),
            lambda: zeros + 1,
        )
        synthetic = (own["shown"] <= FIRST_CONTRAST).any()

        def tissue_codes(offset):
            along = offset * plane.normal[:, None, None]
            return of_dataset("labels", nearest, stored, own, own["tissue_row"], points + along)

        # Of the slice's plane, and of two planes beside it where the slice is thick.
        needed = (synthetic | labels_needed) & (own["tissue_row"] >= 0)
        offsets = plane_offsets(scan.thickness)
        middle = jax.lax.cond(needed, lambda: tissue_codes(offsets[1]), lambda: zeros)
        lower, upper = jax.lax.cond(
            needed & (scan.thickness > 0),
            lambda: (tissue_codes(offsets[0]), tissue_codes(offsets[2])),
            lambda: (middle, middle),
        )
        tissue_of = jnp.asarray(tissues)[own["dataset"]]
        classes = jax.lax.cond(needed, lambda: tissue_of.at[middle].get(mode="promise_in_bounds"), lambda: zeros)
        segmented = own["codes"][0] == LESION
        disturbed = jax.random.uniform(keys[3]) < settings.lesions.disturb_probability
        lesions = jax.lax.cond(
            synthetic & (segmented | disturbed),
            lambda: lesion_mask(for_lesions, keys[4], classes, config.extent, settings.lesions),
            lambda: zeros > 0,
        )

        def union():
            codes = of_dataset("labels", nearest, stored, own, own["label_row"], points)
            return reduce(jnp.logical_or, (codes == code for code in own["codes"]))

        mask = jax.lax.cond(wants_class & ~segmented, union, lambda: jnp.where(wants_brain, brain > 0, lesions))

        def scanned(row):
            return of_dataset("images", linear, stored, own, row, points) / 65535

        def synthesized(number, channel):
            number = FIRST_CONTRAST - number
            own_keys = jax.random.split(jax.random.fold_in(keys[5], channel), 2)
            # The texture is the subject's, bias field and noise are the image's.
            fields = jnp.concatenate([jax.random.split(keys[5], 2), own_keys])
            contrast_key = jax.random.fold_in(for_contrast, number)
            means, spreads = contrast(number, for_contrast, keys[5], stripped, random_contrasts)
            of_code, spread_of_code = means[tissue_of], spreads[tissue_of]
            mean = sum(of_code.at[codes].get(mode="promise_in_bounds") for codes in (lower, middle, upper)) / 3
            spread = spread_of_code.at[middle].get(mode="promise_in_bounds")
            lesion = lesion_mean(contrast_key, means, settings.lesions)
            return synthesize(scan, fields, jnp.where(lesions, lesion, mean), spread, mean == 0)

        def channel_image(channel):
            number = own["shown"][channel]
            if not any_real:
                image = synthesized(number, channel)
            elif not any_synthetic:
                image = scanned(number)
            else:
                image = jax.lax.cond(
                    number <= FIRST_CONTRAST, lambda: synthesized(number, channel), lambda: scanned(number)
                )
            return jnp.where(stripped & (brain == 0), 0, image)

        def add_channel(channel, images):
            return images.at[..., channel].set(channel_image(channel))

        # A loop, so that the image is compiled once.
        count = jnp.asarray(channels)[task]
        images = jax.lax.fori_loop(0, count, add_channel, jnp.zeros((size, size, 3)))
        return images, mask.astype(jnp.float32), jnp.where(stripped & (brain == 0), 0, classes)

    return read


def _tissue_tables(collection: VolumeCollection) -> np.ndarray:
    """Index into `CLASSES` of each code of FreeSurfer labels `[datasets, codes]` int32."""
    values = [np.asarray(data.label_values.get("freesurfer", [0])) for data in collection.datasets]
    most = max(map(len, values))
    return np.stack([np.pad(class_indices(labels).astype(np.int32), (0, most - len(labels))) for labels in values])
