"""Experiment files: a Python file with `get_config()`, and values changed on the command line."""

import ast
import difflib
import importlib.util
from collections.abc import Iterable
from pathlib import Path

from ml_collections import ConfigDict

from neuralizer_jax.errors import InputError

_PREFIX = "--config."


def load_config(path: Path) -> ConfigDict:
    """The configuration of an experiment file, which is Python and is run.

    Raises:
        InputError: where the file is missing or has no `get_config`.
    """
    if not path.is_file():
        raise InputError(f"{path}: does not exist, expected an experiment file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: not a Python file, expected an experiment file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "get_config"):
        raise InputError(f"{path}: has no get_config(), expected one that returns a ConfigDict")
    return module.get_config()


def change_config(config: ConfigDict, arguments: Iterable[str]) -> None:
    """Sets values from arguments `--config.KEY=VALUE`.

    The value is a Python literal: `0.5`, `(0.1, 0.3)`. Text stands as it is; names of a list are separated by commas.

    Raises:
        InputError: for another argument, an unknown key or a value of another type.
    """
    known = _keys(config)
    for argument in arguments:
        key, equals, text = argument.removeprefix(_PREFIX).partition("=")
        if not argument.startswith(_PREFIX) or not equals:
            raise InputError(f"{argument}: unknown, expected {_PREFIX}KEY=VALUE")
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            raise InputError(f"{_PREFIX}{key}: unknown{f', did you mean {_PREFIX}{near[0]}' if near else ''}")
        before = known[key]
        try:
            config.update_from_flattened_dict({key: _value(before, text)})
        except (ValueError, SyntaxError, TypeError) as error:
            kind = type(before).__name__
            raise InputError(f"{_PREFIX}{key}={text}: expected a value of type {kind}, as {before!r}") from error


def _value(before: object, text: str) -> object:
    """The text as a value of the same kind. Raises ValueError, SyntaxError or TypeError where it is none."""
    if isinstance(before, str):
        return text
    if not isinstance(before, tuple):
        return ast.literal_eval(text)
    if all(isinstance(part, str) for part in before) and not text.startswith("("):
        return tuple(name for name in text.split(",") if name)
    value = tuple(ast.literal_eval(text))
    if before and not isinstance(before[0], str) and len(value) != len(before):
        raise ValueError
    return value


def _keys(config: ConfigDict, prefix: str = "") -> dict[str, object]:
    found = {}
    for key, value in config.items():
        found |= _keys(value, f"{prefix}{key}.") if isinstance(value, ConfigDict) else {f"{prefix}{key}": value}
    return found
