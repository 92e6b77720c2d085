"""What `neuralizer predict` writes for a segmented scan, and whether a result of any task is there already.

    sub-09_dseg.nii.gz             the labels
    sub-09_dseg.tsv                name, voxels, mm^3 and confidence of each label
    sub-09_probseg.nii.gz          --probabilities: one volume a label, in the order of the table
    sub-09_std.nii.gz              --bootstrap: their spread, likewise
    sub-09_to-MNI152.txt, .tfm     --transforms
    sub-09_to-MNI152_warp.nii.gz   --transforms, unless --affine
    DIR/index.html                 --report DIR: the page, see `volume_report.py`
    sub-09_dseg.json               what it was made from, and by what; written first

A result is kept if its JSON file says that it was made from the same files and options. The labels are written last: if
they are there and are those that the JSON file speaks of, everything is.
"""

import hashlib
import json
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuralizer_jax import __version__
from neuralizer_jax.cli.volume_report import write_page
from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.files.bids_name import parse_name
from neuralizer_jax.files.endings import ENDINGS, volume_ending
from neuralizer_jax.files.label_table import COLUMNS, LabelRow, write_label_table
from neuralizer_jax.files.result_record import PROGRAM, is_as_predicted, labels_key, read_record
from neuralizer_jax.files.transforms import write_itk_transform, write_itk_warp, write_matrix
from neuralizer_jax.files.volume_grid import VolumeGrid, write_labels, write_probabilities
from neuralizer_jax.volumes.displacement import FIELD_AFFINE
from neuralizer_jax.volumes.volume_prediction import VolumePrediction

if TYPE_CHECKING:
    from neuralizer_jax.volumes.skull_stripping import BrainMask


@dataclass(frozen=True)
class Origin:
    """What a result is made from.

    Attributes:
        sources: the scan and the files of the examples, as given.
        command: the command line.
        weights: their name and hash.
        key: hash of everything that the result depends on.
    """

    sources: tuple[str, ...]
    command: str
    weights: str
    key: str


def result_paths(
    out: Path, targets: Sequence[Path], *, single: bool, suffix: str = "dseg"
) -> tuple[list[Path], Path | None]:
    """Returns the result of each target, and the folder to make, or None.

    Args:
        out: a file for one target, or a folder.
        targets: in a folder, `sub-09_T1w.nii.gz` gives `sub-09_dseg.nii.gz`, or `sub-09_T1w_dseg.nii.gz` if another
            target gives it too; `scan.mgz` gives `scan_dseg.mgz`.
        single: the target was given as a file.
        suffix: what a result's name ends with.

    Raises:
        InputError: `out` is no volume by its name, or is one for several targets; two targets have one name.
    """
    if single and not out.is_dir():
        if not volume_ending(out):
            expected = f"a name that ends in {', '.join(ENDINGS)}, or an existing folder"
            raise InputError(f"{one_line(out)}: is no volume by its name, expected {expected}")
        return [out], None
    if volume_ending(out) and not out.is_dir():
        raise InputError(f"{one_line(out)}: is one file for {len(targets)} targets, expected a folder")
    short = [_without_suffix(target) for target in targets]
    full = [target.name[: -len(volume_ending(target)) or None] for target in targets]
    stems = [own if short.count(own) == 1 else other for own, other in zip(short, full, strict=True)]
    if twice := next((stem for stem in stems if stems.count(stem) > 1), None):
        raise InputError(f"{one_line(twice)}: {stems.count(twice)} targets have this name, expected different names")
    endings = [volume_ending(target) or ENDINGS[0] for target in targets]
    return [
        out / f"{stem}_{suffix}{end}" for stem, end in zip(stems, endings, strict=True)
    ], None if out.is_dir() else out


def output_files(labels: Path, page: Path | None, options: Namespace) -> dict[str, Path]:
    """Returns the files to write for one target, its page among them if there is to be one."""
    ending = volume_ending(labels)
    stem = labels.name[: -len(ending)]
    base = stem.removesuffix("_dseg")
    files = {"labels": labels.name, "table": f"{stem}.tsv", "record": f"{stem}.json"}
    if options.probabilities:
        files["probabilities"] = f"{base}_probseg{ending}"
    if options.bootstrap:
        files["spread"] = f"{base}_std{ending}"
    if options.transforms:
        files |= {"matrix": f"{base}_to-MNI152.txt", "itk": f"{base}_to-MNI152.tfm"}
        if not options.affine:
            files["warp"] = f"{base}_to-MNI152_warp.nii.gz"
    paths = {what: labels.with_name(name) for what, name in files.items()}
    return paths | ({"page": page} if page else {})


def key_of(*parts: object) -> str:
    """A hash of arrays, bytes, texts and numbers, and of the version of the package.

    >>> key_of(np.arange(3), "a") == key_of(np.arange(3), "b")
    False
    """
    digest = hashlib.sha256(__version__.encode())
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        elif isinstance(part, bytes):
            digest.update(hashlib.sha256(part).digest())
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()


def network_key(model: object, params: object) -> str:
    """A hash of a network, whatever file it came from."""
    import jax

    return key_of(str(model), *(np.asarray(leaf) for leaf in jax.tree.leaves(params)))


def is_finished(files: Mapping[str, Path], origin: Origin, *, overwrite: bool) -> bool:
    """Whether all files of a target are there, made from the same. The main ones are `labels`, or else `image`.

    Raises:
        InputError: files are there that were made from something else, or changed since, without `overwrite`.
    """
    there = [path for path in files.values() if path.exists()]
    if not there:
        return False
    record = read_record(files["record"])
    result = files.get("labels") or files["image"]
    same = record.get("Key") == origin.key
    if same and result.exists():
        same = is_as_predicted(result, record)
    if same:
        return len(there) == len(files)
    if not overwrite:
        raise InputError(
            f"{one_line(result if result.exists() else there[0])}: is there already, made from other files or options, "
            "by another version or by hand, expected --overwrite or another output"
        )
    return False


def unfinished(
    files: Mapping[Path, Mapping[str, Path]], origins: Mapping[Path, Origin], *, overwrite: bool
) -> list[Path]:
    """The targets whose files are not there yet; prints the others. Raises InputError as `is_finished`."""
    finished = [target for target, origin in origins.items() if is_finished(files[target], origin, overwrite=overwrite)]
    for target in finished:
        result = files[target].get("labels") or files[target]["image"]
        print(f"{one_line(result)}: is there already, made from the same files and options")
    return [target for target in origins if target not in finished]


def write_record(path: Path, origin: Origin, result: Mapping[str, object]) -> None:
    """Writes what a result was made from. Raises InputError if it cannot be written.

    Args:
        path: the file.
        origin: what it was made from.
        result: the examples that were used, and `Labels` or `Image`, the hash of the voxels.
    """
    record = {
        "Sources": origin.sources,
        "GeneratedBy": [{"Name": PROGRAM, "Version": __version__, "Command": origin.command}],
        "Weights": origin.weights,
        "Key": origin.key,
        **result,
    }
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def examples_used(examples: Sequence[tuple[str, float]]) -> list[dict[str, object]]:
    """Names of examples and their similarity, as a record has them."""
    return [{"Name": name, "Similarity": round(similarity, 4)} for name, similarity in examples]


def write_results(
    files: Mapping[str, Path], prediction: VolumePrediction, grid: VolumeGrid, names: Mapping[int, str], origin: Origin
) -> list[Path]:
    """Writes the files of one target; returns their paths.

    Raises:
        InputError: a file cannot be written.
    """
    found = prediction.structures
    examples = {str(label): examples_used(own.prediction.examples) for label, own in found.items()}
    text = {"Description": "Structures that were segmented from examples", "SpatialReference": "orig", "Manual": False}
    labels = {"Examples": examples, "Labels": labels_key(prediction.labels)}
    write_record(files["record"], origin, text | COLUMNS | labels)
    rows = [LabelRow(x.label, names.get(x.label, ""), x.voxels, x.mm3, x.confidence) for x in found.values()]
    write_label_table(files["table"], rows)
    for what, on_voxels in (("probabilities", prediction.probability), ("spread", prediction.spread)):
        if what in files:
            volumes = np.empty((len(found), *grid.shape), np.float32)  # filled in place: it may be large
            for place, label in zip(volumes, found, strict=True):
                place[...] = on_voxels(label)
            write_probabilities(files[what], volumes, grid)
    if "matrix" in files:
        write_matrix(files["matrix"], prediction.alignment.to_mni)
        write_itk_transform(files["itk"], prediction.alignment.to_mni)
    if "warp" in files and prediction.deformation is not None:
        write_itk_warp(files["warp"], prediction.deformation.to_scan, FIELD_AFFINE)
    if "page" in files:
        write_page(files["page"], prediction, names, {"command": origin.command, "weights": origin.weights})
    write_labels(files["labels"], prediction.labels, grid)
    return list(files.values())


def write_mask(files: Mapping[str, Path], found: "BrainMask", grid: VolumeGrid, origin: Origin) -> list[Path]:
    """Writes the brain mask of a scan, the file `labels`, and its record; returns their paths.

    Raises:
        InputError: a file cannot be written.
    """
    text = {"Description": "The brain, with the fluid around it", "SpatialReference": "orig", "Type": "Brain"}
    write_record(files["record"], origin, text | {"Labels": labels_key(found.mask)})
    write_labels(files["labels"], found.mask, grid)
    return list(files.values())


def _without_suffix(target: Path) -> str:
    """The name of a target without its suffix in BIDS, or without its ending."""
    stem = target.name[: -len(volume_ending(target)) or None]
    try:
        name = parse_name(stem)
    except InputError:
        return stem
    return stem.rpartition("_")[0] if "sub" in name.entities else stem
