"""The page of a segmented scan: an interactive view, pictures, a table of its structures, and how they were found.

One HTML file that loads nothing: viewer and volumes are inside, so that it works offline and can be sent to others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from markupsafe import Markup

from input_pipeline.space.structure_colours import colours_by_name, without_side
from neuralizer_jax.files.html_page import render_page, write_html
from neuralizer_jax.pictures.shown_volume import ShownVolume, nifti_base64, shown_volume
from neuralizer_jax.pictures.volume_pictures import Row, draw_rows, middle, thumbnail, voxels_by_place

_TEMPLATE = Path(__file__).parent / "templates/volume.html.j2"
_VIEWER = Path(__file__).parents[1] / "niivue/niivue.js"

_THUMBNAIL_WIDTH = 480  # of the picture in the index, pixels

# Warnings of structures at the top of the page; the table has them all.
_MOST_WARNINGS = 5


@dataclass(frozen=True)
class FoundStructure:
    """A structure of the page.

    Attributes:
        label: its value in the label map.
        name: what it is called; the label where it has no name.
        voxels: of the scan that have the label.
        mm3: their volume.
        confidence: how far the result can be trusted, 0 to 1.
        warnings: why it should be checked, to be read after its name: `was not found`.
        examples: names of the examples that it was predicted from, and their similarity from 0 to 1.
    """

    label: int
    name: str
    voxels: int
    mm3: float
    confidence: float
    warnings: tuple[str, ...] = ()
    examples: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, eq=False)
class SegmentedScan:
    """A scan and what was found in it.

    Attributes:
        name: of the scan, usually its file.
        scan: `[X, Y, Z]`, finite, in any unit, axes in any order.
        labels: `[X, Y, Z]`, whole numbers, 0 the background.
        affine: `[4, 4]`, voxel -> world in mm (RAS).
        structures: what was looked for.
        to_mni: `[4, 4]`, world -> MNI152 in mm; None: unknown.
        mutual_information: of the aligned scan with the template, in nats; None: it was not aligned.
        warnings: about the scan as a whole.
        made_by: facts such as command, weights, versions, date: name -> text.
    """

    name: str
    scan: np.ndarray
    labels: np.ndarray
    affine: np.ndarray
    structures: Sequence[FoundStructure]
    to_mni: np.ndarray | None = None
    mutual_information: float | None = None
    warnings: Sequence[str] = ()
    made_by: Mapping[str, str] = field(default_factory=dict)


def write_volume_page(path: Path, segmented: SegmentedScan) -> None:
    """Writes the page of a scan; makes its folder.

    Args:
        path: an HTML file.
        segmented: the scan. At most 2**24 voxels of it are embedded; of a larger one every second, or every third.

    Raises:
        InputError: the file cannot be written.
    """
    structures = sorted(segmented.structures, key=lambda x: (not x.warnings, x.confidence if x.warnings else 0))
    colours = colours_by_name([x.name for x in structures])
    volume = shown_volume(segmented.scan, segmented.labels, segmented.affine, [x.label for x in structures])
    order = sorted(range(len(structures)), key=lambda index: (not structures[index].warnings, -structures[index].mm3))
    voxels = voxels_by_place(volume.places)
    rows = draw_rows(volume, voxels, colours, [index + 1 for index in order])
    cautions = _cautions(segmented.warnings, structures)
    page = render_page(
        _TEMPLATE,
        title=segmented.name,
        numbers=_numbers(segmented),
        cautions=cautions,
        summary={
            "name": segmented.name,
            "found": sum(x.voxels > 0 for x in structures),
            "structures": len(structures),
            "warnings": cautions,
            "picture": thumbnail(rows[0], _THUMBNAIL_WIDTH),
        },
        structures=[
            (x, _css(colour), index) for index, (x, colour) in enumerate(zip(structures, colours, strict=True))
        ],
        rows=[_shown_row(row, volume, structures, colours) for row in rows],
        examples=_examples(structures),
        segmented=segmented,
        viewer=Markup(_VIEWER.read_text(encoding="utf-8")),
        data=_viewer_data(volume, voxels, structures, colours, rows[0]),
        step=volume.step,
    )
    write_html(path, page)


def _numbers(segmented: SegmentedScan) -> list[tuple[str, str]]:
    found = sum(x.voxels > 0 for x in segmented.structures)
    spacing = np.linalg.norm(segmented.affine[:3, :3], axis=0)
    return [
        ("structures found", f"{found} of {len(segmented.structures)}"),
        ("to check", str(sum(bool(x.warnings) for x in segmented.structures))),
        ("examples", str(len({name for x in segmented.structures for name, _ in x.examples}))),
        ("voxel size, mm", " x ".join(f"{x:.3g}" for x in spacing)),
        ("voxels", " x ".join(map(str, segmented.scan.shape))),
    ]


def _cautions(whole: Sequence[str], structures: Sequence[FoundStructure]) -> list[str]:
    lines = [f"{x.name} {line}" for x in structures for line in x.warnings]
    more = len(lines) - _MOST_WARNINGS
    return [*whole, *lines[:_MOST_WARNINGS], *([f"and {more} more, see the table"] if more > 0 else [])]


def _shown_row(row: Row, volume: ShownVolume, structures: Sequence[FoundStructure], colours) -> dict:
    """A row of pictures with its caption and legend, in which left and right are one."""
    where = ", ".join(f"{axis} {round(x)}" for axis, x in zip("xyz", volume.world(row.place), strict=True))
    what = "Whole scan" if row.around is None else structures[row.around - 1].name
    legend: dict[str, list[int]] = {}
    for place in row.seen:
        legend.setdefault(without_side(structures[place - 1].name), []).append(place - 1)
    return {
        "picture": row.picture,
        "caption": f"{what}: slices through {where} mm",
        "legend": {
            name if len(sides) > 1 else structures[sides[0]].name: _css(colours[sides[0]])
            for name, sides in legend.items()
        },
    }


def _examples(structures: Sequence[FoundStructure]) -> list[tuple[str, int, float, float]]:
    """Name, number of structures predicted from it, and its mean and least similarity there; the most used first."""
    used: dict[str, list[float]] = {}
    for structure in structures:
        for name, similarity in structure.examples:
            used.setdefault(name, []).append(similarity)
    rows = [(name, len(like), float(np.mean(like)), min(like)) for name, like in used.items()]
    return sorted(rows, key=lambda row: (-row[1], -row[2]))


def _viewer_data(volume: ShownVolume, voxels, structures, colours, overview: Row) -> dict:
    """What the script of the page reads: volumes as files in base64, names, colours, places in mm."""
    narrow = np.uint8 if len(structures) < 256 else np.uint16
    return {
        "scan": nifti_base64(volume.scan, volume.affine),
        "labels": nifti_base64(volume.places.astype(narrow), volume.affine, labels=True),
        "names": [x.name for x in structures],
        "colours": [list(colour) for colour in colours],
        "places": [
            volume.world(middle(voxels[place])) if place in voxels else None for place in range(1, len(structures) + 1)
        ],
        "start": volume.world(overview.place),
    }


def _css(colour: tuple[int, int, int]) -> str:
    return f"rgb({', '.join(map(str, colour))})"
