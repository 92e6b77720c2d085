"""Neuralizer-seen: trained on all tasks, modalities and datasets (paper, section 4.3).

    neuralizer train --config experiments/neuralizer_seen.py --workdir runs/seen

needs the seven datasets in `data/` (`neuralizer prepare`); `--data DIR ...` names others. Validation runs every 2,000
steps and ends the training after 25 rounds without a lower loss. `--config.model.dtype=bfloat16` and
`--config.data.apply=device` are for a GPU; `neuralizer_seen.py:scale=smoke` is for a CPU and phantoms.
"""

import base
import scales
from ml_collections import ConfigDict


def get_config(scale: str = "full") -> ConfigDict:
    """The configuration, of one of `scales.SCALES`."""
    return scales.scaled(base.get_config(), scale)


if __name__ == "__main__":
    base.run_experiment(__file__)
