"""What can be wrong with a prediction, told before it starts: options, files to write, images, weights.

Each check raises InputError, one line that names the option or the file. None of them writes anything.
"""

import argparse
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.image_files import ImageFile, image_bytes, image_stem, image_suffix
from neuralizer_jax.preprocess import resize
from neuralizer_jax.weights.pretrained import DEFAULT, PRETRAINED, weights_path

# A slice of a fine parcellation has fewer labels; a grey image that was taken for a label map has more.
_MANY_LABELS = 100


def check_options(options: argparse.Namespace) -> None:
    """What the options say by themselves."""
    if options.bootstrap < 0:
        raise InputError(f"--bootstrap {options.bootstrap}: expected the number of context sets to draw, 0 for none")
    if options.bootstrap_size is not None and options.bootstrap_size < 1:
        raise InputError(f"--bootstrap-size {options.bootstrap_size}: expected at least 1 member")
    for name, given in (("--augment", options.augment), ("--bootstrap-size", options.bootstrap_size is not None)):
        if given and not options.bootstrap:
            raise InputError(f"{name}: applies to resampled context sets, expected --bootstrap K with it")
    if options.context_chunk is not None and options.context_chunk < 1:
        raise InputError(f"--context-chunk {options.context_chunk}: expected at least 1 pair")
    if options.seed < 0:
        raise InputError(f"--seed {options.seed}: expected 0 or more")
    if options.labels is not None and options.task != "segmentation":
        raise InputError("--labels: there are labels in a segmentation only, expected --task segmentation with it")
    if options.figure and options.figure.suffix.lower() != ".png":
        raise InputError(f"{options.figure}: figures are drawn as PNG, expected a name that ends in .png")


def weights_to_use(given: str | None) -> Path:
    """The weights that are given by path or name, else those that come with the package."""
    if given is None and DEFAULT not in PRETRAINED:
        raise InputError("no weights come with this copy of neuralizer_jax, expected --weights FILE")
    return weights_path(DEFAULT if given is None else given)


def output_files(path: Path, options: argparse.Namespace) -> dict[str, Path]:
    """The files that one target's prediction is written to: `result`, and where the task has them `prob` and `std`."""
    what = ["prob"] * (options.task == "segmentation") + ["std"] * (options.bootstrap > 1)
    return {"result": path} | {name: path.with_name(f"{image_stem(path)}_{name}{image_suffix(path)}") for name in what}


def check_files_to_write(
    destinations: Sequence[Path], sources: Iterable[Path], new_folder: Path | None, options: argparse.Namespace
) -> None:
    """Every file to write has a place, and is no other file to write and no file that is read.

    Args:
        destinations: the main output of each target.
        sources: the files that are read.
        new_folder: the folder of the destinations where it is made for them, else None.
        options: the command's.
    """
    files = [file for path in destinations for file in output_files(path, options).values()]
    files += [options.figure] if options.figure else []
    if new_folder is not None:
        existing = next(folder for folder in new_folder.absolute().parents if folder.exists())
        taken = os.path.lexists(new_folder)
        if taken or not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            blocked = new_folder if taken else existing
            reason = "is no folder" if not blocked.is_dir() else "cannot be written"
            raise InputError(f"{new_folder}: this folder cannot be made, {blocked} {reason}")
    read, written = {os.path.realpath(path) for path in sources}, set()
    for file in files:
        place = os.path.realpath(file)
        if place in read:
            raise InputError(f"{file}: is an input of this prediction, expected another name to write")
        if place in written:
            raise InputError(f"{file}: would be written twice, expected different names")
        written.add(place)
        if file.is_dir():
            raise InputError(f"{file}: is a folder, expected the name of a file to write")
        if file.parent == new_folder:
            continue
        if not file.parent.is_dir():
            raise InputError(f"{file}: cannot be written, there is no folder {file.parent}")
        if not os.access(file.parent, os.W_OK | os.X_OK):
            raise InputError(f"{file}: cannot be written, no permission to write in the folder {file.parent}")


def check_images(
    targets: Sequence[ImageFile], inputs: Sequence[ImageFile], outputs: Sequence[ImageFile], *, resample: bool
) -> None:
    """The images fit together, and hold no target."""
    channels = targets[0].pixels.shape[2:]
    for image in [*targets, *inputs]:
        if image.pixels.min() == image.pixels.max():
            raise InputError(f"{image.path}: every pixel is {image.pixels.flat[0]:g}, expected an image")
        if image.pixels.shape[2:] != channels:
            raise InputError(
                f"{image.path}: has shape {image.pixels.shape}, expected the channels of {targets[0].path}, "
                f"{targets[0].pixels.shape}"
            )
    for given, shown in zip(inputs, outputs, strict=True):
        if shown.pixels.ndim != 2:
            raise InputError(f"{shown.path}: has shape {shown.pixels.shape}, expected one channel in a context output")
        if given.pixels.shape[:2] != shown.pixels.shape:
            raise InputError(
                f"{shown.path}: has {_size(shown)} pixels, expected {_size(given)} as its input {given.path}"
            )
    for target in targets:
        for given in inputs:
            if _size(given) != _size(target) and not resample:
                raise InputError(
                    f"{given.path}: has {_size(given)} pixels, expected {_size(target)} as {target.path} "
                    "(or --resample)"
                )
            if np.array_equal(given.pixels, target.pixels):
                raise InputError(f"{given.path}: holds the target {target.path}, expected other images as context")


def labels_to_predict(
    targets: Sequence[ImageFile], outputs: Sequence[ImageFile], wanted: Sequence[int] | None
) -> list[int]:
    """The labels of a segmentation, ascending: those wanted, else all in the context outputs.

    Raises:
        InputError: a wanted label is in no context output, all of them are empty, or one has the greys of a soft mask,
            which would be taken for hundreds of labels.
    """
    labels = set()
    # Resizing may lose a small label, so what is there depends on the target's size.
    for size in dict.fromkeys(target.pixels.shape[:2] for target in targets):
        resized = [resize(image.pixels, size, nearest=True) for image in outputs]
        values = set(np.unique(resized).tolist()) - {0}
        if not values:
            raise InputError(
                f"{outputs[0].path}: is 0 everywhere, and so are all context outputs, expected at least one labelled "
                "pixel"
            )
        if absent := sorted(set(wanted or ()) - values):
            some = ", ".join(map(str, sorted(values)[:10])) + (", ..." if len(values) > 10 else "")
            raise InputError(f"--labels {absent[0]}: occurs in no context output, expected some of {some}")
        labels |= values
    if wanted is not None:
        return sorted(set(wanted))
    for image in outputs:
        values = np.unique(image.pixels)
        if values[0] == 0 and values[-1] in (255, 65535) and len(values) > 2:
            raise InputError(
                f"{image.path}: has {len(values)} grey values from 0 to {values[-1]}, expected a mask with two values "
                "(or a label map, with --labels)"
            )
    return sorted(labels)


def check_formats(
    targets: Sequence[ImageFile], destinations: Sequence[Path], labels: Sequence[int], options: argparse.Namespace
) -> None:
    """The formats of the files to write can hold what will be written: tried with pixels like those."""
    for target, path in zip(targets, destinations, strict=True):
        trial = np.zeros(target.pixels.shape[:2], np.int64)
        trial.flat[:2] = labels[:1] + labels[-1:] or 0
        for what, file in output_files(path, options).items():
            kind = "labels" if what == "result" and options.task == "segmentation" else "image"
            image_bytes(file, trial, target, kind=kind)


def check_model(model: object, target: ImageFile, weights: Path) -> None:
    """The weights are those of a network that predicts from a context, for such images."""
    from neuralizer_jax.model import Neuralizer

    if not isinstance(model, Neuralizer):
        raise InputError(f"{weights}: is a {type(model).__name__}, which takes no context, expected a Neuralizer")
    if model.dim != 2:
        raise InputError(f"{weights}: is a network for {model.dim}-D images, expected one for 2-D images")
    channels = (*target.pixels.shape, 1)[2]
    if channels > model.in_channels:
        raise InputError(f"{target.path}: has {channels} channels, expected at most {model.in_channels} for {weights}")


def suspicions(outputs: Sequence[ImageFile], labels: Sequence[int], options: argparse.Namespace) -> list[str]:
    """Sentences on what can be predicted but is rarely meant."""
    notes = []
    if options.task == "image" and all(len(np.unique(image.pixels)) <= 2 for image in outputs):
        notes.append("the context outputs have two values each: for masks, --task segmentation predicts a mask")
    if len(labels) > _MANY_LABELS:
        notes.append(
            f"the context outputs hold {len(labels)} labels, from {labels[0]} to {labels[-1]}: if they are label maps, "
            "--labels chooses some"
        )
    return notes


def _size(image: ImageFile) -> str:
    return "x".join(map(str, image.pixels.shape[:2]))
