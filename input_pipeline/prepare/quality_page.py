"""The page by which a person judges a prepared dataset: numbers, where things come from, and every subject's picture.

One HTML file without scripts, beside the pictures it shows. Ids and reasons come from the names of strangers' files:
every text goes through `quality_html.text`, every path through `quality_html.link`.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from input_pipeline.prepare.quality_html import document, link, table, text
from input_pipeline.prepare.quality_picture import PANEL, picture_sheet, picture_width, save_picture
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.intensity import Window

_SHEET = "contact_sheet.png"
_MOST_IN_SHEET = 60
_MOST_SUSPECTS = 8
_LOW_COVERAGE = 0.9

# More subjects than this that were dropped for the same reason are folded away.
_MOST_NAMED = 12

_CAUTIONS = {
    "labels": "labels are the template's, true only as far as alignment goes; not used for training segmentation",
    "brain mask": "the mask is the template's, true only as far as alignment goes",
}


@dataclass(frozen=True)
class SubjectSummary:
    """What the page says of a subject; the fields are those of `SubjectRecord` but for these.

    Attributes:
        label_sources: source of each protocol's label map.
        coverage_min: the least of its images' coverage of the brain in the slice, 0 to 1.
        picture: path of its `quality_picture`, relative to the page's folder.
    """

    subject: str
    split: str
    modalities: tuple[str, ...]
    label_sources: Mapping[str, str]
    mask_source: str
    alignment: str
    residual_mm: float | None
    mutual_information: float | None
    coverage_min: float
    picture: str


@dataclass(frozen=True)
class Dropped:
    """An image that was left out, or where `image` is empty the whole subject, and why."""

    subject: str
    image: str
    reason: str


def write_quality_page(
    folder: Path,
    *,
    title: str,
    command: str,
    rows: Sequence[SubjectSummary],
    dropped: Sequence[Dropped],
    windows: Mapping[str, Window],
) -> Path:
    """Writes `index.html` and `contact_sheet.png` (of up to 60 subjects, evenly over the list) into a folder.

    Args:
        folder: exists, and holds the pictures.
        title: name of the dataset.
        command: with which it was prepared.
        rows: the subjects kept, in the order in which they are to be shown.
        dropped: subjects and images left out.
        windows: of each modality; empty where the images were in [0, 1] already.

    Returns:
        The path of the page.

    Raises:
        InputError: where a picture cannot be read or the page not be written.
    """
    if rows:
        chosen = [rows[index * len(rows) // _MOST_IN_SHEET] for index in range(_MOST_IN_SHEET)]
        chosen = chosen if len(rows) > _MOST_IN_SHEET else rows
        # The panel after the main image is that of the first label map.
        panels = [(row.subject, folder / row.picture, 1 if row.label_sources else 0) for row in chosen]
        save_picture(folder / _SHEET, picture_sheet(panels))
    sections = {
        "Alignment": _alignment(rows),
        "Labels and masks": _sources(rows),
        "Intensities": _windows(windows),
        "Contact sheet": _sheet(rows),
        "Look at these first": _suspects(rows),
        "Dropped": _dropped(dropped),
        "All subjects": "".join(map(_subject, rows)),
    }
    page = document(title, f"{_numbers(rows, dropped)}<pre>{text(command)}</pre>", sections)
    path = folder / "index.html"
    with written_whole(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def write_dropped_table(path: Path, dropped: Sequence[Dropped]) -> None:
    """Writes a CSV file with the columns subject, image, reason.

    A spreadsheet takes a cell that begins with one of `= + - @`, a tab or a carriage return for a formula, and the
    cells are made of strangers' file names: such a cell gets a single quote in front, all others are as they are.
    Bytes of a name that are not UTF-8 are written as `\\udcxx`.

    Raises:
        InputError: where the file cannot be written.
    """
    with (
        written_whole(path) as temporary,
        open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(("subject", "image", "reason"))
        for drop in dropped:
            cells = (drop.subject, drop.image, drop.reason)
            writer.writerow(f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell for cell in cells)


def _numbers(rows: Sequence[SubjectSummary], dropped: Sequence[Dropped]) -> str:
    splits = Counter(row.split or "no split" for row in rows)
    order = sorted(splits, key=lambda split: (("train", "val", "test", split).index(split), split))
    numbers = {
        "subjects kept": len(rows),
        "subjects dropped": sum(not drop.image for drop in dropped),
        "images dropped": sum(bool(drop.image) for drop in dropped),
    }
    numbers |= {split: splits[split] for split in order}
    tiles = "".join(f"<div><dt>{text(name)}</dt><dd>{number:,}</dd></div>" for name, number in numbers.items())
    return f"<dl>{tiles}</dl>"


def _alignment(rows: Sequence[SubjectSummary]) -> str:
    lines = []
    for alignment, count in Counter(row.alignment for row in rows).most_common():
        residuals = _known(row.residual_mm for row in rows if row.alignment == alignment)
        information = _known(row.mutual_information for row in rows if row.alignment == alignment)
        how_well = ""
        if residuals:
            how_well = f"residual: median {median(residuals):.1f} mm, largest {max(residuals):.1f} mm"
        elif information:
            how_well = f"mutual information: median {median(information):.2f}, lowest {min(information):.2f}"
        lines.append((text(alignment), count, how_well))
    return table(("Found by", "Subjects", "How well"), lines) if lines else ""


def _sources(rows: Sequence[SubjectSummary]) -> str:
    counts = Counter(("labels", *item) for row in rows for item in row.label_sources.items())
    counts += Counter(("brain mask", "", row.mask_source) for row in rows)
    lines = []
    for (what, protocol, source), count in sorted(counts.items(), key=lambda item: (item[0][0] != "labels", item[0])):
        caution = f'<p class="caution">Caution: {_CAUTIONS[what]}.</p>' if source == "template" else ""
        lines.append((text(f"{protocol} {what}".strip()), text(source) + caution, count))
    return table(("What", "Source", "Subjects"), lines) if lines else ""


def _windows(windows: Mapping[str, Window]) -> str:
    lines = [(text(name), window.low, window.high) for name, window in windows.items()]
    note = "<p>What became 0 and 1, relative to the median of each volume's foreground.</p>"
    return note + table(("Modality", "0", "1"), lines) if lines else ""


def _sheet(rows: Sequence[SubjectSummary]) -> str:
    if not rows:
        return ""
    some = f"<p>{_MOST_IN_SHEET} of {len(rows):,} subjects.</p>" if len(rows) > _MOST_IN_SHEET else ""
    return f'{some}<a href="{_SHEET}"><img src="{_SHEET}" alt="Main image and labels of the subjects"></a>'


def _suspects(rows: Sequence[SubjectSummary]) -> str:
    """The subjects that are worst relative to the median, or miss more of the slice than allowed; the worst first."""
    residual = median(_known(row.residual_mm for row in rows) or [0])
    information = median(_known(row.mutual_information for row in rows) or [0])
    found = []
    for row in rows:
        cover = f"an image covers {row.coverage_min:.0%} of the brain in the slice"
        flaws = [((1 - row.coverage_min) / (1 - _LOW_COVERAGE), cover)]
        if row.residual_mm is not None:
            how = f"residual {row.residual_mm:.1f} mm, median {residual:.1f} mm"
            flaws.append((_ratio(row.residual_mm, residual), how))
        if row.mutual_information is not None:
            how = f"mutual information {row.mutual_information:.2f}, median {information:.2f}"
            flaws.append((_ratio(information, row.mutual_information), how))
        flaws = sorted((flaw for flaw in flaws if flaw[0] > 1), reverse=True)
        if flaws:
            found.append((flaws[0][0], row, "; ".join(how for _, how in flaws)))
    found.sort(key=lambda one: one[0], reverse=True)
    note = "<p>Furthest from the rest, the worst first. Where these are good, the others are likely to be.</p>"
    return note + "".join(_subject(row, why) for _, row, why in found[:_MOST_SUSPECTS]) if found else ""


def _ratio(value: float, other: float) -> float:
    return value / max(other, 1e-6)


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _dropped(dropped: Sequence[Dropped]) -> str:
    """One line a reason, the most frequent first."""
    groups = defaultdict(list)
    for drop in dropped:
        groups[drop.reason].append(f"{drop.subject}: {drop.image}" if drop.image else drop.subject)
    lines = []
    for reason, names in sorted(groups.items(), key=lambda item: -len(item[1])):
        listed = "<br>".join(map(text, names))
        folded = f"<details><summary>show all {len(names):,}</summary>{listed}</details>"
        lines.append((text(reason), len(names), folded if len(names) > _MOST_NAMED else listed))
    return table(("Reason", "Count", "Subjects and images"), lines) if lines else ""


def _subject(row: SubjectSummary, reason: str = "") -> str:
    """A picture and its caption; `reason` says why it is shown."""
    labels = ", ".join(f"{protocol} ({source})" for protocol, source in row.label_sources.items())
    how = [row.alignment]
    how += [] if row.residual_mm is None else [f"residual {row.residual_mm:.1f} mm"]
    how += [] if row.mutual_information is None else [f"mutual information {row.mutual_information:.2f}"]
    facts = {
        "images": ", ".join(row.modalities),
        "labels": labels or "none",
        "mask": row.mask_source,
        "alignment": ", ".join(how),
        "coverage": f"{row.coverage_min:.0%}",
    }
    caption = "".join(f"<span><i>{name}</i> {text(value)}</span>" for name, value in facts.items())
    split = f"<em>{text(row.split)}</em>" if row.split else ""
    why = f'<p class="caution">{text(reason)}</p>' if reason else ""
    url, width = link(row.picture), picture_width(row.modalities, len(row.label_sources))
    return (
        f"<figure><figcaption><b>{text(row.subject)}</b>{split}{caption}{why}</figcaption>"
        f'<a href="{url}"><img src="{url}" loading="lazy" width="{width}" height="{PANEL}" '
        f'alt="{text(row.subject)}"></a></figure>\n'
    )
