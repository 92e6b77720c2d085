"""Names of files as in BIDS: entities `key-label` and a suffix, joined by `_`, then the ending.

Names are split here: that is all that libraries of the field (pybids, bids2table) do with a name, and they bring a
database or pyarrow. Which of several files is meant, none of them says; `datasets/bids.py` does.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from neuralizer_jax.errors import InputError

# Entities whose label is a number: `run-01` is `run-1`.
_INDICES = ("run", "echo", "flip", "inv", "split", "chunk")

# Entities that say what a derivative is. All others, also those that BIDS does not know, say which image it is of.
_DESCRIPTIONS = ("sub", "ses", "space", "cohort", "desc", "res", "den", "label", "seg", "atlas", "scale")

# Spaces that are those of the image itself.
_OWN_SPACES = ("orig", "individual", "scanner", "native")


@dataclass(frozen=True)
class BidsName:
    """A name in parts.

    Attributes:
        entities: label of each entity, keys in lower case.
        suffix: the last part, as written.
    """

    entities: Mapping[str, str]
    suffix: str

    @property
    def space(self) -> str:
        """The space that the voxels lie in, `MNI152NLin6Asym`; empty for the space of the image itself."""
        space = self.entities.get("space", "")
        return "" if space in _OWN_SPACES else f"{space}{self.entities.get('cohort', '')}"

    @property
    def image(self) -> dict[str, str]:
        """The entities that distinguish the images of a session: `acq`, `run`, ...; not `part-mag`, the usual part."""
        return {
            key: label
            for key, label in self.entities.items()
            if key not in _DESCRIPTIONS and (key, label) != ("part", "mag")
        }


def parse_name(stem: str) -> BidsName:
    """Splits a file name without its ending; entities may have any order.

    Raises:
        InputError: with what is wrong, without the name.

    >>> parse_name("sub-01_acq-MPRAGE+PROMO_run-01_T1w")
    BidsName(entities={'sub': '01', 'acq': 'MPRAGE+PROMO', 'run': '1'}, suffix='T1w')
    """
    *pairs, suffix = unicodedata.normalize("NFC", stem).split("_")
    if "-" in suffix or not suffix:
        raise InputError("its name does not end in a suffix of BIDS, expected one such as _T1w")
    entities: dict[str, str] = {}
    for pair in pairs:
        key, dash, label = pair.partition("-")
        key = key.lower()
        if not dash:
            raise InputError(f"{pair!r} in its name is not an entity of BIDS, expected key-label")
        if not label.replace("+", "").isalnum():
            raise InputError(f"the label {label!r} in its name is not as in BIDS, expected letters, digits and +")
        label = str(int(label)) if key in _INDICES and label.isdecimal() else label
        if entities.setdefault(key, label) != label:
            raise InputError(f"its name has two entities {key}-, expected one")
    return BidsName(entities, suffix)


def name_of_file(place: PurePath, stem: str) -> BidsName:
    """The name of a file with a subject; `sub-` and `ses-` may be those of its folders.

    Args:
        place: path under the dataset's folder.
        stem: the file's name without its ending.

    Raises:
        InputError: with what is wrong, without the path.
    """
    folders: dict[str, str] = {}
    for folder in place.parts[:-1]:
        key, _, label = unicodedata.normalize("NFC", folder).partition("-")
        if key in ("sub", "ses") and label.replace("+", "").isalnum():
            folders[key] = label
    name = parse_name(stem)
    for key, label in folders.items():
        if name.entities.get(key, label) != label:
            raise InputError(f"its name says {key}-{name.entities[key]}, its folder {key}-{label}")
    entities = folders | dict(name.entities)
    if "sub" not in entities:
        raise InputError("has no sub- in its name or folder, expected one as in sub-01_T1w.nii.gz")
    return BidsName(entities, name.suffix)
