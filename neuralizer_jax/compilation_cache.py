"""Keeps compiled programs on disk, so that later processes start faster."""

import os
from pathlib import Path


def use_compilation_cache(folder: str | os.PathLike | None = None) -> None:
    """Keeps compiled programs in a folder. Call it before the first prediction. The command line does so.

    Args:
        folder: folder of the programs; None: `JAX_COMPILATION_CACHE_DIR` if it is set, else `neuralizer_jax` in the
            user's cache folder (`XDG_CACHE_HOME` or `~/.cache`). If it is not writable, nothing is kept.

    Example:
        >>> use_compilation_cache("programs")  # doctest: +SKIP
    """
    import jax

    if folder is None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = jax.config.values["jax_compilation_cache_dir"] or cache / "neuralizer_jax"
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # By default, JAX keeps only programs that took over a second to compile. A prediction has many smaller ones.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
