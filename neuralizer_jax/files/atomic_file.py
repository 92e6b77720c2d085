"""Writes a file or a folder whole or not at all."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from neuralizer_jax.errors import OutputError

# What `fsync` raises where a file system does not have it.
_NO_FSYNC = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yields a temporary path with the same ending, and renames it to `path` when the block succeeds.

    Under its name the file is whole even if the machine crashes.

    Raises:
        OutputError: the folder is missing or the file cannot be written; no file is left behind.

    Example:
        >>> with written_whole(Path("scores.csv")) as temporary:
        ...     _ = temporary.write_text("dice\\n0.9\\n")
        >>> Path("scores.csv").read_text()
        'dice\\n0.9\\n'
    """
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, expected a file name to write")
    temporary = temporary_beside(path)
    try:
        yield temporary
        _to_disk(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def temporary_beside(path: Path) -> Path:
    """A hidden path in the same folder with the same ending, which no other process has, on another machine either."""
    # The last 50 characters: with its prefix, a long name would be too long for the file system.
    return path.with_name(f".{secrets.token_hex(4)}-{path.name[-50:]}")


def replace_folder(complete: Path, final: Path) -> None:
    """Renames a complete folder to its final name. One that has the name is deleted after it was replaced."""
    replaced = temporary_beside(complete)
    if final.exists():
        final.rename(replaced)
    complete.rename(final)
    shutil.rmtree(replaced, ignore_errors=True)


def _to_disk(path: Path) -> None:
    with open(path, "rb+") as file:  # Windows wants it open for writing
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in _NO_FSYNC:
                raise
