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
        >>> check_options(task="image", normalize="percentile", bootstrap=0, bootstrap_size=8, augment=False, seed=0,
        ...               context_chunk=None, label_values=None)
        Traceback (most recent call last):
        neuralizer_jax.errors.InputError: bootstrap_size: needs bootstrap, expected a number of context sets to resample
    """
    chosen, size, chunk = label_values, bootstrap_size, context_chunk
    needs_bootstrap = "needs bootstrap, expected a number of context sets to resample"
    for name, valid, message in (
        ("task", task in TASKS, f"is {task!r}, expected {' or '.join(TASKS)}"),
        ("normalize", normalize in NORMALIZATIONS, f"is {normalize!r}, expected {', '.join(NORMALIZATIONS)}"),
        ("label_values", chosen is None or task == "segmentation", "needs a segmentation, expected task segmentation"),
        ("label_values", chosen is None or len(chosen) > 0, "is empty, expected at least one label"),
        ("bootstrap", bootstrap >= 0, f"is {bootstrap}, expected the number of context sets to resample, 0 for none"),
        ("bootstrap_size", size is None or size >= 1, f"is {size}, expected at least 1 pair"),
        ("bootstrap_size", size is None or bootstrap > 0, needs_bootstrap),
        ("augment", not augment or bootstrap > 0, needs_bootstrap),
        ("context_chunk", chunk is None or chunk >= 1, f"is {chunk}, expected at least 1 pair"),
        ("seed", seed >= 0, f"is {seed}, expected 0 or more"),
    ):
        if not valid:
            raise InputError(f"{name}: {message}")


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
