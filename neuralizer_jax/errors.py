"""The one exception for what a user can put right: a file, an array or an option that is not as it has to be."""


class InputError(ValueError):
    """Wrong input. The message is one line: what is wrong, with what, and what was expected.

    The command line prints it to stderr and exits with status 2; library code lets it rise.
    """
