"""One process at a time in a folder: a lock that ends with its process, however that ends."""

import errno
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from neuralizer_jax.errors import InputError, OutputError, one_line

# A byte behind the end of any file.
_FAR = 2**40


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
        held = True
        try:
            lock_file(file, shared=shared, wait=wait)
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


def lock_file(file: IO, *, shared: bool = False, wait: bool = False) -> None:
    """Locks an open file until it is closed, however its process ends.

    Args:
        file: to lock, open for writing.
        shared: others may hold the lock as well, if they share it too. Windows has no such locks: nothing is locked.
        wait: until another process is done, instead of raising.

    Raises:
        BlockingIOError: another process holds the lock.
        OSError: the disk has no locks.

    Example:
        >>> with open("table.csv", "a") as file:
        ...     lock_file(file)
    """
    if sys.platform == "win32":
        import msvcrt

        if shared:
            return
        file.seek(_FAR)  # what is locked cannot be read by others
        while True:
            try:
                return msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EDEADLK):
                    raise
                if not wait:
                    raise BlockingIOError from None
            time.sleep(0.1)
    import fcntl

    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    fcntl.flock(file, how if wait else how | fcntl.LOCK_NB)
