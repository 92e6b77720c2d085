"""Whole scans one after another: one that fails does not stop the others, and is reported at the end."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from neuralizer_jax.cli.volume_progress import Progress, Stages
from neuralizer_jax.errors import InputError, OutputError, one_line
from neuralizer_jax.files.volume_grid import VolumeGrid, read_grid

# Predicts a scan and writes its files; returns notes and the files.
Work = Callable[[Path, Progress], tuple[Sequence[str], Sequence[Path]]]


def read_grids(targets: Sequence[Path], *, single: bool) -> tuple[dict[Path, VolumeGrid], dict[Path, str]]:
    """The grids of the targets, and what is wrong with those of several that have none.

    Raises:
        InputError: the only target has none.
    """
    grids, failed = {}, {}
    for target in targets:
        try:
            if target.is_symlink() and not target.exists():
                raise InputError(f"{one_line(target)}: is a link to a missing file (was it fetched?), expected a scan")
            grids[target] = read_grid(target)
        except InputError as error:
            if single:
                raise
            failed[target] = str(error)
    return grids, failed


def each_scan(targets: Sequence[Path], work: Work, show: Stages, *, single: bool) -> dict[Path, str]:
    """Does the work for each scan, and prints its notes and files.

    Args:
        targets: the scans.
        work: what is done with one of them.
        show: shows the progress.
        single: the command has one target, whose error is the command's.

    Returns:
        What was wrong with those that failed.

    Raises:
        InputError: the only target failed; or a file cannot be written, which is no fault of a scan.
    """
    failed = {}
    for number, target in enumerate(targets):
        title = target.name if single else f"{target.name} ({number + 1}/{len(targets)})"
        try:
            notes, written = work(target, show.of(title))
        except OutputError:
            raise
        except InputError as error:
            if single:
                raise
            failed[target] = str(error)
            continue
        for note in notes:
            show.line(f"neuralizer: note: {one_line(note)}", error=True)
        show.line("\n".join(map(one_line, written)))
    return failed


def report_failed(failed: Mapping[Path, str], targets: int) -> int:
    """Prints what was wrong with the scans that failed; returns the exit status."""
    for message in failed.values():
        print(f"neuralizer: error: {one_line(message)}", file=sys.stderr)
    if failed:
        print(f"neuralizer: {len(failed)} of {targets} targets failed", file=sys.stderr)
    return int(bool(failed))
