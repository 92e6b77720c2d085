"""Layers and the block: each equals the plain form in which the paper or the library writes it, gradients included."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuralizer_jax.convolution import convolve, convolve_pointwise
from neuralizer_jax.layers import (
    PointwiseConv,
    ResidualUnit,
    UpsampleMerge,
    add_shared,
    fan_in_init,
    gelu,
    max_pool,
    upsample,
)
from neuralizer_jax.model import PairwiseConvAvg

pytestmark = pytest.mark.optimized


def close(a, b, tolerance=1e-5):
    np.testing.assert_allclose(a, b, atol=tolerance, rtol=tolerance)


def plain_conv(kernel, bias, x):
    """A 1x1 convolution as PyTorch's, of an array `[..., H, W, C]`."""
    flat = x.reshape(-1, *x.shape[-3:])
    numbers = ("NHWC", "HWIO", "NHWC")
    y = jax.lax.conv_general_dilated(flat, kernel[None, None], (1, 1), "SAME", dimension_numbers=numbers)
    return y.reshape(*x.shape[:-1], -1) + bias


@pytest.mark.parametrize("shape", [(1,), (257,), (3, 3, 16, 32)])
def test_fresh_values_are_the_draw_of_their_own_shape(shape):
    key = jax.random.key(7)
    np.testing.assert_array_equal(
        fan_in_init(6)(key, shape), jax.random.uniform(key, shape, jnp.float32, -1, 1) / 6**0.5, strict=True
    )


class TestSplitForms:
    """Each form that does less work equals the plain one of the paper."""

    def setup_method(self):
        rng = np.random.default_rng(0)
        self.target = rng.normal(size=(2, 8, 8, 5)).astype(np.float32)
        self.context = rng.normal(size=(3, 2, 8, 8, 5)).astype(np.float32)
        self.mask = np.array([[True, True], [True, False], [True, True]])

    def test_pointwise_conv_of_parts_is_a_1x1_convolution_of_their_concatenation(self):
        layer = PointwiseConv(4, (5, 5))
        params = layer.init(jax.random.key(0), self.context, self.target)
        pairs = jnp.concatenate([self.context, jnp.broadcast_to(self.target, self.context.shape)], axis=-1)
        close(layer.apply(params, self.context, self.target), plain_conv(**params["params"], x=pairs))

    def test_upsample_merge_convolves_before_upsampling(self):
        layer = UpsampleMerge(4, (5, 5))
        coarse = self.target[:, ::2, ::2]
        params = layer.init(jax.random.key(0), coarse, self.target)
        upsampled = jax.image.resize(coarse, self.target.shape, "bilinear")
        expected = plain_conv(**params["params"], x=jnp.concatenate([upsampled, self.target], axis=-1))
        close(layer.apply(params, coarse, self.target), expected)

    def test_block_equals_pairs_convolved_one_by_one_and_averaged(self):
        block = PairwiseConvAvg(5)
        variables = block.init(jax.random.key(0), self.target, self.context, self.mask)
        params = variables["params"]
        unit = ResidualUnit(5)
        target = unit.apply({"params": params["target_conv"]}, self.target)
        members = [unit.apply({"params": params["context_conv"]}, member) for member in self.context]
        pairs = [jnp.concatenate([member, target], axis=-1) for member in members]
        messages = jnp.stack([plain_conv(**params["combine_conv_target"], x=pair) for pair in pairs])
        valid = self.mask[..., None, None, None]
        new_target = gelu(target + jnp.sum(messages * valid, axis=0) / valid.sum(0))
        new_context = [
            gelu(member + plain_conv(**params["combine_conv_context"], x=pair))
            for member, pair in zip(members, pairs, strict=True)
        ]
        output = block.apply(variables, self.target, self.context, self.mask)
        close(output[0], new_target)
        close(output[1], jnp.stack(new_context))

    def test_members_are_independent_of_one_another(self):
        unit = ResidualUnit(5)
        variables = unit.init(jax.random.key(0), self.context)
        members, folded = self.context, self.context.reshape(6, 8, 8, 5)

        def loss(variables, x):
            return jnp.sum(unit.apply(variables, x) ** 2)

        close(unit.apply(variables, members).reshape(6, 8, 8, 5), unit.apply(variables, folded))
        gradients = (jax.grad(loss)(variables, x) for x in (members, folded))
        jax.tree.map(partial(close, tolerance=1e-4), *gradients)

    @pytest.mark.parametrize("dim", [2, 3])
    @pytest.mark.parametrize("mapped", [False, True])
    def test_convolution_and_its_gradients_are_the_librarys(self, dim, mapped):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(3, 2, *(4, 5, 6)[:dim], 3)).astype(np.float32)
        kernel = rng.normal(size=(*(3,) * dim, 3, 4)).astype(np.float32)
        weights = rng.normal(size=(*x.shape[:-1], 4)).astype(np.float32)
        library = nn.Conv(4, (3,) * dim, use_bias=False)

        def loss(x, kernel):
            if mapped:
                y = jax.vmap(convolve, in_axes=(0, None))(x, kernel)
            else:
                y = convolve(x.reshape(-1, *x.shape[2:]), kernel).reshape(weights.shape)
            return jnp.sum(weights * y)

        def librarys(x, kernel):
            return jnp.sum(weights * library.apply({"params": {"kernel": kernel}}, x))

        ours, expected = (jax.jit(jax.value_and_grad(f, argnums=(0, 1)))(x, kernel) for f in (loss, librarys))
        jax.tree.map(partial(close, tolerance=1e-4), ours, expected)

    @pytest.mark.parametrize("mapped", [False, True])
    def test_pointwise_convolution_and_its_gradients_are_a_products(self, mapped):
        rng = np.random.default_rng(0)
        kernel, weights = (rng.normal(size=shape).astype(np.float32) for shape in ((5, 4), (3, 2, 8, 8, 4)))

        def loss(multiply, x, kernel):
            return jnp.sum(weights * (jax.vmap(multiply, in_axes=(0, None)) if mapped else multiply)(x, kernel))

        ours, expected = (
            jax.jit(jax.value_and_grad(partial(loss, multiply), argnums=(0, 1)))(self.context, kernel)
            for multiply in (convolve_pointwise, jnp.matmul)
        )
        jax.tree.map(partial(close, tolerance=1e-4), ours, expected)

    @pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
    def test_adding_what_is_shared_and_its_gradients_are_those_of_a_sum(self, dtype):
        weights = np.random.default_rng(0).normal(size=self.context.shape).astype(np.float32)

        def loss(add, context, shared):
            total = add(context.astype(dtype), shared.astype(dtype))
            assert total.dtype == dtype
            return jnp.sum(weights * total)

        ours, expected = (
            jax.jit(jax.value_and_grad(partial(loss, add), argnums=(0, 1)))(self.context, self.target)
            for add in (add_shared, jnp.add)
        )
        jax.tree.map(partial(close, tolerance=1e-4 if dtype is jnp.float32 else 2e-2), ours, expected)

    def test_gradients_on_a_gpu_have_no_convolution_in_groups(self, monkeypatch):
        monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
        x, kernel = (
            jax.ShapeDtypeStruct((3, 2, 8, 8, 4), jnp.bfloat16),
            jax.ShapeDtypeStruct((3, 3, 4, 4), jnp.bfloat16),
        )

        def loss(x, kernel):
            return jnp.sum(jax.vmap(convolve, in_axes=(0, None))(x, kernel) ** 2)

        program = jax.jit(jax.grad(loss, argnums=(0, 1))).trace(x, kernel).lower(lowering_platforms=("cuda",)).as_text()
        assert program.count("stablehlo.convolution") == 3
        assert program.count("batch_group_count = 1 : i64, feature_group_count = 1 : i64") == 3

    @pytest.mark.parametrize("shape", [(2, 3, 4, 6, 5), (2, 4, 6, 8, 3)])
    @pytest.mark.parametrize("dim", [2, 3])
    def test_upsampling_and_pooling_are_the_librarys(self, shape, dim):
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        doubled = [*shape[: 4 - dim], *(2 * n for n in shape[4 - dim : 4]), shape[4]]
        close(upsample(x, dim), jax.image.resize(x, doubled, "bilinear"))
        x = upsample(x, dim)
        np.testing.assert_array_equal(max_pool(x, dim), nn.max_pool(x, (2,) * dim, strides=(2,) * dim))
