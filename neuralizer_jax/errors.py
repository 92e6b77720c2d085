"""The exception for mistakes that a user can correct in a file, an array or an option."""


class InputError(ValueError):
    """Wrong input. The message is one line: where, what is wrong, and what was expected.

    The command line prints it to stderr and exits with status 2. Library code lets it propagate.

    Example:
        >>> from neuralizer_jax import InputError, load_weights
        >>> try:
        ...     load_weights("missing.safetensors")
        ... except InputError as error:
        ...     print(str(error)[:33])
        missing.safetensors: no such file
    """
