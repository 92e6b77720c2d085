"""Names of labels from a table: BIDS `dseg.tsv`, a FreeSurfer colour table, or any lines of a number and a name."""

import re
from pathlib import Path

from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.files.image_formats import check_is_file, reading

_MAX_BYTES = 2**24
# Columns between tabs or commas, whose names may hold spaces, or between spaces.
_LINE = re.compile(r" *(\d{1,9})(?:[\t,] *([^\t,]*[^\t, ])| +(\S+))")


def read_label_names(path: Path) -> dict[int, str]:
    """Reads the name of each label; lines that do not begin with a number are passed over.

    Raises:
        InputError: the file cannot be read, or no line has a number and a name.

    Example:
        >>> _ = Path("dseg.tsv").write_text("index\\tname\\n17\\tLeft-Hippocampus\\n53\\tRight-Hippocampus\\n")
        >>> read_label_names(Path("dseg.tsv"))
        {17: 'Left-Hippocampus', 53: 'Right-Hippocampus'}
    """
    check_is_file(path)
    with reading(path), open(path, encoding="utf-8") as stream:
        lines = [_LINE.match(line) for line in stream.read(_MAX_BYTES).splitlines()]
    names = {int(line[1]): line[2] or line[3] for line in lines if line}
    if not names:
        raise InputError(f"{one_line(path)}: has no label names, expected lines such as 17 Left-Hippocampus")
    return names
