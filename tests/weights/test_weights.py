"""Weights files: what is read, what is written, and what is refused."""

import json
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from conftest import draw_params
from flax.traverse_util import flatten_dict
from golden.golden_weights import CASES, case_expected, case_inputs, case_state_dict
from safetensors.numpy import load_file, save_file

from neuralizer_jax import InputError, Neuralizer, UNet, load_weights, save_weights
from neuralizer_jax.model import MemberMean
from neuralizer_jax.weights import architecture, read_weights
from neuralizer_jax.weights.checkpoint_format import item_handlers, pack

GOLDEN = Path(__file__).parents[1] / "golden"
SMALL = Neuralizer(features=4, stages=2)


class OwnMean(MemberMean):
    """An aggregation of the user's."""


@pytest.fixture(scope="module")
def small_params():
    return draw_params(SMALL)


def assert_same(a, b):
    a, b = flatten_dict(a), flatten_dict(b)
    assert a.keys() == b.keys()
    for key, value in a.items():
        np.testing.assert_array_equal(value, b[key], strict=True)


class TestPyTorchCheckpoints:
    def test_published_layout_gives_the_published_numbers(self):
        model, params = load_weights(GOLDEN / "lightning.ckpt")
        assert model == Neuralizer(features=8, stages=4, out_channels=3)
        expected, _, std = case_expected("small_n1")
        output = jax.jit(model.apply)({"params": params}, *case_inputs(CASES["small_n1"]))
        assert np.abs(output - expected).max() <= 1e-4 * std.min()

    def test_what_is_not_the_models_is_listed(self):
        assert "losses.0.dummy_param" in read_weights(GOLDEN / "lightning.ckpt").ignored

    @pytest.mark.parametrize("name", ["lightning_namespace.ckpt", "lightning_attributedict.ckpt"])
    def test_hyper_parameters_in_other_holders(self, name):
        model, params = load_weights(GOLDEN / name)
        case = CASES["tiny"]
        assert model == Neuralizer(features=case.inner_channels[0], stages=case.stages, out_channels=3)
        expected = case_state_dict("tiny")["target_embedding.weight"][:, :, 0, 0].T
        np.testing.assert_array_equal(params["target_embedding"]["kernel"], expected)

    @pytest.mark.parametrize(("name", "precision"), [("double.pt", 1e-7), ("half.pt", 1e-3), ("bfloat16.pt", 1e-2)])
    def test_other_precisions(self, name, precision):
        _, params = load_weights(GOLDEN / name)
        expected = case_state_dict("tiny")["target_embedding.weight"][:, :, 0, 0].T
        kernel = params["target_embedding"]["kernel"]
        assert kernel.dtype == np.float32
        np.testing.assert_allclose(kernel, expected, rtol=precision)

    def test_converted_file_holds_the_checkpoints_bits(self, tmp_path):
        from neuralizer_jax.weights.torch_checkpoint import read_torch_checkpoint

        save_weights(tmp_path / "w.safetensors", *load_weights(GOLDEN / "lightning.ckpt"))
        original = read_torch_checkpoint(GOLDEN / "lightning.ckpt").state_dict
        written = load_file(tmp_path / "w.safetensors")
        assert len(written) == 106
        for name, value in written.items():
            np.testing.assert_array_equal(value, original[f"net.{name}"], strict=True)


class TestReleaseFiles:
    @pytest.mark.parametrize(
        "model",
        [
            SMALL,
            Neuralizer(features=(2, 3), stages=2, dim=3, convs=1, segmentation_sigmoid=True),
            UNet(features=(2, 3), stages=2),
        ],
    )
    def test_round_trip(self, model, tmp_path):
        params = draw_params(model)
        save_weights(tmp_path / "w.safetensors", model, params)
        loaded, loaded_params = load_weights(tmp_path / "w.safetensors")
        assert loaded == model
        assert_same(loaded_params, params)

    def test_same_weights_give_the_same_bytes(self, small_params, tmp_path):
        for name in "ab":
            save_weights(tmp_path / f"{name}.safetensors", SMALL, small_params)
        assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()

    def test_an_existing_file_survives_a_failed_save(self, small_params, tmp_path):
        path = tmp_path / "w.safetensors"
        path.write_bytes(b"precious")
        broken = {**small_params, "target_embedding": {}}
        with pytest.raises(InputError, match="parameter target_embedding"):
            save_weights(path, SMALL, broken)
        assert path.read_bytes() == b"precious"
        assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]

    def test_own_aggregation_is_saved_and_loaded_with_the_model_at_hand(self, small_params, tmp_path):
        model = SMALL.clone(aggregation=OwnMean)
        save_weights(tmp_path / "w.safetensors", model, small_params)
        with pytest.raises(InputError, match=r"made with aggregation 'OwnMean'.*model=Neuralizer"):
            load_weights(tmp_path / "w.safetensors")
        loaded, params = load_weights(tmp_path / "w.safetensors", model=model)
        assert loaded is model
        assert_same(params, small_params)

    def test_prefix_of_the_lightning_module_is_taken_off(self, small_params, tmp_path):
        save_weights(tmp_path / "w.safetensors", SMALL, small_params)
        tensors = {f"net.{key}": value for key, value in load_file(tmp_path / "w.safetensors").items()}
        save_file(tensors | {"loss.dummy_param": np.zeros(0, np.float32)}, tmp_path / "p.safetensors")
        weights = read_weights(tmp_path / "p.safetensors")
        assert weights.model == SMALL
        assert weights.ignored == ("loss.dummy_param",)
        assert_same(weights.params, small_params)


class TestTrainingCheckpoints:
    def save(self, folder, params, config, steps=(3, 20)):
        with ocp.CheckpointManager(folder.absolute(), item_handlers=item_handlers()) as manager:
            for step in steps:
                state = {"params": jax.tree.map(lambda x, s=step: x + s, params), "step": np.int32(step)}
                manager.save(step, args=pack(step, state, {"model": config}, None))

    def test_newest_step_or_the_one_that_is_named(self, small_params, tmp_path):
        self.save(tmp_path / "run", small_params, architecture.describe(SMALL))
        model, params = load_weights(tmp_path / "run")
        assert model == SMALL
        assert_same(params, jax.tree.map(lambda x: x + 20, small_params))
        _, params = load_weights(tmp_path / "run" / "3")
        assert_same(params, jax.tree.map(lambda x: x + 3, small_params))

    def test_damage_is_reported(self, small_params, tmp_path):
        self.save(tmp_path / "run", small_params, architecture.describe(SMALL), steps=(1,))
        meta = tmp_path / "run" / "1" / "meta" / "metadata"
        for text in ("{", meta.read_text().replace('"stages": 2', '"stages": 3')):
            meta.write_text(text)
            with pytest.raises(InputError, match="1: damaged checkpoint"):
                load_weights(tmp_path / "run")

    def test_another_model(self, small_params, tmp_path):
        self.save(tmp_path / "other", small_params, architecture.describe(SMALL.clone(features=5)), steps=(1,))
        with pytest.raises(InputError, match=r"is float32 \[.*expected float32 \[.*another model"):
            load_weights(tmp_path / "other")
        self.save(tmp_path / "no_model", small_params, None, steps=(1,))
        with pytest.raises(InputError, match="no description of the model"):
            load_weights(tmp_path / "no_model")

    def test_not_finite(self, small_params, tmp_path):
        params = jax.tree.map(lambda x: x * np.inf, small_params)
        self.save(tmp_path / "run", params, architecture.describe(SMALL), steps=(1,))
        with pytest.raises(InputError, match="holds NaN or infinite"):
            load_weights(tmp_path / "run")

    def test_no_checkpoint(self, tmp_path):
        with pytest.raises(InputError, match="no training checkpoint"):
            load_weights(tmp_path)


class TestRefusals:
    @pytest.fixture
    def tensors(self, small_params, tmp_path):
        save_weights(tmp_path / "w.safetensors", SMALL, small_params)
        return load_file(tmp_path / "w.safetensors")

    def refused(self, tmp_path, tensors, message, config=None):
        metadata = None if config is None else {"neuralizer_jax": json.dumps(config)}
        save_file(tensors, tmp_path / "bad.safetensors", metadata)
        with pytest.raises(InputError) as error:
            load_weights(tmp_path / "bad.safetensors")
        assert message in str(error.value)
        assert "bad.safetensors" in str(error.value)
        assert "\n" not in str(error.value)

    def test_missing_tensor(self, tensors, tmp_path):
        del tensors["dec_blocks.0.combine_conv_context.module.bias"]
        self.refused(tmp_path, tensors, "no tensor dec_blocks.0.combine_conv_context.module.bias")

    def test_wrong_shape(self, tensors, tmp_path):
        tensors["enc_blocks.1.combine_conv_target.module.weight"] = np.zeros((4, 9, 1, 1), np.float32)
        self.refused(tmp_path, tensors, "enc_blocks.1.combine_conv_target.module.weight has shape (4, 9, 1, 1)")

    def test_not_finite(self, tensors, tmp_path):
        tensors["target_embedding.bias"][0] = np.nan
        self.refused(tmp_path, tensors, "target_embedding.bias holds NaN")

    def test_too_large_for_float32(self, tensors, tmp_path):
        tensors["target_embedding.bias"] = np.full(4, 1e300)
        self.refused(tmp_path, tensors, "target_embedding.bias holds NaN or infinite")

    def test_whole_numbers(self, tensors, tmp_path):
        tensors["target_embedding.bias"] = np.zeros(4, np.int32)
        self.refused(tmp_path, tensors, "holds int32")

    def test_another_network(self, tmp_path):
        self.refused(tmp_path, {"conv1.weight": np.zeros((8, 3, 7, 7), np.float32)}, "no tensor")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"features": 10**9}, "features is 1000000000"),
            ({"features": [4, 8, 4]}, "one number for each stage"),
            ({"features": True}, "features is True"),
            ({"stages": 10**6}, "stages is 1000000"),
            ({"stages": None}, "stages is None"),
            ({"dim": 1}, "dim is 1"),
            ({"architecture": "transformer"}, "'transformer', expected neuralizer or unet"),
            ({"segmentation_sigmoid": "yes"}, "segmentation_sigmoid is 'yes'"),
            ({"block": "__import__('os')"}, "made with block"),
            ({"exec": "x"}, "unknown model setting 'exec'"),
        ],
    )
    def test_descriptions_out_of_range(self, tensors, tmp_path, change, message):
        self.refused(tmp_path, tensors, message, architecture.describe(SMALL) | change)

    @pytest.mark.parametrize("text", ["{", "[]", "3"])
    def test_metadata_that_is_no_description(self, tensors, tmp_path, text):
        save_file(tensors, tmp_path / "bad.safetensors", {"neuralizer_jax": text})
        with pytest.raises(InputError, match=r"not a readable|not the description"):
            load_weights(tmp_path / "bad.safetensors")

    def test_truncated_at_any_length(self, small_params, tmp_path):
        path = tmp_path / "w.safetensors"
        save_weights(path, SMALL, small_params)
        whole = path.read_bytes()
        for length in (0, 1, 7, 8, 100, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:length])
            with pytest.raises(InputError, match="not a readable safetensors file"):
                load_weights(path)

    def test_hyper_parameters_that_do_not_fit_the_tensors(self, tmp_path):
        # A checkpoint that claims five levels and holds four: the missing tensors are named.
        tensors = case_state_dict("small_n1")
        with pytest.raises(InputError, match=r"x\.ckpt: no tensor enc_blocks\.4\."):
            architecture.config_from_tensors(tensors, {"nb_levels": 5}, "x.ckpt")
        config = architecture.config_from_tensors(tensors, {"nb_levels": 5, "nb_inner_channels": [8]}, "x.ckpt")
        save_file(tensors, tmp_path / "w.safetensors", {"neuralizer_jax": json.dumps(config)})
        with pytest.raises(InputError, match=r"no tensor dec_blocks\.3\."):
            load_weights(tmp_path / "w.safetensors")

    @pytest.mark.parametrize("name", ["w.bin", "w", "w.pkl"])
    def test_kinds_of_files(self, tmp_path, name, small_params):
        with pytest.raises(InputError, match="no such file"):
            load_weights(tmp_path / name)
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(InputError, match="unknown kind"):
            load_weights(tmp_path / name)
        with pytest.raises(InputError, match=r"written as \.safetensors"):
            save_weights(tmp_path / name, SMALL, small_params)
