"""One plane of `neuralizer predict`: images or slices and context pairs in, predicted images out.

All files are read and all options are checked before the first prediction.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.weights.hub import shown_name

if TYPE_CHECKING:
    import numpy as np

    from neuralizer_jax.files.context_files import ContextPairs
    from neuralizer_jax.files.image_files import ImageFile
    from neuralizer_jax.inference.predict import Prediction
    from neuralizer_jax.preprocess import Resampling


def predict_planes(options: argparse.Namespace) -> None:
    """Runs the command for images, and planes of volumes."""
    from neuralizer_jax.cli import predict_checks as checks
    from neuralizer_jax.cli.label_protocols import names_given
    from neuralizer_jax.cli.predict_geometry import check_overlap, geometry_notes, to_grid_of
    from neuralizer_jax.files.image_files import read_image
    from neuralizer_jax.files.planes import parse_slice

    names = ("task", "normalize", "bootstrap", "bootstrap_size", "augment", "seed", "context_chunk")
    settings = {name: getattr(options, name) for name in names} | {"label_values": options.labels}
    checks.check_settings(settings, options.figure)
    weights = checks.weights_to_use(options.weights)
    choice = None if options.slice is None else parse_slice(options.slice)
    label_names = names_given(options.label_names) if options.label_names else {}
    target_paths = _target_files(options.target)
    pairs = _pairs(options, target_paths)
    destinations, new_folder = _destinations(options, target_paths)
    files = [checks.output_files(path, options) for path in destinations]
    sources = [*target_paths, *pairs.inputs, *pairs.outputs, weights]
    checks.check_files_to_write(files, options.figure, sources, [new_folder] if new_folder else [])

    def read(paths: Sequence[Path]) -> "list[ImageFile]":
        return [_scaled(read_image(path, slice_=choice), options.normalize) for path in paths]

    segmentation = options.task == "segmentation"
    targets, inputs = read(target_paths), read(pairs.inputs)
    if segmentation:
        outputs = [read_image(path, slice_=choice, labels=True) for path in pairs.outputs]
    else:
        outputs = read(pairs.outputs)
    checks.check_images(targets, inputs, outputs, choice, resample=options.resample)
    resamplings = [
        [to_grid_of(target, given, choice, resample=options.resample) for given in inputs] for target in targets
    ]
    check_overlap(inputs, resamplings)
    predicted = checks.labels_to_predict(resamplings, outputs, options.labels) if segmentation else ()
    checks.check_formats(targets, files, predicted)

    import jax
    from tqdm import tqdm

    from neuralizer_jax.cli.start_jax import start_jax
    from neuralizer_jax.inference.figure import draw_figure
    from neuralizer_jax.inference.plausibility import plausibility_notes
    from neuralizer_jax.inference.predict import predict
    from neuralizer_jax.weights import load_weights

    start_jax()
    model, params = load_weights(weights)
    checks.check_weights(model, options.context_chunk, weights)
    notes = [*pairs.notes, *checks.suspicions([*targets, *inputs], outputs, predicted, options.task)]
    notes += geometry_notes(targets, inputs, outputs, choice, resample=options.resample)
    for note in notes:
        print(f"neuralizer: note: {one_line(note)}", file=sys.stderr)
    with tqdm(total=len(targets) * max(1, options.bootstrap), unit="pass", disable=None) as progress:
        for target, resampling, to_write in zip(targets, resamplings, files, strict=True):
            progress.set_description(one_line(target.path.name))
            context_in, context_out = _stack(inputs, resampling), _stack(outputs, resampling, labels=segmentation)
            arrays = (target.pixels, context_in, context_out)
            prediction = predict(
                model,
                params,
                *arrays,
                **(settings | {"normalize": "none"}),  # done when the files were read
                devices=jax.local_devices() if options.all_devices else None,
                on_draw=progress.update,
            )
            image_names = [str(image.path) for image in (target, *inputs)]
            for note in plausibility_notes(*arrays, prediction, names=image_names, label_names=label_names):
                if note not in notes:  # an example is as odd for every target
                    progress.write(f"neuralizer: note: {one_line(note)}", file=sys.stderr)
                    notes.append(note)
            if new_folder is not None:
                make_folder(new_folder)
            written = _write(prediction, target, to_write)
            if options.figure:
                pairs_text = f"{len(inputs)} context pair" + "s" * (len(inputs) > 1)
                caption = f"{options.task} · {pairs_text} · weights {shown_name(weights)}"
                sides = target.source.geometry.sides if target.source else None
                draw_figure(options.figure, *arrays, prediction, caption=caption, label_names=label_names, sides=sides)
                written.append(options.figure)
            progress.write("\n".join(map(one_line, written)))


def _scaled(image: "ImageFile", how: str) -> "ImageFile":
    """Scales an image to [0, 1] by the volume that it is a plane of, or by itself; an empty one stays empty."""
    import numpy as np

    from neuralizer_jax.intensity import normalize

    if how != "none" and image.pixels.min() == image.pixels.max() != 0:
        raise InputError(f"{image.path}: every pixel is {image.pixels.flat[0]:g}, expected an image with contrast")
    channels = image.pixels[..., None] if image.pixels.ndim == 2 else image.pixels
    scaled = [normalize(channel, foreground_of=image.volume, how=how) for channel in np.moveaxis(channels, -1, 0)]
    return replace(image, pixels=scaled[0] if len(scaled) == 1 else np.stack(scaled, axis=-1), volume=None)


def _target_files(paths: list[Path]) -> list[Path]:
    """Returns the files among `paths`, and the image files in the folders among them."""
    from neuralizer_jax.files.image_files import image_suffix

    files = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(p for p in path.iterdir() if image_suffix(p) and not p.name.startswith(".") and not p.is_dir())
        if not inside:
            raise InputError(f"{path}: no image files in this folder, expected targets")
        files += inside
    return files


def _pairs(options: argparse.Namespace, targets: list[Path]) -> "ContextPairs":
    from neuralizer_jax.files.context_files import explicit_pairs, find_pairs

    explicit = (options.context_in, options.context_out)
    if options.context is not None and explicit == (None, None):
        return find_pairs(options.context, targets=targets)
    if options.context is None and None not in explicit:
        return explicit_pairs(*explicit, targets=targets)
    raise InputError("no context, expected either --context DIR or both --context-in and --context-out")


def _destinations(options: argparse.Namespace, targets: list[Path]) -> tuple[list[Path], Path | None]:
    """Returns the output of each target, a file or named as its target in a folder; and the folder to make, or None."""
    from neuralizer_jax.files.image_files import IMAGE_SUFFIXES, image_suffix

    out = options.out
    if options.figure and len(targets) > 1:
        raise InputError(f"{options.figure}: a figure shows one target, expected one target with --figure")
    if len(targets) == 1 and not options.target[0].is_dir() and not out.is_dir():
        if not image_suffix(out):
            kinds = ", ".join(IMAGE_SUFFIXES)
            raise InputError(f"{out}: is no image file, expected a name that ends in {kinds}, or an existing folder")
        return [out], None
    if image_suffix(out) and not out.is_dir():
        raise InputError(f"{out}: is one file for {len(targets)} targets, expected a folder")
    names = [target.name for target in targets]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{twice}: {names.count(twice)} targets have this name, expected different names in {out}")
    return [out / name for name in names], None if out.is_dir() else out


def make_folder(folder: Path) -> None:
    """Makes the folder of the results. Raises InputError if it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: the folder cannot be made ({error.strerror})") from None


def _stack(images: "list[ImageFile]", resamplings: "list[Resampling]", *, labels: bool = False) -> "np.ndarray":
    """Stacks images on the grid of a target to `[N, H, W]` or `[N, H, W, C]`."""
    import numpy as np

    return np.stack([resample(x.pixels, nearest=labels) for x, resample in zip(images, resamplings, strict=True)])


def _write(prediction: "Prediction", target: "ImageFile", files: dict[str, Path]) -> list[Path]:
    """Writes the files of one target; returns their paths."""
    from neuralizer_jax.files.image_files import write_image

    # With several labels: probability and spread of the most likely label at each pixel.
    mean, std = prediction.mean, prediction.std
    if len(prediction.label_values) > 1:
        import numpy as np

        best = mean.argmax(0)[None]
        mean, std = (np.take_along_axis(x, best, axis=0)[0] for x in (mean, std))
    result = mean if prediction.labels is None else prediction.labels
    pixels = {"image": result, "labels": result, "prob": mean, "std": std}
    for what, path in files.items():
        write_image(path, pixels[what], target, kind="labels" if what == "labels" else "image")
    return list(files.values())
