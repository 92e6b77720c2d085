"""The page by which a person checks a prepared dataset: numbers, sources of the labels, and a picture of each subject.

One HTML file without scripts, beside the pictures it shows.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from input_pipeline.prepare.collect import PreparedDataset
from input_pipeline.prepare.dropped import Dropped
from input_pipeline.prepare.label_colours import label_colours, structure_names
from input_pipeline.prepare.quality_picture import picture_sheet, save_picture
from input_pipeline.prepare.run_jobs import picture_file
from input_pipeline.slices.record import SPLITS
from input_pipeline.space.modalities import series_of
from neuralizer_jax.errors import InputError
from neuralizer_jax.files.folder_tree import looks_like_image
from neuralizer_jax.files.html_page import render_page, write_html

_TEMPLATE = Path(__file__).with_name("templates") / "quality.html.j2"

_SHEET = "contact_sheet.png"
_MOST_IN_SHEET = 60
_MOST_SUSPECTS = 8

# A subject stands out if it is worse than the median by three robust standard deviations, and by so much that it can
# be seen or measured: residuals by 1 mm, which is a voxel, mutual information by a tenth.
_OUTLIER = 3 * 1.4826  # times the median absolute deviation
_VISIBLE_MM = 1.0
_VISIBLE_SHARE = 0.1
_LOW_COVERAGE = 0.9
_LOW_INFORMATION = 0.35  # nats; images that are 5 to 10 mm off have 0.17 to 0.28 (`align.checks`)


def write_quality_page(prepared: PreparedDataset, *, title: str, command: str) -> Path:
    """Writes `quality/index.html` and `quality/contact_sheet.png`, which shows up to 60 subjects.

    Args:
        prepared: the dataset; its folder holds the pictures that `run_jobs` made.
        title: name of the dataset.
        command: command line that prepared it.

    Returns:
        The path of the page.

    Raises:
        InputError: a picture cannot be read, or the page cannot be written.
    """
    folder, entries = prepared.folder / "quality", prepared.index
    subjects = {e["subject"]: _subject(e, prepared.folder, prepared.chosen.get(e["subject"], {})) for e in entries}
    count = min(len(entries), _MOST_IN_SHEET)
    if entries:
        chosen = [entries[index * len(entries) // count] for index in range(count)]
        # The second panel shows the first label map; without an image, the first does.
        panels = [
            (e["subject"], picture_file(prepared.folder, e["subject"]), bool(e["modalities"] and e["label_sources"]))
            for e in chosen
        ]
        save_picture(folder / _SHEET, picture_sheet(panels))
    page = render_page(
        _TEMPLATE,
        title=title,
        command=command,
        numbers=_numbers(entries, prepared.dropped).items(),
        alignment=_alignment(entries),
        sources=_sources(entries),
        templates=[what for what, source, _ in _sources(entries) if source == "template"],
        windows=prepared.windows,
        legend=_legend(entries),
        sheet=_SHEET,
        in_sheet=count,
        suspects=[(subjects[name], reason) for name, reason in _suspects(entries)],
        dropped=_by_reason(prepared.dropped),
        subjects=list(subjects.values()),
    )
    path = folder / "index.html"
    write_html(path, page)
    return path


def _subject(entry: Mapping[str, Any], folder: Path, chosen: Mapping[str, str]) -> dict[str, Any]:
    """What the page shows of a subject."""
    path = picture_file(folder, entry["subject"])
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            width, height = picture.size
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}), expected a PNG") from None
    images = Counter(series_of(modality) for modality in entry["modalities"])
    labels = ", ".join(f"{protocol} ({source})" for protocol, source in entry["label_sources"].items())
    alignment = [entry["alignment"]]
    if entry["residual_mm"] is not None:
        alignment.append(f"residual {entry['residual_mm']:.1f} mm")
    if entry["mutual_information"] is not None:
        alignment.append(f"mutual information {entry['mutual_information']:.2f}")
    return {
        "name": entry["subject"],
        "split": entry["split"],
        "picture": path.relative_to(folder / "quality"),
        "width": width,
        "height": height,
        "facts": {
            "images": ", ".join(name if n == 1 else f"{name} ({n} directions)" for name, n in images.items()) or "none",
            "labels": labels or "none",
            "brain mask": entry["mask_source"],
            "alignment": ", ".join(alignment),
        }
        | ({"coverage": f"{entry['coverage']:.0%}"} if images else {}),
        "files": chosen,
    }


def _numbers(entries: Sequence[Mapping], dropped: Sequence[Dropped]) -> dict[str, int]:
    splits = Counter(entry["split"] for entry in entries)
    return {
        "subjects kept": len(entries),
        "subjects dropped": sum(not drop.image and not _is_file(drop) for drop in dropped),
        "images dropped": sum(bool(drop.image) for drop in dropped),
        "files not taken": sum(_is_file(drop) for drop in dropped),
    } | {split: splits[split] for split in SPLITS}


def _is_file(drop: Dropped) -> bool:
    """Whether this is a file of the raw folder that belongs to no subject, or to one that has a better file."""
    return not drop.image and ("/" in drop.subject or looks_like_image(Path(drop.subject)))


def _alignment(entries: Sequence[Mapping]) -> list[tuple[str, int, str]]:
    """Method, number of subjects and how well it worked."""
    lines = []
    for method, count in Counter(entry["alignment"] for entry in entries).most_common():
        own = [entry for entry in entries if entry["alignment"] == method]
        how_well = "made in MNI152 space" if method == "none" else ""
        if residuals := _known(own, "residual_mm"):
            how_well = f"residual: median {median(residuals):.1f} mm, largest {max(residuals):.1f} mm"
        elif information := _known(own, "mutual_information"):
            how_well = f"mutual information: median {median(information):.2f}, lowest {min(information):.2f}"
        lines.append((method, count, how_well))
    return lines


def _sources(entries: Sequence[Mapping]) -> list[tuple[str, str, int]]:
    """Label map or brain mask, where it comes from, and number of subjects."""
    labels = Counter((f"{name} labels", source) for entry in entries for name, source in entry["label_sources"].items())
    masks = Counter(("brain mask", entry["mask_source"]) for entry in entries)
    return [(what, source, count) for each in (labels, masks) for (what, source), count in sorted(each.items())]


def _legend(entries: Sequence[Mapping]) -> dict[str, list[tuple[str, str]]]:
    """Protocol -> names of the structures in the slices or volumes and their colours in CSS."""
    legend = {}
    for protocol in dict.fromkeys(name for entry in entries for name in entry["label_sources"]):
        shown = [entry.get("label_pixels") or entry["label_voxels"] for entry in entries]
        present = {int(label) for own in shown for label in own.get(protocol, ())}
        names = structure_names(protocol)
        colours = {names[label]: label_colours(np.array(label), protocol) for label in sorted(present & names.keys())}
        legend[protocol] = [(name, f"rgb({', '.join(map(str, rgb))})") for name, rgb in colours.items()]
    return legend


def _suspects(entries: Sequence[Mapping]) -> list[tuple[str, str]]:
    """The subjects that stand out and why, the worst first."""
    residual = _Limit(_known(entries, "residual_mm"), lambda _: _VISIBLE_MM)
    information = _Limit(_known(entries, "mutual_information"), lambda usual: _VISIBLE_SHARE * usual)
    found = []
    for entry in entries:
        flaws = []
        if (share := entry["coverage"]) < _LOW_COVERAGE:
            flaws.append(((1 - share) / (1 - _LOW_COVERAGE), f"an image covers {share:.0%} of the brain in the slice"))
        if (value := entry["residual_mm"]) is not None and (excess := residual.excess(value)) > 1:
            flaws.append((excess, f"residual {value:.1f} mm, median {residual.usual:.1f} mm"))
        if (value := entry["mutual_information"]) is not None:
            if (excess := -information.excess(value)) > 1:
                flaws.append((excess, f"mutual information {value:.2f}, median {information.usual:.2f}"))
            elif value < _LOW_INFORMATION:
                flaws.append((_LOW_INFORMATION / value, f"mutual information {value:.2f}: is it aligned?"))
        if flaws:
            flaws.sort(reverse=True)
            found.append((flaws[0][0], entry["subject"], "; ".join(how for _, how in flaws)))
    found.sort(key=lambda one: -one[0])
    return [(subject, why) for _, subject, why in found[:_MOST_SUSPECTS]]


class _Limit:
    """The usual value of a measure, and the deviation from which a subject stands out."""

    def __init__(self, values: Sequence[float], least: Callable[[float], float]):
        self.usual = median(values) if values else 0.0
        spread = median(abs(value - self.usual) for value in values) if values else 0.0
        self.deviation = max(_OUTLIER * spread, least(self.usual), 1e-6)

    def excess(self, value: float) -> float:
        """Deviation from the usual value; 1 at the limit, negative below the usual value."""
        return (value - self.usual) / self.deviation


def _known(entries: Sequence[Mapping], name: str) -> list[float]:
    return [entry[name] for entry in entries if entry[name] is not None]


def _by_reason(dropped: Sequence[Dropped]) -> list[tuple[str, list[str]]]:
    """Reasons and the names of what was dropped, the most frequent reason first."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for drop in dropped:
        groups[drop.reason].append(f"{drop.subject}: {drop.image}" if drop.image else drop.subject)
    return sorted(groups.items(), key=lambda group: -len(group[1]))
