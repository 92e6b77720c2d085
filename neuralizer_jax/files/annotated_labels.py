"""Which labels each example was annotated for, from a JSON file: `{"sub-01": [17, 53], "sub-02": ["hippocampus"]}`."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.image_formats import check_is_file, reading

_MAX_BYTES = 2**24


def read_annotated(path: Path, examples: Sequence[Path], names: Mapping[int, str]) -> dict[Path, set[int]]:
    """Reads the labels of the examples that a file lists.

    Args:
        path: the file. Its keys are the beginnings of the examples' names, in whole words; its values lists of labels,
            numbers or names.
        examples: the images.
        names: name of each label.

    Raises:
        InputError: the file is no such JSON; a key begins the name of no example, or of several; a name is unknown.

    Example:
        >>> _ = Path("labels.json").write_text('{"sub-01": [17, "Left-Amygdala"]}')
        >>> found = read_annotated(Path("labels.json"), [Path("sub-01_T1w.nii.gz")], {18: "Left-Amygdala"})
        >>> sorted(found[Path("sub-01_T1w.nii.gz")])
        [17, 18]
    """
    check_is_file(path)
    with reading(path), open(path, encoding="utf-8-sig") as stream:
        content = json.loads(stream.read(_MAX_BYTES))
        if not isinstance(content, dict):
            raise InputError('is no JSON object, expected one such as {"sub-01": [17, 53]}')
        numbers = {name: label for label, name in names.items()}
        annotated: dict[Path, set[int]] = {}
        for key, labels in content.items():
            found = [example for example in examples if _words(example.name)[: len(_words(key))] == _words(key)]
            if len(found) != 1:
                what = f"{len(found)} examples" if found else "no example"
                raise InputError(f"{one_line(key)} begins the name of {what}, expected the name of one")
            labels = labels if isinstance(labels, list) else [labels]
            annotated[found[0]] = own = set()
            for label in labels:
                number = numbers.get(label) if isinstance(label, str) else label
                if not isinstance(number, int) or isinstance(number, bool):
                    raise InputError(
                        f"{one_line(key)}: {one_line(label)} is no label, expected a number or a known name"
                    )
                own.add(number)
    return annotated


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", name.casefold()) if word]
