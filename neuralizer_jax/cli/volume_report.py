"""`--report DIR` of whole scans: a page for each scan, and an index of them.

DIR/index.html           of one scan its page, of several the index
DIR/scans/NAME.html      the pages of several scans
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from neuralizer_jax.files.endings import volume_ending
from neuralizer_jax.report.volume_index import write_volume_index
from neuralizer_jax.volumes.volume_prediction import VolumePrediction

INDEX, _PAGES = "index.html", "scans"


def page_paths(report: Path, label_maps: Sequence[Path], *, single: bool) -> list[Path]:
    """The page of each label map.

    Example:
        >>> page_paths(Path("page"), [Path("out/sub-09_dseg.nii.gz")], single=False)
        [PosixPath('page/scans/sub-09.html')]
    """
    if single:
        return [report / INDEX]
    stems = [path.name[: -len(volume_ending(path))].removesuffix("_dseg") for path in label_maps]
    return [report / _PAGES / f"{stem}.html" for stem in stems]


def folders_to_make(report: Path | None, *, single: bool) -> list[Path]:
    """The folders of the pages that are not there."""
    folders = [] if report is None else [report] if single else [report, report / _PAGES]
    return [folder for folder in folders if not folder.is_dir()]


def write_page(path: Path, prediction: VolumePrediction, names: Mapping[int, str], made_by: Mapping[str, str]) -> None:
    """Writes the page of a scan.

    Args:
        path: the page.
        prediction: what was found.
        names: of the labels.
        made_by: command and weights; versions and date are added.

    Raises:
        InputError: it cannot be written.
    """
    from neuralizer_jax.report.volume_page import FoundStructure, SegmentedScan, write_volume_page

    versions = ", ".join(f"{name} {version(name)}" for name in ("neuralizer-jax", "jax", "flax"))
    segmented = SegmentedScan(
        name=prediction.target.name,
        scan=prediction.target.values,
        labels=prediction.labels,
        affine=prediction.target.affine,
        structures=[
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
        ],
        to_mni=prediction.alignment.to_mni,
        mutual_information=prediction.alignment.mutual_information,
        made_by={**made_by, "versions": versions, "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")},
    )
    write_volume_page(path, segmented)


def write_index(report: Path) -> None:
    """Writes the index of the pages of several scans. Raises InputError if it cannot."""
    write_volume_index(report / INDEX, report / _PAGES)
