"""Experiment files: Python files with `get_config()` or `get_steps()`, and values changed on the command line."""

import ast
import difflib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_collections import ConfigDict

from neuralizer_jax.errors import InputError

if TYPE_CHECKING:
    from neuralizer_jax.experiment_commands import Step

_PREFIX = "--config."


def load_config(experiment: str | Path) -> ConfigDict:
    """The configuration of an experiment file, which is Python and is run.

    Args:
        experiment: the file, or `FILE:NAME=VALUE,...` with arguments of its `get_config`.

    Raises:
        InputError: where the file is missing or has no `get_config`, or an argument is wrong.
    """
    return _call(experiment, "get_config", "a ConfigDict")


def load_steps(experiment: str | Path, out: Path, data: Path) -> "list[Step]":
    """The commands of a whole experiment, of a file that is run too.

    Args:
        experiment: as in `load_config`, of its `get_steps(out, data, NAME=...)`.
        out: folder of the experiment.
        data: folder of prepared datasets.

    Raises:
        InputError: as `load_config`.
    """
    return _call(experiment, "get_steps", "a list of steps", out, data)


def _call(experiment: str | Path, function: str, returns: str, *given: object) -> Any:
    name, suffix, text = str(experiment).partition(".py:")
    path = Path(f"{name}.py" if suffix else experiment)
    if not path.is_file():
        raise InputError(f"{path}: does not exist, expected an experiment file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: not a Python file, expected an experiment file")
    module = importlib.util.module_from_spec(spec)
    with _importing_from(path.parent.resolve()):
        spec.loader.exec_module(module)
        called = getattr(module, function, None)
        if called is None:
            raise InputError(f"{path}: has no {function}(), expected one that returns {returns}")
        return called(*given, **_arguments(path, called, text, len(given)))


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Lets an experiment file import those beside it, by their bare names, which are forgotten afterwards."""
    known = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - known:
            if Path(getattr(sys.modules[name], "__file__", None) or "").parent == folder:
                del sys.modules[name]


def _arguments(path: Path, called: Callable, text: str, given: int) -> dict[str, object]:
    """Arguments `NAME=VALUE,...` as values of the types of the defaults: text, or a number; not those given."""
    parameters = list(inspect.signature(called).parameters.items())[given:]
    defaults = {name: parameter.default for name, parameter in parameters}
    values = {}
    for part in text.split(",") if text else ():
        name, equals, value = part.partition("=")
        if name not in defaults or not equals:
            expected = ", ".join(f"{name}=..." for name in defaults) or "none"
            raise InputError(f"{path}: argument {part!r} is unknown, expected {expected}")
        try:
            values[name] = type(defaults[name])(value)
        except ValueError:
            kind = type(defaults[name]).__name__
            raise InputError(f"{path}: argument {part!r}, expected a value of type {kind}") from None
    return values


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
