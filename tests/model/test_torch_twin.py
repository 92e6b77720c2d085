"""The PyTorch twin: the published names and sizes, and the numbers that the golden file stores."""

import json

import numpy as np
import pytest
from golden.golden_weights import CASES, FOLDER, case_expected, case_state_dict, thinned

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from golden.make_golden import build, forward  # noqa: E402  (they import torch)
from torch_twin import NeuralizerTwin, UNetTwin  # noqa: E402


def published_shapes(c=64):
    """Names and shapes of the published weights, written out from their description."""
    kernels = {"target_embedding": (c, 3, 1, 1), "context_embedding.module": (c, 6, 1, 1)}
    for block in [f"enc_blocks.{i}" for i in range(4)] + [f"dec_blocks.{i}" for i in range(3)]:
        for layer in (0, 2):
            kernels[f"{block}.context_conv.module.layers.{layer}"] = (c, c, 3, 3)
            kernels[f"{block}.target_conv.layers.{layer}"] = (c, c, 3, 3)
        kernels[f"{block}.combine_conv_target.module"] = (c, 2 * c, 1, 1)
        kernels[f"{block}.combine_conv_context.module"] = (c, 2 * c, 1, 1)
    for i in range(3):
        kernels[f"upsample_blocks.{i}.context_conv_layer.module"] = (c, 2 * c, 1, 1)
        kernels[f"upsample_blocks.{i}.target_conv_layer"] = (c, 2 * c, 1, 1)
    for layer in (0, 2):
        kernels[f"output_block.block.0.layers.{layer}"] = (c, c, 3, 3)
    kernels["output_block.block.1"] = (3, c, 1, 1)
    weights = {f"{name}.weight": shape for name, shape in kernels.items()}
    return weights | {f"{name}.bias": shape[:1] for name, shape in kernels.items()}


def shapes_of(module):
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def test_published_names_and_shapes():
    twin = NeuralizerTwin()
    assert shapes_of(twin) == published_shapes()
    assert len(twin.state_dict()) == 106
    assert sum(tensor.numel() for tensor in twin.state_dict().values()) == 1_273_859


@pytest.mark.parametrize(("channels", "count"), [(64, 616_067), (256, 9_837_059)])
def test_published_baseline_sizes(channels, count):
    with torch.device("meta"):
        twin = UNetTwin(inner_channels=channels)
    assert sum(tensor.numel() for tensor in twin.state_dict().values()) == count


def test_names_where_widths_differ():
    names = shapes_of(NeuralizerTwin(stages=3, inner_channels=[4, 6, 6]))
    learned = {name: shape for name, shape in names.items() if "linear_layer" in name}
    assert learned == {
        "downsample_blocks.0.context_linear_layer.module.weight": (6, 4, 4, 4),
        "downsample_blocks.0.context_linear_layer.module.bias": (6,),
        "downsample_blocks.0.target_linear_layer.weight": (6, 4, 4, 4),
        "downsample_blocks.0.target_linear_layer.bias": (6,),
    }
    assert names["upsample_blocks.1.target_conv_layer.weight"] == (4, 10, 1, 1)


# The published size on 5 and 32 members takes minutes; what differs from one member is covered by the small cases.
@pytest.mark.parametrize("name", [name for name in CASES if name not in ("published_n5", "published_n32")])
def test_twin_gives_the_golden_numbers(name):
    case = CASES[name]
    twin, shapes = build(case)
    with np.load(FOLDER / "forward.npz") as stored:
        assert json.loads(str(stored[f"{name}/shapes"])) == {key: list(shape) for key, shape in shapes.items()}
    assert case_state_dict(name).keys() == shapes.keys()
    output = forward(twin, case)
    expected, mean, deviation = case_expected(name)
    pixels = output.reshape(-1, case.out_channels)
    np.testing.assert_allclose(thinned(output, case), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(pixels.mean(axis=0), mean, rtol=0, atol=1e-9)
    np.testing.assert_allclose(pixels.std(axis=0), deviation, rtol=0, atol=1e-9)
