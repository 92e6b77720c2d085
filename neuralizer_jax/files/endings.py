"""Which files are volumes, by the ends of their names. Imports nothing heavy: `neuralizer --help` needs it."""

from pathlib import Path

ENDINGS = (".nii.gz", ".nii", ".mgz", ".mgh")


def volume_ending(path: Path) -> str:
    """Returns which of `ENDINGS` a file name has, in any case; empty if it has none.

    >>> volume_ending(Path("sub-01/T1.NII.GZ"))
    '.nii.gz'
    """
    return next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), "")
