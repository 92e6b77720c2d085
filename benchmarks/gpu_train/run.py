"""Trains on a GPU for minutes, on a machine with JAX, Flax, Optax, Orbax and no network. `pack.py` makes its folder.

    python3 run.py --minutes 9 --out RESULTS

installs the missing wheels, measures for 30 s, trains until the clock says so, and leaves in RESULTS an archive of each
run (newest checkpoint, metrics, curves), `gpu_train.json` and `log.txt`. Archives are renewed every minute, so they are
there, and whole, when the machine is taken away. Called again, it goes on. Python's standard library only.
"""

import argparse
import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent

# Multiples of the recipe's batches that are compared; the one that is taken if that fails; the least: from 2 on the
# recipe computes in bfloat16.
BATCHES, USUAL_BATCH, LEAST_BATCH = (4, 8, 16), 8, 2

# Seconds to stop a run and write its last checkpoint, to write the results, between archives, to start a training.
STOPPING, ENDING, ARCHIVE_EVERY, STARTING = 20, 10, 60, 40

# Largest share of the time for measuring and compiling.
MEASURING = 0.5

# Bytes of the trace and of the compiled programs that are still brought back.
LARGEST = 15 * 2**20

# Kept of a run besides its newest checkpoint.
KEPT = (".json", ".csv", ".png")


class Lease:
    """A stretch of time on a machine: `work` has the code, the data and the runs, `out` gets the results."""

    def __init__(self, options):
        """Unpacks and installs what `pack.py` packed."""
        self.began = time.monotonic()
        self.end = self.began + 60 * options.minutes - ENDING
        self.work, self.out, self.changes = options.work.resolve(), options.out.resolve(), options.changes
        self.plan = json.loads((HERE / "plan.json").read_text())
        self.results = {"command": " ".join(["python3", *sys.argv]), "date": time.strftime("%Y-%m-%d")}
        self.results |= {"plan": self.plan, "measured": [], "runs": []}
        for folder in (self.work / "programs", self.out):
            folder.mkdir(parents=True, exist_ok=True)
        load, unpacked = HERE / "load.tar.xz", self.work / "unpacked"
        packed = f"{load.stat().st_size} bytes, {self.plan}"
        if not unpacked.exists() or unpacked.read_text() != packed:
            with tarfile.open(load) as archive:
                archive.extractall(self.work, filter="data")
            unpacked.write_text(packed)
        self.environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(self.work / "source"), str(self.work / "installed")]),
            "PYTHONUNBUFFERED": "1",
            "JAX_COMPILATION_CACHE_DIR": str(self.work / "programs"),
            "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.85",
            # An error where JAX does not find the card.
            "JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cuda,cpu"),
        }
        self.install()

    def install(self):
        """Installs the wheels of packages that the machine does not have."""
        missing = [path for path in sorted(HERE.glob("wheels/*.whl")) if not _installed(path)]
        installed, partial = self.work / "installed", self.work / "installing"
        if missing and not installed.exists():
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
            subprocess.run([*pip, "--no-deps", "--no-compile", "--upgrade", "--target", partial, *missing], check=True)
            partial.rename(installed)
        self.say(f"unpacked; installed {', '.join(map(_package, missing)) or 'nothing'}")

    def say(self, text):
        """Prints a line with the time; writes the results so far."""
        seconds = time.monotonic() - self.began
        print(f"{seconds:6.1f} s  {text}", flush=True)
        partial = self.out / "gpu_train.json.partial"
        partial.write_text(json.dumps(self.results | {"seconds": seconds}, indent=1) + "\n")
        os.replace(partial, self.out / "gpu_train.json")

    def arguments(self, stage, start="", steps=10**6):
        """The experiment of a stage, its seed, to which the size of the batch is added, and what changes in it."""
        seed = 1000 * self.plan["number"] + ("crops", "slices", "decay").index(stage) * 100
        experiment = f"pretrained:stage={stage},features={self.plan['features']},steps={steps},init_from={start}"
        changes = {"data.apply": "device", "validation.every": 0, "checkpoint.every": 200}
        changes["train.warmup_steps"] = min(100, steps // 10)
        return experiment, seed, [*(f"--config.{key}={value}" for key, value in changes.items()), *self.changes]

    def start(self, arguments, output=None, **environment):
        """Starts Python; what it prints goes to the log."""
        with open(self.out / "log.txt", "a") as log:
            command = [sys.executable, *map(str, arguments)]
            environment = self.environment | environment
            return subprocess.Popen(
                command, cwd=self.work, env=environment, stdout=output or log, stderr=log, process_group=0
            )

    def wait(self, process, until, meanwhile=lambda: None):
        """Waits for a process; asks it to stop when the time comes, kills it if it does not. Returns its status."""
        asked = False
        try:
            while process.poll() is None:
                if time.monotonic() > until and not asked:
                    process.terminate()
                    asked = True
                elif time.monotonic() > until + STOPPING:
                    process.kill()
                meanwhile()
                time.sleep(0.1)
        finally:
            if process.returncode is None:
                process.terminate()
        return process.returncode

    def start_measuring(self, arguments, batches, seconds, lines, **environment):
        """Starts `measure.py`, which writes its results to the file `lines`."""
        experiment, seed, changes = arguments
        command = [HERE / "measure.py", "--config", experiment, "--seed", seed, "--data", *self.plan["data"]]
        command += ["--seconds", seconds]
        command += ["--trace", self.work / "trace.xplane.pb.gz"] if seconds else []
        with open(lines, "w") as output:
            return self.start([*command, "--batches", *batches, "--", *changes], output, **environment)

    def train(self, name, batch, arguments, until):
        """Trains a run until the clock says so. Returns whether it did not fail, and the step of its checkpoint."""
        experiment, seed, changes = arguments
        command = ["-m", "neuralizer_jax", "train", "--config", f"{experiment},batch={batch}"]
        command += ["--workdir", f"runs/{name}", "--data", *self.plan["data"], f"--config.seed={seed + batch}"]
        began = archived = time.monotonic()

        def archive():
            nonlocal archived
            if time.monotonic() > archived + ARCHIVE_EVERY:
                archived = time.monotonic()
                self.bring_back(name)

        self.say(f"training {name}")
        process = self.start([*command, *changes])
        status, step = self.wait(process, until, archive), self.bring_back(name)
        seconds = time.monotonic() - began
        self.results["runs"].append({"name": name, "batch": batch, "status": status, "step": step, "seconds": seconds})
        self.say(f"{name}: status {status}, checkpoint of step {step}; {self.last_words()}")
        return status == 0, step

    def last_words(self):
        """The last line of the log."""
        return ((self.out / "log.txt").read_text(errors="replace").strip().splitlines() or ["no output"])[-1]

    def bring_back(self, name):
        """Writes the archive of a run with its newest checkpoint. Returns the step; None: there is no checkpoint."""
        run = self.work / "runs" / name
        steps = [int(path.name) for path in run.glob("checkpoints/*") if path.name.isdigit()]
        if not steps:
            return None
        newest = run / "checkpoints" / str(max(steps))
        try:
            with tarfile.open(self.work / "archive", "w:gz") as archive:
                for path in (*(path for path in sorted(run.glob("*.*")) if path.suffix in KEPT), newest):
                    archive.add(path, path.relative_to(self.work))
        except FileNotFoundError:  # the run has deleted this checkpoint: there is a newer one
            return max(steps)
        self.keep(self.work / "archive", f"{name}.tar.gz")
        return max(steps)

    def keep(self, path, name):
        """Copies a file to the results."""
        shutil.copyfile(path, self.out / f"{name}.partial")
        os.replace(self.out / f"{name}.partial", self.out / name)


def _package(wheel):
    return wheel.name.split("-")[0].replace("_", "-")


def _installed(wheel):
    try:
        importlib.metadata.version(_package(wheel))
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def choose_batch(lease, given, seconds):
    """The batch size, and seconds of a step if they were measured. What it compiles is in the cache then."""
    if not seconds:
        return given or USUAL_BATCH, None
    file = lease.work / "measured.jsonl"
    limit = time.monotonic() + MEASURING * (lease.end - time.monotonic())
    batches = [given] if given else BATCHES
    lease.wait(lease.start_measuring(lease.arguments(lease.plan["stage"]), batches, seconds, file), limit)
    whole = [line for line in file.read_text().splitlines() if line.endswith("}")]
    lines = lease.results["measured"] = [json.loads(line) for line in whole]
    if (trace := lease.work / "trace.xplane.pb.gz").exists() and trace.stat().st_size < LARGEST:
        lease.keep(trace, trace.name)
    if not lines:
        sys.exit(f"JAX does not start: {lease.last_words()}")
    batch = next((line["batch"] for line in lines if line["kind"] == "chosen"), given or USUAL_BATCH)
    programs = [line for line in lines if line["kind"] == "program"]
    shares = sum(line["share"] for line in programs)
    step = sum(line["share"] * line["seconds"] for line in programs) / shares if programs else None
    lease.say(f"batch {batch}; a step takes {step or float('nan'):.3f} s, {len(programs)} programs")
    return batch, step


def train_stage(lease, batch, until):
    """Trains the stage; after each failure with half the batch. Returns the last run with a checkpoint, and batch."""
    start, made = lease.plan["start"], (None, None)
    while batch >= LEAST_BATCH and time.monotonic() < until:
        name = f"{lease.plan['name']}-batch{batch}"
        fine, step = lease.train(name, batch, lease.arguments(lease.plan["stage"], start), until)
        if step:
            start, made = f"runs/{name}/checkpoints", (name, step)
        if fine:
            break
        batch //= 2
    return *made, max(batch, LEAST_BATCH)


def train(lease, options):
    """Measures, trains, and brings back what it made. Returns whether there are new weights."""
    decay = 60 * options.decay
    batch, step_seconds = choose_batch(lease, options.batch or lease.plan["batch"], options.measure)
    ahead = None
    if decay and step_seconds:
        # The programs of the last stage are compiled while this one trains.
        steps = decay_steps(decay, step_seconds)
        file = lease.work / "compiled.jsonl"
        environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        ahead = lease.start_measuring(lease.arguments("decay", steps=steps), [batch], 0, file, **environment)
    name, step, batch = train_stage(lease, batch, lease.end - STOPPING - decay)
    if ahead and ahead.poll() is None:
        ahead.kill()
    if decay and name:
        run = lease.results["runs"][-1]
        steps = decay_steps(decay, step_seconds or run["seconds"] / step)
        last = f"{lease.plan['name'].rpartition('-')[0]}-decay-batch{batch}-after-{step}"
        arguments = lease.arguments("decay", f"runs/{name}/checkpoints", steps)
        lease.train(last, batch, arguments, lease.end - STOPPING)
    programs = lease.work / "programs"
    if sum(path.stat().st_size for path in programs.rglob("*")) < LARGEST:
        with tarfile.open(lease.work / "archive", "w") as archive:
            archive.add(programs, programs.name)
        lease.keep(lease.work / "archive", "programs.tar")
    lease.say(f"the results are in {lease.out}")
    return name is not None


def decay_steps(seconds, step_seconds):
    """Steps of the last stage that there is time for; a loop takes longer than its programs."""
    return max(10, int(0.85 * (seconds - STARTING) / step_seconds))


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=9, help="until all is written (default: 9)")
    parser.add_argument("--decay", type=float, default=0, help="of these, for the stage decay after the stage slices")
    parser.add_argument("--batch", type=int, default=0, help="multiple of the recipe's batches (default: measured)")
    parser.add_argument("--measure", type=float, default=30, help="seconds to measure for; 0: not (default: 30)")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", "out")), help="default: $OUT, or out")
    parser.add_argument("--work", type=Path, default=Path("/tmp/neuralizer-gpu"), help="folder of everything else")
    parser.add_argument("changes", nargs="*", help="--config.KEY=VALUE, after --")
    options = parser.parse_args()
    if options.decay and json.loads((HERE / "plan.json").read_text())["stage"] != "slices":
        parser.error("--decay: the stage decay comes after the stage slices alone")
    # Asked to stop, it stops what it has started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(0 if train(Lease(options), options) else 1)


if __name__ == "__main__":
    main()
