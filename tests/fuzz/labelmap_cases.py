"""Cases of `neuralizer prepare labelmaps`: one map, stored in many ways, gives the same slice or is dropped by name."""

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from fuzz.damage import mutate
from fuzz.nifti_storage import ORIENTATIONS, Storage, draw_label_storage, stored_labels, write_nifti
from fuzz.outcome import FAULT, REFUSED, RIGHT, Verdict, run
from miniature_head import head_affine, head_labels

from input_pipeline.store.records import SliceStore

MAPS = 8
# Share of the pixels that rounding may move: the nearest of two voxels that are as near.
MOST_PIXELS = 0.002


@dataclass(frozen=True)
class Map:
    """A label map: its storage, whether bytes of the file are damaged, and whether it may be dropped."""

    storage: Storage
    damaged: bool
    may_be_dropped: bool

    def __str__(self) -> str:
        return f"{self.storage}{' damaged' * self.damaged}"


def _draw_map(rng: np.random.Generator) -> Map:
    common = Storage(
        orientation=str(rng.choice(ORIENTATIONS)),
        codes=str(rng.choice(["both", "sform", "qform", "differ", "none"], p=[0.4, 0.2, 0.2, 0.1, 0.1])),
        units=str(rng.choice(["mm", "unknown", "m", "um"], p=[0.7, 0.1, 0.1, 0.1])),
    )
    storage = draw_label_storage(rng, common)
    if storage.dtype in ("u1", "i1"):  # the labels go up to 530
        storage = replace(storage, dtype="i2")
    damaged = bool(rng.uniform() < 0.15)
    return Map(storage, damaged, damaged or storage.codes in ("none", "differ"))


def judge(folder: Path, rng: np.random.Generator) -> list[Verdict]:
    """Draws the maps of a folder, prepares them, and judges each of them."""
    maps = [_draw_map(rng) for _ in range(MAPS)]
    raw = folder / "raw"
    raw.mkdir()
    _write(Storage(), raw / "plain.nii.gz")
    paths = []
    for number, each in enumerate(maps):
        paths.append(raw / f"map {number}{each.storage.suffix}")
        _write(each.storage, paths[-1])
        if each.damaged:
            paths[-1].write_bytes(mutate(paths[-1].read_bytes(), rng))
    with _cheap_images():
        ran = run(["prepare", "labelmaps", "--raw", str(raw), "--out", str(folder / "out"), "--workers", "1",
                   "--skull-stripped", "0"])  # fmt: skip
    if ran.fault or ran.status:
        return [Verdict(FAULT, ran.fault or ran.errors[0])]
    store = SliceStore(folder / "out/labelmaps")
    with open(folder / "out/labelmaps/dropped.csv", encoding="utf-8", newline="") as file:
        dropped = {row["subject"]: row["reason"] for row in csv.DictReader(file)}
    plain = store.read("plain").labels
    return [_judge_one(each, f"map {number}", store, dropped, plain) for number, each in enumerate(maps)]


def _judge_one(each: Map, name: str, store: SliceStore, dropped: dict[str, str], plain: np.ndarray) -> Verdict:
    if name in dropped:
        allowed = each.may_be_dropped and dropped[name]
        return Verdict(REFUSED if allowed else FAULT, f"{each}: dropped: {dropped[name]}")
    if name not in store.subjects():
        return Verdict(FAULT, f"{each}: neither used nor dropped")
    share = float((store.read(name).labels != plain).mean())
    if share <= MOST_PIXELS or (each.damaged and not each.storage.compressed):
        return Verdict(RIGHT, "")
    return Verdict(FAULT, f"{each}: {share:.1%} of the pixels differ")


def _write(storage: Storage, path: Path) -> None:
    write_nifti(path, stored_labels(head_labels().astype(np.int32), storage), head_affine(), storage)


def _cheap_images():
    """Replaces the synthesis of images, which takes most of the time and reads no file."""

    def image(labels, modality, **_):
        return (labels > 0).astype(np.float32) * (0.5 + 0.5 * (labels % 7) / 7)

    return patch("input_pipeline.slices.from_labelmaps.synthesize_image", image)
