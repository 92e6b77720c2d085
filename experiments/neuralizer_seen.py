"""Neuralizer-seen: trained on all tasks, modalities and datasets (paper, section 4.3).

    neuralizer train --config experiments/neuralizer_seen.py --workdir runs/seen

Needs the seven datasets in `data/` (`neuralizer prepare`); `--data DIR ...` names others. Validates every 2,000 steps
and stops after 25 validations without a lower loss. On a GPU add `--config.model.dtype=bfloat16
--config.data.apply=device`. `neuralizer_seen.py:scale=smoke` trains on phantoms, on a CPU. At `scale=full` it has not
been trained yet: no time and no result are known.
"""

from ml_collections import ConfigDict

from experiments import base
from experiments.common.scales import scaled
from neuralizer_jax.cli.experiment_file import run_file


def get_config(scale: str = "full") -> ConfigDict:
    """The configuration at a scale, one of `common.scales.SCALES`."""
    return scaled(base.get_config(), scale)


if __name__ == "__main__":
    run_file("train", __file__)
