"""Writes the files of a case, runs `neuralizer predict` on them, and compares its labels with those of plain files."""

import gzip
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np
from fuzz.anatomy import BRIGHTEST, CONTEXT_SEEDS, GRIDS, SURROUNDINGS, TARGET_SEED, affine_of, head, heads
from fuzz.damage import CHECKED, SPOILERS, mutate
from fuzz.nifti_storage import Storage, stored_image, stored_labels, write_nifti
from fuzz.outcome import CHANGED, FAULT, NOTED, REFUSED, RIGHT, Ran, Verdict, run
from fuzz.picture_storage import Picture, read_labels, write_picture
from fuzz.predict_cases import Case, File
from nibabel.orientations import apply_orientation

from neuralizer_jax.files.image_files import image_suffix

# What rounding to few levels may move: a share of the pixels, and the Dice of a label.
MOST_PIXELS, LEAST_DICE = 0.015, 0.95
# The difference of an image in [0, 1] that counts as none.
MOST_GREY = 0.06
# After interpolation.
MOST_PIXELS_RESAMPLED, LEAST_DICE_RESAMPLED = 0.1, 0.7


def judge(case: Case, folder: Path) -> Verdict:
    """Runs a case in an empty folder. Returns the verdict, and for a fault what is wrong."""
    arguments = write(case, folder)
    return verdict(case, folder, run(arguments))


def verdict(case: Case, folder: Path, ran: Ran) -> Verdict:
    """Judges what the command left in the folder."""
    if ran.fault:
        return Verdict(FAULT, ran.fault)
    if ran.status == 2:
        (line,) = ran.errors
        if left := sorted(path.name for path in folder.glob("*out*") if path.is_file()):
            return Verdict(FAULT, f"an error, and files all the same: {left}")
        if REFUSED in case.may:
            return Verdict(REFUSED, line)
        return Verdict(FAULT, f"refused: {line}")
    wrong = _wrong(case, folder)
    if not wrong:
        return Verdict(RIGHT, "")
    if NOTED in case.may and ran.notes:
        return Verdict(NOTED, "; ".join(ran.notes))
    if CHANGED in case.may:
        return Verdict(CHANGED, wrong)
    return Verdict(FAULT, f"{wrong}; notes: {ran.notes}")


def write(case: Case, folder: Path) -> list[str]:
    """Writes the files of a case and returns the arguments of the command."""
    (folder / "context").mkdir()
    _write_file(case, case.target, folder / case.target.name, None)
    for number, pair in enumerate(case.pairs):
        for file in pair:
            _write_file(case, file, folder / "context" / file.name, case.mask[number] if case.mask else None)
    task = "image" if case.pairs[0][1].squared else "segmentation"
    arguments = ["predict", "--task", task, "-i", str(folder / case.target.name)]
    if case.in_lists:
        for option, files in zip(("--context-in", "--context-out"), zip(*case.pairs, strict=True), strict=True):
            arguments += [option, *(str(folder / "context" / file.name) for file in files)]
    else:
        arguments += ["--context", str(folder / "context")]
    if case.slice_ is not None:
        arguments.append(f"--slice={case.slice_}")
    if case.mask is None and case.wanted:
        arguments.append("--labels=" + ",".join(map(str, case.wanted)))
    return [*arguments, "-o", str(folder / case.out)]


def shown(plane: np.ndarray) -> np.ndarray:
    """A plane of a RAS array [A, B] as a picture: superior or anterior at the top, left or posterior at the left."""
    return plane.T[::-1]


def _write_file(case: Case, file: File, path: Path, inside: int | None) -> None:
    shape, spacing = GRIDS[case.grid]
    image, labels = heads(case.grid)[file.seed]
    affine = case.affine
    if file.spacing != 1:
        shape, spacing = _respaced(case, file)
        affine = affine_of(shape, spacing)
        image, labels = head(file.seed, shape, affine, SURROUNDINGS[case.grid])
    if inside is not None:
        labels = np.where(np.isin(labels, case.wanted), inside, 0)
    image = image**2 / BRIGHTEST if file.squared else image
    values = _padded(labels if file.labels else image, file.pads)
    affine[:3, 3] -= affine[:3, :3] @ [low for low, _ in file.pads]
    if isinstance(file.storage, Picture):
        write_picture(path, shown(_plane(case, file, values)), file.storage, labels=file.labels)
        return
    if case.thin:
        values = np.expand_dims(_plane(case, file, values), case.axis)
        affine[:3, 3] += affine[:3, case.axis] * (case.index + file.pads[case.axis][0])
    stored = stored_labels(values, file.storage) if file.labels else stored_image(values, file.storage)
    if file.nan:
        places = np.random.default_rng(0).choice(stored.size, file.nan, replace=False)
        stored.flat[places] = np.nan
    write_nifti(path, stored, affine, file.storage)


def _plane(case: Case, file: File, values: np.ndarray) -> np.ndarray:
    return values.take(case.index + file.pads[case.axis][0], axis=case.axis)


def _respaced(case: Case, file: File) -> tuple[tuple[int, ...], tuple[float, ...]]:
    shape, spacing = GRIDS[case.grid]
    return tuple(round(n / file.spacing) for n in shape), tuple(mm * file.spacing for mm in spacing)


def _padded(values: np.ndarray, pads) -> np.ndarray:
    """Adds voxels of 0 at the borders, or cuts voxels off."""
    values = np.pad(values, [(max(0, low), max(0, high)) for low, high in pads])
    return values[
        tuple(slice(max(0, -low), n - max(0, -high)) for n, (low, high) in zip(values.shape, pads, strict=True))
    ]


def _wrong(case: Case, folder: Path) -> str:
    """What is wrong with the labels that were written; empty: nothing."""
    out = folder / case.out
    target, inside = case.target, case.mask[0] if case.mask else None
    is_image = case.pairs[0][1].squared
    expected = expected_output(case.grid, case.axis, case.index, case.wanted, inside, is_image)
    most, least = MOST_PIXELS, LEAST_DICE
    if target.spacing != 1:
        shape, _spacing = _respaced(case, target)
        where = [
            np.clip(np.rint(((np.arange(n) - (n - 1) / 2) * target.spacing) + (m - 1) / 2).astype(int), 0, m - 1)
            for axis, (n, m) in enumerate(zip(shape, GRIDS[case.grid][0], strict=True))
            if axis != case.axis
        ]
        expected = expected[np.ix_(*where)]
        most, least = MOST_PIXELS_RESAMPLED, LEAST_DICE_RESAMPLED
    expected = _padded(expected, [pad for axis, pad in enumerate(target.pads) if axis != case.axis])
    if case.out.endswith((".nii", ".nii.gz", ".mgz")):
        image = _loaded(out)
        got = np.asarray(image.dataobj)
        got = got.reshape((*got.shape[:3], *(1,) * (3 - got.ndim)))
        got = apply_orientation(got, target.storage.axes_to_ras)
        if got.shape[case.axis] != 1:
            return f"a volume of {got.shape}, expected one plane"
        got = got.take(0, axis=case.axis)
        if fault := _wrong_place(case, folder, image):
            return fault
    else:
        got, expected = read_labels(out), shown(expected)
    if got.shape != expected.shape:
        return f"labels of shape {got.shape}, expected {expected.shape}"
    if is_image and got.dtype == np.uint16:
        got = got / np.float32(65535)
    share = float((np.abs(got - expected) > MOST_GREY if is_image else got != expected).mean())
    if share > most:
        return f"{share:.1%} of the pixels differ"
    if is_image:
        return ""
    for label in np.unique(expected)[1:]:
        a, b = got == label, expected == label
        if b.sum() > 20 and (dice := 2 * (a & b).sum() / (a.sum() + b.sum())) < least:
            return f"Dice of label {label} is {dice:.2f}"
    return ""


def _wrong_place(case: Case, folder: Path, image: nib.Nifti1Image) -> str:
    """Whether the written file lies elsewhere in the world than the target's plane."""
    target = _loaded(folder / case.target.name)
    if case.target.storage.codes == "none":
        return ""
    along, direction = case.target.storage.axes[case.axis]
    step = np.zeros(4)
    if not case.thin and case.target.spacing == 1:
        index = case.index + case.target.pads[case.axis][0]
        step[along] = index if direction > 0 else (*target.shape, 1)[along] - 1 - index
        expected, got = _affine_in_mm(target), _affine_in_mm(image)
        expected[:, 3] += expected @ step
        if not np.allclose(got, expected, atol=0.01):
            return f"lies at {got.tolist()}, expected {expected.tolist()}"
    return ""


def _loaded(path: Path) -> nib.Nifti1Image | nib.MGHImage:
    """Reads a volume without our code, and closes it (nibabel leaves .mgh open)."""
    content, name = path.read_bytes(), path.name.lower()
    content = gzip.decompress(content) if name.endswith("z") else content
    if ".mg" in name[-4:]:
        return nib.MGHImage.from_bytes(content)
    second = nib.Nifti2Header.sizeof_hdr in (int.from_bytes(content[:4], order) for order in ("little", "big"))
    return (nib.Nifti2Image if second else nib.Nifti1Image).from_bytes(content)


def _affine_in_mm(image: nib.Nifti1Image | nib.MGHImage) -> np.ndarray:
    unit = int(image.header["xyzt_units"]) & 7 if "xyzt_units" in image.header else 0
    return np.diag([*3 * [{1: 1000.0, 3: 0.001}.get(unit, 1.0)], 1.0]) @ image.affine


def plain_case(
    grid: int = 0, axis: int = 1, index: int = 20, wanted: tuple[int, ...] = (), inside: int | None = None
) -> Case:
    """A plane of ordinary files: one NIfTI volume in millimetres and RAS order each."""
    plain = Storage(compressed=False)
    affine = affine_of(*GRIDS[grid])
    return Case(
        grid, axis, index, wanted,
        mask=None if inside is None else (inside,) * len(CONTEXT_SEEDS),
        thin=False,
        in_lists=False,
        target=File("t.nii", TARGET_SEED, False, plain),
        pairs=[(File(f"in{n}.nii", n, False, plain), File(f"out{n}.nii", n, True, plain)) for n in CONTEXT_SEEDS],
        slice_=f"{'xyz'[axis]}={affine[axis, axis] * index + affine[axis, 3]}",
        out="out.nii",
    )  # fmt: skip


@cache
def expected_output(
    grid: int, axis: int, index: int, wanted: tuple[int, ...] = (), inside: int | None = None, image: bool = False
) -> np.ndarray:
    """The labels or the image of the plane [A, B] in RAS order, which the command gives for plain files."""
    case = plain_case(grid, axis, index, wanted, inside)
    for _, shown in case.pairs:
        shown.labels, shown.squared = not image, image
    with TemporaryDirectory() as folder:
        ran = run(write(case, Path(folder)))
        assert ran.status == 0, ran
        return np.asarray(nib.load(Path(folder) / "out.nii").dataobj).take(0, axis=axis)


def judge_spoilt(case: Case, folder: Path, rng: np.random.Generator) -> Verdict:
    """Spoils one file of a case; it must be refused by name."""
    case.in_lists = True  # a folder or a link to nothing in the context's folder is no image at all
    arguments = write(case, folder)
    path, file = _one_file(case, folder, rng)
    suffix = image_suffix(path)
    role = "labels" if file.labels else "image"
    names = [name for name, (suffixes, of, _) in SPOILERS.items() if suffix in suffixes and of in ("", role)]
    name = str(rng.choice(names))
    SPOILERS[name][2](path)
    ran = run(arguments)
    if ran.fault:
        return Verdict(FAULT, f"{path.name!r} is {name}: {ran.fault}")
    if ran.status != 2 or _displayed(path.name) not in ran.errors[0]:
        return Verdict(
            FAULT, f"{path.name!r} is {name}, expected an error that names it: status {ran.status}, {ran.errors}"
        )
    return Verdict(REFUSED, f"{name}: {ran.errors[0]}")


def judge_damaged(case: Case, folder: Path, rng: np.random.Generator) -> Verdict:
    """Changes bytes of one file. Where checksums cannot find that, any answer in one piece will do."""
    arguments = write(case, folder)
    path, _ = _one_file(case, folder, rng)
    path.write_bytes(mutate(path.read_bytes(), rng))
    if not path.name.lower().endswith(CHECKED):
        case.allow("no checksum", REFUSED, NOTED, CHANGED)
    case.allow("damaged")
    return verdict(case, folder, run(arguments))


def _displayed(name: str) -> str:
    return " ".join(name.splitlines()).encode(errors="backslashreplace").decode()


def _one_file(case: Case, folder: Path, rng: np.random.Generator) -> tuple[Path, File]:
    place = int(rng.integers(3))
    file = case.files[place]
    return (folder / "context" if place else folder) / file.name, file
