"""Compiled programs kept on disk, so that a second process does not compile what the first one did."""

import os
from pathlib import Path


def use_compilation_cache(folder: str | os.PathLike | None = None) -> None:
    """Keeps compiled programs in a folder. Call it before the first prediction; the command line does.

    Args:
        folder: where; None: what `JAX_COMPILATION_CACHE_DIR` says, else `neuralizer_jax` in the user's cache folder
            (`XDG_CACHE_HOME` or `~/.cache`). Where it cannot be written, nothing is kept.
    """
    import jax

    if folder is None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = jax.config.jax_compilation_cache_dir or cache / "neuralizer_jax"
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # JAX's defaults keep only what took more than a second; a prediction is many smaller programs too.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
