"""What an experiment's file does when it is run itself."""

import sys


def run_file(command: str, path: str) -> None:
    """Runs `neuralizer COMMAND --config PATH` with the command line's options, and exits.

    A first option that begins with `:` is the file's arguments, as in `python experiments/pretrained.py :stage=1`.
    """
    from neuralizer_jax.cli.main import main

    config, options = path, sys.argv[1:]
    if options and options[0].startswith(":"):
        config, options = f"{path}{options[0]}", options[1:]
    sys.exit(main([command, "--config", config, *options]))
