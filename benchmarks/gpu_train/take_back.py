"""Puts what a GPU made in its place, and writes the timings.

    python benchmarks/gpu_train/take_back.py RESULTS --out results/pretrained

Runs go to `results/pretrained/runs`, whole: the recipe goes on from their checkpoints by `small_from`, another lease by
`pack.py`. A run that is there with a later checkpoint stays. Writes `gpu_train.json` and `gpu_train.md` to
`benchmarks/results`, unless `--no-results` is given.
"""

import argparse
import json
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import numpy as np  # noqa: E402
from write_tables import table, update  # noqa: E402

from neuralizer_jax.files.atomic_file import replace_folder  # noqa: E402
from neuralizer_jax.training.metrics_log import read_metrics  # noqa: E402

# Measured by a run, with the format that shows them.
SPEEDS = {"train/images_per_second": ".0f", "train/data_wait": ".1%"}

# More than any archive of a run holds.
LARGEST = 2**30


def last_step(run):
    """The step of the newest checkpoint; -1: none."""
    return max((int(path.name) for path in run.glob("checkpoints/*") if path.name.isdigit()), default=-1)


def take_run(archive, out, data):
    """Puts the run of an archive among the runs. Returns its folder, or None if a later one is there."""
    with tempfile.TemporaryDirectory(dir=out) as temporary, tarfile.open(archive) as opened:
        if sum(member.size for member in opened) > LARGEST:
            sys.exit(f"{archive}: holds more than {LARGEST >> 30} GiB, expected the archive of a run")
        try:
            opened.extractall(temporary, filter="data")
        except tarfile.TarError as error:
            sys.exit(f"{archive}: {error}, expected the archive of a run")
        found = [path.parent for path in Path(temporary).glob("runs/*/config.json")]
        if len(found) != 1 or last_step(found[0]) < 0:
            sys.exit(f"{archive}: expected one run with a checkpoint")
        final = out / "runs" / found[0].name
        if last_step(final) > last_step(found[0]):
            return None
        config = json.loads((found[0] / "config.json").read_text())
        # There, paths were relative to the experiment.
        if config["train"]["init_from"].startswith("runs/"):
            config["train"]["init_from"] = str(out / config["train"]["init_from"])
        config["data"]["datasets"] = [str(data)]
        (found[0] / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        final.parent.mkdir(exist_ok=True)
        replace_folder(found[0], final)
    return final


def speeds(run):
    """Medians of a run: images a second, and the part of the time that it waits for the host to plan episodes."""
    metrics = read_metrics(run / "metrics.csv") if (run / "metrics.csv").exists() else {}
    return {name: float(np.median(metrics[name][1])) for name in SPEEDS if name in metrics}


def of_kind(results, kind):
    """The lines of a kind that were measured."""
    return [line for line in results["measured"] if line["kind"] == kind]


def markdown(results):
    """The timings."""
    device, plan = of_kind(results, "device"), results["plan"]
    versions = ", ".join(f"{name} {version}" for name, version in device[0]["versions"].items()) if device else ""
    text = f"""# Minutes of a GPU

Written by `benchmarks/gpu_train/take_back.py`, {results["date"]}:

    {results["command"]}

- {device[0]["name"] if device else "not measured"}
- {versions}

The experiment `pretrained`, stage {plan["stage"]}, {plan["features"]} features. A row of the first table is a compiled
program: all batches of one shape. Making the episodes is a part of the step.

"""
    rows = [
        (
            f"{line['size']}x{line['size']}",
            line["members"],
            line["episodes"],
            f"{line['share']:.0%}",
            f"{1e3 * line['seconds']:.1f}",
            f"{line['making_seconds'] / line['seconds']:.1%}" if "making_seconds" in line else "",
            f"{line['bytes'] / 2**30:.2f}" if line["bytes"] else "",
            f"{line['trace_seconds']:.0f} + {line['compile_seconds']:.0f}",
        )
        for line in of_kind(results, "program")
    ]
    header = ("images", "N", "episodes", "of the steps", "ms", "making episodes", "GiB", "to trace + compile, s")
    text += table(header, rows)
    if batches := of_kind(results, "batch"):
        rows = [
            (
                line["batch"],
                line["episodes"],
                f"{1e3 * line['seconds']:.1f}",
                f"{line['episodes'] / line['seconds']:.0f}",
            )
            for line in batches
        ]
        chosen = [line["batch"] for line in of_kind(results, "chosen")] or ["none"]
        text += f"\n\nThe smallest images, several batches; {chosen[0]} was chosen.\n\n"
        text += table(("`batch`", "episodes", "ms", "episodes a second"), rows)
    rows = [
        (
            run["name"],
            run["step"],
            f"{run['seconds']:.0f}",
            *(f"{run[name]:{form}}" if name in run else "" for name, form in SPEEDS.items()),
            run["status"],
        )
        for run in results["runs"]
    ]
    text += f"\n\n{results['seconds'] / 60:.1f} minutes in all. The trainings, from start to end:\n\n"
    header = ("run", "to step", "seconds", "images a second", "waits for data", "exit status")
    return text + table(header, rows) + "\n"


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder that run.py wrote")
    parser.add_argument("--out", type=Path, default=Path("results/pretrained"), help="folder of the experiment")
    parser.add_argument("--data", type=Path, default=Path("data/labelmaps-volumes"), help="prepared volumes, here")
    parser.add_argument("--no-results", action="store_true", help="leave benchmarks/results as it is")
    options = parser.parse_args()
    if not (options.results / "gpu_train.json").exists():
        sys.exit(f"{options.results}: has no gpu_train.json, expected the results of run.py")
    results = json.loads((options.results / "gpu_train.json").read_text())
    options.out.mkdir(parents=True, exist_ok=True)
    for archive in sorted(options.results.glob("gpu-*.tar.gz")):
        run = take_run(archive, options.out, options.data)
        print(f"{run}: step {last_step(run)}" if run else f"{archive}: a later checkpoint is there; not taken")
    if (programs := options.results / "programs.tar").exists():
        shutil.copyfile(programs, options.out / "runs/programs.tar")
    for run in results["runs"]:
        run |= speeds(options.out / "runs" / run["name"])
    if not options.no_results:
        folder = ROOT / "benchmarks/results"
        (folder / "gpu_train.json").write_text(json.dumps(results, indent=1) + "\n")
        (folder / "gpu_train.md").write_text(markdown(results))
        update()
    print("go on: neuralizer experiment --config pretrained:small_from=RUN/checkpoints, or base_from; or pack.py again")


if __name__ == "__main__":
    main()
