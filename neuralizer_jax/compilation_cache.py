"""Keeps compiled programs on disk, so that later processes start faster."""

import os
import tempfile
import warnings
from pathlib import Path


def user_cache() -> Path:
    """The folder of this package in the user's cache: `XDG_CACHE_HOME` if it is an absolute path, else `~/.cache`.

    Raises:
        RuntimeError: the user has no home.

    Example:
        >>> user_cache().name
        'neuralizer_jax'
    """
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The specification of XDG has relative paths ignored.
    return (given if given.is_absolute() else Path.home() / ".cache") / "neuralizer_jax"


def use_compilation_cache(folder: str | os.PathLike | None = None) -> None:
    """Keeps compiled programs in a folder. Call it before the first prediction. The command line does so.

    Args:
        folder: folder of the programs; None: `JAX_COMPILATION_CACHE_DIR` if it is set, else `neuralizer_jax` in the
            user's cache folder (`XDG_CACHE_HOME` or `~/.cache`). If it is not writable, or there is no home, nothing is
            kept. A program that cannot be read, because another process is still writing it or was stopped while it
            wrote, is compiled again without a warning.

    Example:
        >>> use_compilation_cache("programs")  # doctest: +SKIP
    """
    import jax

    try:
        if folder is None:
            folder = jax.config.values["jax_compilation_cache_dir"] or user_cache()
        os.makedirs(folder, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, RuntimeError):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # By default, JAX keeps only programs that took over a second to compile. A prediction has many smaller ones.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # JAX does not write programs to a temporary name first.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache entry")
