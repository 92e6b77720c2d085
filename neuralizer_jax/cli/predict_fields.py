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
from neuralizer_jax.cli.each_scan import each_scan, read_grids, report_failed
from neuralizer_jax.cli.predict_planes import make_folder
from neuralizer_jax.cli.volume_examples import find_pairs_of_scans
from neuralizer_jax.cli.volume_progress import Progress, Stages
from neuralizer_jax.cli.volume_report import ReportFiles, write_mask_page
from neuralizer_jax.cli.volume_results import (
    Origin,
    examples_used,
    key_of,
    network_key,
    result_paths,
    unfinished,
    write_record,
)
from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.context_files import ContextPairs, identity, refuse_targets
from neuralizer_jax.files.endings import volume_ending
from neuralizer_jax.files.example_volumes import scans_in
from neuralizer_jax.files.result_record import image_key, labels_key
from neuralizer_jax.files.volume_grid import (
    VolumeGrid,
    contradictions,
    is_volume,
    lies_on,
    read_grid,
    write_labels,
    write_scan,
)
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
_OF_LABELS = (
    "affine",
    "bootstrap",
    "seed",
    "all_devices",
    "partial",
    "probabilities",
    "transforms",
    "labels",
    "label_names",
)

# Writes the result for a scan to the files; returns notes and their paths.
_Done = tuple[list[str], list[Path]]
_Job = Callable[[Scan, Mapping[str, Path], VolumeGrid, Origin, Progress], _Done]


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
    pairs = _pairs(options, targets) if options.task == "image" else None
    sources = [*pairs.inputs, *pairs.outputs] if pairs else []
    new_folders = [*report.new_folders, *([new_folder] if new_folder else [])]
    checks.check_files_to_write([*outputs, report.index], None, [*targets, *sources, weights], new_folders)
    grids, failed = read_grids(targets, single=single)

    network = _Network(options, weights)
    examples = [path.read_bytes() for path in sources]
    shared = key_of(network.key, options.task, sorted(network.settings.items()), *examples)
    origins = {
        target: Origin(
            tuple(map(str, (target, *sources))),
            options.command_line,
            network.described,
            key_of(shared, target.read_bytes()),
        )
        for target in grids
    }
    to_do = unfinished(files, origins, overwrite=options.overwrite)
    for note in [*(pairs.notes if pairs else ()), *contradictions(grids)]:
        print(f"neuralizer: note: {one_line(note)}", file=sys.stderr)
    if to_do:
        job = _job(options, network, _image_examples(pairs) if pairs else [])

    def predicted(target: Path, progress: Progress) -> _Done:
        scan = read_scan(target)
        if new_folder is not None:
            make_folder(new_folder)
        return job(scan, files[target], grids[target], origins[target], progress)

    with Stages(options.on_progress) as show:
        failed |= each_scan(to_do, predicted, show, single=single)
    report.finish()
    return report_failed(failed, len(targets))


class _Network:
    """The network of a command, its name and hash, and how it predicts."""

    def __init__(self, options: argparse.Namespace, weights: Path) -> None:
        from neuralizer_jax.cli.start_jax import start_jax
        from neuralizer_jax.weights import load_weights

        start_jax()
        self.model, self.params = load_weights(weights)
        checks.check_weights(self.model, None, weights)
        self.described = f"{shown_name(weights)}, SHA-256 {weights_sha256(weights)}"
        self.key = network_key(self.model, self.params)
        self.settings = {
            "examples_per_target": options.examples_per_target,
            "aligned": options.aligned,
            "planes": options.planes,
        }


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
    ending = volume_ending(path)
    stem = path.name[: -len(ending)]
    record = {"record": path.with_name(f"{stem}.json")}
    if options.task != "skull-stripping":
        return {"image": path, **record}
    brain = path.with_name(f"{stem.removesuffix('_mask')}_brain{ending}")
    return {"labels": path, "brain": brain, **record} | ({"page": page} if page else {})


def _pairs(options: argparse.Namespace, targets: Sequence[Path]) -> ContextPairs:
    """The files of the examples of an image task."""
    pairs = find_pairs_of_scans(options, targets)
    if pairs is None:
        raise InputError(f"--context: {one_line(options.context)} holds label maps, expected pairs of images")
    refuse_targets((*pairs.inputs, *pairs.outputs), {identity(path) for path in targets})
    for image, output in zip(pairs.inputs, pairs.outputs, strict=True):
        if not lies_on(read_grid(output), read_grid(image)):
            raise InputError(f"{one_line(output)}: lies on other voxels than its image {one_line(image)}")
    return pairs


def _image_examples(pairs: ContextPairs) -> list[ImageExample]:
    return [
        ImageExample(read_scan(image).canonical(), read_scan(output).canonical().values)
        for image, output in zip(pairs.inputs, pairs.outputs, strict=True)
    ]


def _job(options: argparse.Namespace, network: _Network, examples: Sequence[ImageExample]) -> _Job:
    """What is done with each scan."""
    from neuralizer_jax.volumes.restoration import restore
    from neuralizer_jax.volumes.skull_stripping import strip_skull

    model, params, settings = network.model, network.params, network.settings
    same_kind = are_of_the_same_kind(examples)
    if examples:
        whose = (
            "target, as outputs resemble their inputs" if same_kind else "outputs, as they do not resemble their inputs"
        )
        print(f"neuralizer: note: results have the unit of the {whose}", file=sys.stderr)

    def stripped(scan: Scan, files: Mapping[str, Path], grid: VolumeGrid, origin: Origin, progress: Progress) -> _Done:
        found = strip_skull(model, params, scan, **settings, on_progress=progress)
        write_record(files["record"], origin, {"Task": options.task, "Labels": labels_key(found.mask)})
        write_scan(files["brain"], np.where(found.mask, scan.values, 0), grid)
        if "page" in files:
            write_mask_page(files["page"], found, {"command": origin.command, "weights": origin.weights})
        write_labels(files["labels"], found.mask, grid)
        return [f"{scan.name}: {warning}" for warning in found.warnings], list(files.values())

    def restored(scan: Scan, files: Mapping[str, Path], grid: VolumeGrid, origin: Origin, progress: Progress) -> _Done:
        if examples:
            found = predict_image(model, params, scan, examples, same_kind=same_kind, **settings, on_progress=progress)
        else:
            found = restore(model, params, scan, options.task, **settings, on_progress=progress)
        same = found.values.shape == grid.shape and np.array_equal(found.affine, scan.affine)
        made = {"Task": options.task, "Examples": examples_used(found.examples), "Image": image_key(found.values)}
        write_record(files["record"], origin, made)
        write_scan(files["image"], found.values, grid, None if same else found.affine)
        return [f"{scan.name}: {warning}" for warning in found.warnings], list(files.values())

    return stripped if options.task == "skull-stripping" else restored
