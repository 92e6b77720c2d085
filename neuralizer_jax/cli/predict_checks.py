"""Checks of `neuralizer predict` before the first computation: options, files to write, images, weights.

Each check raises InputError with one line that names the option or the file. None of them writes anything.
"""

import os
import re
from argparse import Namespace
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from neuralizer_jax.cli.predict_geometry import check_geometry
from neuralizer_jax.errors import InputError
from neuralizer_jax.files.image_files import ImageFile, check_destination, image_bytes, image_stem, image_suffix
from neuralizer_jax.files.planes import SliceChoice
from neuralizer_jax.inference.checks import check_options, chosen_labels
from neuralizer_jax.preprocess import Resampling
from neuralizer_jax.weights.pretrained import DEFAULT, PRETRAINED, weights_path

# A slice of a fine parcellation has fewer labels. A grey image that is read as a label map has more.
MANY_LABELS = 100

# Interpolated and noisy images in [0, 1] go beyond it by less.
_OVERSHOOT = 0.2

# Scaled images that differ by less are one image, in another unit or datatype.
_SAME_IMAGE = 0.003

# How bytes and 16-bit integers store the inside of a mask.
_WHITE = (255, 65535)

_MOST_NAMED = 3


@contextmanager
def _flags_named(names: Iterable[str]) -> Iterator[None]:
    """Names the flags of the command line where an error names arguments of `predict`."""
    try:
        yield
    except InputError as error:
        message = re.sub(
            rf"\b({'|'.join(names)})\b",
            lambda name: "--labels" if name[0] == "label_values" else f"--{name[0].replace('_', '-')}",
            str(error),
        )
        raise InputError(message) from None


def check_settings(settings: Mapping[str, Any], figure: Path | None) -> None:
    """Checks the options that `predict` takes, and the name of the figure."""
    with _flags_named(settings):
        check_options(**settings)
    if figure and figure.suffix.lower() != ".png":
        raise InputError(f"{figure}: is not a PNG, expected a name that ends in .png for --figure")


def weights_to_use(given: str | None) -> Path:
    """Returns the path of the weights that are given by path or name, or of the default weights."""
    if given is None and DEFAULT not in PRETRAINED:
        raise InputError("no weights come with this copy of neuralizer_jax, expected --weights FILE")
    return weights_path(DEFAULT if given is None else given)


def output_files(path: Path, options: Namespace) -> dict[str, Path]:
    """Returns the files to write for one target: `image` or `labels`, and `prob` and `std` where they apply."""
    segmentation = options.task == "segmentation"
    extra = ["prob"] * segmentation + ["std"] * (options.bootstrap > 1)
    files = {name: path.with_name(f"{image_stem(path)}_{name}{image_suffix(path)}") for name in extra}
    return {"labels" if segmentation else "image": path} | files


def check_files_to_write(
    files: Sequence[dict[str, Path]], figure: Path | None, sources: Iterable[Path], new_folders: Collection[Path]
) -> None:
    """Checks that every file can be written, is written once, and is not an input.

    Args:
        files: the files of each target, from `output_files`.
        figure: the figure to draw.
        sources: the files that are read.
        new_folders: the folders to make for the outputs.
    """
    for new_folder in new_folders:
        existing = next(folder for folder in new_folder.absolute().parents if os.path.lexists(folder))
        taken = os.path.lexists(new_folder)
        if taken or not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            blocked = new_folder if taken else existing
            reason = "is no folder" if not blocked.is_dir() else "cannot be written"
            raise InputError(f"{new_folder}: this folder cannot be made, {blocked} {reason}")
    read, written = {os.path.realpath(path) for path in sources}, set()
    for file in [file for of_target in files for file in of_target.values()] + ([figure] if figure else []):
        place = os.path.realpath(file)
        if place in read:
            raise InputError(f"{file}: is an input of this prediction, expected another name to write")
        if place in written:
            raise InputError(f"{file}: would be written twice, expected different names")
        written.add(place)
        if file.parent not in new_folders:
            check_destination(file)


def check_images(
    targets: Sequence[ImageFile],
    inputs: Sequence[ImageFile],
    outputs: Sequence[ImageFile],
    choice: SliceChoice | None,
    *,
    resample: bool,
) -> None:
    """Checks that the images fit together, in the world too, and that no context input holds a target."""
    channels = targets[0].pixels.shape[2:]
    for image in [*targets, *inputs]:
        if image.pixels.min() == image.pixels.max():
            raise InputError(f"{image.path}: every pixel is {image.pixels.flat[0]:g}, expected an image")
        if image.pixels.shape[2:] != channels:
            raise InputError(
                f"{image.path}: has shape {image.pixels.shape}, expected the channels of {targets[0].path}, "
                f"{targets[0].pixels.shape}"
            )
    for shown in outputs:
        if shown.pixels.ndim != 2:
            raise InputError(f"{shown.path}: has shape {shown.pixels.shape}, expected one channel in a context output")
    check_geometry(targets, inputs, outputs, choice, resample=resample)
    for target in targets:
        for given in inputs:
            same_size = given.pixels.shape == target.pixels.shape
            if same_size and np.allclose(given.pixels, target.pixels, rtol=0, atol=_SAME_IMAGE):
                raise InputError(f"{given.path}: holds the target {target.path}, expected other images as context")


def labels_to_predict(
    resamplings: Iterable[Sequence[Resampling]], outputs: Sequence[ImageFile], wanted: Sequence[int] | None
) -> tuple[int, ...]:
    """Returns the labels to segment in ascending order: those wanted, or all in the context outputs.

    Args:
        resamplings: for each target, how the outputs are put on its grid.
        outputs: masks and label maps.
        wanted: labels, or None.

    Raises:
        InputError: a wanted label is in no context output, there is no label at all, a file has the grey values of a
            soft mask, or some masks are 255 inside and others 1.
    """
    labels: set[int] = set()
    # Resampling may lose a small label, so the grid of each target is checked.
    for of_target in dict.fromkeys(map(tuple, resamplings)):
        resized = [resample(image.pixels, nearest=True) for resample, image in zip(of_target, outputs, strict=True)]
        with _flags_named(["label_values"]):
            labels.update(chosen_labels(set(np.unique(resized).tolist()) - {0}, wanted))
    if wanted is None:
        check_masks({image.path: np.unique(image.pixels).tolist() for image in outputs})
    return tuple(sorted(labels))


def check_masks(values: Mapping[Path, Sequence[int]]) -> None:
    """Refuses outputs that are masks by their values, but not masks of one value.

    Args:
        values: of each output, in ascending order.
    """
    masks: dict[int, Path] = {}
    label_maps = 0
    for path, own in values.items():
        if own[0] == 0 and own[-1] in _WHITE and len(own) > 2:
            raise InputError(
                f"{path}: has {len(own)} grey values from 0 to {own[-1]}, expected a mask with two values "
                "(or a label map, with --labels)"
            )
        labels = [value for value in own if value]
        label_maps += len(labels) > 1
        masks.update(dict.fromkeys(labels, path))
    if not label_maps and len(masks) > 1 and not set(_WHITE).isdisjoint(masks):
        named = ", ".join(f"{path} is a mask of {label}" for label, path in sorted(masks.items())[-2:])
        raise InputError(f"{named}, expected masks of one value (or label maps, with --labels)")


def check_formats(targets: Sequence[ImageFile], files: Sequence[dict[str, Path]], labels: Sequence[int]) -> None:
    """Checks that the formats of the files can hold the result, by encoding pixels with the extreme labels."""
    for target, to_write in zip(targets, files, strict=True):
        trial = np.zeros(target.pixels.shape[:2], np.int64)
        trial.flat[:2] = (labels[0], labels[-1]) if labels else 0
        for what, file in to_write.items():
            image_bytes(file, trial, target, kind="labels" if what == "labels" else "image")


def check_weights(model: object, context_chunk: int | None, weights: Path) -> None:
    """Checks that the network of a weights file predicts from a context."""
    from neuralizer_jax.inference.predict import check_model

    try:
        check_model(model, context_chunk)
    except InputError as error:
        raise InputError(f"{weights}: {error}") from None


def suspicions(
    inputs: Sequence[ImageFile], outputs: Sequence[ImageFile], labels: Sequence[int], task: str
) -> list[str]:
    """Returns notes on input that is valid but rarely meant.

    Args:
        inputs: the targets and the inputs of the context, scaled.
        outputs: the outputs of the context.
        labels: the labels to segment.
        task: `image` or `segmentation`.
    """
    notes = []
    images = [*inputs, *(outputs if task == "image" else ())]
    beyond = [x for x in images if x.pixels.min() < -_OVERSHOOT or x.pixels.max() > 1 + _OVERSHOOT]
    if beyond:
        low, high = beyond[0].pixels.min(), beyond[0].pixels.max()
        notes.append(
            f"{_named(beyond)}: values from {low:g} to {high:g}, which --normalize none does not scale: "
            "the network expects 0 to 1"
        )
    if task == "image" and all(len(np.unique(image.pixels)) <= 2 for image in outputs):
        notes.append("the context outputs have two values each: for masks, --task segmentation predicts a mask")
    if len(labels) > MANY_LABELS:
        notes.append(
            f"the context outputs hold {len(labels)} labels, from {labels[0]} to {labels[-1]}: if they are label maps, "
            "--labels chooses some"
        )
    return notes + _label_differences(outputs, labels)


def _label_differences(outputs: Sequence[ImageFile], labels: Sequence[int]) -> list[str]:
    """Returns notes on outputs without any of the labels, and on labels that at most half of the others have."""
    present = {image: set(np.unique(image.pixels).tolist()).intersection(labels) for image in outputs if labels}
    empty = [image for image in present if not present[image]]
    notes = [f"{_named(empty)}: holds none of the labels"] if empty else []
    used = len(present) - len(empty)
    holders = {label: [image for image in present if label in present[image]] for label in labels}
    rare = [label for label in labels if 2 * len(holders[label]) <= used]
    if rare:
        shown = [f"{label} is in {len(holders[label])} ({_named(holders[label])})" for label in rare[:_MOST_NAMED]]
        more = f", {len(rare) - _MOST_NAMED} other labels in few" if len(rare) > _MOST_NAMED else ""
        notes.append(f"labels differ among the context outputs: of {used}, label {', '.join(shown)}{more}")
    return notes


def _named(images: Sequence[ImageFile]) -> str:
    names = ", ".join(str(image.path) for image in images[:_MOST_NAMED])
    return names + (f" and {len(images) - _MOST_NAMED} more" if len(images) > _MOST_NAMED else "")
