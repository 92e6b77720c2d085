"""Neuralizer-unseen: Neuralizer-seen without the tasks, modalities, datasets or classes that it is tested on later.

    neuralizer train --config experiments/neuralizer_unseen.py:tasks=inpainting --workdir runs/unseen_inpainting
    neuralizer train --config experiments/neuralizer_unseen.py:modalities=FLAIR+T2 --workdir runs/unseen_flair_t2
    neuralizer train --config experiments/neuralizer_unseen.py:classes=freesurfer:17+freesurfer:53 --workdir runs/unseen

Held-out names appear in no episode, neither of training nor of validation. Several names are joined by `+`. Time: as
`neuralizer_seen.py`.
"""

from ml_collections import ConfigDict

from experiments import neuralizer_seen
from neuralizer_jax.cli.experiment_file import run_file
from neuralizer_jax.errors import InputError


def get_config(
    tasks: str = "", modalities: str = "", datasets: str = "", classes: str = "", scale: str = "full"
) -> ConfigDict:
    """The configuration, with the names to hold out. Raises InputError if there are none."""
    held_out = {"tasks": tasks, "modalities": modalities, "datasets": datasets, "classes": classes}
    if not any(held_out.values()):
        raise InputError(f"neuralizer_unseen.py: holds out nothing, expected one of {', '.join(held_out)}")
    config = neuralizer_seen.get_config(scale)
    for kind, names in held_out.items():
        config.data.hold_out[kind] = tuple(name for name in names.split("+") if name)
    return config


if __name__ == "__main__":
    run_file("train", __file__)
