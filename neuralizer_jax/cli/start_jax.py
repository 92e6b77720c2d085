"""Starts JAX for a command: settings that results depend on, the devices, the cache of compiled programs."""

import os
import sys

from neuralizer_jax.errors import InputError

# Settings of JAX that would give other results for the same command, or that training does not work with.
_FIXED = {
    "jax_enable_x64": False,
    "jax_default_prng_impl": "threefry2x32",
    "jax_threefry_partitionable": True,
    "jax_random_seed_offset": 0,
    "jax_numpy_rank_promotion": "allow",
    "jax_numpy_dtype_promotion": "standard",
}


_PLATFORM = ("JAX_PLATFORMS", "JAX_PLATFORM_NAME")


def start_jax() -> None:
    """Sets JAX up. Every command that computes calls it before the first array.

    A setting of the environment that would change results is set back, with a note on stderr.

    Raises:
        InputError: JAX finds none of the devices that the environment asks for.
    """
    import jax

    from neuralizer_jax.compilation_cache import use_compilation_cache

    for name, value in _FIXED.items():
        if jax.config.values[name] != value:
            print(f"neuralizer: note: {name.upper()} is ignored: results would depend on it", file=sys.stderr)
            jax.config.update(name, value)
    try:
        jax.devices()
    except Exception as error:  # of several kinds, AssertionError among them
        asked = [f"{name}={os.environ[name]}" for name in _PLATFORM if name in os.environ]
        if not asked:
            raise
        reason = " ".join(str(error).split()) or "its plugin is not installed"
        raise InputError(
            f"{' '.join(asked)}: this machine has no such device ({reason}), expected cpu, or the variable unset"
        ) from None
    use_compilation_cache()
