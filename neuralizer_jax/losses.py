"""Losses of single episodes, in float32: prediction and truth in, one number an episode out.

Soft Dice for segmentations, mean squared error for images (Czolbe and Dalca, CVPR 2023, section 3.2), with the
constants of the published PyTorch code. Where the network has several output channels, the first counts.
"""

import jax
import jax.numpy as jnp

# Mean squared error below which the loss of images in decibels no longer rewards much: 40 dB.
_NEAR = 1e-4


def soft_dice_loss(prediction: jax.Array, truth: jax.Array) -> jax.Array:
    """One minus soft Dice with squares in the denominator and 1 added above and below, as the published code.

    Args:
        prediction: `[B, *spatial, C]`.
        truth: the same shape.

    Returns:
        `[B]`, 0 for equal binary masks, empty ones too.
    """
    axes = tuple(range(1, truth.ndim))
    overlap = jnp.sum(prediction * truth, axes)
    sizes = jnp.sum(prediction**2, axes) + jnp.sum(truth**2, axes)
    return 1 - (2 * overlap + 1) / (sizes + 1)


def sharpened_dice_loss(prediction: jax.Array, truth: jax.Array, sharpness: float, threshold: float = 0.5) -> jax.Array:
    """Half the soft Dice loss, half that of `sigmoid(sharpness * (prediction - threshold))`.

    Soft Dice forgives a wide rim of outputs about 0.5 where a border is hard to see; the mask above 0.5 then has all of
    it. A threshold below 0.5 leaves out more: with anatomy that was not trained on the rim is wider.

    Args:
        prediction: `[B, *spatial, C]`.
        truth: the same shape.
        sharpness: slope at the threshold, times 4; 0: soft Dice alone, as published.
        threshold: where the sharpened mask begins.

    Returns:
        `[B]`.
    """
    loss = soft_dice_loss(prediction, truth)
    if not sharpness:
        return loss
    return (loss + soft_dice_loss(jax.nn.sigmoid(sharpness * (prediction - threshold)), truth)) / 2


def mse_loss(prediction: jax.Array, truth: jax.Array, sigma_squared: float) -> jax.Array:
    """Mean squared error over `2 sigma_squared`: the published code's mean over pixels, the paper writes their sum.

    With a variance of 0 each image has its own, its mean squared error, which is what makes the images likeliest: the
    loss is then `log(1 + mse / 1e-4) / 2`, and a decibel is worth the same in a task with small errors as in others.

    Args:
        prediction: `[B, *spatial, C]`.
        truth: the same shape.
        sigma_squared: variance of the assumed Gaussian noise, 0.05 in the paper; 0: each image's own.

    Returns:
        `[B]`.
    """
    error = jnp.mean((prediction - truth) ** 2, tuple(range(1, truth.ndim)))
    return error / (2 * sigma_squared) if sigma_squared else jnp.log1p(error / _NEAR) / 2


def episode_loss(
    prediction: jax.Array,
    episode: dict[str, jax.Array],
    *,
    segmentation_sigmoid: bool,
    sigma_squared: float,
    dice_sharpness: float = 0.0,
    dice_threshold: float = 0.5,
) -> jax.Array:
    """The loss of each episode of a batch: soft Dice where it `is_segmentation`, mean squared error elsewhere.

    Args:
        prediction: the network's output, `[B, *spatial, C]`.
        episode: with `target_out` `[B, *spatial, 1]` and `is_segmentation` bool `[B]`.
        segmentation_sigmoid: whether the network's output for a segmentation is a logit.
        sigma_squared: of `mse_loss`.
        dice_sharpness: of `sharpened_dice_loss`; 0: soft Dice alone.
        dice_threshold: of the same.

    Returns:
        `[B]`.
    """
    is_segmentation = episode["is_segmentation"]
    output = task_output(prediction, is_segmentation, segmentation_sigmoid)
    truth = episode["target_out"].astype(jnp.float32)
    dice = sharpened_dice_loss(output, truth, dice_sharpness, dice_threshold)
    error = mse_loss(output, truth, sigma_squared)
    # Neither has a root, a logarithm or a denominator near 0: its gradient where it is not chosen is 0 and not NaN.
    return jnp.where(is_segmentation, dice, error)


def task_output(prediction: jax.Array, is_segmentation: jax.Array, segmentation_sigmoid: bool) -> jax.Array:
    """What the network says of the target: its first channel, as probability where it is a logit.

    `[B, *spatial, C]`, bool `[B]` -> float32 `[B, *spatial, 1]`.
    """
    output = prediction[..., :1].astype(jnp.float32)
    if not segmentation_sigmoid:
        return output
    return jnp.where(is_segmentation.reshape(-1, *[1] * (output.ndim - 1)), jax.nn.sigmoid(output), output)
