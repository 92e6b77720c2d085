"""Checks of the options of `predict`, which the command line runs before it reads a file or imports JAX."""

from collections.abc import Collection

from neuralizer_jax.errors import InputError
from neuralizer_jax.intensity import NORMALIZATIONS

TASKS = ("image", "segmentation")


def check_options(
    *,
    task: str,
    normalize: str,
    bootstrap: int,
    bootstrap_size: int | None,
    augment: bool,
    seed: int,
    context_chunk: int | None,
    label_values: Collection[int] | None,
) -> None:
    """Checks options of `predict`, each by itself and together.

    Raises:
        InputError: naming the argument.

    Example:
        >>> check_options(task="image", normalize="auto", bootstrap=0, bootstrap_size=8, augment=False, seed=0,
        ...               context_chunk=None, label_values=None)
        Traceback (most recent call last):
        neuralizer_jax.errors.InputError: bootstrap_size: needs bootstrap, expected a number of context sets to resample
    """
    if task not in TASKS:
        raise InputError(f"task: is {task!r}, expected {' or '.join(TASKS)}")
    if normalize not in NORMALIZATIONS:
        raise InputError(f"normalize: is {normalize!r}, expected {', '.join(NORMALIZATIONS)}")
    if label_values is not None and task != "segmentation":
        raise InputError("label_values: apply to a segmentation only, expected task segmentation")
    if label_values is not None and not len(label_values):
        raise InputError("label_values: is empty, expected at least one label")
    if bootstrap < 0:
        raise InputError(f"bootstrap: is {bootstrap}, expected the number of context sets to resample, 0 for none")
    if bootstrap_size is not None and bootstrap_size < 1:
        raise InputError(f"bootstrap_size: is {bootstrap_size}, expected at least 1 pair")
    for name, given in (("augment", augment), ("bootstrap_size", bootstrap_size is not None)):
        if given and not bootstrap:
            raise InputError(f"{name}: needs bootstrap, expected a number of context sets to resample")
    if context_chunk is not None and context_chunk < 1:
        raise InputError(f"context_chunk: is {context_chunk}, expected at least 1 pair")
    if seed < 0:
        raise InputError(f"seed: is {seed}, expected 0 or more")


def chosen_labels(present: Collection[int], label_values: Collection[int] | None) -> tuple[int, ...]:
    """Returns the labels to segment in ascending order: `label_values`, or all that are present.

    Args:
        present: the labels in the context outputs, without the background 0.
        label_values: the labels that are wanted; None: all.

    Raises:
        InputError: no label is present, or a wanted one is not.

    Example:
        >>> chosen_labels({47, 3, 48}, [48, 47])
        (47, 48)
    """
    if not present:
        raise InputError("the context outputs are 0 everywhere, expected at least one labelled pixel")
    if absent := sorted(set(label_values or ()) - set(present)):
        some = ", ".join(map(str, sorted(present)[:10])) + (", ..." if len(present) > 10 else "")
        raise InputError(f"label_values: {absent[0]} occurs in no context output, expected some of {some}")
    return tuple(sorted(present if label_values is None else set(label_values)))
