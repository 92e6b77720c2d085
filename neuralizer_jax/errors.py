"""The exception for mistakes that a user can correct, and the one line that says what they are."""


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


def one_line(text: object) -> str:
    r"""Shows a text, such as the name of a file, in one line: control characters and the like as escapes.

    So a name can neither forge a second message nor command a terminal.

    Example:
        >>> from neuralizer_jax.errors import one_line
        >>> one_line("two\nlines \x1b[31m.png")
        'two lines \\x1b[31m.png'
    """
    joined = " ".join(str(text).splitlines())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in joined)
