"""Cases of `neuralizer predict`: one head, stored in many ways; its labels must stay the same.

`draw` chooses each property of the files. Where the command may answer with an error or a note, the property says so
in `Case.may`; in all other cases it must give the right labels.
"""

import unicodedata
from dataclasses import dataclass, field, replace

import numpy as np
from fuzz.anatomy import CONTEXT_SEEDS, GRIDS, LABELS, SURROUNDINGS, TARGET_SEED, affine_of, heads
from fuzz.nifti_storage import ORIENTATIONS, UNITS, Storage, draw_image_storage, draw_label_storage
from fuzz.outcome import NOTED, REFUSED
from fuzz.picture_storage import Picture, draw_picture
from scipy.spatial.transform import Rotation

_PREFIXES = (
    "c_",
    "sub-01_",
    "Zürich_",
    "with space ",
    "UPPER_",
    "dots.of.a.name.",
    "plus+minus-",
    "quote'\"_",
    "日本_",
    "x" * 180 + "_",
    "100%_",
    "$HOME_",
    "[1]_",
    "new\nline_",
    "latin\udce9_",
)

Pads = tuple[tuple[int, int], ...]
NO_PADS: Pads = ((0, 0),) * 3


@dataclass
class File:
    """One image or label file: which head, how it is stored, and voxels added (or cut off, below 0) at its borders.

    squared: the image is the output of an image task: the square of the head's.
    spacing: of a target on a grid of its own, relative to the case's.
    nan: how many values are NaN or infinite.
    """

    name: str
    seed: int
    labels: bool
    storage: Storage | Picture
    squared: bool = False
    pads: Pads = NO_PADS
    spacing: float = 1.0
    nan: int = 0

    def __str__(self) -> str:
        more = f" pads={self.pads}" * (self.pads != NO_PADS) + f" spacing={self.spacing}" * (self.spacing != 1)
        return f"{self.name!r}: {self.storage}{more}" + f" nan={self.nan}" * (self.nan > 0)


@dataclass
class Case:
    """A prediction.

    axis, index: the plane: an axis of the head and an index on its grid.
    wanted: the labels to segment; none: all.
    mask: for masks of `wanted`, the value that each context pair has for inside; None: label maps.
    thin: the NIfTI files hold the plane alone.
    tilt: how the head and all files lie in the scanner, a rotation in degrees about x, y and z.
    may: the verdicts besides `right` that are allowed, with the reasons.
    """

    grid: int
    axis: int
    index: int
    wanted: tuple[int, ...]
    mask: tuple[int, ...] | None
    thin: bool
    in_lists: bool
    target: File
    pairs: list[tuple[File, File]]
    slice_: str | None = None
    out: str = ""
    tilt: tuple[float, float, float] = (0.0, 0.0, 0.0)
    may: dict[str, str] = field(default_factory=dict)

    @property
    def affine(self) -> np.ndarray:
        """Of the grid that the files share, voxel to RAS mm."""
        tilt = np.eye(4)
        tilt[:3, :3] = Rotation.from_euler("xyz", self.tilt, degrees=True).as_matrix()
        return tilt @ affine_of(*GRIDS[self.grid])

    @property
    def files(self) -> list[File]:
        return [self.target, *(file for pair in self.pairs for file in pair)]

    def __str__(self) -> str:
        plane = f"{'xyz'[self.axis]}[{self.index}]" + f" --slice {self.slice_}" * (self.slice_ is not None)
        plane += f" tilted by {self.tilt}" * any(self.tilt)
        lines = [f"{SURROUNDINGS[self.grid]}, plane {plane}, labels {self.wanted}, masks {self.mask}, {self.out!r}"]
        lines += [f"  {file}" for file in self.files]
        lines += [f"  may be {verdict}: {why}" for verdict, why in self.may.items()]
        return "\n".join(lines)

    def allow(self, why: str, *verdicts: str) -> None:
        """Allows other verdicts than `right`: by default an error or a note."""
        for verdict in verdicts or (REFUSED, NOTED):
            self.may[verdict] = f"{self.may[verdict]}; {why}" if verdict in self.may else why


def draw(rng: np.random.Generator) -> Case:
    """Draws a case."""
    chance = rng.uniform
    kind = str(rng.choice(["volumes", "planes", "pictures"], p=[0.6, 0.1, 0.3]))
    grid, axis = int(rng.integers(len(GRIDS))), int(rng.integers(3))
    index = GRIDS[grid][0][axis] // 2 + int(rng.choice([-3, 2]))
    masks = chance() < 0.25
    present = labels_everywhere(grid, axis, index)
    target, *pairs = _names(rng)
    case = Case(
        grid, axis, index,
        wanted=present[::2] if masks or chance() < 0.2 else (),
        mask=(int(rng.choice([1, 7, 255])),) * 3 if masks else None,
        thin=kind == "planes",
        in_lists=chance() < 0.3,
        target=File(target, TARGET_SEED, False, Storage()),
        pairs=[
            (File(given, seed, False, Storage()), File(shown, seed, True, Storage()))
            for seed, (given, shown) in zip(CONTEXT_SEEDS, pairs, strict=True)
        ],
    )  # fmt: skip
    if masks and chance() < 0.2:
        case.mask = (1, 255, 1)
        case.allow("the masks have different values")
    if kind == "pictures":
        _draw_pictures(case, rng)
    else:
        _draw_geometry(case, rng)
        if chance() < 0.04:
            for file in case.files[1:]:
                file.storage, file.pads = draw_picture(rng, ".png", labels=file.labels), case.target.pads
            case.allow("pictures beside a NIfTI target")
    for number, (_, shown) in enumerate(case.pairs):
        if case.mask and case.mask[number] == 255 and shown.storage.dtype == "i1":
            shown.storage = replace(shown.storage, dtype="u1")
    spoilt = case.files[int(rng.integers(2))]
    if chance() < 0.05 and spoilt.storage.dtype.lstrip("<>")[0] == "f":
        spoilt.nan = int(rng.choice([1, 40]))
        case.allow("NaN or infinity")
    for file in case.files:
        suffix = file.storage.suffix
        file.name += suffix.upper() if chance() < 0.1 else suffix
    return case


def as_image_task(case: Case, rng: np.random.Generator) -> None:
    """Turns the label maps of volumes into images. (A plane alone is scaled by itself, and not as its volume.)"""
    if case.mask or case.wanted or case.thin or any(isinstance(file.storage, Picture) for file in case.files):
        return
    for _, shown in case.pairs:
        stem = shown.name[: -len(shown.storage.suffix)]
        shown.labels, shown.squared = False, True
        geometry = {name: getattr(shown.storage, name) for name in ("orientation", "codes", "units", "squeeze")}
        shown.storage = draw_image_storage(rng, Storage(**geometry))
        shown.name = stem + shown.storage.suffix


def labels_everywhere(grid: int, axis: int, index: int) -> tuple[int, ...]:
    """The labels that a plane holds in every example."""
    planes = [heads(grid)[seed][1].take(index, axis=axis) for seed in CONTEXT_SEEDS]
    return tuple(label for label in LABELS if all((plane == label).sum() > 9 for plane in planes))


def _names(rng: np.random.Generator) -> list:
    """The target's name, and names of pairs, without endings."""
    prefix, first = str(rng.choice(_PREFIXES)), int(rng.choice([0, 8, 98]))
    forms = ("NFC", "NFD") if rng.uniform() < 0.3 else ("NFC", "NFC")
    tokens = [("in", "out"), ("IN", "OUT"), ("input_", "output_")][rng.integers(3)]
    pairs = [
        tuple(unicodedata.normalize(form, f"{prefix}{token}{i}") for form, token in zip(forms, tokens, strict=True))
        for i in range(first, first + 3)
    ]
    return [f"{prefix}target", *pairs]


def _draw_pictures(case: Case, rng: np.random.Generator) -> None:
    suffixes = rng.choice([".png", ".tif", ".npy", ".npz"], 1 if rng.uniform() < 0.7 else 3)
    for file in case.files:
        file.storage = draw_picture(rng, str(rng.choice(suffixes)), labels=file.labels)
    case.out = "out" + str(rng.choice([".png", ".tif", ".npy", ".npz"]))


def _draw_geometry(case: Case, rng: np.random.Generator) -> None:
    """Chooses geometry and storage of NIfTI files, and the text that names the plane."""
    chance = rng.uniform
    common = Storage(
        orientation=str(rng.choice(ORIENTATIONS)),
        codes=str(rng.choice(["both", "sform", "qform", "differ", "none"], p=[0.5, 0.2, 0.15, 0.1, 0.05])),
        units=str(rng.choice(list(UNITS), p=[0.75, 0.1, 0.1, 0.05])),
        squeeze=case.thin and chance() < 0.5,
    )
    mixed_axes, mixed_codes = chance() < 0.4, chance() < 0.15
    pads = _draw_pads(rng) if chance() < 0.3 else NO_PADS
    if pads == NO_PADS and chance() < 0.2:
        case.tilt = tuple(float(angle) for angle in rng.integers(-15, 16, 3))
    for file in case.files:
        geometry, file.pads = common, pads
        if mixed_axes:
            geometry = replace(geometry, orientation=str(rng.choice(ORIENTATIONS)))
        if mixed_codes:
            geometry = replace(geometry, codes=str(rng.choice(["both", "sform", "qform", "differ"])))
        file.storage = (draw_label_storage if file.labels else draw_image_storage)(rng, geometry)
    if common.codes == "none" and not mixed_codes:
        case.allow("no orientation")
    # The place of a tilted plane is that of its centre, which other borders would move.
    other = "" if any(case.tilt) else str(rng.choice(["", "field of view", "spacing"], p=[0.84, 0.1, 0.06]))
    if other == "field of view":
        case.files[int(rng.integers(3))].pads = _draw_pads(rng)
    elif other == "spacing" and not case.thin:
        case.target.spacing = float(rng.choice([0.75, 1.25]))
    if other:
        case.allow(f"another {other} than the other files")
    case.out = "out" + str(rng.choice([".nii", ".nii.gz", ".mgz", ".png", ".npy"], p=[0.5, 0.2, 0.1, 0.1, 0.1]))
    if case.thin:
        return
    if not mixed_axes and not other and chance() < 0.3:
        length = GRIDS[case.grid][0][case.axis] + sum(pads[case.axis])
        array_axis, flip = common.axes[case.axis]
        position = case.index + pads[case.axis][0]
        case.slice_ = f"{array_axis}/{position if flip > 0 else length - 1 - position}"
    else:
        centre = (np.array(GRIDS[case.grid][0]) - 1) / 2
        centre[case.axis] = case.index + chance() * 0.6 - 0.3
        place = (case.affine[:3, :3] @ centre + case.affine[:3, 3])[case.axis]
        case.slice_ = f"{'xyz'[case.axis]}={place:.3f}"


def _draw_pads(rng: np.random.Generator) -> Pads:
    return tuple((int(low), int(high)) for low, high in rng.integers(-1, 4, (3, 2)))
