"""Whether training learns, and learns to use the context: small models on phantoms, on a CPU.

From the repository root, in half an hour on two cores:

    python benchmarks/learning.py

Prepares 100 phantoms and trains `experiments/smoke.py` as it stands, and once more without one task. On fixed episodes
of validation subjects (N = 8) each model then gets the right context, and the context of another task. Beside them
stands the mean of the context's outputs, which needs no model. A third part trains on one batch of 8 episodes and
nothing else. Writes `learning.json` and `learning.md` to `benchmarks/results`.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from conditions import conditions, heading, table, write_results  # noqa: E402

HELD_OUT = "inpainting"
EPISODES = 12  # of each task
MEMBERS = 8
OVERFIT_STEPS = 200


def smoke_config(data, held_out=()):
    from neuralizer_jax.experiment_config import load_config

    config = load_config(ROOT / "experiments/smoke.py")
    config.data.datasets = (str(data),)
    config.data.hold_out.tasks = held_out
    return config


def trained(folder, data, held_out=()):
    """Trains with the command; the folder of the run, and seconds."""
    workdir = folder / f"without_{'_'.join(held_out) or 'nothing'}"
    command = [sys.executable, "-m", "neuralizer_jax", "train", "--config", str(ROOT / "experiments/smoke.py")]
    command += ["--workdir", str(workdir), "--data", str(data), f"--config.data.hold_out.tasks={','.join(held_out)}"]
    start = time.perf_counter()
    subprocess.run(command, check=True, cwd=ROOT)
    return workdir, time.perf_counter() - start


def validation_episodes(data):
    """All episodes in one batch, the same number of each task, task after task."""
    import numpy as np

    from input_pipeline.episodes.batches import EpisodeStream
    from input_pipeline.episodes.validation import validation_batches, validation_config
    from input_pipeline.store.table import open_collection

    config = validation_config(smoke_config(data).data)
    with config.unlocked():
        config.batch_size = EPISODES
    batches = list(
        validation_batches(EpisodeStream(config, open_collection(config.datasets, config.split)), EPISODES, (MEMBERS,))
    )
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def with_context_of_another_task(episodes):
    """The same targets; each has the context of an episode of the next task."""
    import numpy as np

    names = ("context_in", "context_out", "context_mask")
    return episodes | {name: np.roll(episodes[name], EPISODES, axis=0) for name in names}


def scores(prediction, episodes):
    """Mean Dice or PSNR of each task."""
    import numpy as np

    from input_pipeline.ops.registry import TASKS
    from neuralizer_jax.metrics import dice, psnr

    truth = episodes["target_out"]
    values = np.where(episodes["is_segmentation"], dice(prediction, truth), psnr(prediction, truth))
    names = np.array(list(TASKS))[episodes["task"]]
    return {name: float(values[names == name].mean()) for name in dict.fromkeys(names)}


def predicted(workdir, episodes):
    import jax
    import numpy as np

    from neuralizer_jax import load_weights
    from neuralizer_jax.forward import forward

    model, params = load_weights(workdir / "best.safetensors")
    run = jax.jit(lambda batch: forward(model, params, batch))
    parts = [
        {name: x[start : start + EPISODES] for name, x in episodes.items()}
        for start in range(0, len(episodes["task"]), EPISODES)
    ]
    return np.concatenate([run(part) for part in parts])


def overfit(data):
    """Loss on one batch of 8 episodes, before and after training on it alone."""
    import jax

    from input_pipeline.episodes.batches import EpisodeStream
    from input_pipeline.store.table import open_collection
    from neuralizer_jax.training.parallel import compile_steps
    from neuralizer_jax.training.state import create_state

    config = smoke_config(data)
    config.train.batch_size = 8
    config.train.decay = "constant"
    steps = compile_steps(config.parallel)
    stream = EpisodeStream(config.data, open_collection(config.data.datasets, config.data.split))
    batch = steps.put_batch(stream.episodes(0))
    state = steps.put_state(create_state(config, jax.random.key(0)))
    losses = []
    for _ in range(OVERFIT_STEPS):
        state, metrics = steps.train(state, batch)
        losses.append(float(metrics["loss"]))
    return {"first": losses[0], "last": losses[-1], "steps": OVERFIT_STEPS}


def measure(folder):
    command = [sys.executable, "-m", "neuralizer_jax", "prepare", "phantom", "--subjects", "100", "--out", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT)
    data = folder / "phantom"
    results = {"overfit": overfit(data)}
    seen, seconds = trained(folder, data)
    unseen, _ = trained(folder, data, (HELD_OUT,))
    episodes = validation_episodes(data)
    results["seconds"] = seconds
    results["scores"] = {
        "mean context output": scores(episodes["context_out"].mean(1), episodes),
        "right context": scores(predicted(seen, episodes), episodes),
        "context of another task": scores(predicted(seen, with_context_of_another_task(episodes)), episodes),
        f"trained without {HELD_OUT}": scores(predicted(unseen, episodes), episodes),
        "input as it is": scores(episodes["target_in"][..., :1], episodes),
    }
    return results


def markdown(results):
    found = results["results"]
    columns = list(found["scores"])
    rows = [
        (task.replace("_", " "), *(f"{found['scores'][column][task]:.2f}" for column in columns))
        for task in found["scores"][columns[0]]
    ]
    one = found["overfit"]
    return f"""{heading("Learning", "learning.py", results)}
`experiments/smoke.py`: 16 features, 64x64, phantoms. The whole command took {found["seconds"]:.0f} s.

Mean Dice (segmentation, skull stripping) or PSNR in dB (the others) of {EPISODES} validation episodes a task at
N = {MEMBERS}:

{table(("task", *columns), rows)}

Trained on one batch of 8 episodes alone: loss {one["first"]:.3f} before, {one["last"]:.4f} after {one["steps"]} steps.
"""


def main():
    results = conditions("python benchmarks/learning.py", ("jax", "jaxlib", "flax", "optax", "numpy"))
    with tempfile.TemporaryDirectory() as folder:
        results["results"] = measure(Path(folder))
    write_results("learning", results, markdown(results))


if __name__ == "__main__":
    main()
