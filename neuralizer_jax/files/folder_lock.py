"""One process at a time in a folder: a lock that ends with its process, however that ends."""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neuralizer_jax.errors import InputError, OutputError, one_line


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = False) -> Iterator[bool]:
    """Holds the lock of a folder while the block lasts.

    Args:
        path: the lock's file, which stays; made if missing, with its folders.
        shared: others may hold it as well, if they share it too.
        wait: until another process is done, instead of raising.

    Yields:
        Whether there is a lock. Some network disks have none: then a note says so, and the block runs without.

    Raises:
        InputError: another process holds it.
        OutputError: the file cannot be made.

    Example:
        >>> with locked(Path("lock")) as held:
        ...     held
        True
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise OutputError(f"{one_line(path.parent)}: cannot be written ({error.strerror or error})") from error
    with file:
        how, held = fcntl.LOCK_SH if shared else fcntl.LOCK_EX, True
        try:
            fcntl.flock(file, how if wait else how | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{one_line(path.parent)}: another run is using it, expected one at a time") from None
        except OSError as error:
            print(
                f"neuralizer: note: {one_line(path.parent)}: cannot be locked ({error.strerror}), so nothing stops a "
                "second run in it",
                file=sys.stderr,
            )
            held = False
        yield held
