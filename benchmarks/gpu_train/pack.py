"""Packs a training for a machine with a GPU and no network: one folder, to be copied there.

    python benchmarks/gpu_train/pack.py --out results/pretrained --stage slices

The folder (default: `build/gpu`) gets the code, the prepared volumes, the newest checkpoint of the experiment in
`results/pretrained`, and the wheels that a machine with Python 3.12, JAX, Flax, Optax and Orbax may lack. Then, there:

    python3 build/gpu/run.py --minutes 9 --out RESULTS

A run that came from a GPU and is of the same stage goes on; otherwise a new run starts from the checkpoint's weights.
"""

import argparse
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("neuralizer_jax", "input_pipeline", "experiments")

# What `neuralizer train` imports besides JAX, Flax, Optax and Orbax; what these bring along is not packed.
WHEELS = ("ml_collections", "matplotlib", "pandas", "safetensors", "tensorboardX", "tqdm")
WITH_JAX = {"absl_py", "numpy", "protobuf", "pyyaml", "typing_extensions"}
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (34, 31, 28, 27, 24, 17, 12, 5)]

NAMES = {32: "small", 64: "base"}
WEIGHTS = "start.safetensors"
GPU_RUN = re.compile(r"gpu-(\d+)-(\w+)-(\w+)-batch(\d+)")


def download(names, folder):
    """Downloads wheels for Python 3.12 with what they need, unless the folder has them."""
    wanted = json.dumps(sorted(names))
    listed = folder / "names.json"
    if listed.exists() and listed.read_text() == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    if not names:
        return
    platforms = [argument for platform in PLATFORMS for argument in ("--platform", platform)]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    command = [*pip, "--python-version", "3.12", *platforms, "--dest", folder, *names]
    if subprocess.run(command, check=False).returncode:
        sys.exit(f"{', '.join(names)}: cannot be downloaded; --wheels without a name packs none")
    for wheel in folder.glob("*.whl"):
        if wheel.name.split("-")[0].lower() in WITH_JAX:
            wheel.unlink()
    listed.write_text(wanted)


def newest_run(out):
    """The run of an experiment with the newest checkpoint; None: there is none."""
    checkpoints = [path for path in out.glob("runs/*/checkpoints/*/meta") if path.parent.name.isdigit()]
    return max(checkpoints, key=lambda path: path.stat().st_mtime).parents[2] if checkpoints else None


def newest_checkpoint(run):
    """The newest checkpoint of a run."""
    steps = [int(path.name) for path in run.glob("checkpoints/*") if path.name.isdigit()]
    if not steps:
        sys.exit(f"{run}: has no checkpoints, expected a run of `neuralizer train`")
    return run / "checkpoints" / str(max(steps))


def make_plan(out, stage, features, start):
    """What to train: `plan.json`, and the runs whose newest checkpoint has to be there."""
    numbers = [int(match[1]) for path in out.glob("runs/*") if (match := GPU_RUN.match(path.name))]
    number = 1 + max(numbers, default=0)
    network = NAMES.get(features, f"{features}features")
    plan = {"number": number, "name": f"gpu-{number}-{network}-{stage}", "stage": stage, "features": features}
    plan |= {"batch": 0, "start": ""}
    if start is None or start.is_file():
        return plan | {"start": WEIGHTS if start else ""}, []
    if not start.is_dir():
        if start.suffix or len(start.parts) > 1:
            sys.exit(f"{start}: not found, expected a run, weights, or the name of weights")
        return plan | {"start": str(start)}, []  # a name of weights that come with the code
    match = GPU_RUN.fullmatch(start.name)
    before = _start_of(start, out) if match and (match[2], match[3]) == (network, stage) else None
    if before is None:
        return plan | {"start": f"runs/{start.name}/checkpoints"}, [start]
    # The same run goes on. It needs what it started from, too: the configuration names that.
    plan |= {"number": int(match[1]), "name": start.name.rpartition("-batch")[0], "batch": int(match[4])}
    return plan | {"start": before[0]}, [start, *before[1]]


def _start_of(run, out):
    """What a run started from, and the run that made it; None: unknown weights."""
    start = Path(json.loads((run / "config.json").read_text())["train"]["init_from"])
    if start.name == "checkpoints":
        return f"runs/{start.parent.name}/checkpoints", [out / "runs" / start.parent.name]
    return None if start.suffix else (str(start) if start.name else "", [])


def write_load(path, data, runs, weights, programs):
    """Writes the archive of code, volumes, runs, weights and compiled programs."""
    with tarfile.open(path, "w:xz", preset=1, dereference=True) as archive:
        for package in PACKAGES:
            archive.add(ROOT / package, f"source/{package}", filter=_without_caches)
        version = metadata.version("neuralizer-jax")
        text = f"Metadata-Version: 2.1\nName: neuralizer-jax\nVersion: {version}\n".encode()
        entry = tarfile.TarInfo(f"source/neuralizer_jax-{version}.dist-info/METADATA")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
        archive.add(data / "volumes", f"data/{data.name}/volumes")
        for run in runs:
            for file in sorted(run.glob("*.*")):
                if file.suffix in (".json", ".csv"):
                    archive.add(file, f"runs/{run.name}/{file.name}")
            newest = newest_checkpoint(run)
            archive.add(newest, f"runs/{run.name}/checkpoints/{newest.name}")
        if weights:
            archive.add(weights, WEIGHTS)
        if programs and programs.exists():
            with tarfile.open(programs) as inner:
                for member in inner:
                    archive.addfile(member, inner.extractfile(member) if member.isfile() else None)


def _without_caches(entry):
    return None if entry.name.endswith("__pycache__") else entry


def main():
    """Packs, and prints the sizes and the command for the other machine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results/pretrained"), help="folder of the experiment")
    parser.add_argument("--data", type=Path, default=Path("data/labelmaps-volumes"), help="prepared volumes")
    parser.add_argument("--stage", choices=("crops", "slices"), default="slices", help="default: slices")
    parser.add_argument("--features", type=int, default=32, help="of the network (default: 32)")
    parser.add_argument("--start", help="a run, weights or their name, or random (default: the newest run in OUT)")
    parser.add_argument("--wheels", nargs="*", default=WHEELS, help=f"packages (default: {' '.join(WHEELS)})")
    parser.add_argument("--folder", type=Path, default=Path("build/gpu"), help="default: build/gpu")
    parser.add_argument("--mib", type=float, default=64, help="the most that the folder may hold (default: 64)")
    options = parser.parse_args()
    if not (options.data / "volumes/index.json").exists():
        sys.exit(f"{options.data}: holds no volumes, expected what `neuralizer prepare --volumes` wrote")
    start = newest_run(options.out) if options.start is None else Path(options.start)
    if options.start == "random":
        start = None
    plan, runs = make_plan(options.out, options.stage, options.features, start)
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    plan["data"] = [f"data/{options.data.name}"]
    weights = start if start and start.is_file() else None
    download(options.wheels, folder / "wheels")
    # A new run has other programs: its seed is in them.
    programs = options.out / "runs/programs.tar" if plan["batch"] else None
    write_load(folder / "load.tar.xz", options.data, runs, weights, programs)
    for name in ("run.py", "measure.py"):
        shutil.copyfile(Path(__file__).with_name(name), folder / name)
    (folder / "plan.json").write_text(json.dumps(plan, indent=1) + "\n")
    total = 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        total += path.stat().st_size
        print(f"{path.stat().st_size / 2**20:8.2f} MiB  {path.relative_to(folder)}")
    print(f"{total / 2**20:8.2f} MiB in all")
    if total > options.mib * 2**20:
        sys.exit(
            f"{folder}: {total / 2**20:.1f} MiB, expected at most {options.mib:g}; --wheels may name fewer packages"
        )
    what = f"{start} goes on" if plan["batch"] else f"{plan['name']} starts from {plan['start'] or 'random parameters'}"
    print(f"{what}. On the machine with the GPU:")
    print(f"    python3 {folder}/run.py --minutes 9 --out RESULTS")


if __name__ == "__main__":
    main()
