"""`neuralizer bids ... participant`: labels, table, brain mask and page of each scan of a BIDS dataset.

Everything that needs no prediction is checked before the first one. A scan that fails does not stop the others.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from neuralizer_jax.cli import predict_checks as checks
from neuralizer_jax.cli.bids_derivative import Derivative, lacks_description
from neuralizer_jax.cli.each_scan import each_scan, read_grids, report_failed
from neuralizer_jax.cli.predict_planes import make_folder
from neuralizer_jax.cli.predict_volumes import check_numbers
from neuralizer_jax.cli.segmenter import Segmenter
from neuralizer_jax.cli.volume_examples import find_pairs_of_scans, has_examples, read_context
from neuralizer_jax.cli.volume_progress import Progress, Stages
from neuralizer_jax.cli.volume_results import Origin, key_of, output_files, unfinished, write_mask, write_results
from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.bids_scans import BidsScan, anatomical_scans, chosen_labels
from neuralizer_jax.files.context_files import ContextPairs, identity, named
from neuralizer_jax.files.example_bids import CONTRASTS, bids_suffix
from neuralizer_jax.files.natural_order import natural_order
from neuralizer_jax.files.volume_grid import contradictions
from neuralizer_jax.report.volume_index import write_volume_index
from neuralizer_jax.volumes.background import is_skull_stripped
from neuralizer_jax.volumes.read_scan import read_scan
from neuralizer_jax.volumes.volume_prediction import VolumePrediction

if TYPE_CHECKING:
    from neuralizer_jax.volumes.skull_stripping import BrainMask


@dataclass(frozen=True)
class _Results:
    """The files of a scan, and the page that lists the pages of its subject; None if it is the only one."""

    labels: dict[str, Path]
    mask: dict[str, Path]
    index: Path | None


def segment_participants(
    options: argparse.Namespace,
    predict: Callable[..., VolumePrediction] | None = None,
    strip: "Callable[..., BrainMask] | None" = None,
) -> int:
    """Runs the command.

    Args:
        options: of the command.
        predict: segments a scan from examples, as `predict_volume` does; None: that.
        strip: finds the brain, as `strip_skull` does; None: that.

    Returns:
        0, or 1 if some scans failed.

    Raises:
        InputError: for wrong input, before the first prediction.
    """
    options.labels = sorted({label for part in options.labels for label in part}) if options.labels else None
    if options.examples_per_target is None:
        options.examples_per_target = 8 if has_examples(options) else 4
    check_numbers(options)
    weights = checks.weights_to_use(options.weights)
    scans, pairs, notes = _choose(options)
    examples = [*pairs.inputs, *pairs.outputs] if pairs else [options.context] if options.context else []
    derivative = Derivative(options.output_dir, options.bids_dir, examples)
    results, failed = _results(options, scans)
    files = [part for own in results.values() for part in (own.labels, own.mask)]
    folders = {path.parent for part in files for path in part.values()}
    sources = [*(scan.path for scan in scans), *examples, weights]
    checks.check_files_to_write(files, None, sources, [path for path in folders if not path.is_dir()])
    grids, unreadable = read_grids(list(results), single=False)
    failed |= unreadable
    context = None
    if examples:
        context = read_context(
            options.context, pairs, list(grids),
            labels=options.labels, label_names=options.label_names, partial=options.partial,
        )  # fmt: skip
    segmenter = Segmenter(options, weights, context, predict)
    example_uris = [derivative.uri(path) for path in examples]
    origins, mask_origins = {}, {}
    for path in grids:
        shared = (options.command_line, segmenter.weights)
        brain_key = key_of(segmenter.weights, options.planes, path.read_bytes())
        origins[path] = Origin((derivative.uri(path), *example_uris), *shared, segmenter.key(path))
        mask_origins[path] = Origin((derivative.uri(path),), *shared, brain_key)
    of_labels, of_masks = ({path: getattr(results[path], what) for path in grids} for what in ("labels", "mask"))
    labels_to_do = unfinished(of_labels, origins, overwrite=options.overwrite)
    masks_to_do = unfinished(of_masks, mask_origins, overwrite=options.overwrite)
    for note in [
        *notes,
        *derivative.notes,
        *([*context.notes, *context.suspicions] if context else ()),
        *contradictions(grids),
    ]:
        print(f"neuralizer: note: {one_line(note)}", file=sys.stderr)
    to_do = [path for path in grids if path in labels_to_do or path in masks_to_do]
    from neuralizer_jax.volumes.skull_stripping import strip_skull

    derivative.write()
    with Stages(options.on_progress) as show:
        if labels_to_do:
            segmenter.align_examples(show.of("examples"))

        def done(path: Path, progress: Progress) -> tuple[list[str], list[Path]]:
            scan, own = read_scan(path), results[path]
            odd: list[str] = []
            written: list[Path] = []
            make_folder(own.labels["labels"].parent)
            if path in labels_to_do:
                found = segmenter.segment(scan, progress)
                written += write_results(own.labels, found, grids[path], segmenter.names, origins[path])
                odd += found.notes(segmenter.names)
                if own.index:
                    write_volume_index(own.index, own.labels["page"].parent.glob("*.html"))
                    written.append(own.index)
            if path in masks_to_do:
                if is_skull_stripped(scan.values, scan.affine):
                    odd.append(f"{scan.name}: shows a brain without skull, so there is no brain mask")
                else:
                    model, params = segmenter.model, segmenter.params
                    brain = (strip or strip_skull)(model, params, scan, planes=options.planes, on_progress=progress)
                    written += write_mask(own.mask, brain, grids[path], mask_origins[path])
                    odd += [note for text in brain.warnings if (note := f"{scan.name}: {text}") not in odd]
            return odd, written

        failed |= each_scan(to_do, done, show, single=False)
    return report_failed(failed, len(scans))


def _choose(options: argparse.Namespace) -> tuple[list[BidsScan], ContextPairs | None, list[str]]:
    """The scans of one contrast without those of the examples, the files of the examples, and notes.

    Raises:
        InputError: there are no such scans; or as `find_pairs_of_scans`.
    """
    root = options.bids_dir
    every, notes = anatomical_scans(root, options.participant_label)
    if lacks_description(root) and not options.skip_bids_validation:
        notes.append(f"{one_line(root)}: has no dataset_description.json with Name and BIDSVersion, as BIDS requires")
    usual = [scan for scan in every if scan.suffix in CONTRASTS]
    candidates = [scan for scan in every if scan.suffix == options.contrast] if options.contrast else usual
    pairs = find_pairs_of_scans(options, [scan.path for scan in candidates]) if has_examples(options) else None
    there = {scan.suffix for scan in candidates}
    shown = Counter(bids_suffix(path) for path in pairs.inputs) if pairs else Counter[str]()
    if options.contrast and shown and not shown.keys() & {options.contrast, ""}:
        notes.append(f"the examples are {' and '.join(sorted(shown))}, not {options.contrast} as the scans")
    contrast = options.contrast or min(there, key=lambda suffix: (-shown[suffix], CONTRASTS.index(suffix)), default="")
    scans = [scan for scan in candidates if scan.suffix == contrast]
    if not scans:
        found = ", ".join(sorted({scan.suffix for scan in every})) or "none"
        expected = options.contrast or ", ".join(CONTRASTS)
        raise InputError(
            f"{one_line(root)}: has no {one_line(expected)} in the anat folders of these subjects, which hold "
            f"{one_line(found)}"
        )
    if others := sorted(there - {contrast}):
        notes.append(f"{contrast} is segmented, {' and '.join(others)} is not (--contrast)")
    if options.session_label is not None:
        sessions = sorted({scan.session for scan in scans} - {""}, key=natural_order)
        chosen = chosen_labels(sessions, options.session_label, "ses", "--session-label")
        scans = [scan for scan in scans if scan.session in chosen]
    lacking = sorted({scan.subject for scan in every} - {scan.subject for scan in scans}, key=natural_order)
    if lacking:
        shown_labels = ", ".join(f"sub-{label}" for label in lacking[:10]) + (", ..." if len(lacking) > 10 else "")
        notes.append(f"{shown_labels}: no such {contrast} scan, so no result")
    used = {identity(path) for path in (*pairs.inputs, *pairs.outputs)} if pairs else set()
    left_out = [scan.path for scan in scans if identity(scan.path) in used]
    if left_out:
        notes.append(f"{named(left_out)}: in the context, so not predicted")
    scans = [scan for scan in scans if scan.path not in left_out]
    if not scans:
        raise InputError(f"{one_line(root)}: no {contrast} scans besides the examples, expected scans to segment")
    return scans, pairs, notes


def _results(options: argparse.Namespace, scans: Sequence[BidsScan]) -> tuple[dict[Path, _Results], dict[Path, str]]:
    """The files of each scan; and what is wrong with scans whose results would have one name."""
    out: Path = options.output_dir
    every, _ = anatomical_scans(options.bids_dir, sorted({scan.subject for scan in scans}))
    of_subject = Counter(scan.subject for scan in every if scan.suffix == scans[0].suffix)
    stems = Counter((scan.folder, scan.stem) for scan in scans)
    results, failed = {}, {}
    for scan in scans:
        if stems[scan.folder, scan.stem] > 1:
            failed[scan.path] = (
                f"{one_line(scan.path)}: another scan gives {scan.stem}_dseg too, expected names that differ in more "
                "than desc- and their ending"
            )
            continue
        index = out / f"sub-{scan.subject}.html"
        single = of_subject[scan.subject] == 1
        page = index if single else out / f"sub-{scan.subject}" / "figures" / f"{scan.stem}.html"
        labels = out / scan.folder / f"{scan.stem}_dseg.nii.gz"
        mask = out / scan.folder / f"{scan.stem}_desc-brain_mask.nii.gz"
        results[scan.path] = _Results(
            output_files(labels, page, options),
            {"labels": mask, "record": mask.with_name(f"{scan.stem}_desc-brain_mask.json")},
            None if single else index,
        )
    return results, failed
