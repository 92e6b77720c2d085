"""Experiment files: Python files with `get_config()` or `get_commands()`, and values changed on the command line."""

import ast
import difflib
import importlib.util
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_collections import ConfigDict

from neuralizer_jax.errors import InputError

if TYPE_CHECKING:
    from neuralizer_jax.experiment_commands import Command

_PREFIX = "--config."

# Keys that had another name in earlier versions.
RENAMED = {"train.average": "train.ema_decay", "train.start": "train.init_from"}


def load_config(experiment: str | Path) -> ConfigDict:
    """The configuration of an experiment file. The file is Python and is executed.

    Args:
        experiment: path of the file or name of an installed experiment, with arguments of its `get_config`:
            `mine.py`, `experiments/baseline_unet.py:task=denoising,subjects=8`, `neuralizer_seen:scale=smoke`.

    Raises:
        InputError: the file is missing or has no `get_config`, or an argument is wrong.

    Example:
        >>> config = load_config("baseline_unet:task=denoising,subjects=8")
        >>> config.model.architecture, config.data.subjects.number
        ('unet', 8)
    """
    return _call(experiment, "get_config", "a ConfigDict")


def load_commands(experiment: str | Path, out: Path, data: Path) -> "list[Command]":
    """The commands of a whole experiment, from its file.

    Args:
        experiment: as for `load_config`, with arguments of its `get_commands(out, data, NAME=...)`.
        out: folder of the experiment.
        data: folder of prepared datasets.

    Raises:
        InputError: as `load_config`.

    Example:
        >>> commands = load_commands("experiment2:scale=smoke", Path("results"), Path("data"))
        >>> [command.arguments[0] for command in commands]
        ['prepare', 'train', 'evaluate', 'report']
    """
    return _call(experiment, "get_commands", "a list of commands", out, data)


def change_config(config: ConfigDict, arguments: Iterable[str]) -> None:
    """Sets values from arguments `--config.KEY=VALUE`.

    A value is a Python literal: `0.5`, `(0.1, 0.3)`. Text needs no quotes; names of a list are separated by commas.

    Raises:
        InputError: another kind of argument, an unknown key or a value of another type.

    Example:
        >>> config = load_config("smoke")
        >>> change_config(config, ["--config.train.steps=100", "--config.data.only.tasks=denoising,inpainting"])
        >>> config.train.steps, config.data.only.tasks
        (100, ('denoising', 'inpainting'))
    """
    from flax.traverse_util import flatten_dict

    known = flatten_dict(config.to_dict(), sep=".")
    for argument in arguments:
        key, equals, text = argument.removeprefix(_PREFIX).partition("=")
        if not argument.startswith(_PREFIX) or not equals:
            raise InputError(f"{argument}: unknown, expected {_PREFIX}KEY=VALUE")
        if key not in known:
            near = [RENAMED[key]] if key in RENAMED else difflib.get_close_matches(key, known, 1)
            raise InputError(f"{_PREFIX}{key}: unknown{f', did you mean {_PREFIX}{near[0]}' if near else ''}")
        before = known[key]
        try:
            config.update_from_flattened_dict({key: _value(before, text)})
        except (ValueError, SyntaxError, TypeError) as error:
            kind = type(before).__name__
            raise InputError(f"{_PREFIX}{key}={text}: expected a value of type {kind}, as {before!r}") from error


def _call(experiment: str | Path, function: str, returns: str, *given: object) -> Any:
    path, arguments = _find(str(experiment))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: not a Python file, expected an experiment file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    called = getattr(module, function, None)
    if called is None:
        raise InputError(f"{path}: has no {function}(), expected one that returns {returns}")
    return called(*given, **_arguments(path, called, arguments, len(given)))


def _find(experiment: str) -> tuple[Path, str]:
    """The file and the arguments of `FILE[:ARGUMENTS]` or `NAME[:ARGUMENTS]`, NAME being an installed experiment."""
    file, suffix, arguments = experiment.partition(".py:")
    path = Path(f"{file}.py" if suffix else experiment)
    if path.is_file():
        return path, arguments
    name, _, arguments = experiment.partition(":")
    spec = importlib.util.find_spec("experiments")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    installed = {path.stem: path for folder in folders for path in sorted(Path(folder).glob("[!_]*.py"))}
    if name not in installed:
        names = ", ".join(installed) or "none is installed"
        raise InputError(f"{path}: does not exist, expected an experiment file or one of the experiments {names}")
    return installed[name], arguments


def _arguments(path: Path, called: Callable, text: str, given: int) -> dict[str, object]:
    """Arguments `NAME=VALUE,...`, converted to the types of the defaults; the first `given` parameters are skipped."""
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


def _value(before: object, text: str) -> object:
    """Parses a value of the same kind as `before`. Raises ValueError, SyntaxError or TypeError."""
    if isinstance(before, str):
        return text
    if not isinstance(before, tuple):
        return ast.literal_eval(text)
    if all(isinstance(part, str) for part in before) and not text.startswith("("):
        return tuple(name for name in text.split(",") if name)
    value = tuple(ast.literal_eval(text))
    if before and isinstance(before[0], int | float) and len(value) != len(before):
        raise ValueError
    return value
