"""`--report DIR` of whole scans: a page for each scan, and an index of them.

DIR/index.html           of one scan its page, of several the index
DIR/scans/NAME.html      the pages of several scans
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuralizer_jax.errors import one_line
from neuralizer_jax.files.endings import volume_ending
from neuralizer_jax.report.volume_index import write_volume_index

if TYPE_CHECKING:
    from neuralizer_jax.report.volume_page import FoundStructure
    from neuralizer_jax.volumes.alignment import Alignment
    from neuralizer_jax.volumes.scan import Scan
    from neuralizer_jax.volumes.skull_stripping import BrainMask
    from neuralizer_jax.volumes.volume_prediction import VolumePrediction

_INDEX, _PAGES = "index.html", "scans"


class ReportFiles:
    """The files of a report.

    Attributes:
        pages: the page of each label map; None without a report.
        index: `{"index": path}` of several scans, otherwise empty.
        new_folders: the folders that are not there yet.

    Example:
        >>> report = ReportFiles(Path("page"), [Path("out/sub-09_dseg.nii.gz")], single=False)
        >>> report.pages, report.index
        ([PosixPath('page/scans/sub-09.html')], {'index': PosixPath('page/index.html')})
    """

    def __init__(self, folder: Path | None, label_maps: Sequence[Path], *, single: bool) -> None:  # noqa: D107
        self.index: dict[str, Path] = {}
        self.new_folders: list[Path] = []
        self.pages: list[Path | None] = [None] * len(label_maps)
        if folder is None:
            return
        if single:
            self.pages = [folder / _INDEX]
        else:
            stems = [path.name[: -len(volume_ending(path))].removesuffix("_dseg") for path in label_maps]
            self.pages = [folder / _PAGES / f"{stem}.html" for stem in stems]
            self.index = {"index": folder / _INDEX}
        folders = [folder] if single else [folder, folder / _PAGES]
        self.new_folders = [path for path in folders if not path.is_dir()]

    def finish(self) -> None:
        """Writes the index of several scans. Raises InputError if it cannot."""
        for path in self.index.values():
            write_volume_index(path, (path.parent / _PAGES).glob("*.html"))
            print(one_line(path))


def write_page(
    path: Path, prediction: "VolumePrediction", names: Mapping[int, str], made_by: Mapping[str, str]
) -> None:
    """Writes the page of a segmented scan.

    Args:
        path: the page.
        prediction: what was found.
        names: of the labels.
        made_by: command and weights; versions and date are added.

    Raises:
        InputError: it cannot be written.
    """
    from neuralizer_jax.report.volume_page import FoundStructure

    structures = [
        FoundStructure(
            label=found.label,
            name=names.get(found.label) or f"label {found.label}",
            voxels=found.voxels,
            mm3=found.mm3,
            confidence=found.confidence,
            warnings=found.warnings,
            examples=found.prediction.examples,
        )
        for found in prediction.structures.values()
    ]
    alignment, warnings = prediction.alignment, prediction.warnings
    _write(path, prediction.target, prediction.labels, structures, alignment, made_by, warnings)


def write_mask_page(path: Path, found: "BrainMask", made_by: Mapping[str, str]) -> None:
    """Writes the page of a skull-stripped scan, as `write_page`. The confidence is the mean probability."""
    from neuralizer_jax.report.volume_page import FoundStructure

    voxels = int(found.mask.sum())
    mm3 = voxels * abs(float(np.linalg.det(found.target.affine[:3, :3])))
    brain = FoundStructure(1, "brain", voxels, mm3, float(found.probability[found.mask].mean()))
    _write(path, found.target, found.mask.astype(np.uint8), [brain], found.alignment, made_by, found.warnings)


def _write(
    path: Path,
    target: "Scan",
    labels: np.ndarray,
    structures: "list[FoundStructure]",
    alignment: "Alignment",
    made_by: Mapping[str, str],
    warnings: tuple[str, ...] = (),
) -> None:
    from neuralizer_jax.report.volume_page import SegmentedScan, write_volume_page

    versions = ", ".join(f"{name} {version(name)}" for name in ("neuralizer-jax", "jax", "flax"))
    page = SegmentedScan(
        name=Path(target.name).name,
        scan=target.values,
        labels=labels,
        affine=target.affine,
        structures=structures,
        to_mni=alignment.to_mni,
        mutual_information=alignment.mutual_information,
        warnings=warnings,
        made_by={**made_by, "versions": versions, "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")},
    )
    write_volume_page(path, page)
