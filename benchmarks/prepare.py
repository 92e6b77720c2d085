"""Time and memory that `neuralizer prepare` takes for a subject, for each kind of dataset.

Run from the repository root, with a folder of label maps (`*.nii.gz`, FreeSurfer's numbers) and one of the MICCAI 2012
multi-atlas challenge (`*_SS.nii.gz`, `*_glm.nii.gz`):

    python benchmarks/prepare.py --labelmaps LABELMAPS --multiatlas MULTIATLAS

Every case runs the whole command in a process of its own: once with one worker, whose peak memory is that of the
process, and once with one worker for each core. Writes `prepare.json` and `prepare.md` to `benchmarks/results`.
"""

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from conditions import available_cores, conditions, heading, table, write_results  # noqa: E402

from input_pipeline.store.records import SliceStore  # noqa: E402


def paths(options, folder):
    """`{name: (dataset, options)}`; the multi-atlas scans once with their labels and once without."""
    unlabelled = folder / "unlabelled"
    unlabelled.mkdir()
    for path in options.multiatlas.glob("*_SS.nii.gz"):
        (unlabelled / path.name).symlink_to(path.absolute())
    single = folder / "single"
    single.mkdir()
    path = min(options.labelmaps.glob("*.nii.gz"))
    (single / path.name).symlink_to(path.absolute())
    return {
        "label maps (aligned by centroids, synthesised)": ("labelmaps", ["--raw", options.labelmaps]),
        "label maps, 5 subjects of each": ("labelmaps", ["--raw", options.labelmaps, "--subjects-per-map", "5"]),
        "one label map, the whole volume": ("labelmaps", ["--raw", single, "--slices", "all"]),
        "T1 with labels (aligned by centroids)": ("multiatlas2012", ["--raw", options.multiatlas]),
        "T1 alone (aligned by intensity)": ("multiatlas2012", ["--raw", unlabelled]),
        "phantom, 40 subjects": ("phantom", ["--subjects", "40"]),
    }


def run(dataset, arguments, workers, out):
    """Seconds, peak bytes of the process, subjects, and bytes of the dataset."""
    command = [sys.executable, "-m", "neuralizer_jax", "prepare", dataset, *map(str, arguments)]
    command += ["--out", str(out), "--workers", str(workers)]
    start = time.perf_counter()
    pid = os.posix_spawn(sys.executable, command, os.environ | {"PYTHONPATH": str(ROOT)})
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - start
    assert os.waitstatus_to_exitcode(status) == 0, command
    count = len(SliceStore(out / dataset).subjects())
    stored = sum(path.stat().st_size for path in (out / dataset / "1.0.0").iterdir())
    shutil.rmtree(out)
    kilobytes = 1 if platform.system() == "Darwin" else 1024
    return {"seconds": seconds, "peak_bytes": usage.ru_maxrss * kilobytes, "subjects": count, "stored_bytes": stored}


def markdown(results):
    rows = []
    for row in results["rows"]:
        one, all_cores, count = row["one worker"], row["all cores"], row["one worker"]["subjects"]
        rows.append(
            (
                row["path"],
                count,
                f"{one['seconds'] / count:.2f}",
                f"{all_cores['seconds']:.0f}",
                f"{one['peak_bytes'] / 2**20:.0f}",
                f"{one['stored_bytes'] / count / 2**20:.2f}",
            )
        )
    header = (
        "path",
        "subjects",
        "s a subject, one worker",
        "s in all, a worker a core",
        "peak MiB, making and writing",
    )
    return f"""{heading("Preparing datasets", "prepare.py", results)}
Whole commands, start of the interpreter, quality page and writing of the dataset included. One slice a subject, but for
the whole volume (224). A subject made of a label map or the phantom has 24 images. The peak is that of a run in one
process, which makes the subjects and writes the dataset; a worker only makes them.

{table((*header, "MiB stored a subject"), rows)}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labelmaps", type=Path, required=True)
    parser.add_argument("--multiatlas", type=Path, required=True)
    parser.add_argument("--only", help="paths whose name begins so")
    options = parser.parse_args()
    command = "python benchmarks/prepare.py --labelmaps LABELMAPS --multiatlas MULTIATLAS"
    results = conditions(command, ("numpy", "scipy", "SimpleITK", "nibabel", "tensorflow-datasets")) | {"rows": []}
    with tempfile.TemporaryDirectory() as folder:
        for name, (dataset, arguments) in paths(options, Path(folder)).items():
            if options.only and not name.startswith(options.only):
                continue
            row = {"path": name}
            for kind, workers in (("one worker", 1), ("all cores", available_cores())):
                row[kind] = run(dataset, arguments, workers, Path(folder) / "out")
            print(row, flush=True)
            results["rows"].append(row)
    if not options.only:
        write_results("prepare", results, markdown(results))


if __name__ == "__main__":
    main()
