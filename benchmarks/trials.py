"""Short trainings that differ in one choice of the recipe of the weights, `experiments/pretrained.py`.

From the repository root, with label maps that `neuralizer prepare labelmaps --volumes` wrote:

    python benchmarks/trials.py data/labelmaps-volumes recipe adam

runs the named trials (without names: all) and adds them to `trials.json` and `trials.md` in `benchmarks/results`. Each
trains the first stage of the recipe from random parameters, crops of 96 mm alone, and is scored on the same episodes of
held-out persons. One training each: small differences mean nothing.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from conditions import conditions, heading, write_results  # noqa: E402
from write_tables import rounded, table  # noqa: E402

STEPS = 300
_COMMON = {
    "train.warmup_steps": 30,
    "train.ema_decay": 0.98,
    "data.crops": "()",
    "train.batch_size": 4,
    "data.context.max": 8,
    "validation.episodes": 6,
}

# What each trial changes, and its steps if they are others.
TRIALS = {
    "recipe": ("", {}),
    "adam": ("Adam, learning rate 1e-3", {"train.optimizer": "adam", "train.learning_rate": 1e-3}),
    "half rate": ("learning rate 1e-3", {"train.learning_rate": 1e-3}),
    "double rate": ("learning rate 4e-3", {"train.learning_rate": 4e-3}),
    "mse": ("the paper's loss of images, mse / (2 * 0.05)", {"train.sigma_squared": 0.05}),
    "soft Dice": ("soft Dice alone, not of the sharpened mask", {"train.dice_sharpness": 0.0}),
    "no average": ("no average of the parameters", {"train.ema_decay": 0.0}),
    "equal shares": (
        "all tasks as often",
        {
            f"data.tasks.{name}.weight": 1.0
            for name in (
                *("segmentation", "skull_stripping", "motion_correction"),
                *("undersampled_reconstruction", "denoising"),
            )
        },
    ),
    "64 features": ("64 features, as many steps", {"model.features": 64}),
    "64 features, equal time": ("64 features, a third of the steps", {"model.features": 64, "train.steps": STEPS // 3}),
    "plain deformations": ("no lesions, no thick slices", {
        "data.volumes.lesions.segment_probability": 0.0,
        "data.volumes.lesions.disturb_probability": 0.0,
        "data.volumes.scans.thick_probability": 0.0,
    }),
}  # fmt: skip
TASKS = (
    *(("segmentation", "dice"), ("skull_stripping", "dice"), ("denoising", "psnr"), ("motion_correction", "psnr")),
    *(("undersampled_reconstruction", "psnr"), ("super_resolution", "psnr"), ("inpainting", "psnr")),
    *(("modality_transfer", "psnr"), ("two_modality_transfer", "psnr")),
)


def run(name, data):
    """Trains and scores a trial: its steps, minutes and the scores of its last validation."""
    from neuralizer_jax.training.metrics_log import read_metrics

    changes = _COMMON | {"train.steps": STEPS} | TRIALS[name][1]
    changes["validation.every"] = changes["train.steps"]
    flags = [f"--config.{key}={value}" for key, value in changes.items()]
    with tempfile.TemporaryDirectory() as folder:
        command = ["train", "--config", "experiments/pretrained.py", "--data", str(data), "--workdir", folder, *flags]
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-m", "neuralizer_jax", *command], check=True, env=environment, cwd=ROOT)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        metrics = read_metrics(Path(folder) / "metrics.csv")
    worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    scores = {
        task: {
            size: float(metrics[f"validation/{metric}/{task}/N={size}"][1][-1])
            for size in (1, 8, 32)
            if f"validation/{metric}/{task}/N={size}" in metrics
        }
        for task, metric in TASKS
    }
    return {
        "steps": changes["train.steps"],
        "minutes": (time.perf_counter() - start) / 60,
        "core_minutes": worked / 60,
        "changes": TRIALS[name][1],
        "scores": scores,
    }


def page(results):
    """The results as Markdown."""
    text = heading("Trials of the recipe", "trials.py", results)
    text += f"""
Each row is a training of {STEPS} steps from random parameters: crops of 96x96 at 1 mm, four episodes a step, N = 1 to
8. It differs from the recipe in one choice. Scores are of the same episodes of two held-out persons, all planes, the
mean of N = 1 and N = 8: Dice, and PSNR in dB. One training each, and short: small differences mean nothing.

"""
    rows = [
        [name, TRIALS[name][0], its["steps"], f"{its['core_minutes']:.0f}"]
        + [rounded(sum(its["scores"][task][str(n)] for n in (1, 8)) / 2, metric) for task, metric in TASKS]
        for name, its in results["trials"].items()
    ]
    names = [task.replace("_", " ") for task, _ in TASKS]
    return text + table(["trial", "instead", "steps", "core minutes", *names], rows) + "\n"


def main():
    """Runs trials and adds them to the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*", metavar="TRIAL", help=", ".join(TRIALS))
    options = parser.parse_args()
    for name in options.names or TRIALS:
        found = json.loads(json.dumps(run(name, options.data.resolve())))
        path = ROOT / "benchmarks" / "results" / "trials.json"
        before = json.loads(path.read_text())["trials"] if path.exists() else {}
        command = f"python benchmarks/trials.py data/{options.data.name} TRIAL ..."
        results = conditions(command, ["jax", "jaxlib", "flax", "optax", "numpy"])
        results["trials"] = {key: its for key, its in (before | {name: found}).items() if key in TRIALS}
        write_results("trials", results, page(results))


if __name__ == "__main__":
    main()
