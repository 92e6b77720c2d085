"""The network gives the numbers of the published PyTorch model, from weights in its names and layouts."""

import jax
import numpy as np
import pytest
from golden.golden_weights import CASES, case_expected, case_inputs, case_state_dict, thinned
from safetensors.numpy import load_file, save_file

from neuralizer_jax import UNet, load_weights, predict, save_weights

pytestmark = pytest.mark.optimized

# The largest difference of an output pixel, in standard deviations of the output: the float32 rounding of a network of
# 32 convolutions is 1e-6 to 1e-5; GELU by tanh, or one wrong order of concatenation, is 1e-3 to 1.
TOLERANCE = 1e-4


@pytest.mark.parametrize("name", CASES)
def test_output_equals_the_published_models(name, tmp_path):
    case = CASES[name]
    save_file(case_state_dict(name), tmp_path / "weights.safetensors")
    model, params = load_weights(tmp_path / "weights.safetensors")
    assert (model.stages, model.dim, model.out_channels) == (case.stages, len(case.size), case.out_channels)

    inputs = case_inputs(case)[: 1 if isinstance(model, UNet) else 3]
    output = np.asarray(jax.jit(model.apply)({"params": params}, *inputs))

    expected, mean, std = case_expected(name)
    assert np.abs(thinned(output, case) - expected).max() <= TOLERANCE * std.min()
    np.testing.assert_allclose(output.mean(axis=tuple(range(output.ndim - 1))), mean, atol=TOLERANCE * std.min())


@pytest.mark.parametrize("name", ["small_n5", "unequal_widths", "volume", "three_convs", "unet_unequal_volume"])
def test_weights_survive_both_ways_bit_for_bit(name, tmp_path):
    state = case_state_dict(name)
    save_file(state, tmp_path / "published.safetensors")
    save_weights(tmp_path / "ours.safetensors", *load_weights(tmp_path / "published.safetensors"))
    back = load_file(tmp_path / "ours.safetensors")
    assert back.keys() == state.keys()
    for key, value in state.items():
        assert back[key].dtype == value.dtype
        np.testing.assert_array_equal(back[key], value, strict=True)


def test_predict_is_the_networks_first_output_channel(tmp_path):
    state = case_state_dict("small_n5")
    save_file(state, tmp_path / "weights.safetensors")
    model, params = load_weights(tmp_path / "weights.safetensors")
    target, context_in, context_out = case_inputs(CASES["small_n5"])
    # `predict` takes outputs of one channel and pads the others with zeros, as the published notebook does.
    context_out[..., 1:] = 0
    expected = model.apply({"params": params}, target, context_in, context_out)[0, ..., 0]
    prediction = predict(model, params, target[0], context_in[0], context_out[0, ..., :1], normalize="none")
    np.testing.assert_allclose(prediction.mean, expected, atol=TOLERANCE * np.std(expected))


@pytest.mark.torch
@pytest.mark.parametrize("members", [1, 5])
def test_published_width_and_initialisation_against_pytorch(members, tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_torch
    from torch_twin import NeuralizerTwin

    torch.manual_seed(members)
    twin = NeuralizerTwin()
    save_torch(twin.state_dict(), tmp_path / "weights.safetensors")
    model, params = load_weights(tmp_path / "weights.safetensors")
    rng = np.random.default_rng(members)
    shapes = ((1, 192, 192, 3), (1, members, 192, 192, 3), (1, members, 192, 192, 3))
    target, context_in, context_out = (rng.random(shape, np.float32) for shape in shapes)
    output = jax.jit(model.apply)({"params": params}, target, context_in, context_out)
    with torch.no_grad():
        channels_first = (torch.from_numpy(np.moveaxis(x, -1, -3)) for x in (context_in, context_out, target))
        expected = np.moveaxis(twin(*channels_first).numpy(), 1, -1)
    assert np.abs(output - expected).max() <= TOLERANCE * expected.std(axis=(0, 1, 2)).min()
