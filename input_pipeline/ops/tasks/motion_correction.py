"""Motion correction: image whose k-space was acquired while the head moved -> image at rest.

The head jumps between poses and rests in between, so k-space consists of lines of rigidly moved images (Shaw et al.
2019, MIDL, "MRI k-space motion artefact augmentation"). The artefact depends on the order of the lines in time (Zaitsev
et al. 2015, https://doi.org/10.1002/jmri.24850): lines in sequence give ringing at edges; several shots that each cover
k-space give ghosts. The centre of k-space is acquired at rest, so that input and output are aligned.
"""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from input_pipeline.ops.k_space import along_phase_encoding, from_k_space, line_numbers, to_k_space
from input_pipeline.ops.registry import Parameters, Task, register_task
from input_pipeline.ops.tasks.input_channels import input_channels

# Central fraction of the lines that is acquired at rest.
_CENTRE = 0.08

DEFAULTS = {
    # Number of poses. The time that `apply` takes is proportional to the larger number.
    "segments": (2, 4),
    # Number of passes over k-space.
    "shots": (1, 3),
    # Largest movement in an episode. The movements of an image are between half of it and all of it, in both
    # directions.
    "rotation_degrees": (2.0, 5.0),
    "translation_mm": (1.5, 4.0),
}


def sample(key: jax.Array, config: ConfigDict) -> Parameters:
    """Samples the numbers of `segments` and `shots`, the largest movement and the axis.

    `severity` `[3]` is the largest rotation in degrees and translation along rows and columns in pixels; `rows` says
    whether phase encoding is along the rows axis.
    """
    segments, shots, rotation, translation, rows = jax.random.split(key, 5)
    rotation = jax.random.uniform(rotation, (), jnp.float32, *config.rotation_degrees)
    translation = jax.random.uniform(translation, (), jnp.float32, *config.translation_mm)
    return {
        "segments": jax.random.randint(segments, (), config.segments[0], config.segments[1] + 1),
        "shots": jax.random.randint(shots, (), config.shots[0], config.shots[1] + 1),
        "severity": jnp.stack([rotation, translation, translation]),
        "rows": jax.random.bernoulli(rows),
    }


def sample_image(key: jax.Array, shared: Parameters, config: ConfigDict) -> Parameters:
    """Samples when the head moves, `jumps` `[S - 1]`, and where to, `poses` `[S - 1, 3]`.

    Times are fractions of the scan's duration; poses are degrees and pixels along rows and columns.
    """
    jumps, size, side = jax.random.split(key, 3)
    most = config.segments[1] - 1
    # Evenly spaced, with a jitter of up to 0.3 of the spacing. A single shot acquires the centre of k-space, on which
    # the image depends most, in the middle of the scan; jumps far from it would not be visible.
    jumps = jnp.arange(1, most + 1) + jax.random.uniform(jumps, (most,), jnp.float32, -0.3, 0.3)
    jumps = 0.5 + (jumps / shared["segments"] - 0.5) * jnp.where(shared["shots"] == 1, 0.5, 1)
    size = jax.random.uniform(size, (most, 3), jnp.float32, 0.5, 1)
    return {
        # A jump at time 2 is after the end of the scan.
        "jumps": jnp.where(jnp.arange(1, most + 1) < shared["segments"], jumps, 2.0),
        "poses": jnp.where(jax.random.bernoulli(side, shape=size.shape), size, -size) * shared["severity"],
    }


def apply(shared: Parameters, own: Parameters, images: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Input: the image with motion, clipped to 1 (ringing can exceed it). Output: the image."""

    def change(image: jax.Array) -> jax.Array:
        poses = pose_of_lines(image.shape[-1], own["jumps"], shared["shots"])
        return jnp.minimum(jnp.abs(acquired(image, poses, own["poses"])), 1)

    return input_channels(along_phase_encoding(change, images[..., 0], shared["rows"])), images[..., :1]


def pose_of_lines(length: int, jumps: jax.Array, shots: jax.Array) -> jax.Array:
    """The pose in which each line is acquired.

    Args:
        length: number of lines.
        jumps: `[S - 1]`, when a pose ends and the next begins, as fractions of the duration.
        shots: passes over k-space; each acquires every `shots`-th line.

    Returns:
        `[length]` int32 in the order of `line_numbers`: 0 is rest, 1 to S - 1 are the other poses.
    """
    numbers = line_numbers(length)
    line = jnp.round((numbers + 1) * length / 2)
    times = (line % shots + line / length) / shots
    poses = (times[:, None] > jumps).sum(1)
    # The pose of the central line is called rest.
    return jnp.where(jnp.abs(numbers) <= _CENTRE, 0, (poses - poses[0]) % (jumps.size + 1))


def acquired(image: jax.Array, numbers: jax.Array, poses: jax.Array) -> jax.Array:
    """The image that a scan of a moving head gives.

    Args:
        image: `[H, W]`, at rest.
        numbers: `[W]`, pose of each line of k-space: 0 is rest, n is `poses[n - 1]`.
        poses: `[S - 1, 3]`, as for `moved`.

    Returns:
        `[H, W]` complex64.
    """
    images = jnp.concatenate([image[None], jax.vmap(moved, (None, 0))(image, poses)])
    seen = numbers == jnp.arange(len(images))[:, None]
    return from_k_space((to_k_space(images) * seen[:, None]).sum(0))


def moved(image: jax.Array, pose: jax.Array) -> jax.Array:
    """An image `[H, W]` rotated about its centre and translated, interpolated linearly, zero where nothing was seen.

    Args:
        image: `[H, W]`.
        pose: `[3]`: rotation in degrees, from the rows' axis to the columns'; then translation in rows and columns.
    """
    height, width = image.shape
    wide = jnp.pad(image, 1)
    cos, sin = jnp.cos(jnp.deg2rad(pose[0])), jnp.sin(jnp.deg2rad(pose[0]))
    row = jnp.arange(height, dtype=jnp.float32)[:, None] - (height - 1) / 2 - pose[1]
    column = jnp.arange(width, dtype=jnp.float32) - (width - 1) / 2 - pose[2]
    y = jnp.clip(cos * row + sin * column + (height + 1) / 2, 0, height + 1)
    x = jnp.clip(cos * column - sin * row + (width + 1) / 2, 0, width + 1)
    top, left = jnp.minimum(jnp.floor(y), height), jnp.minimum(jnp.floor(x), width)
    index = (top * (width + 2) + left).astype(jnp.int32)

    def between_columns(index: jax.Array) -> jax.Array:
        first, second = (wide.reshape(-1).at[place].get(mode="promise_in_bounds") for place in (index, index + 1))
        return first + (x - left) * (second - first)

    upper, lower = between_columns(index), between_columns(index + width + 2)
    return upper + (y - top) * (lower - upper)


register_task(Task("motion_correction", "image", DEFAULTS, sample, sample_image, apply))
