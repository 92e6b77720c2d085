"""A step follows the gradient of the mean loss, however the batch is split, and stops at what is not finite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import draw_params
from ml_collections import ConfigDict
from training_examples import blend_state, episodes, model_config, state_of, train_config

from neuralizer_jax import InputError, Neuralizer, UNet
from neuralizer_jax.forward import forward
from neuralizer_jax.losses import episode_loss
from neuralizer_jax.metrics import dice, psnr
from neuralizer_jax.training.optimizer import learning_rate, make_optimizer
from neuralizer_jax.training.state import build_model, create_state
from neuralizer_jax.training.step import eval_step, train_step
from neuralizer_jax.weights import save_weights
from neuralizer_jax.weights.pretrained import PRETRAINED

# Most of the time these tests take is the compiler's.
QUICKLY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
step = jax.jit(train_step, compiler_options=QUICKLY)
evaluate = jax.jit(eval_step, compiler_options=QUICKLY)


def first_moment(state):
    """What Adam keeps of the gradients: after one step from the start a tenth of the gradient."""
    return state.opt_state[1][0].mu


def assert_same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def assert_close(one, other, tolerance):
    def close(a, b):
        assert np.abs(np.asarray(a, float) - b).max() <= tolerance * np.abs(b).max()

    jax.tree.map(close, one, other)


class TestUpdate:
    def test_gradient_is_that_of_the_mean_loss(self):
        batch, state = episodes(), blend_state()
        after, metrics = step(state, batch)

        def mean_loss(weights):
            losses = evaluate(state.replace(params={"weights": weights}), batch)["losses"]
            return float(np.mean(np.asarray(losses, float)))

        small = 1e-2 * np.eye(3, dtype=np.float32)
        differences = [(mean_loss(0.5 + d) - mean_loss(0.5 - d)) / 2e-2 for d in small]
        np.testing.assert_allclose(10 * first_moment(after)["weights"], differences, rtol=1e-2)
        np.testing.assert_allclose(metrics["gradient_norm"], np.linalg.norm(differences), rtol=1e-2)
        assert metrics["loss"] == pytest.approx(mean_loss(np.full(3, 0.5, np.float32)), rel=1e-5)

    def test_adams_first_step_is_the_learning_rate_against_the_gradients_sign(self):
        after, _ = step(blend_state(learning_rate=0.02), episodes())
        expected = 0.5 - 0.02 * np.sign(first_moment(after)["weights"])
        np.testing.assert_allclose(after.params["weights"], expected, rtol=1e-4)
        assert after.step == 1
        assert not after.failed

    def test_clip_bounds_the_norm_of_the_gradient_but_not_of_what_is_reported(self):
        free, metrics = step(blend_state(), episodes())
        norm = metrics["gradient_norm"]
        clipped, metrics = step(blend_state(gradient_clip=float(norm) / 4), episodes())
        assert_close(first_moment(clipped)["weights"], first_moment(free)["weights"] / 4, 1e-5)
        assert metrics["gradient_norm"] == norm
        wide, _ = step(blend_state(gradient_clip=float(norm) * 4), episodes())
        assert_same(first_moment(wide), first_moment(free))

    @pytest.mark.parametrize("parts", [2, 3, 6])
    def test_parts_of_a_batch_give_what_the_whole_gives(self, parts):
        batch = episodes(rows=6)
        whole, metrics = step(blend_state(), batch)
        split, split_metrics = step(blend_state(accumulate=parts), batch)
        assert_close(first_moment(split), first_moment(whole), 1e-5)
        assert_close(split.params, whole.params, 1e-6)
        assert_close(split_metrics, metrics, 1e-5)  # losses in the order of the rows

    def test_parts_must_be_equal(self):
        with pytest.raises(InputError, match=r"^train.accumulate: 4, expected a divisor of 6, the episodes"):
            train_step(blend_state(accumulate=4), episodes(rows=6))


class TestNotFinite:
    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    @pytest.mark.parametrize("name", ["target_in", "target_out"])
    def test_one_bad_example_changes_nothing_now_and_later(self, name, bad):
        state, _ = step(blend_state(), episodes())
        batch = episodes(seed=1)
        batch[name][2, 3, 3, 0] = bad
        failed, metrics = step(state, batch)
        assert failed.failed
        assert metrics["failed"]
        assert np.isfinite(metrics["losses"]).tolist() == [True, True, False, True]
        assert_same(failed.replace(failed=state.failed), state)
        later, metrics = step(failed, episodes(seed=2))
        assert metrics["failed"]
        assert np.isfinite(metrics["loss"])
        assert_same(later, failed)

    def test_a_gradient_that_is_not_finite_is_enough(self):
        # The gradient of the root at 0 is infinite, the loss is not.
        class Root:
            segmentation_sigmoid = False

            def apply(self, variables, target_in, *context):
                return jnp.sqrt(variables["params"] * target_in[..., :1]) + 1

        batch = episodes()
        batch["target_in"][:] = 0
        state = state_of(Root(), np.float32(1))
        after, metrics = train_step(state, batch)
        assert np.isfinite(metrics["loss"])
        assert after.failed
        assert_same(after.params, state.params)


@pytest.fixture(scope="module")
def first():
    model = Neuralizer(features=4, stages=1, convs=1)
    return state_of(model, draw_params(model))


@pytest.fixture(scope="module")
def plain(first):
    """What a step with the real network gives."""
    return step(first, episodes(rows=2))


class TestNetworks:
    """With the real network, small."""

    def test_recomputed_activations_give_the_same(self, first, plain):
        after, metrics = step(first.replace(model=first.model.clone(remat=True)), episodes(rows=2))
        assert_close(first_moment(after), first_moment(plain[0]), 1e-5)
        assert_close(metrics, plain[1], 1e-5)

    def test_half_precision_is_near_and_keeps_parameters_in_float32(self, first, plain):
        after, metrics = step(first.replace(model=first.model.clone(dtype=jnp.bfloat16)), episodes(rows=2))
        assert {leaf.dtype.name for leaf in jax.tree.leaves((after.params, first_moment(after)))} == {"float32"}
        assert metrics["losses"].dtype == jnp.float32
        assert_close(metrics["losses"], plain[1]["losses"], 3e-2)
        assert_close(metrics["gradient_norm"], plain[1]["gradient_norm"], 3e-2)
        assert not np.array_equal(metrics["losses"], plain[1]["losses"])

    def test_the_baseline_needs_no_context(self):
        batch = {name: x for name, x in episodes().items() if not name.startswith("context")}
        model = UNet(features=4, stages=2, convs=1)
        its = evaluate(state_of(model, draw_params(model)), batch)
        assert its["prediction"].shape == (4, 8, 8, 1)

    def test_a_fixed_batch_is_learned_by_heart(self):
        model = Neuralizer(features=8, stages=2, convs=1)
        params = jax.tree.map(lambda x: x / 2, draw_params(model))
        state, batch = state_of(model, params, learning_rate=1e-2), episodes(rows=3, members=2, size=16)
        # Something that can be learned: a threshold, a complement and an inverted image.
        bright = (batch["target_in"][..., :1] > 0.5).astype(np.float32)
        batch["target_out"] = np.stack([bright[0], 1 - bright[1], 1 - batch["target_in"][2, ..., :1]])
        batch["context_in"], batch["context_out"] = (
            batch[x][:, None].repeat(2, 1) for x in ("target_in", "target_out")
        )
        losses = []
        for _ in range(80):
            state, metrics = step(state, batch)
            losses.append(metrics["losses"])
        assert (np.asarray(losses[-1]) < 0.05 * np.asarray(losses[0])).all(), (losses[0], losses[-1])


class TestEvaluation:
    def test_measures_are_those_of_the_prediction(self):
        batch, state = episodes(rows=6), blend_state(segmentation_sigmoid=True)
        its = evaluate(state, batch)
        names = ("target_in", "context_in", "context_out", "context_mask")
        output = state.model.apply({"params": state.params}, *(batch[name] for name in names))
        expected = np.where(batch["is_segmentation"][:, None, None, None], 1 / (1 + np.exp(-output)), output)
        np.testing.assert_allclose(its["prediction"], expected, rtol=1e-5)
        np.testing.assert_allclose(its["dice"], dice(its["prediction"], batch["target_out"]))
        np.testing.assert_allclose(its["psnr"], psnr(its["prediction"], batch["target_out"]), rtol=1e-5)
        losses = episode_loss(output, batch, segmentation_sigmoid=True, sigma_squared=0.05)
        np.testing.assert_allclose(its["losses"], losses, rtol=1e-6)
        _, metrics = step(state, batch)
        np.testing.assert_allclose(metrics["losses"], losses, rtol=1e-5)
        np.testing.assert_array_equal(metrics["task"], batch["task"])


class TestLearningRate:
    def test_constant(self):
        rate = learning_rate(train_config(learning_rate=0.5))
        assert [float(rate(s)) for s in (0, 1, 99, 1000)] == [0.5] * 4

    def test_warm_up(self):
        rate = learning_rate(train_config(learning_rate=0.5, warmup_steps=4))
        np.testing.assert_allclose([rate(s) for s in range(6)], [0.125, 0.25, 0.375, 0.5, 0.5, 0.5], rtol=1e-6)

    def test_cosine(self):
        rate = learning_rate(train_config(learning_rate=1.0, decay="cosine", warmup_steps=20))
        np.testing.assert_allclose([rate(s) for s in (19, 20, 60, 100, 200)], [1, 1, 0.5, 0, 0], atol=1e-6)
        np.testing.assert_allclose(rate(40), (1 + 0.5**0.5) / 2, rtol=1e-6)

    def test_the_optimizer_follows_it(self):
        state = blend_state(learning_rate=0.04, warmup_steps=4)
        before = state.params["weights"]
        for rate in (0.01, 0.02):
            state, _ = step(state, episodes())
            np.testing.assert_allclose(np.abs(state.params["weights"] - before), rate, rtol=1e-2)
            before = state.params["weights"]


class TestMuon:
    def test_updates_of_a_matrix_are_orthogonal_and_as_large_as_adams(self):
        """Whatever the gradient is: singular values near one another, where the gradient's are far apart."""
        rng = np.random.default_rng(0)
        shapes = {"kernel": (3, 3, 8, 16), "pointwise": (24, 16), "bias": (16,)}
        params = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
        gradient = {name: x * np.geomspace(1e-2, 1, 16, dtype=np.float32) for name, x in params.items()}
        optimizer = make_optimizer(train_config(optimizer="muon", learning_rate=0.01))
        updates, _ = optimizer.update(gradient, optimizer.init(params), params)
        for name in ("kernel", "pointwise"):
            unevenness = [np.linalg.cond(np.reshape(x[name], (-1, 16))) for x in (gradient, updates)]
            assert unevenness[1] < 3 < 50 < unevenness[0]
            assert np.sqrt(np.mean(np.square(updates[name]))) == pytest.approx(0.2 * 0.01, rel=0.2)
            assert np.vdot(updates[name], gradient[name]) < 0
        # Adam's, with Nesterov's momentum.
        np.testing.assert_allclose(updates["bias"], -0.015 * np.sign(gradient["bias"]), rtol=0.05)


class TestAverage:
    def test_it_follows_the_parameters_and_is_what_is_evaluated(self):
        state = blend_state(ema_decay=0.5, learning_rate=0.1)
        average = np.array(state.params["weights"])
        for decay in (0.1, 2 / 11, 0.25):  # (steps before + 1) / (steps before + 10): at first it forgets sooner
            state, _ = step(state, episodes())
            average = decay * average + (1 - decay) * np.array(state.params["weights"])
            np.testing.assert_allclose(state.average["weights"], average, rtol=1e-6)
        plain = state.replace(params=state.average, average=None)
        for name, value in evaluate(plain, episodes()).items():
            np.testing.assert_array_equal(evaluate(state, episodes())[name], value)

    def test_a_failed_step_leaves_it(self):
        state = blend_state(ema_decay=0.5, learning_rate=0.1)
        batch = episodes() | {"target_in": np.full_like(episodes()["target_in"], np.nan)}
        after, _ = step(state, batch)
        np.testing.assert_array_equal(after.average["weights"], state.average["weights"])


class TestStart:
    def config(self, path, **changes):
        return ConfigDict({"model": model_config(**changes), "train": train_config(init_from=str(path), ema_decay=0.9)})

    def test_from_weights(self, tmp_path):
        model = build_model(model_config())
        save_weights(tmp_path / "w.safetensors", model, params := draw_params(model))
        state = create_state(self.config(tmp_path / "w.safetensors"), jax.random.key(0))
        assert_same(state.params, params)
        assert_same(state.average, params)

    def test_from_weights_that_come_along(self, tmp_path, monkeypatch):
        model = build_model(model_config())
        save_weights(tmp_path / "w.safetensors", model, params := draw_params(model))
        monkeypatch.setitem(PRETRAINED, "little", tmp_path / "w.safetensors")
        assert_same(create_state(self.config("little"), jax.random.key(0)).params, params)

    def test_of_another_network(self, tmp_path):
        model = build_model(model_config())
        save_weights(tmp_path / "w.safetensors", model, draw_params(model))
        with pytest.raises(InputError, match=r"train.init_from: .* has features 4, expected 6 of the configuration"):
            create_state(self.config(tmp_path / "w.safetensors", features=6), jax.random.key(0))

    def test_of_a_narrower_network(self, tmp_path):
        model = build_model(model_config())
        save_weights(tmp_path / "w.safetensors", model, params := draw_params(model))
        state = create_state(self.config(tmp_path / "w.safetensors", features=8), jax.random.key(0))
        batch = episodes()
        expected, widened = forward(model, params, batch), forward(state.model, state.params, batch)
        np.testing.assert_allclose(widened, expected, atol=1e-5 * np.abs(expected).max())


class TestConfiguration:
    def test_networks(self):
        model = build_model(model_config(dtype="bfloat16", remat=True, segmentation_sigmoid=True))
        assert isinstance(model, Neuralizer)
        assert (model.features, model.stages, model.in_channels, model.out_channels) == (4, 2, 3, 1)
        assert (model.dtype, model.remat, model.segmentation_sigmoid) == (jnp.bfloat16, True, True)
        assert isinstance(build_model(model_config(architecture="unet")), UNet)

    def test_the_published_size_is_the_networks_default(self):
        model = build_model(model_config(features=64, stages=4))
        assert model.clone(dtype=None) == Neuralizer()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"architecture": "vit"}, "config.model: architecture 'vit', expected neuralizer or unet"),
            ({"dtype": "float8"}, "config.model: dtype 'float8', expected float32 or bfloat16"),
            ({"features": 0}, "config.model: model setting features is 0, expected a whole number from 1 to 4096"),
        ],
    )
    def test_wrong_networks(self, change, message):
        with pytest.raises(InputError, match=f"^{message}$"):
            build_model(model_config(**change))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"decay": "linear"}, "train.decay: 'linear', expected constant or cosine"),
            ({"learning_rate": 0.0}, "train.learning_rate: 0.0, expected more than 0"),
            ({"warmup_steps": 100}, "train.warmup_steps: 100, expected 0 to less than the 100 steps"),
            ({"gradient_clip": -1.0}, "train.gradient_clip: -1.0, expected a norm, or 0 for no clip"),
            ({"accumulate": 0}, "train.accumulate: 0, expected 1 or more parts of a batch"),
            ({"sigma_squared": -1.0}, "train.sigma_squared: -1.0, expected 0 or more"),
            ({"dice_sharpness": -1.0}, "train.dice_sharpness: -1.0, expected 0 or more"),
            ({"dice_threshold": 1.0}, "train.dice_threshold: 1.0, expected more than 0, less than 1"),
            ({"optimizer": "sgd"}, "train.optimizer: 'sgd', expected adam or muon"),
        ],
    )
    def test_wrong_training(self, change, message):
        with pytest.raises(InputError, match=f"^{message}$"):
            create_state(ConfigDict({"model": model_config(), "train": train_config(**change)}), jax.random.key(0))

    def test_a_clip_does_not_change_what_a_checkpoint_holds(self):
        params = {"weights": np.zeros(3, np.float32)}
        one, other = (make_optimizer(train_config(gradient_clip=clip)).init(params) for clip in (0.0, 1.0))
        assert jax.tree.structure(one) == jax.tree.structure(other)

    def test_first_state(self):
        config = ConfigDict({"model": model_config(architecture="unet", stages=1), "train": train_config(accumulate=2)})
        state = create_state(config, jax.random.key(3, impl="rbg"))  # compiles faster than the default
        assert (state.step, state.failed, state.accumulate) == (0, False, 2)
        assert {leaf.dtype.name for leaf in jax.tree.leaves(state.params)} == {"float32"}
        assert jax.tree.structure(first_moment(state)) == jax.tree.structure(state.params)
