"""`neuralizer predict`: image files and example pairs in, predicted image files out.

Everything is read and checked before the first prediction, so that a mistake in the last file costs no computation.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from neuralizer_jax.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from neuralizer_jax.files.context_files import ContextPairs
    from neuralizer_jax.files.image_files import ImageFile
    from neuralizer_jax.inference import Prediction

_EPILOG = """examples:
  neuralizer predict --weights W.safetensors --target t.png --context pairs/ --out out.png
  neuralizer predict --weights W.safetensors --task segmentation --target t1.nii.gz --slice y=-17 \\
      --context pairs/ --out out.nii.gz --figure out.png
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "predict",
        help="predict the output of target images from example pairs",
        description="Predicts the output of one or more target images from example pairs that show the task. Reads "
        "and writes PNG, TIFF, NumPy and NIfTI files; a volume needs --slice.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    files = parser.add_argument_group("files")
    files.add_argument("--weights", metavar="FILE", required=True, type=Path, help="release file, checkpoint or folder")
    files.add_argument(
        "--target", metavar="FILE", required=True, nargs="+", type=Path, help="image files, or folders of image files"
    )
    files.add_argument(
        "--context",
        metavar="DIR",
        type=Path,
        help="folder of pairs NAME_in*/NAME_out* or in*/out*, for example in0.png",
    )
    files.add_argument("--context-in", metavar="FILE", nargs="+", type=Path, help="inputs of the pairs, one by one")
    files.add_argument(
        "--context-out", metavar="FILE", nargs="+", type=Path, help="outputs of the pairs, in that order"
    )
    files.add_argument(
        "--out", metavar="FILE", required=True, type=Path, help="image to write; a folder for several targets"
    )
    files.add_argument("--figure", metavar="FILE", type=Path, help="also draw target, context and prediction (PNG)")
    task = parser.add_argument_group("task")
    task.add_argument(
        "--task",
        choices=("image", "segmentation"),
        default="image",
        help="segmentation: context outputs are masks or label maps; writes the labels, and *_prob (default: image)",
    )
    task.add_argument(
        "--labels", metavar="L", nargs="+", type=int, help="segment only these labels (default: all in the context)"
    )
    images = parser.add_argument_group("images")
    images.add_argument(
        "--slice", metavar="WHERE", help="plane of a volume: y=-17 (mm, RAS) or 1/112 (array axis / voxel index)"
    )
    images.add_argument(
        "--normalize",
        choices=("auto", "percentile", "none"),
        default="auto",
        help="scale intensities to [0, 1] by percentiles; auto: unless they are there already (default: auto)",
    )
    images.add_argument(
        "--resample", action="store_true", help="resize pairs that differ from the target in size (does not align them)"
    )
    accuracy = parser.add_argument_group("accuracy and uncertainty")
    accuracy.add_argument(
        "--bootstrap", metavar="K", type=int, default=0, help="average over K resampled context sets; writes *_std"
    )
    accuracy.add_argument(
        "--bootstrap-size", metavar="M", type=int, help="members of a resampled set (default: 32, or all if more)"
    )
    accuracy.add_argument("--augment", action="store_true", help="move resampled pairs by small random affine maps")
    accuracy.add_argument("--seed", type=int, default=0, help="of the resampling (default: 0)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    from neuralizer_jax.files.volume_slices import parse_slice

    choice = parse_slice(options.slice) if options.slice else None
    target_paths = _target_files(options.target)
    pairs = _pairs(options, target_paths)
    for note in pairs.notes:
        _note(note)
    destinations = _destinations(options, target_paths)
    _refuse_overwriting(destinations, [*target_paths, *pairs.inputs, *pairs.outputs, options.weights])

    from neuralizer_jax.files.image_files import read_image

    segmentation = options.task == "segmentation"
    targets = [read_image(path, slice_=choice) for path in target_paths]
    inputs = [read_image(path, slice_=choice) for path in pairs.inputs]
    outputs = [read_image(path, slice_=choice, labels=segmentation) for path in pairs.outputs]
    _check_images(targets, inputs, outputs, options)

    from tqdm import tqdm

    from neuralizer_jax.compilation_cache import use_compilation_cache
    from neuralizer_jax.figure import draw_figure
    from neuralizer_jax.inference import predict
    from neuralizer_jax.weights import load_weights

    use_compilation_cache()
    model, params = load_weights(options.weights)
    with tqdm(total=len(targets) * max(1, options.bootstrap), unit="pass", disable=None) as progress:
        for target, destination in zip(targets, destinations, strict=True):
            progress.set_description(target.path.name)
            size = target.pixels.shape[:2]
            arrays = (target.pixels, _stack(inputs, size), _stack(outputs, size, labels=segmentation))
            prediction = predict(
                model,
                params,
                *arrays,
                task=options.task,
                label_values=options.labels,
                normalize=options.normalize,
                bootstrap=options.bootstrap,
                bootstrap_size=options.bootstrap_size,
                augment=options.augment,
                seed=options.seed,
                on_draw=progress.update,
            )
            written = _write(prediction, target, destination, options)
            if options.figure:
                caption = f"{options.task} · {len(inputs)} example pairs · weights {options.weights.name}"
                draw_figure(options.figure, *arrays, prediction, caption)
                written.append(options.figure)
            progress.write("\n".join(map(str, written)))


def _target_files(paths: list[Path]) -> list[Path]:
    """The image files that are named, and those in the folders that are named."""
    from neuralizer_jax.files.image_files import image_suffix

    files = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(p for p in path.iterdir() if image_suffix(p) and not p.name.startswith("."))
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


def _destinations(options: argparse.Namespace, targets: list[Path]) -> list[Path]:
    """The main output of each target: the file that is named, or the target's name in the folder that is named."""
    from neuralizer_jax.files.image_files import image_suffix

    out = options.out
    if len(targets) == 1 and not options.target[0].is_dir() and not out.is_dir():
        if not image_suffix(out):
            raise InputError(f"{out}: unknown kind of image, expected .png, .tif, .npy, .npz, .nii or .nii.gz")
        return [out]
    if options.figure:
        raise InputError(f"{options.figure}: a figure shows one target, expected one --target file and one --out file")
    if image_suffix(out) and not out.is_dir():
        raise InputError(f"{out}: is one file for {len(targets)} targets, expected a folder")
    names = [target.name for target in targets]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(
            f"{twice}: {names.count(twice)} targets have this name, expected different names for one folder"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: the folder cannot be made ({error.strerror})") from None
    return [out / name for name in names]


def _side_path(path: Path, what: str) -> Path:
    """`out_prob.nii.gz` for `out.nii.gz` and `prob`."""
    from neuralizer_jax.files.image_files import image_stem, image_suffix

    return path.with_name(f"{image_stem(path)}_{what}{image_suffix(path)}")


def _refuse_overwriting(destinations: list[Path], sources: list[Path]) -> None:
    taken = {path.resolve() for path in sources}
    for path in destinations:
        for written in (path, _side_path(path, "prob"), _side_path(path, "std")):
            if written.resolve() in taken:
                raise InputError(f"{written}: is an input of this prediction, expected another name to write")


def _check_images(
    targets: "list[ImageFile]", inputs: "list[ImageFile]", outputs: "list[ImageFile]", options: argparse.Namespace
) -> None:
    """Raises InputError with the file's name for what does not fit together, and notes what is suspicious."""
    import numpy as np

    for image in targets + inputs:
        if image.pixels.min() == image.pixels.max():
            raise InputError(f"{image.path}: every pixel is {image.pixels.flat[0]:g}, expected an image")
        if image.pixels.shape[2:] != targets[0].pixels.shape[2:]:
            raise InputError(
                f"{image.path}: has shape {image.pixels.shape}, expected the channels of {targets[0].path}, "
                f"{targets[0].pixels.shape}"
            )
    for target in targets:
        height, width = target.pixels.shape[:2]
        for image in inputs + outputs:
            if image.pixels.shape[:2] != (height, width) and not options.resample:
                got = "x".join(map(str, image.pixels.shape[:2]))
                raise InputError(
                    f"{image.path}: has {got} pixels, expected {height}x{width} as {target.path} (or --resample)"
                )
        if same := [image for image in inputs if np.array_equal(image.pixels, target.pixels)]:
            raise InputError(f"{same[0].path}: holds the target {target.path}, expected other images as context")
    for given, shown in zip(inputs, outputs, strict=True):
        if given.pixels.shape[:2] != shown.pixels.shape[:2]:
            raise InputError(
                f"{shown.path}: has shape {shown.pixels.shape}, expected that of its input {given.path}, "
                f"{given.pixels.shape}"
            )
    if options.task == "segmentation":
        _check_masks(outputs, options.labels)
    elif all(len(np.unique(image.pixels)) <= 2 for image in outputs):
        _note("the context outputs have two values each: for masks, --task segmentation predicts a mask")


def _check_masks(outputs: "list[ImageFile]", labels: list[int] | None) -> None:
    """Refuses soft masks, whose greys between 0 and 255 would be taken for hundreds of labels."""
    import numpy as np

    if labels is not None:
        return
    for image in outputs:
        values = np.unique(image.pixels)
        if values[0] == 0 and values[-1] == 255 and len(values) > 2:
            raise InputError(
                f"{image.path}: has {len(values)} grey values from 0 to 255, expected a mask with two values "
                "(or a label map, with --labels)"
            )


def _stack(images: "list[ImageFile]", size: tuple[int, int], *, labels: bool = False) -> "np.ndarray":
    """The pixels of all images, `[N, *size]` or `[N, *size, C]`, resized where they differ."""
    import numpy as np

    from neuralizer_jax.preprocess import resize

    return np.stack([resize(image.pixels, size, nearest=labels) for image in images])


def _write(prediction: "Prediction", target: "ImageFile", path: Path, options: argparse.Namespace) -> list[Path]:
    """Writes the files of one target; returns their paths."""
    from neuralizer_jax.files.image_files import write_image

    # Of several classes, the probability and spread of the most likely one.
    mean, std = prediction.mean, prediction.std
    if len(prediction.label_values) > 1:
        import numpy as np

        best = mean.argmax(0)[None]
        mean, std = (np.take_along_axis(x, best, axis=0)[0] for x in (mean, std))
    if options.task == "segmentation":
        files = {path: (prediction.labels, "labels"), _side_path(path, "prob"): (mean, "probability")}
    else:
        files = {path: (mean, "image")}
    if options.bootstrap > 1:
        files[_side_path(path, "std")] = (std, "image")
    for name, (pixels, kind) in files.items():
        write_image(name, pixels, target, kind=kind)
    return list(files)


def _note(text: str) -> None:
    print(f"neuralizer: note: {text}", file=sys.stderr)
