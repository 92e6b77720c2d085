"""Losses: prediction and truth in, both `[B, *spatial, C]`, one float32 number per episode out, `[B]`.

Soft Dice for segmentations, mean squared error for images (Czolbe and Dalca, CVPR 2023, section 3.2), with the
constants of the published PyTorch code. If the network has several output channels, only the first one counts.
"""

import jax
import jax.numpy as jnp

# Mean squared error (40 dB) below which the logarithmic loss of images levels off.
_NEAR = 1e-4


def soft_dice_loss(prediction: jax.Array, truth: jax.Array) -> jax.Array:
    """Soft Dice loss of the published code: `1 - (2 sum(p t) + 1) / (sum(p^2) + sum(t^2) + 1)`.

    The squares in the denominator are those of V-Net (Milletari, Navab and Ahmadi, 3DV 2016). The loss is 0 for equal
    binary masks, also for empty ones.

    Example:
        >>> truth = jnp.array([1.0, 0.0]).reshape(1, 1, 2, 1)
        >>> soft_dice_loss(jnp.ones((1, 1, 2, 1)), truth).tolist()
        [0.25]
    """
    axes = tuple(range(1, truth.ndim))
    overlap = jnp.sum(prediction * truth, axes)
    sizes = jnp.sum(prediction**2, axes) + jnp.sum(truth**2, axes)
    return 1 - (2 * overlap + 1) / (sizes + 1)


def sharpened_dice_loss(prediction: jax.Array, truth: jax.Array, sharpness: float, threshold: float = 0.5) -> jax.Array:
    """Mean of the soft Dice losses of the prediction and of `sigmoid(sharpness * (prediction - threshold))`.

    Soft Dice tolerates a wide rim of outputs near 0.5 along borders that are hard to see, and the mask above 0.5 then
    contains the whole rim. The sharpened term penalises it. A threshold below 0.5 penalises more of it, which helps on
    anatomy outside the training data, where the rim is wider.

    Args:
        prediction: `[B, *spatial, C]`.
        truth: likewise.
        sharpness: four times the slope at the threshold; 0: soft Dice alone, as published.
        threshold: output at which the sharpened mask is 1/2.

    Example:
        >>> mask = jnp.ones((1, 16, 16, 1))
        >>> sharpened_dice_loss(0.6 * mask, mask, 20.0).item() < soft_dice_loss(0.6 * mask, mask).item()
        True
    """
    loss = soft_dice_loss(prediction, truth)
    if not sharpness:
        return loss
    return (loss + soft_dice_loss(jax.nn.sigmoid(sharpness * (prediction - threshold)), truth)) / 2


def mse_loss(prediction: jax.Array, truth: jax.Array, sigma_squared: float) -> jax.Array:
    """Mean squared error over the pixels, divided by `2 sigma_squared`.

    The negative log-likelihood of Gaussian noise. The mean over pixels is that of the published code; the paper writes
    a sum. With `sigma_squared` 0, each image has the variance that makes it most likely, its mean squared error: the
    loss is then `log(1 + mse / 1e-4) / 2`, and a decibel counts the same in tasks with small and with large errors.

    Args:
        prediction: `[B, *spatial, C]`.
        truth: likewise.
        sigma_squared: variance of the noise, 0.05 in the paper; 0: one per image.

    Example:
        >>> mse_loss(jnp.ones((1, 16, 16, 1)), jnp.zeros((1, 16, 16, 1)), sigma_squared=0.5).tolist()
        [1.0]
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
    """Loss of each episode of a batch: Dice loss for segmentations, mean squared error for images.

    Args:
        prediction: output of the network, `[B, *spatial, C]`.
        episode: with `target_out` `[B, *spatial, 1]` and `is_segmentation` bool `[B]`.
        segmentation_sigmoid: whether the output for a segmentation is a logit.
        sigma_squared, dice_sharpness, dice_threshold: arguments of `mse_loss` and `sharpened_dice_loss`.

    Example:
        >>> ones = jnp.ones((2, 16, 16, 1))
        >>> episode = {"target_out": ones, "is_segmentation": jnp.array([True, False])}
        >>> episode_loss(ones, episode, segmentation_sigmoid=False, sigma_squared=0.05).tolist()
        [0.0, 0.0]
    """
    is_segmentation = episode["is_segmentation"]
    output = task_output(prediction, is_segmentation, segmentation_sigmoid)
    truth = episode["target_out"].astype(jnp.float32)
    dice = sharpened_dice_loss(output, truth, dice_sharpness, dice_threshold)
    error = mse_loss(output, truth, sigma_squared)
    # Both are smooth for any input, so the gradient of the one that is not chosen is 0 and not NaN.
    return jnp.where(is_segmentation, dice, error)


def task_output(prediction: jax.Array, is_segmentation: jax.Array, segmentation_sigmoid: bool) -> jax.Array:
    """The first channel of the network's output, as a probability if it is a logit.

    `[B, *spatial, C]`, bool `[B]` -> float32 `[B, *spatial, 1]`.

    Example:
        >>> task_output(jnp.zeros((2, 1, 1, 3)), jnp.array([True, False]), segmentation_sigmoid=True).ravel().tolist()
        [0.5, 0.0]
    """
    output = prediction[..., :1].astype(jnp.float32)
    if not segmentation_sigmoid:
        return output
    return jnp.where(is_segmentation.reshape(-1, *[1] * (output.ndim - 1)), jax.nn.sigmoid(output), output)
