"""Episodes of a seed stay what they were: numbers that version 0.1.0 made."""

import json
from pathlib import Path

import numpy as np
import pytest
from fake_collection import SIZE, fake_collection

from input_pipeline.episodes.batches import EpisodeStream
from input_pipeline.episodes.config import default_config

# For each step: tasks, context size, and for each image set of an episode its mean, standard deviation and one value.
GOLDEN = json.loads((Path(__file__).parents[1] / "golden/episodes.json").read_text())


@pytest.fixture(scope="module")
def stream():
    config = default_config()
    config.datasets = ("heads", "regions", "lesions")
    config.classes.min_pixels = 12
    config.size = SIZE
    config.batch_size = 4
    config.context.max = 5
    for augmentation in config.task_augmentations.values():
        augmentation.probability = 0.4
    return EpisodeStream(config, fake_collection(config.datasets))


@pytest.mark.parametrize("step", GOLDEN)
def test_episodes_are_those_of_the_first_version(stream, step):
    episodes, golden = stream.episodes(int(step)), GOLDEN[step]
    assert episodes["task"].tolist() == golden["task"]
    assert set(episodes["context_mask"].sum(1)) == {golden["members"]}
    for name in ("target_in", "target_out", "context_in", "context_out"):
        found = [(x.mean(), x.std(), x.reshape(-1)[x.size // 3]) for x in episodes[name]]
        np.testing.assert_allclose(found, golden[name], atol=1e-4, err_msg=name)
