"""Whole scans of `neuralizer predict` that are not segmented: skull-stripped, restored, or turned into another image.

Skull stripping and restoration have built-in examples, image tasks the user's own. A scan that fails does not stop the
others.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from neuralizer_jax.cli import predict_checks as checks
from neuralizer_jax.cli.each_scan import each_scan, report_failed
from neuralizer_jax.cli.predict_planes import make_folder
from neuralizer_jax.cli.volume_examples import find_pairs_of_scans
from neuralizer_jax.cli.volume_progress import Progress, Stages
from neuralizer_jax.cli.volume_report import ReportFiles, write_mask_page
from neuralizer_jax.cli.volume_results import result_paths
from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.context_files import identity, refuse_targets
from neuralizer_jax.files.endings import volume_ending
from neuralizer_jax.files.example_volumes import scans_in
from neuralizer_jax.files.volume_grid import VolumeGrid, is_volume, lies_on, read_grid, write_labels, write_scan
from neuralizer_jax.volumes.image_task import ImageExample, are_of_the_same_kind, predict_image
from neuralizer_jax.volumes.read_scan import read_scan
from neuralizer_jax.volumes.scan import Scan
from neuralizer_jax.weights.hub import shown_name
from neuralizer_jax.weights.weights_hash import weights_sha256

# What results in a folder are called.
_SUFFIXES = {
    "skull-stripping": "mask",
    "denoising": "denoised",
    "bias-correction": "corrected",
    "super-resolution": "fine",
    "inpainting": "inpainted",
    "image": "predicted",
}

# Options of segmentation.
_OF_LABELS = ("refine", "partial", "probabilities", "transforms", "labels", "label_names")

# Writes the result for a scan to the files; returns notes and their paths.
_Done = tuple[list[str], list[Path]]
_Job = Callable[[Scan, Mapping[str, Path], VolumeGrid, Progress], _Done]


def predict_fields(options: argparse.Namespace) -> int:
    """Runs the command; returns 0, or 1 if some of several targets failed. Raises InputError for wrong input."""
    _check(options)
    weights = checks.weights_to_use(options.weights)
    targets = [scan for path in options.target for scan in (scans_in(path) if path.is_dir() else [path])]
    if not targets:
        raise InputError(f"{one_line(options.target[0])}: no scans in this folder, expected targets")
    single = len(targets) == 1 and not options.target[0].is_dir()
    paths, new_folder = result_paths(options.out, targets, single=single, suffix=_SUFFIXES[options.task])
    report = ReportFiles(options.report, paths, single=single)
    outputs = [_files(path, page, options) for path, page in zip(paths, report.pages, strict=True)]
    files = dict(zip(targets, outputs, strict=True))
    new_folders = [*report.new_folders, *([new_folder] if new_folder else [])]
    checks.check_files_to_write([*outputs, report.index], None, [*targets, weights], new_folders)
    done = [] if options.overwrite else [x for x in targets if any(path.exists() for path in files[x].values())]
    if done and single:
        there = next(path for path in files[done[0]].values() if path.exists())
        raise InputError(f"{one_line(there)}: is there already, expected --overwrite or another --out")
    for target in done:
        print(f"{one_line(next(iter(files[target].values())))}: is there already, and is left as it is")
    to_do = [target for target in targets if target not in done]
    if to_do:
        job = _job(options, weights, _image_examples(options, targets) if options.task == "image" else [])

    def predicted(target: Path, progress: Progress) -> _Done:
        grid = read_grid(target)
        if new_folder is not None:
            make_folder(new_folder)
        return job(read_scan(target), files[target], grid, progress)

    with Stages() as show:
        failed = each_scan(to_do, predicted, show, single=single)
    report.finish()
    return report_failed(failed, len(targets))


def _check(options: argparse.Namespace) -> None:
    """Raises InputError for options that do not fit the task."""
    task = options.task
    for name in ("context", "context_in", "context_out", "slice"):
        if task != "image" and getattr(options, name) is not None:
            expected = "none with whole scans" if name == "slice" else "--task segmentation or image with it"
            raise InputError(f"--{name.replace('_', '-')}: {task} has built-in examples, expected {expected}")
    for name in _OF_LABELS:
        if getattr(options, name) != options.defaults.get(name):
            raise InputError(f"--{name.replace('_', '-')}: is no option of {task}, expected --task segmentation")
    if options.report and task != "skull-stripping":
        raise InputError(f"--report: is no option of {task}, expected --task segmentation or skull-stripping")
    if options.examples_per_target < 1:
        raise InputError(f"--examples-per-target: is {options.examples_per_target}, expected 1 or more")
    for path in options.target:
        if not path.is_dir() and path.exists() and not is_volume(path):
            raise InputError(f"{one_line(path)}: is no volume, expected a scan for --task {task} without context pairs")


def _files(path: Path, page: Path | None, options: argparse.Namespace) -> dict[str, Path]:
    """The files to write for one target."""
    if options.task != "skull-stripping":
        return {"image": path}
    ending = volume_ending(path)
    stem = path.name[: -len(ending)].removesuffix("_mask")
    return {"mask": path, "brain": path.with_name(f"{stem}_brain{ending}")} | ({"page": page} if page else {})


def _image_examples(options: argparse.Namespace, targets: Sequence[Path]) -> list[ImageExample]:
    """The examples of an image task."""
    pairs = find_pairs_of_scans(options, targets)
    if pairs is None:
        raise InputError(f"--context: {one_line(options.context)} holds label maps, expected pairs of images")
    for note in pairs.notes:
        print(f"neuralizer: note: {one_line(note)}", file=sys.stderr)
    refuse_targets((*pairs.inputs, *pairs.outputs), {identity(path) for path in targets})
    examples = []
    for image, output in zip(pairs.inputs, pairs.outputs, strict=True):
        if not lies_on(read_grid(output), read_grid(image)):
            raise InputError(f"{one_line(output)}: lies on other voxels than its image {one_line(image)}")
        examples.append(ImageExample(read_scan(image).canonical(), read_scan(output).canonical().values))
    return examples


def _job(options: argparse.Namespace, weights: Path, examples: Sequence[ImageExample]) -> _Job:
    """What is done with each scan."""
    from neuralizer_jax.cli.start_jax import start_jax
    from neuralizer_jax.volumes.restoration import restore
    from neuralizer_jax.volumes.skull_stripping import strip_skull
    from neuralizer_jax.weights import load_weights

    start_jax()
    model, params = load_weights(weights)
    checks.check_weights(model, None, weights)
    described = f"{shown_name(weights)}, SHA-256 {weights_sha256(weights)}"
    shared = {
        "examples_per_target": options.examples_per_target,
        "aligned": options.aligned,
        "planes": options.planes,
    }

    same_kind = are_of_the_same_kind(examples)
    if examples:
        whose = (
            "target, as outputs resemble their inputs" if same_kind else "outputs, as they do not resemble their inputs"
        )
        print(f"neuralizer: note: results have the unit of the {whose}", file=sys.stderr)

    def stripped(scan: Scan, files: Mapping[str, Path], grid: VolumeGrid, progress: Progress) -> _Done:
        found = strip_skull(model, params, scan, **shared, on_progress=progress)
        write_scan(files["brain"], np.where(found.mask, scan.values, 0), grid)
        if "page" in files:
            write_mask_page(files["page"], found, {"command": options.command_line, "weights": described})
        write_labels(files["mask"], found.mask, grid)
        return [], list(files.values())

    def restored(scan: Scan, files: Mapping[str, Path], grid: VolumeGrid, progress: Progress) -> _Done:
        if examples:
            found = predict_image(model, params, scan, examples, same_kind=same_kind, **shared, on_progress=progress)
        else:
            found = restore(model, params, scan, options.task, **shared, on_progress=progress)
        same = found.values.shape == grid.shape and np.array_equal(found.affine, scan.affine)
        write_scan(files["image"], found.values, grid, None if same else found.affine)
        return [], [files["image"]]

    return stripped if options.task == "skull-stripping" else restored
