"""Whole scans of `neuralizer predict`: scans and a few annotated ones in, label maps on the scans' own voxels out.

Without annotated ones, built-in heads are the examples. Everything that needs no prediction is checked before
the first one. A scan that fails later does not stop the others.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from neuralizer_jax.cli import predict_checks as checks
from neuralizer_jax.cli.each_scan import each_scan, read_grids, report_failed
from neuralizer_jax.cli.predict_planes import make_folder
from neuralizer_jax.cli.segmenter import Segmenter
from neuralizer_jax.cli.volume_examples import find_pairs_of_scans, has_examples, read_context
from neuralizer_jax.cli.volume_progress import Progress, Stages
from neuralizer_jax.cli.volume_report import ReportFiles
from neuralizer_jax.cli.volume_results import (
    Origin,
    output_files,
    result_paths,
    unfinished,
    write_results,
)
from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.context_files import ContextPairs, identity, named, refuse_targets
from neuralizer_jax.files.example_bids import bids_suffix
from neuralizer_jax.files.example_volumes import scans_in
from neuralizer_jax.files.volume_grid import contradictions
from neuralizer_jax.volumes.read_scan import read_scan
from neuralizer_jax.volumes.volume_prediction import VolumePrediction


def predict_volumes(options: argparse.Namespace, predict: Callable[..., VolumePrediction] | None = None) -> int:
    """Runs the command.

    Args:
        options: of the command.
        predict: predicts a scan, as `predict_volume` does; None: that.

    Returns:
        0, or 1 if some of several targets failed.

    Raises:
        InputError: for wrong input, before the first prediction; or if the only target fails.
    """
    check_numbers(options)
    weights = checks.weights_to_use(options.weights)
    targets, pairs, notes = _targets(options)
    single = len(targets) == 1 and not options.target[0].is_dir()
    paths, new_folder = result_paths(options.out, targets, single=single)
    report = ReportFiles(options.report, paths, single=single)
    outputs = [output_files(path, page, options) for path, page in zip(paths, report.pages, strict=True)]
    files = dict(zip(targets, outputs, strict=True))
    examples = [*pairs.inputs, *pairs.outputs] if pairs else [options.context] if options.context else []
    new_folders = [*report.new_folders, *([new_folder] if new_folder else [])]
    checks.check_files_to_write([*outputs, report.index], None, [*targets, *examples, weights], new_folders)
    grids, failed = read_grids(targets, single=single)
    context = None
    if examples:
        context = read_context(
            options.context, pairs, targets,
            labels=options.labels, label_names=options.label_names, partial=options.partial,
        )  # fmt: skip

    segmenter = Segmenter(options, weights, context, predict)
    origins = {
        target: Origin(
            tuple(map(str, (target, *examples))), options.command_line, segmenter.weights, segmenter.key(target)
        )
        for target in grids
    }
    to_do = unfinished(files, origins, overwrite=options.overwrite)
    for note in [*notes, *([*context.notes, *context.suspicions] if context else ()), *contradictions(grids)]:
        print(f"neuralizer: note: {one_line(note)}", file=sys.stderr)
    with Stages(options.on_progress) as show:
        if to_do:
            segmenter.align_examples(show.of("examples"))

        def segmented(target: Path, progress: Progress) -> tuple[list[str], list[Path]]:
            found = segmenter.segment(read_scan(target), progress)
            if new_folder is not None:
                make_folder(new_folder)
            written = write_results(files[target], found, grids[target], segmenter.names, origins[target])
            return list(found.notes(segmenter.names)), list(written)

        failed |= each_scan(to_do, segmented, show, single=single)
    report.finish()
    return report_failed(failed, len(targets))


def check_numbers(options: argparse.Namespace) -> None:
    """Raises InputError for numbers out of range, or options that exclude each other."""
    if options.examples_per_target < 1:
        raise InputError(f"--examples-per-target: is {options.examples_per_target}, expected 1 or more")
    for name in ("bootstrap", "seed"):
        if getattr(options, name) < 0:
            raise InputError(f"--{name}: is {getattr(options, name)}, expected 0 or more")
    if options.labels is not None and (not options.labels or options.labels[0] < 1):
        raise InputError("--labels: expected at least one label, numbers from 1")
    for name in ("partial", "label_names"):
        if getattr(options, name) and not has_examples(options):
            raise InputError(f"--{name.replace('_', '-')}: is about examples, expected --context with it")
    if options.aligned and options.transforms:
        raise InputError("--transforms: no affine map is found with --aligned, expected one of them")


def _targets(options: argparse.Namespace) -> tuple[list[Path], ContextPairs | None, list[str]]:
    """The scans to predict, the files of the examples, and notes.

    In a folder of targets, the examples are left out, and in BIDS the scans of other contrasts.
    """
    named_targets = [path for path in options.target if not path.is_dir()]
    inside = [scan for path in options.target if path.is_dir() for scan in scans_in(path)]
    pairs = find_pairs_of_scans(options, [*named_targets, *inside]) if has_examples(options) else None
    files = (*pairs.inputs, *pairs.outputs) if pairs else ()
    refuse_targets(files, {identity(path) for path in named_targets})
    used = {identity(path) for path in files}
    contrasts = {bids_suffix(path) for path in pairs.inputs} if pairs else {""}
    left_out = [scan for scan in inside if identity(scan) in used]
    others = [scan for scan in inside if "" not in contrasts and bids_suffix(scan) not in {"", *contrasts}]
    notes = [f"{named(left_out)}: in the context, so not predicted"] if left_out else []
    if others:
        notes.append(f"{named(others)}: not {' or '.join(sorted(contrasts))} as the examples, so not predicted")
    targets = [*named_targets, *(scan for scan in inside if scan not in left_out and scan not in others)]
    if not targets:
        besides = " besides the examples" if files else ""
        raise InputError(f"{one_line(options.target[0])}: no scans in this folder{besides}, expected targets")
    return targets, pairs, notes
