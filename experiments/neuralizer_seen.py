"""Neuralizer-seen: trained on all tasks, modalities and datasets (paper, section 4.3).

    neuralizer train --config experiments/neuralizer_seen.py --workdir runs/seen

needs the seven datasets in `data/` (`neuralizer prepare`); `--data DIR ...` names others. Validation runs every 2,000
steps and ends the training after 25 rounds without a lower loss. `--config.model.dtype=bfloat16` and
`--config.data.apply=device` are for a GPU.
"""

import base
from ml_collections import ConfigDict

DATASETS = ("oasis3", "brats2021", "ixi", "atlas2", "hammers", "isles2022", "wmh2017")


def get_config() -> ConfigDict:
    """The configuration."""
    config = base.get_config()
    config.data.datasets = tuple(f"data/{name}" for name in DATASETS)
    return config


if __name__ == "__main__":
    base.run_experiment(__file__)
