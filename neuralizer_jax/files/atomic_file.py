"""Files that are written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from neuralizer_jax.errors import InputError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives a temporary path in the same folder, with the same ending; renames it to `path` when the block succeeds.

    Raises:
        InputError: where the folder is missing or the file cannot be written; nothing is left behind then.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected a file name to write")
    # The end of the name keeps the suffix; a long name has no room for a prefix.
    temporary = path.with_name(f".{os.getpid()}-{path.name[-100:]}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
