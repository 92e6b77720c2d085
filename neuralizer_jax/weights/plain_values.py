"""Turns values read by `inert_pickle` into plain Python values: the hyper-parameters of a checkpoint.

The value of "hyper_parameters" may hold objects of any class. An object with entries becomes a dictionary, a path a
string, and a NumPy number a number. Entries without a plain form are left out.
"""

import re
from pathlib import PurePosixPath, PureWindowsPath

import numpy as np

from neuralizer_jax.weights.inert_pickle import Made, Refused

MAX_VALUES = 100_000
MAX_DEPTH = 32
MAX_PATH = 4096  # characters

ORDERED_DICT, DEFAULT_DICT = "collections.OrderedDict", "collections.defaultdict"
SEQUENCES = {"builtins.set": set, "builtins.frozenset": frozenset, "torch.Size": tuple}
PATHS = {
    f"{module}.{name}": PureWindowsPath if "Windows" in name else PurePosixPath
    for module in ("pathlib", "pathlib._local")  # Python 3.13 moved them
    for name in ("Path", "PurePath", "PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath")
}
SCALARS = {"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"}  # NumPy 1 and 2
NUMBER_PARTS = {"numpy.dtype", "_codecs.encode"}
HOLDERS = {ORDERED_DICT, DEFAULT_DICT, "argparse.Namespace"}
PLAIN = {*HOLDERS, *SEQUENCES, *PATHS, *SCALARS, *NUMBER_PARTS}


class _NotPlain(ValueError):
    """The value has no plain form."""


def entries_of(value) -> dict | None:
    """Entries of a dictionary, or items and attributes of an object; None for other values."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, Made) or value.elements or (value.called and value.origin not in HOLDERS):
        return None
    if value.args and value.origin != DEFAULT_DICT:  # only its class knows what they mean
        return None
    if value.origin == ORDERED_DICT:  # its attributes, `_metadata` of a state dict, are not entries
        return value.items
    if not isinstance(value.state, dict | None):
        return None
    return {**(value.state or {}), **value.items}


def plain_dictionary(value) -> dict[str, object]:
    """Plain entries of a value by name; empty if it is not a dictionary or similar.

    Raises:
        Refused: more than `MAX_VALUES` values. A small pickle can describe them by repeating references.
    """
    budget = iter(range(MAX_VALUES))
    plain = _plain_entries(entries_of(value) or {}, budget, MAX_DEPTH)
    return {name: entry for name, entry in plain.items() if isinstance(name, str)}


def _plain(value, budget, depth):
    if next(budget, None) is None:
        raise Refused(f"hyper-parameters of more than {MAX_VALUES:,} values")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if depth == 0:
        raise _NotPlain
    if isinstance(value, list | tuple):
        return type(value)(_plain(entry, budget, depth - 1) for entry in value)
    entries = entries_of(value)
    if entries is not None:
        return _plain_entries(entries, budget, depth)
    if isinstance(value, Made):
        try:
            return _plain_object(value, budget, depth)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            if isinstance(error, Refused):
                raise
    raise _NotPlain


def _plain_entries(entries, budget, depth):
    plain = {}
    for name, entry in entries.items():
        try:
            plain[name] = _plain(entry, budget, depth - 1)
        except _NotPlain:
            continue
    return plain


def _plain_object(made, budget, depth):
    if made.origin in SEQUENCES:
        return SEQUENCES[made.origin](_plain(made.args[0], budget, depth - 1))
    if made.origin in PATHS and sum(map(len, made.args)) <= MAX_PATH:
        return str(PATHS[made.origin](*made.args))
    if made.origin in SCALARS:
        return _number(*made.args)
    raise _NotPlain


def _number(dtype, content):
    """A NumPy number from its `numpy.dtype` ("f8", ...), with the byte order in the state, and its bytes."""
    kind, order = dtype.args[0], dtype.state[1]
    if not re.fullmatch("[fiub][1248]", kind) or order not in ("<", ">", "|"):
        raise _NotPlain
    if isinstance(content, Made):  # protocol 2 has no bytes and writes text to be encoded
        content = content.args[0][:16].encode("latin-1")
    return np.frombuffer(content, np.dtype(order + kind), 1).item()
