"""A head in any storage gives the same label map on its own voxels."""

import jax
from miniature_head import head_affine, head_image, head_segmentation

from neuralizer_jax import Example, Scan, predict_volume
from neuralizer_jax.model import Neuralizer
from neuralizer_jax.weights import init_params

MODEL = Neuralizer(features=4, stages=2)
PARAMS = init_params(MODEL, jax.random.key(0))


def scan(seed=0, name="scan"):
    return Scan(head_image(skull_stripped=True, seed=seed), head_affine(), name)


def test_runs():
    examples = [Example(scan(seed, f"example {seed}"), head_segmentation()) for seed in (1, 2)]
    stages = []
    found = predict_volume(
        MODEL,
        PARAMS,
        scan(),
        examples,
        label_values=[17, 53],
        aligned=True,
        on_progress=lambda *step: stages.append(step),
    )
    assert found.labels.shape == scan().values.shape
    assert found.probability(17).shape == found.labels.shape
