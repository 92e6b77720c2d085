"""Trains a small network for a few steps on the devices that it finds, for test_parallel.py.

    parallel_child.py FOLDER COORDINATOR PROCESSES PROCESS RUN...

where a RUN is NETWORK:MODE:CONTEXT:ACCUMULATE. Writes FOLDER/RUN.PROCESS.npz with all that the run left.
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from conftest import draw_params
from ml_collections import ConfigDict
from training_examples import blend_state, episodes, state_of

from neuralizer_jax import InputError, Neuralizer
from neuralizer_jax.training.parallel import compile_steps, initialize_processes

BATCH, MEMBERS, SIZE, STEPS = 4, 3, 8, 5


def gathered(step, rows, task=None):
    """Some rows of a batch such as `EpisodeStream.gather` returns."""
    rng = np.random.default_rng(step)
    arrays = {
        "row": np.arange(BATCH, dtype=np.int32),
        "task": np.arange(BATCH, dtype=np.int32) % 3 if task is None else np.array(task, np.int32),
        "context_mask": np.arange(MEMBERS) < rng.integers(1, MEMBERS + 1, (BATCH, 1)),
        "masks": rng.integers(0, 2, (BATCH, 1 + MEMBERS, SIZE, SIZE), np.uint8),
    }
    images = rng.integers(0, 65536, (1, BATCH, 1 + MEMBERS, SIZE, SIZE), np.uint16)
    return {"step": np.int64(step), "images": images[:, rows]} | {name: x[rows] for name, x in arrays.items()}


def finish(arrays):
    """Noisy images in; masks out of tasks 0 and 1, images out of task 2, NaN out of any other."""
    images = arrays["images"][0, ..., None].astype(jnp.float32) / 65535
    step_key = jax.random.fold_in(jax.random.key(0), arrays["step"])
    keys = jax.vmap(lambda row: jax.random.fold_in(step_key, row))(arrays["row"])
    noise = jax.vmap(lambda key: jax.random.uniform(key, (*images.shape[1:-1], 3)))(keys)
    inputs = (images + noise) / 2
    task = arrays["task"].reshape(-1, 1, 1, 1, 1)
    outputs = jnp.where(task < 2, arrays["masks"][..., None], jnp.where(task == 2, images, jnp.nan))
    return {
        "target_in": inputs[:, 0],
        "target_out": outputs[:, 0],
        "context_in": inputs[:, 1:],
        "context_out": outputs[:, 1:],
        "context_mask": arrays["context_mask"],
        "is_segmentation": arrays["task"] < 2,
        "task": arrays["task"],
    }


def first_state(network, accumulate):
    if network == "blend":  # compiles in a second
        return blend_state(accumulate=accumulate)
    model = Neuralizer(features=4, stages=1, convs=1)
    return state_of(model, jax.tree.map(lambda x: x / 2, draw_params(model)), accumulate=accumulate)


def run(network, mode, context, accumulate):
    steps = compile_steps(ConfigDict({"mode": mode, "context": context}), finish)
    share = BATCH // jax.process_count()
    rows = slice(jax.process_index() * share, (jax.process_index() + 1) * share)
    state = steps.put_state(first_state(network, accumulate))
    left = {}

    def keep(name, tree):
        left.update({f"{name}/{jax.tree_util.keystr(path)}": x for path, x in jax.tree.leaves_with_path(tree)})

    for step in range(STEPS):
        batch = steps.put_batch(gathered(step, rows))
        # The first call compiles, and places constants of the program.
        with jax.transfer_guard("disallow" if step else "allow"):
            state, metrics = steps.train(state, batch)
        keep(f"step{step}", steps.to_host(metrics))
    keep("state", steps.to_host(state))

    # Five rows, which four devices cannot share alike.
    keep("evaluated", steps.evaluate(state, episodes(rows=5, members=MEMBERS)))

    # NaN in one row, and then a good batch.
    state, metrics = steps.train(state, steps.put_batch(gathered(STEPS, rows, task=[0, 1, 2, 3])))
    keep("bad", steps.to_host(metrics))
    state, _ = steps.train(state, steps.put_batch(gathered(0, rows)))
    keep("after", steps.to_host(state))

    if mode != "jit":
        try:
            steps.put_batch(gathered(0, slice(0, 3)))
        except InputError as error:
            left["refused"] = np.array(str(error))
    return left


if __name__ == "__main__":
    folder, coordinator, processes, process, *runs = sys.argv[1:]
    initialize_processes(coordinator, int(processes), int(process))
    for name in runs:
        network, mode, context, accumulate = name.split(":")
        np.savez(Path(folder, f"{name}.{process}.npz"), **run(network, mode, int(context), int(accumulate)))
