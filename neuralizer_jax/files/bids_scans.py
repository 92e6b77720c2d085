"""The anatomical scans of a BIDS dataset: `sub-LABEL/[ses-LABEL/]anat/*.nii.gz`, without its derivatives."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.bids_name import name_of_file
from neuralizer_jax.files.endings import volume_ending
from neuralizer_jax.files.folder_tree import files_under
from neuralizer_jax.files.natural_order import natural_order

# Parts of a name that do not say which scan a result is of, or that its folder says.
_NOT_OF_RESULTS = ("sub-", "ses-", "desc-")


@dataclass(frozen=True)
class BidsScan:
    """A scan.

    Attributes:
        path: its file.
        subject, session: their labels, without `sub-` and `ses-`; the session is empty where there is none.
        suffix: the contrast, `T1w`.
        stem: what the names of its results begin with: `sub-01_ses-1_run-2`.
    """

    path: Path
    subject: str
    session: str
    suffix: str
    stem: str

    @property
    def folder(self) -> Path:
        """Where its results lie in a derivative: `sub-01/ses-1/anat`."""
        return Path(f"sub-{self.subject}", *([f"ses-{self.session}"] if self.session else []), "anat")


def labels_in(folder: Path, key: str) -> list[str]:
    """The labels of the folders `KEY-LABEL` in a folder, in natural order.

    Raises:
        InputError: the folder cannot be read.

    Example:
        >>> Path("sub-10").mkdir(), Path("sub-9").mkdir(), Path("sub-x.txt").touch()
        (None, None, None)
        >>> labels_in(Path("."), "sub")
        ['9', '10']
    """
    try:
        names = [entry.name for entry in folder.iterdir() if entry.name.startswith(f"{key}-") and entry.is_dir()]
    except OSError as error:
        raise InputError(f"{one_line(folder)}: cannot be read as a folder ({error.strerror or error})") from error
    labels = [name.removeprefix(f"{key}-") for name in names]
    return sorted((label for label in labels if label.replace("+", "").isalnum()), key=natural_order)


def chosen_labels(there: Sequence[str], wanted: Sequence[str] | None, key: str, option: str) -> list[str]:
    """Those of the labels that are wanted, given with or without `KEY-`; None: all.

    Raises:
        InputError: a label is not there.

    Example:
        >>> chosen_labels(["01", "02"], ["sub-02"], "sub", "--participant-label")
        ['02']
    """
    bare = None if wanted is None else [label.removeprefix(f"{key}-") for label in wanted]
    if absent := [label for label in bare or () if label not in there]:
        some = ", ".join(there[:10]) + (", ..." if len(there) > 10 else "")
        raise InputError(f"{option}: there is no {key}-{one_line(absent[0])}, expected some of {one_line(some)}")
    return [label for label in there if bare is None or label in bare]


def anatomical_scans(root: Path, participants: Sequence[str] | None = None) -> tuple[list[BidsScan], list[str]]:
    """Finds the anatomical scans of a dataset, in natural order. No file is opened.

    Of scans with a phase, the magnitude is taken. A link to a file that was not fetched is a scan as well.

    Args:
        root: the dataset's folder.
        participants: labels of the subjects to take; None: all.

    Returns:
        The scans, and notes on files whose names are not as in BIDS.

    Raises:
        InputError: the folder cannot be read, has no subjects, or not those wanted.

    Example:
        >>> anat = Path("dataset/sub-01/ses-1/anat")
        >>> anat.mkdir(parents=True)
        >>> (anat / "sub-01_ses-1_run-2_T1w.nii.gz").touch()
        >>> scans, _ = anatomical_scans(Path("dataset"))
        >>> scans[0].suffix, (scans[0].folder / scans[0].stem).as_posix()
        ('T1w', 'sub-01/ses-1/anat/sub-01_ses-1_run-2')
    """
    if not root.is_dir():
        reason = "is no folder" if root.exists() else "does not exist"
        raise InputError(f"{one_line(root)}: {reason}, expected a BIDS dataset")
    subjects = labels_in(root, "sub")
    if not subjects:
        raise InputError(f"{one_line(root)}: has no folders such as sub-01, expected a BIDS dataset")
    scans: list[BidsScan] = []
    notes: list[str] = []
    for subject in chosen_labels(subjects, participants, "sub", "--participant-label"):
        own = root / f"sub-{subject}"
        for session in ["", *labels_in(own, "ses")]:
            folder = own / f"ses-{session}" / "anat" if session else own / "anat"
            missing: dict[str, str] = {}
            found = files_under(folder, missing) if folder.is_dir() else []
            for path in [*found, *(folder / name for name in missing)]:
                if ending := volume_ending(path):
                    try:
                        scans += _scans(root, path, path.name[: -len(ending)], subject, session)
                    except InputError as error:
                        notes.append(f"{one_line(path)}: {error}; it is passed over")
    return scans, notes


def _scans(root: Path, path: Path, stem: str, subject: str, session: str) -> list[BidsScan]:
    name = name_of_file(path.relative_to(root), stem)
    if not name.suffix.isalnum():
        raise InputError("its name does not end in a suffix of BIDS, expected one such as _T1w")
    if name.entities.get("ses", "") != session:
        raise InputError(f"its name says ses-{name.entities['ses']}, its folder no session")
    if name.entities.get("part", "mag") != "mag":
        return []
    parts = [part for part in stem.split("_")[:-1] if not part.lower().startswith(_NOT_OF_RESULTS)]
    whose = [f"sub-{subject}", *([f"ses-{session}"] if session else [])]
    return [BidsScan(path, subject, session, name.suffix, "_".join([*whose, *parts]))]
