"""A dataset of results by the rules of BIDS: its description, what it was made from, and addresses of its sources."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from neuralizer_jax import __version__
from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.files.bids_sidecars import read_sidecar
from neuralizer_jax.files.result_record import PROGRAM

_VERSION = "1.10.1"
_NAME = "dataset_description.json"

# Files that BIDS has no names for.
_IGNORED = "*.html\nfigures\ngroup_*\n"

_README = f"""\
# Segmentations of anatomical scans

Written by `neuralizer bids`. Every scan of the source dataset has, on its own voxels:

- `*_dseg.nii.gz`: the labels; `*_dseg.tsv`: name, voxels, mm^3 and expected Dice of each label
- `*_desc-brain_mask.nii.gz`: the brain
- `*.json` beside them: from which files they were made, by which weights and command

`sub-*.html` are pages to look at the results. `group_dseg.tsv` has all structures of all scans, `group.html` lists the
scans with most to check first. The results were predicted by a network: look at them before you use them.

Method: {PROGRAM} {__version__}, after Czolbe and Dalca, "Neuralizer: General Neuroimage Analysis without Re-Training",
CVPR 2023.
"""


class Derivative:
    """A derivative of a BIDS dataset, in a folder of its own.

    Attributes:
        folder: of the results.
        source: the folder of the dataset.
        notes: for the user.

    Example:
        >>> Path("data/derivatives").mkdir(parents=True)
        >>> example = Path("elsewhere/sub-1_dseg.nii.gz")
        >>> derivative = Derivative(Path("data/derivatives/neuralizer"), Path("data"), [example])
        >>> derivative.uri(Path("data/sub-01/anat/sub-01_T1w.nii.gz"))
        'bids:raw:sub-01/anat/sub-01_T1w.nii.gz'
        >>> derivative.uri(example)
        'bids:examples:sub-1_dseg.nii.gz'
    """

    def __init__(self, folder: Path, source: Path, examples: Sequence[Path]) -> None:
        """Reads what is there already; writes nothing.

        Args:
            folder: of the results; need not exist.
            source: the dataset.
            examples: files that results are made from besides the dataset.

        Raises:
            InputError: the folder is the dataset, or holds another one.
        """
        self.folder, self.source = folder, source
        self._root = source.resolve()
        if folder.resolve() == self._root:
            expected = one_line(source / "derivatives" / "neuralizer")
            raise InputError(f"{one_line(folder)}: is the dataset itself, expected another folder such as {expected}")
        inside = folder.resolve().is_relative_to(self._root)
        self.notes: list[str] = []
        if inside and folder.resolve().relative_to(self._root).parts[0] not in ("derivatives", "sourcedata", "code"):
            self.notes.append(f"{one_line(folder)}: lies in the dataset, where BIDS has derivatives in derivatives/")
        raw = Path(os.path.relpath(self._root, folder.resolve())).as_posix() if inside else self._root.as_uri()
        self._links = self._earlier_links() | {"raw": raw}
        elsewhere = [place for path in examples if not (place := path.resolve()).is_relative_to(self._root)]
        self._examples = Path(os.path.commonpath([place.parent for place in elsewhere])) if elsewhere else None
        self._link = ""
        if self._examples:
            names = ["examples", *(f"examples{number}" for number in range(2, len(self._links) + 3))]
            target = self._examples.as_uri()
            self._link = next(name for name in names if self._links.get(name, target) == target)
            self._links[self._link] = target

    def uri(self, path: Path) -> str:
        """The BIDS URI of a file of the dataset, or of an example."""
        place = path.resolve()
        if place.is_relative_to(self._root):
            return f"bids:raw:{quote(place.relative_to(self._root).as_posix())}"
        assert self._examples is not None
        return f"bids:{self._link}:{quote(place.relative_to(self._examples).as_posix())}"

    def write(self) -> None:
        """Makes the folder and writes its description. Raises InputError if it cannot."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{one_line(self.folder)}: the folder cannot be made ({error.strerror})") from None
        source = _description(self.source / _NAME)
        name = source.get("Name")
        of = f" of {one_line(name)}" if isinstance(name, str) and name else ""
        doi = source.get("DatasetDOI")
        text = {
            "Name": f"Segmentations{of}",
            "BIDSVersion": _VERSION,
            "DatasetType": "derivative",
            **{key: source[key] for key in ("License",) if isinstance(source.get(key), str)},
            "HowToAcknowledge": "Please cite Czolbe and Dalca, Neuralizer: General Neuroimage Analysis without "
            "Re-Training, CVPR 2023.",
            "GeneratedBy": [
                {"Name": PROGRAM, "Version": __version__, "Description": "Segmentation from examples (neuralizer bids)"}
            ],
            "SourceDatasets": [{"URL": self._root.as_uri(), **({"DOI": doi} if isinstance(doi, str) else {})}],
            "DatasetLinks": self._links,
        }
        files = {_NAME: json.dumps(text, indent=1) + "\n", ".bidsignore": _IGNORED, "README.md": _README}
        for file, content in files.items():
            if file == _NAME or not (self.folder / file).exists():
                with written_whole(self.folder / file) as temporary:
                    temporary.write_text(content, encoding="utf-8")

    def _earlier_links(self) -> dict[str, str]:
        """The links of an earlier run. Raises InputError if the folder holds another dataset."""
        path = self.folder / _NAME
        if not path.exists():
            return {}
        own = _description(path)
        try:
            if own["GeneratedBy"][0]["Name"] == PROGRAM:
                return dict(own["DatasetLinks"])
        except (LookupError, TypeError, ValueError):
            pass
        raise InputError(f"{one_line(path)}: describes another dataset, expected a folder of its own for results")


def lacks_description(root: Path) -> bool:
    """Whether a dataset has no description that can be read, which BIDS requires."""
    return not {"Name", "BIDSVersion"} <= _description(root / _NAME).keys()


def _description(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_sidecar(path))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
