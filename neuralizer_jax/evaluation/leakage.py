"""`training_subjects.csv` beside a model's weights: whom it was trained on, so that nobody of them is tested."""

import csv
from collections.abc import Iterable
from pathlib import Path

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.atomic_file import written_whole

TRAINING_SUBJECTS_FILE = "training_subjects.csv"

_COLUMNS = ["dataset", "subject", "person"]


def write_training_subjects(folder: Path, rows: Iterable[tuple[str, str, str]]) -> Path:
    """Writes dataset, subject and person of everyone whose images a training may use into the run's folder.

    Raises:
        InputError: if it cannot be written.
    """
    path = folder / TRAINING_SUBJECTS_FILE
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([_COLUMNS, *rows])
    return path


def check_same_subjects(path: Path, rows: Iterable[tuple[str, str, str]]) -> None:
    """Checks that a run goes on with the training subjects (dataset, subject, person) that it began with.

    Raises:
        InputError: if a subject is new or gone, or if the file is damaged.
    """
    before, now = {tuple(row) for row in _read(path)}, set(rows)
    if before != now:
        dataset, subject, _ = min(before ^ now)
        what = "new" if (dataset, subject) in {row[:2] for row in now} else "gone"
        raise InputError(
            f"{path}: the run began with other subjects ({subject} of {dataset} is {what}), expected the same data"
        )


def check_no_test_subject(path: Path, test_rows: Iterable[tuple[str, str, str]]) -> None:
    """Checks that nobody in a test (dataset, subject, person) was trained on, as target or as context member.

    Raises:
        InputError: if somebody was, or if the file is damaged.
    """
    trained = {(dataset, person): subject for dataset, subject, person in _read(path)}
    for dataset, subject, person in test_rows:
        if (dataset, person) in trained:
            raise InputError(
                f"{path}: person {person} of {dataset} was trained on (subject {trained[dataset, person]}) and is to be"
                f" tested (subject {subject}), expected none to be in both"
            )


def _read(path: Path) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, csv.Error):
        header, rows = None, []
    if header != _COLUMNS or (wrong := next((n for n, row in enumerate(rows, 2) if len(row) != 3), None)):
        where = path if header != _COLUMNS else f"{path}, line {wrong}"
        raise InputError(f"{where}: damaged, expected a table with columns {','.join(_COLUMNS)}")
    return rows
