"""`neuralizer predict`: the options. `predict_planes` predicts images and planes, `predict_volumes` whole scans."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from neuralizer_jax.cli.segmentation_options import add_context, add_labels, add_overwrite, add_way, add_weights
from neuralizer_jax.errors import InputError

if TYPE_CHECKING:
    from neuralizer_jax.volumes.volume_prediction import VolumePrediction

# Options that only one kind of images has.
_OF_PLANES = ("figure", "normalize", "resample", "bootstrap_size", "augment", "context_chunk")
_OF_SCANS = (
    "examples_per_target",
    "affine",
    "planes",
    "aligned",
    "partial",
    "probabilities",
    "report",
    "transforms",
    "overwrite",
)

# Tasks of whole scans with built-in examples.
BUILTIN = ("skull-stripping", "denoising", "bias-correction", "super-resolution", "inpainting")

_EPILOG = """examples:
  neuralizer predict --task skull-stripping -i sub-09_T1w.nii.gz -o mask.nii.gz
  neuralizer predict --task segmentation -i sub-09_T1w.nii.gz \\
      --context annotated/ -o sub-09_dseg.nii.gz
  neuralizer predict -i t.png --context pairs/ -o out.png
  neuralizer predict -i t1.nii.gz --slice y=-17 --context pairs/ -o out.nii.gz \\
      --task segmentation --labels 47,48
"""


_DESCRIPTION = """\
Predicts the output of target images from context pairs, which show the task.
Files are PNG, TIFF, NumPy, NIfTI or FreeSurfer.

Scans are segmented as whole volumes (--task segmentation), as they are: any
orientation, position and voxel size, aligned here. --slice predicts one plane.
Without context pairs they are segmented, skull-stripped or restored from
built-in examples: heads in the contrast of the target, made on first use.

Exit status: 0: done; 1: some of several scans failed, the others are done;
2: wrong input, nothing was predicted.
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "predict",
        help="predict the output of target images from context pairs",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    files = parser.add_argument_group("files")
    add_weights(files)
    files.add_argument(
        "-i",
        "--target",
        metavar="FILE",
        required=True,
        nargs="+",
        type=Path,
        help="target images, or folders of target images",
    )
    add_context(files)
    files.add_argument(
        "-o", "--out", metavar="FILE", required=True, type=Path, help="image to write; a folder for several targets"
    )
    files.add_argument("--figure", metavar="FILE", type=Path, help="also draw target, context and prediction (PNG)")
    task = parser.add_argument_group("task")
    task.add_argument(
        "--task",
        choices=("image", "segmentation", *BUILTIN),
        metavar="TASK",
        default="image",
        help="image: the context outputs are images. segmentation: they are masks or label maps; writes the labels and "
        f"*_prob. Of scans without context pairs: segmentation, {', '.join(BUILTIN)}, from built-in examples (default: "
        "image)",
    )
    add_labels(task)
    scans = parser.add_argument_group("whole scans")
    add_way(scans)
    scans.add_argument(
        "--aligned",
        action="store_true",
        help="target and examples are in MNI152 space already: do not align them affinely",
    )
    scans.add_argument(
        "--probabilities", action="store_true", help="also write the probability of each label, a 4-D volume *_probseg"
    )
    scans.add_argument(
        "--report",
        metavar="DIR",
        type=Path,
        help="also write DIR/index.html, a page for the browser: the scan and its labels, volumes, confidence, and how "
        "they were found; of several targets a page each and an index",
    )
    scans.add_argument(
        "--transforms",
        action="store_true",
        help="also write how the target was aligned to MNI152: a matrix (*_to-MNI152.txt: RAS mm to RAS mm), and for "
        "ITK a transform (*_to-MNI152.tfm) and displacements (*_to-MNI152_warp.nii.gz)",
    )
    add_overwrite(scans)
    images = parser.add_argument_group("images and planes")
    images.add_argument(
        "--slice", metavar="WHERE", help="plane of a volume: y=-17 (mm, RAS) or 1/112 (array axis / voxel index)"
    )
    images.add_argument(
        "--normalize",
        choices=("percentile", "none"),
        default="percentile",
        help="percentile: scale each image to [0, 1] by itself; none: all images are in [0, 1] (default: percentile)",
    )
    images.add_argument(
        "--resample",
        action="store_true",
        help="put context pairs on the target's pixels: in mm where both headers tell their size, stretched where not "
        "(does not align them)",
    )
    accuracy = parser.add_argument_group("accuracy and uncertainty")
    accuracy.add_argument(
        "--bootstrap", metavar="K", type=int, default=0, help="average over K resampled context sets; writes *_std"
    )
    accuracy.add_argument(
        "--bootstrap-size", metavar="M", type=int, help="pairs in a resampled set (default: 32, or all if more)"
    )
    accuracy.add_argument("--augment", action="store_true", help="move resampled pairs by small random affine maps")
    accuracy.add_argument("--seed", type=int, default=0, help="seed of the resampling (default: 0)")
    machine = parser.add_argument_group("memory and devices")
    machine.add_argument(
        "--context-chunk",
        metavar="M",
        type=int,
        help="compute M pairs at a time: slower, in memory that does not grow with the number of pairs (default: the "
        "fastest way that fits in the free memory)",
    )
    machine.add_argument("--all-devices", action="store_true", help="share the work among all GPUs (default: one GPU)")
    names = (*_OF_PLANES, *_OF_SCANS, "bootstrap", "seed", "all_devices")
    parser.set_defaults(
        run=run,
        on_progress=None,  # what is told of every step, besides the bar
        defaults={name: parser.get_default(name) for name in names},
        less_memory="--context-chunk 1, smaller images or another device",
    )


def run(options: argparse.Namespace, predict_volume: "Callable[..., VolumePrediction] | None" = None) -> int:
    """Runs the command; returns the exit status. `predict_volume`: what predicts a whole scan, if not the function."""
    if options.labels is not None:
        options.labels = sorted({label for part in options.labels for label in part})
    scans = options.task not in BUILTIN and options.slice is None and _has_volumes(options.target)
    examples = options.context_in or ([options.context] if options.context and options.context.is_dir() else [])
    segmented = scans and options.task == "segmentation"
    if segmented or options.task in BUILTIN or (scans and _has_volumes(examples)):
        from neuralizer_jax.cli.volume_examples import has_examples

        _refuse(options, _OF_PLANES, "is an option of images and planes, expected --slice with it")
        if options.examples_per_target is None:
            options.examples_per_target = 8 if segmented and has_examples(options) else 4
        if segmented:
            from neuralizer_jax.cli.predict_volumes import predict_volumes

            return predict_volumes(options, predict_volume)
        from neuralizer_jax.cli.predict_fields import predict_fields

        return predict_fields(options)
    from neuralizer_jax.cli.predict_planes import predict_planes

    _refuse(options, _OF_SCANS, "is an option of whole scans, expected scans and no --slice")
    predict_planes(options)
    return 0


def _refuse(options: argparse.Namespace, names: tuple[str, ...], reason: str) -> None:
    """Raises InputError if one of some options is given."""
    for name in names:
        if getattr(options, name) != options.defaults[name]:
            raise InputError(f"--{name.replace('_', '-')}: {reason}")


def _has_volumes(targets: list[Path]) -> bool:
    """Whether a target, or a file in a folder of targets, is a volume."""
    from neuralizer_jax.files.example_volumes import scans_in
    from neuralizer_jax.files.volume_grid import is_volume

    return any(is_volume(path) for target in targets for path in (scans_in(target) if target.is_dir() else [target]))
