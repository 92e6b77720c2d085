"""`python -m neuralizer_jax`, the same as the `neuralizer` command."""

import sys

from neuralizer_jax.cli.main import main

sys.exit(main())
