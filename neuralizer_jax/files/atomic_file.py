"""Writes a file whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from neuralizer_jax.errors import InputError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yields a temporary path with the same ending, and renames it to `path` when the block succeeds.

    Raises:
        InputError: the folder is missing or the file cannot be written; no file is left behind.

    Example:
        >>> with written_whole(Path("scores.csv")) as temporary:
        ...     _ = temporary.write_text("dice\\n0.9\\n")
        >>> Path("scores.csv").read_text()
        'dice\\n0.9\\n'
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected a file name to write")
    # The last 100 characters: with its prefix, a long name would be too long for the file system.
    temporary = path.with_name(f".{os.getpid()}-{path.name[-100:]}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
