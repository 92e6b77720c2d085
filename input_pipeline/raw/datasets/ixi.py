"""IXI: 584 healthy adults from three London hospitals; T1, T2, PD, MRA and a diffusion series.

Access: open, without login; CC BY-SA 3.0. Images are native, not skull-stripped, without labels or masks. Modalities
are not registered to each other, save that T2 and PD come of one dual-echo scan and the directions `DTI-00`..`DTI-16`
of one series.

Files are named `IXI002-Guys-0828-T1.nii.gz` (`-DTI-00` for a direction) and lie in one flat folder or one a modality,
`T1/` or `IXI-T1/`. A few subjects lack a modality. T2 and PD of IXI014-HH-1236 are dropped: 28 slices of 5 mm.

Age and sex come of the published table `IXI.xls`, saved as `IXI.csv` with its columns as they are (`IXI_ID`,
`SEX_ID (1=m, 2=f)`, `AGE`); without that file they are unknown. 26 ids have several rows there: a value on which the
rows of an id disagree is left out.
"""

import csv
import re
from collections import defaultdict
from pathlib import Path

from input_pipeline.prepare.tfds_builder import SliceDataset
from input_pipeline.raw.found_files import discovery, files_under, take_first, together
from input_pipeline.raw.subject import Discovery, RawSubject
from neuralizer_jax.errors import InputError

NAME = "ixi"

MANUAL_DOWNLOAD_INSTRUCTIONS = """\
Download https://biomedic.doc.ic.ac.uk/brain-development/downloads/IXI/IXI-{T1,T2,PD,MRA,DTI}.tar (no login,
CC BY-SA 3.0) and unpack them in one folder, flat or one sub-folder a modality. For age and sex also download IXI.xls
from there, save it from a spreadsheet program as IXI.csv, columns unchanged, and put it into the folder.
"""

_FILE = re.compile(r"(IXI\d{3})-(Guys|HH|IOP)-(\d{4})-(T1|T2|PD|MRA|DTI-(?:0\d|1[0-6]))\.nii(?:\.gz)?")
_FEW_SLICES = {("IXI014-HH-1236", "T2"), ("IXI014-HH-1236", "PD")}
_COLUMNS = ("IXI_ID", "SEX_ID (1=m, 2=f)", "AGE")
_SEXES = {"1": "M", "2": "F"}


def discover(root: Path) -> Discovery:
    """Find the subjects under `root`; they are named `IXI002-Guys-0828`."""
    found = defaultdict(dict)
    dropped = {}
    people = {}
    for path in files_under(root):
        if match := _FILE.fullmatch(path.name):
            subject, modality = "-".join(match.group(1, 2, 3)), match[4]
            if (subject, modality) in _FEW_SLICES:
                dropped[f"{subject} {modality}"] = "28 thick slices"
            else:
                take_first(found[subject], modality, path, f"{subject}'s {modality}", root, dropped)
        elif path.name.lower() == "ixi.csv" and not people:
            people = _read_people(path)

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
    """Age and sex of each `IXI002` of the table; commas or semicolons between columns, decimal point or comma."""
    ages, sexes = defaultdict(set), defaultdict(set)
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


def _agreed(values: set) -> float | str | None:
    return next(iter(values)) if len(values) == 1 else None


class Ixi(SliceDataset):
    """IXI: healthy adults; T1, T2, PD, MRA and a diffusion series."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = MANUAL_DOWNLOAD_INSTRUCTIONS
    discover = staticmethod(discover)
