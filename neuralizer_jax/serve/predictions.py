"""Predictions of the workbench: the command for each task, and the results that are there.

RESULTS/sub-09_T1w_dseg.nii.gz, .tsv, .json     segmentation
RESULTS/sub-09_T1w_mask.nii.gz                  skull stripping
RESULTS/sub-09_T1w_denoised.nii.gz, ...         images
"""

import csv
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from neuralizer_jax.errors import InputError, OutputError, one_line
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.files.image_files import image_stem, image_suffix
from neuralizer_jax.files.label_names import read_label_names
from neuralizer_jax.files.label_table import LEAST_DICE
from neuralizer_jax.files.result_record import is_as_predicted, read_record
from neuralizer_jax.serve.examples import annotated_json, annotated_labels, names_of, values_of, write_names
from neuralizer_jax.serve.folders import Examples, Folders, Pair, ScanFile, keep
from neuralizer_jax.volumes.built_in_labels import LABELS, MORE_LABELS


@dataclass(frozen=True)
class Task:
    """A task of the workbench.

    Attributes:
        title: what the page calls it.
        option: value of `--task`.
        suffix: what the name of a result ends with.
        labels: the result is a label map, not an image.
        own: it needs examples of one's own; None: built-in ones are taken where there are none.
    """

    title: str
    option: str
    suffix: str
    labels: bool
    own: bool


TASKS = {
    "segmentation": Task("Segment, from your examples", "segmentation", "dseg", True, True),
    "built-in": Task("Segment, from built-in heads", "segmentation", "dseg", True, False),
    "skull-stripping": Task("Find the brain", "skull-stripping", "mask", True, False),
    "image": Task("Image to image, from your examples", "image", "predicted", False, True),
    "denoising": Task("Remove noise", "denoising", "denoised", False, False),
    "bias-correction": Task("Correct the bias field", "bias-correction", "corrected", False, False),
    "super-resolution": Task("Thin slices from thick ones", "super-resolution", "fine", False, False),
    "inpainting": Task("Fill regions of value 0", "inpainting", "inpainted", False, False),
}


@dataclass(frozen=True)
class Found:
    """A structure of a result: its label, its size in voxels and mm^3, and how far it can be trusted."""

    value: int
    voxels: int
    mm3: float
    confidence: float | None
    check: bool


def result_path(scan: ScanFile, task: str) -> Path:
    """The result of a task; a label map or an image in the format of the scan."""
    ending = image_suffix(scan.path)
    return scan.results / f"{image_stem(scan.path)}_{TASKS[task].suffix}{ending}"


def latest(scan: ScanFile, *, labels: bool) -> tuple[str, Path] | None:
    """The latest result of a scan that is a label map, or an image: its task, and its file."""
    there = []
    for task, its in TASKS.items():
        path = result_path(scan, task)
        if its.labels == labels and path.is_file():
            there.append((path.stat().st_mtime_ns, task, path))
    return max(there)[1:] if there else None


def check_task(scan: ScanFile, task: str, examples: Examples, chosen: Collection[str], labels: Sequence[int]) -> None:
    """Raises InputError if a prediction cannot be asked for."""
    if task not in TASKS:
        raise InputError(f"task: {one_line(task)[:50]} is unknown, expected one of {', '.join(TASKS)}")
    if unknown := set(chosen) - set(examples.pairs):
        raise InputError(f"examples: {one_line(min(unknown))[:50]} is no example of this folder")
    if not scan.is_volume and not TASKS[task].own:
        raise InputError(f"{task}: is a task of volumes, expected segmentation or image for a 2-D image")
    if not TASKS[task].own:
        if task == "built-in" and (absent := set(labels) - {*LABELS, *MORE_LABELS}):
            raise InputError(f"labels: {min(absent)} is no structure of the built-in heads")
        return
    usable = [examples.pairs[name] for name in chosen if examples.pairs[name] != scan.pair]
    if not usable:
        raise InputError(f"{task}: no examples are chosen besides this scan, expected at least one")
    if examples.volumes != scan.is_volume:
        raise InputError(f"{task}: examples and scan are not of one kind, volumes or 2-D images")
    values = [values_of(pair.output) for pair in usable]
    if TASKS[task].labels and None in values:
        raise InputError("segmentation: the outputs of the examples are images, expected label maps")
    every = {value for own in values for value in own or ()}
    if TASKS[task].labels and (absent := set(labels) - every):
        raise InputError(f"labels: {min(absent)} is in no example, expected some of {sorted(every)[:20]}")


def arguments(
    folders: Folders,
    scan: ScanFile,
    task: str,
    examples: Examples,
    chosen: Collection[str],
    labels: Sequence[int],
    *,
    scratch: Path,
    weights: str | None = None,
) -> list[str]:
    """The arguments of `neuralizer predict`. A result that was changed by hand is kept.

    Args:
        folders: of the workbench.
        scan: to predict.
        task: one of `TASKS`.
        examples: of the folder.
        chosen: ids of those to use.
        labels: to segment; none: all.
        scratch: a folder for tables that the command reads.
        weights: instead of those of the package.

    Raises:
        InputError: as `check_task`; or `labels.json` is wrong.
        OutputError: a file cannot be written.
    """
    check_task(scan, task, examples, chosen, labels)
    its, out = TASKS[task], result_path(scan, task)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{one_line(out.parent)}: cannot be made ({error.strerror or error})") from None
    result = ["--task", its.option, "--target", str(scan.path.absolute()), "--out", str(out.absolute())]
    result += ["--weights", weights] if weights else []
    if scan.is_volume:
        result.append("--overwrite")
    else:
        result.append("--resample")
    if not is_as_predicted(out, read_record(out.with_name(f"{image_stem(out)}.json"))):
        keep(out, folders.context)
    if labels and its.option == "segmentation":
        result += ["--labels", ",".join(map(str, labels))]
    if its.own:
        pairs = [pair for name, pair in examples.pairs.items() if name in chosen and pair != scan.pair]
        result += ["--context-in", *(str(pair.image.absolute()) for pair in pairs)]
        result += ["--context-out", *(str(pair.output.absolute()) for pair in pairs)]
        if its.labels:
            result += _tables(folders.context, examples, pairs, scratch, partial=scan.is_volume)
    return result


def found_structures(labels: Path) -> list[Found]:
    """What the table beside a segmentation says of its structures; nothing if there is none."""
    table = labels.with_name(f"{image_stem(labels)}.tsv")
    rows = []
    try:
        with table.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                confidence = None if row["confidence"] == "n/a" else float(row["confidence"])
                check = confidence is None or confidence < LEAST_DICE
                rows.append(Found(int(row["index"]), int(row["voxels"]), float(row["mm3"]), confidence, check))
    except (OSError, KeyError, ValueError, TypeError, csv.Error):
        return []
    return rows


def result_names(task: str, labels: Path) -> dict[int, str]:
    """Names of the labels of a result."""
    if task == "skull-stripping":
        return {1: "brain"}
    try:
        return read_label_names(labels.with_name(f"{image_stem(labels)}.tsv"))
    except InputError:
        return {}


def _tables(context: Path, examples: Examples, pairs: Sequence[Pair], scratch: Path, *, partial: bool) -> list[str]:
    """Options that say what labels are called, and which each example was annotated for."""
    options = []
    if names := names_of(context, examples):
        write_names(scratch / "names.tsv", names)
        options += ["--label-names", str(scratch / "names.tsv")]
    if partial and (context / "labels.json").is_file():
        annotated = annotated_labels(context, list(examples.pairs.values()), names)
        with written_whole(scratch / "labels.json") as temporary:
            text = annotated_json({pair.image: annotated[pair.image] for pair in pairs})
            temporary.write_text(text, encoding="utf-8")
        options += ["--partial", str(scratch / "labels.json")]
    return options
