"""The exceptions for mistakes that a user can correct, and for faults of the machine that pass."""

import errno
import os
from pathlib import Path

# What goes wrong with a machine and not with a file: no space, no memory, no handles, a disk that is lost. Not every
# system has all names.
_MACHINE = {
    getattr(errno, name)
    for name in (
        *("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "ENOMEM", "EMFILE", "ENFILE", "EAGAIN", "EINTR", "EBUSY", "ENOLCK"),
        *("EIO", "ESTALE", "ENODEV", "ENXIO", "EREMOTEIO", "ENOTCONN", "ECONNABORTED", "ECONNRESET", "ECONNREFUSED"),
        *("ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ENETRESET", "ESHUTDOWN", "EKEYEXPIRED"),
        *("ENOKEY", "EKEYREVOKED", "EKEYREJECTED", "ECOMM", "EPROTO", "ENOLINK", "ENOBUFS"),
    )
    if hasattr(errno, name)
}


class InputError(ValueError):
    """Wrong input. The message is one line: where, what is wrong, and what was expected.

    The command line prints it to stderr and exits with status 2. Library code lets it propagate.

    Example:
        >>> from neuralizer_jax import InputError, load_weights
        >>> try:
        ...     load_weights("missing.safetensors")
        ... except InputError as error:
        ...     print(str(error)[:33])
        missing.safetensors: no such file
    """


class OutputError(InputError):
    """A file of ours cannot be made or written, as on a full disk. This says nothing about an input."""


def machine_fault(error: BaseException, path: str | Path) -> OSError | None:
    """What the machine is to blame for, as an OSError that names the file; None if the file itself is.

    A full disk, too little memory or a lost connection passes, and then the same file is as good as ever.

    Example:
        >>> machine_fault(OSError(errno.EIO, "Input/output error"), "T1.nii.gz")
        OSError(5, 'Input/output error')
        >>> machine_fault(EOFError("Compressed file ended"), "T1.nii.gz")
    """
    if isinstance(error, MemoryError):
        return OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), str(path))
    if isinstance(error, OSError) and error.errno in _MACHINE:
        return OSError(error.errno, error.strerror, str(path))
    return None


def one_line(text: object) -> str:
    r"""Shows a text, such as the name of a file, in one line: control characters and the like as escapes.

    So a name can neither forge a second message nor command a terminal.

    Example:
        >>> from neuralizer_jax.errors import one_line
        >>> one_line("two\nlines \x1b[31m.png")
        'two lines \\x1b[31m.png'
    """
    joined = " ".join(str(text).splitlines())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in joined)
