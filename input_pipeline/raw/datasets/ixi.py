"""IXI: 584 healthy adults from three London hospitals; T1, T2, PD, MRA and a diffusion series.

Access: open, without login; CC BY-SA 3.0. Images are native and not skull-stripped, without labels or masks.
Modalities are not registered to each other, except T2 and PD, which come from one dual-echo scan, and the directions
`DTI-00`..`DTI-16`, which come from one series.

Files: `IXI002-Guys-0828-T1.nii.gz` (`-DTI-00` for a direction) in one folder, or in one folder for each modality, `T1/`
or `IXI-T1/`. A few subjects lack a modality. T2 and PD of IXI014-HH-1236 are dropped: 28 slices of 5 mm.

Age and sex come from the published table `IXI.xls`, saved as `IXI.csv` with unchanged columns (`IXI_ID`,
`SEX_ID (1=m, 2=f)`, `AGE`); without that file they are unknown. 26 ids have several rows: a value on which the rows of
an id disagree is left out.
"""

import csv
import re
from collections import defaultdict
from pathlib import Path
from typing import TypeVar

from input_pipeline.raw.found_files import discovery, files_by_subject, together
from input_pipeline.raw.subject import Discovery, RawSubject
from neuralizer_jax.errors import InputError

NAME = "ixi"
DESCRIPTION = "IXI: healthy adults; T1, T2, PD, MRA and a diffusion series."
HOW_TO_GET = """\
Download https://biomedic.doc.ic.ac.uk/brain-development/downloads/IXI/IXI-{T1,T2,PD,MRA,DTI}.tar (no login,
CC BY-SA 3.0) and unpack them in one folder, with or without a sub-folder for each modality. For age and sex also
download IXI.xls from there, save it from a spreadsheet program as IXI.csv, columns unchanged, in the same folder.
"""

_FILE = re.compile(r"(IXI\d{3})-(Guys|HH|IOP)-(\d{4})-(T1|T2|PD|MRA|DTI-(?:0\d|1[0-6]))\.nii(?:\.gz)?")
_FEW_SLICES = {("IXI014-HH-1236", "T2"), ("IXI014-HH-1236", "PD")}
_COLUMNS = ("IXI_ID", "SEX_ID (1=m, 2=f)", "AGE")
_SEXES = {"1": "M", "2": "F"}

Value = TypeVar("Value")


def discover(root: Path) -> Discovery:
    """Finds the subjects under `root`; their ids are like `IXI002-Guys-0828`."""
    dropped: dict[str, str] = {}
    tables: list[Path] = []

    def identify(path: Path) -> tuple[str, str] | None:
        if path.name.lower() == "ixi.csv":
            tables.append(path)
        if not (match := _FILE.fullmatch(path.name)):
            return None
        subject, modality = "-".join(match.group(1, 2, 3)), match[4]
        if (subject, modality) in _FEW_SLICES:
            dropped[f"{subject} {modality}"] = "28 thick slices"
            return None
        return subject, modality

    found = files_by_subject(root, identify, dropped)
    people = next(filter(None, map(_read_people, tables)), {})
    subjects = []
    for subject, images in found.items():
        person = subject.split("-")[0]
        age, sex = people.get(person, (None, None))
        directions = sorted(modality for modality in images if modality.startswith("DTI-"))
        subjects.append(
            RawSubject(
                dataset=NAME,
                subject=subject,
                person=person,
                images=images,
                aligned=together(images, "T2", "PD") + together(images, *directions),
                age=age,
                sex=sex,
            )
        )
    return discovery(root, subjects, dropped, "IXI's unpacked files IXINNN-{Guys,HH,IOP}-NNNN-T1.nii.gz")


def _read_people(path: Path) -> dict[str, tuple[float | None, str | None]]:
    """Age and sex of each `IXI002` in the table; columns end at commas or semicolons, decimals at a point or comma."""
    ages: defaultdict[str, set[float]] = defaultdict(set)
    sexes: defaultdict[str, set[str]] = defaultdict(set)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = file.readline()
            columns = next(csv.reader([header], delimiter=_delimiter(header)), [])
            if missing := [column for column in _COLUMNS if column not in columns]:
                raise InputError(f"{path}: no column {missing[0]!r}, expected IXI.xls saved as CSV")
            for row in csv.DictReader(file, columns, delimiter=_delimiter(header), restval=""):
                number, sex, age = (row[column].strip() for column in _COLUMNS)
                if not number:
                    continue
                person = f"IXI{int(number):03d}"
                if age and 0 < (years := float(age.replace(",", "."))) < 120:
                    ages[person].add(years)
                if sex in _SEXES:
                    sexes[person].add(_SEXES[sex])
    except (OSError, ValueError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read ({error}), expected IXI.xls saved as CSV") from error
    return {person: (_agreed(ages[person]), _agreed(sexes[person])) for person in {*ages, *sexes}}


def _delimiter(header: str) -> str:
    return ";" if ";" in header else ","


def _agreed(values: set[Value]) -> Value | None:
    return next(iter(values)) if len(values) == 1 else None
