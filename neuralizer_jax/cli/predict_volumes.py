"""Whole scans of `neuralizer predict`: scans and a few annotated ones in, label maps on the scans' own voxels out.

Everything that needs no prediction is checked before the first one. A scan that fails later does not stop the others.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from neuralizer_jax.cli import predict_checks as checks
from neuralizer_jax.cli.each_scan import each_scan, report_failed
from neuralizer_jax.cli.predict_planes import make_folder
from neuralizer_jax.cli.volume_examples import Context, find_pairs_of_scans, read_context
from neuralizer_jax.cli.volume_progress import Progress, Stages
from neuralizer_jax.cli.volume_report import ReportFiles
from neuralizer_jax.cli.volume_results import (
    Origin,
    is_finished,
    key_of,
    output_files,
    result_paths,
    write_results,
)
from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.context_files import ContextPairs, identity, named, refuse_targets
from neuralizer_jax.files.example_bids import bids_suffix
from neuralizer_jax.files.example_volumes import scans_in
from neuralizer_jax.files.volume_grid import VolumeGrid, contradictions, read_grid
from neuralizer_jax.intensity import normalize
from neuralizer_jax.volumes.aligned import AlignedExample, align_example
from neuralizer_jax.volumes.read_scan import read_scan
from neuralizer_jax.volumes.scan import Scan
from neuralizer_jax.volumes.volume_prediction import VolumePrediction
from neuralizer_jax.weights.weights_hash import weights_sha256

# Scaled images that differ by less are one image, in another unit or datatype.
_SAME_IMAGE = 0.003


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
    _check_numbers(options)
    weights = checks.weights_to_use(options.weights)
    targets, pairs, notes = _targets(options)
    single = len(targets) == 1 and not options.target[0].is_dir()
    paths, new_folder = result_paths(options.out, targets, single=single)
    report = ReportFiles(options.report, paths, single=single)
    outputs = [output_files(path, page, options) for path, page in zip(paths, report.pages, strict=True)]
    files = dict(zip(targets, outputs, strict=True))
    sources = [str(path) for path in (*pairs.inputs, *pairs.outputs)] if pairs else [str(options.context)]
    new_folders = [*report.new_folders, *([new_folder] if new_folder else [])]
    checks.check_files_to_write([*outputs, report.index], None, [*targets, *map(Path, sources), weights], new_folders)
    grids, failed = _grids(targets, single=single)
    context = read_context(options, pairs, targets)

    from neuralizer_jax.cli.start_jax import start_jax
    from neuralizer_jax.volumes.predict import predict_volume
    from neuralizer_jax.weights import load_weights

    start_jax()
    model, params = load_weights(weights)
    checks.check_weights(model, None, weights)
    settings = {
        "label_values": context.labels,
        "examples_per_target": options.examples_per_target,
        "refine": options.refine,
        "aligned": options.aligned,
        "planes": options.planes,
    }
    described = f"{weights.name}, SHA-256 {weights_sha256(weights)}"
    shared = key_of(
        str(model), *_arrays(params), [example.key for example in context.examples], sorted(settings.items())
    )
    origins = {
        target: Origin((str(target), *sources), options.command_line, described, key_of(shared, target.read_bytes()))
        for target in grids
    }
    finished = {target for target in grids if is_finished(files[target], origins[target], overwrite=options.overwrite)}
    for note in [*notes, *context.notes, *contradictions(grids)]:
        print(f"neuralizer: note: {one_line(note)}", file=sys.stderr)
    for target in finished:
        print(f"{one_line(files[target]['labels'])}: is there already, made from the same files and options")
    to_do = [target for target in grids if target not in finished]
    with Stages() as show:
        examples = _aligned(context, show.of("examples"), aligned=options.aligned) if to_do else []

        def segmented(target: Path, progress: Progress) -> tuple[list[str], list[Path]]:
            scan = read_scan(target)
            _refuse_same(scan, examples)
            found = (predict or predict_volume)(model, params, scan, examples, **settings, on_progress=progress)
            if new_folder is not None:
                make_folder(new_folder)
            written = write_results(files[target], found, grids[target], context.names, origins[target])
            return list(found.notes(context.names)), list(written)

        failed |= each_scan(to_do, segmented, show, single=single)
    report.finish()
    return report_failed(failed, len(targets))


def _check_numbers(options: argparse.Namespace) -> None:
    for name, least in (("examples_per_target", 1), ("refine", 0)):
        if getattr(options, name) < least:
            value = getattr(options, name)
            raise InputError(f"--{name.replace('_', '-')}: is {value}, expected {least} or more")
    if options.labels is not None and (not options.labels or options.labels[0] < 1):
        raise InputError("--labels: expected at least one label, numbers from 1")
    if options.aligned and options.transforms:
        raise InputError("--transforms: nothing is aligned with --aligned, expected one of them")


def _targets(options: argparse.Namespace) -> tuple[list[Path], ContextPairs | None, list[str]]:
    """The scans to predict, the files of the examples, and notes.

    In a folder of targets, the examples are left out, and in BIDS the scans of other contrasts.
    """
    named_targets = [path for path in options.target if not path.is_dir()]
    inside = [scan for path in options.target if path.is_dir() for scan in scans_in(path)]
    pairs = find_pairs_of_scans(options, [*named_targets, *inside])
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
        raise InputError(
            f"{one_line(options.target[0])}: no scans in this folder besides the examples, expected targets"
        )
    return targets, pairs, notes


def _grids(targets: Sequence[Path], *, single: bool) -> tuple[dict[Path, VolumeGrid], dict[Path, str]]:
    """The grids of the targets, and what is wrong with those of several that have none."""
    grids, failed = {}, {}
    for target in targets:
        try:
            grids[target] = read_grid(target)
        except InputError as error:
            if single:
                raise
            failed[target] = str(error)
    return grids, failed


def _arrays(params: object) -> list[np.ndarray]:
    import jax

    return [np.asarray(leaf) for leaf in jax.tree.leaves(params)]


def _aligned(context: Context, progress: Progress, *, aligned: bool) -> list[AlignedExample]:
    """Reads and aligns the examples, one at a time to save memory."""
    found = []
    for number, example in enumerate(context.examples):
        progress("aligning", number, len(context.examples))
        found.append(align_example(example.read(), aligned=aligned))
    return found


def _refuse_same(target: Scan, examples: Sequence[AlignedExample]) -> None:
    """Raises InputError if an example holds the target, stored differently or not."""
    canonical = target.canonical()
    alike = [example.scan for example in examples if example.scan.values.shape == canonical.values.shape]
    scaled = normalize(canonical.values) if alike else canonical.values
    for other in alike:
        if np.allclose(other.values, scaled, rtol=0, atol=_SAME_IMAGE):
            raise InputError(f"{target.name}: is the example {other.name}, expected other scans as examples")
