"""What holds for the network whatever its weights: laws of the context set, precision, extension points, errors."""

import math
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import draw_params
from flax.traverse_util import flatten_dict
from hypothesis import given, settings
from hypothesis import strategies as st

from neuralizer_jax import Neuralizer, UNet
from neuralizer_jax.layers import Conv3
from neuralizer_jax.model import MemberMean, PairwiseConvAvg
from neuralizer_jax.weights import init_params, param_shapes

SMALL = Neuralizer(features=4, stages=2)
SMALL_PARAMS = draw_params(SMALL)
apply_small = jax.jit(SMALL.apply)


def episode(batch=1, members=3, size=(8, 8), seed=0, out_channels=1):
    rng = np.random.default_rng(seed)
    return (
        rng.random((batch, *size, 3), np.float32),
        rng.random((batch, members, *size, 3), np.float32),
        rng.random((batch, members, *size, out_channels), np.float32),
    )


def small(*arrays):
    return np.asarray(apply_small({"params": SMALL_PARAMS}, *arrays))


def close(a, b, tolerance=1e-5):
    np.testing.assert_allclose(a, b, atol=tolerance, rtol=tolerance)


class TestContextSet:
    @given(order=st.permutations(range(5)), seed=st.integers(0, 99))
    @settings(max_examples=20)
    def test_order_of_members_does_not_matter(self, order, seed):
        target, context_in, context_out = episode(members=5, seed=seed)
        close(small(target, context_in[:, order], context_out[:, order]), small(target, context_in, context_out))

    @pytest.mark.parametrize("times", [2, 3])
    def test_repeating_the_whole_set_does_not_matter(self, times):
        target, context_in, context_out = episode(members=2)
        repeated = (np.tile(x, (1, times, 1, 1, 1)) for x in (context_in, context_out))
        close(small(target, *repeated), small(target, context_in, context_out))

    @given(
        mask=st.lists(st.booleans(), min_size=4, max_size=4).filter(any),
        junk=st.sampled_from([0.0, 1.0, -1e30, np.inf, -np.inf, np.nan]),
    )
    @settings(max_examples=30)
    def test_masked_members_have_no_influence_whatever_they_hold(self, mask, junk):
        target, context_in, context_out = episode(members=4)
        mask = np.array([mask])
        expected = small(target, context_in[:, mask[0]], context_out[:, mask[0]])
        context_in[:, ~mask[0]] = junk
        context_out[:, ~mask[0]] = junk
        close(small(target, context_in, context_out, mask), expected)

    def test_masked_members_of_any_content_leave_gradients_finite(self):
        target, context_in, context_out = episode(members=3)
        context_in[:, 1] = np.nan
        mask = np.array([[True, False, True]])

        def loss(params):
            return jnp.sum(SMALL.apply({"params": params}, target, context_in, context_out, mask) ** 2)

        gradients = jax.jit(jax.grad(loss))(SMALL_PARAMS)
        assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))

    def test_each_batch_member_may_have_its_own_number_of_members(self):
        target, context_in, context_out = episode(batch=2, members=4)
        mask = np.array([[True, True, False, False], [True, True, True, True]])
        output = small(target, context_in, context_out, mask)
        close(output[:1], small(target[:1], context_in[:1, :2], context_out[:1, :2]))
        close(output[1:], small(target[1:], context_in[1:], context_out[1:]))

    def test_the_context_is_used(self):
        target, context_in, context_out = episode()
        changed = small(target, context_in, 1 - context_out)
        assert np.abs(changed - small(target, context_in, context_out)).max() > 1e-4


class TestComputation:
    def test_batch_equals_single_calls(self):
        arrays = episode(batch=3)
        singles = [small(*(x[i : i + 1] for x in arrays)) for i in range(3)]
        close(small(*arrays), np.concatenate(singles))

    def test_jit_equals_eager(self):
        arrays = episode()
        close(small(*arrays), SMALL.apply({"params": SMALL_PARAMS}, *arrays))

    @pytest.mark.parametrize("arguments", [{"dim": 3, "features": (3, 5)}, {"features": (4, 6)}, {"convs": 1}])
    def test_other_shapes_of_network(self, arguments):
        model = Neuralizer(**({"features": 4, "stages": 2} | arguments))
        arrays = episode(batch=2, size=(4, 6, 8)[: model.dim])
        output = jax.jit(model.apply)({"params": draw_params(model)}, *arrays)
        assert output.shape == (2, *(4, 6, 8)[: model.dim], 1)
        assert jnp.isfinite(output).all()

    def test_fewer_channels_are_as_zero_channels(self):
        target, context_in, context_out = episode()
        target[..., 1:], context_in[..., 1:] = 0, 0
        close(small(target[..., :1], context_in[..., :1], context_out), small(target, context_in, context_out))

    def test_mixed_precision_keeps_parameters_and_output_in_float32(self):
        model = SMALL.clone(dtype=jnp.bfloat16)
        shapes = jax.eval_shape(model.init, jax.random.key(0), *episode(size=(16, 16)))
        assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}
        arrays = episode(size=(16, 16))
        output = jax.jit(model.apply)({"params": SMALL_PARAMS}, *arrays)
        assert output.dtype == jnp.float32
        exact = small(*arrays)
        difference = np.abs(output - exact).max()
        assert 0 < difference < 0.05 * np.abs(exact).max()

    def test_rematerialisation_changes_neither_output_nor_gradient(self):
        arrays = episode()

        def loss(params, model):
            return jnp.sum(model.apply({"params": params}, *arrays) ** 2)

        plain, remat = (
            jax.jit(jax.value_and_grad(partial(loss, model=model)))(SMALL_PARAMS)
            for model in (SMALL, SMALL.clone(remat=True))
        )
        jax.tree.map(partial(close, tolerance=1e-4), plain, remat)

    def test_the_last_blocks_context_update_is_not_computed(self):
        # One 1x1 convolution of the members fewer than the blocks have: 2 C^2 operations a pixel and member.
        members, size, width = 16, 32, 16
        model = Neuralizer(features=width, stages=1, convs=1)
        params = draw_params(model)
        arrays = episode(members=members, size=(size, size))

        class Kept(PairwiseConvAvg):
            def __call__(self, target, context, context_mask):
                target, context = super().__call__(target, context, context_mask)
                return target + context.mean(), context

        flops, flops_kept = (
            jax.jit(m.apply).lower({"params": params}, *arrays).compile().cost_analysis()["flops"]
            for m in (model, model.clone(block=Kept))
        )
        assert flops_kept - flops > 2 * width**2 * members * size**2


class TestParameters:
    @pytest.mark.parametrize(
        ("model", "count"),
        [
            (Neuralizer(out_channels=3), 1_273_859),
            (UNet(out_channels=3), 616_067),
            (UNet(features=256, out_channels=3), 9_837_059),
        ],
    )
    def test_sizes_are_the_published_ones(self, model, count):
        assert sum(map(math.prod, param_shapes(model).values())) == count

    def test_initialisation_is_pytorchs(self):
        params = flatten_dict(init_params(Neuralizer(features=32, stages=2), jax.random.key(0)))
        for path, value in params.items():
            kernel = params[(*path[:-1], "kernel")]
            bound = np.prod(kernel.shape[:-1]) ** -0.5
            assert np.abs(value).max() <= bound
            if value.size >= 1000:
                # Uniform on +-bound: standard deviation bound / sqrt(3), extremes near the bound, no offset.
                assert np.std(value) == pytest.approx(bound / 3**0.5, rel=0.05)
                assert np.abs(value).max() > 0.98 * bound
                assert abs(np.mean(value)) < 0.1 * bound

    def test_initialisation_is_reproducible(self):
        first, again, other = (init_params(SMALL, jax.random.key(seed)) for seed in (0, 0, 1))
        jax.tree.map(np.testing.assert_array_equal, first, again)
        assert np.abs(first["target_embedding"]["kernel"] - other["target_embedding"]["kernel"]).max() > 0


class WeightedMean(nn.Module):
    """Members weighted by their likeness to the target: an aggregation that the package does not have."""

    @nn.compact
    def __call__(self, target, context, context_mask):
        scale = self.param("scale", nn.initializers.ones, ())
        likeness = scale * jnp.mean(context * target, axis=-1, keepdims=True)
        mask = context_mask.reshape(context_mask.shape + (1,) * (context.ndim - 2))
        return jnp.sum(context * jax.nn.softmax(likeness, axis=0, where=mask), axis=0)


class PlainBlock(nn.Module):
    """A block that ignores the context members' differences: a stage of the package's shape from outside of it."""

    features: int
    convs: int
    dim: int
    aggregation: object
    dtype: object

    @nn.compact
    def __call__(self, target, context, context_mask):
        mean = self.aggregation()(target, context, context_mask)
        layer = Conv3(self.features, self.features, self.dim, self.dtype)
        return layer(target + mean), context


class TestExtension:
    @pytest.mark.parametrize(
        "model",
        [
            SMALL.clone(aggregation=WeightedMean),
            SMALL.clone(block=PlainBlock),
            SMALL.clone(block=PlainBlock, remat=True),
        ],
        ids=["aggregation", "block", "block with remat"],
    )
    def test_block_and_aggregation_are_arguments(self, model):
        arrays = episode(members=3)
        params = init_params(model, jax.random.key(0))
        run = jax.jit(model.apply)
        output = run({"params": params}, *arrays)
        assert output.shape == (1, 8, 8, 1)
        assert np.abs(output - small(*arrays)).max() > 1e-4
        mask = np.array([[True, True, False]])
        arrays[1][:, 2] = np.nan
        close(
            run({"params": params}, *arrays, mask),
            run({"params": params}, arrays[0], arrays[1][:, :2], arrays[2][:, :2]),
        )

    def test_mean_is_the_default(self):
        assert SMALL.clone(aggregation=MemberMean, block=PairwiseConvAvg) == SMALL


@pytest.mark.parametrize(
    ("model", "arrays", "message"),
    [
        (SMALL, episode(size=(7, 8)), "divisible by 2"),
        (SMALL, [x[0] for x in episode()], "expected [B, 2 spatial sizes, C]"),
        (SMALL, (*episode()[:2], episode(members=2)[2]), "3 inputs and 2 outputs"),
        (SMALL, (episode(size=(8, 10))[0], *episode()[1:]), "expected [1, N, 8, 10, C]"),
        (SMALL, episode(out_channels=2), "takes at most 1"),
        (SMALL, (*episode(), np.ones((3, 1), bool)), "context_mask has shape (3, 1), expected (1, 3)"),
        (SMALL, episode(members=0), "0 inputs"),
        (Neuralizer(features=(4, 8), stages=3), episode(), "3, one for each stage"),
        (UNet(features=(4,), stages=2), episode()[:1], "2, one for each stage"),
        (UNet(features=4, stages=3), episode(size=(8, 6))[:1], "divisible by 4"),
    ],
)
def test_arrays_that_do_not_fit_are_named(model, arrays, message):
    with pytest.raises(ValueError, match=r"(?s).*") as error:
        jax.eval_shape(model.init, jax.random.key(0), *arrays)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
