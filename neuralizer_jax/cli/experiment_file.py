"""`python experiments/NAME.py [:ARGUMENTS] OPTIONS`, the same as `neuralizer COMMAND --config experiments/NAME.py`."""

import sys

from neuralizer_jax.cli.main import main


def run_file(command: str, path: str) -> None:
    """Runs `neuralizer COMMAND --config PATH` with the options of this process, and exits.

    A first option that begins with `:` holds the file's arguments: `python experiments/baseline_unet.py :subjects=8`.
    """
    config, options = path, sys.argv[1:]
    if options and options[0].startswith(":"):
        config, options = f"{path}{options[0]}", options[1:]
    sys.exit(main([command, "--config", config, *options]))
