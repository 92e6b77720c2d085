"""Skull stripping and restoration from built-in examples: accuracy and time.

From the repository root, with a folder of whole-head label maps (`*.nii.gz`, FreeSurfer's numbers and 5xx outside of
the brain) and a skull-stripped T1-weighted scan:

    python benchmarks/builtin_tasks.py --labelmaps LABELMAPS --scan SCAN

Heads are synthesised from the label maps, which no built-in head was made from, and stripped: Dice of the mask. The
scan is made worse and restored: peak signal-to-noise ratio inside of the brain, before and after. Writes
`builtin_tasks.json` and `builtin_tasks.md` to `benchmarks/results` after each case.
"""

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np
from scipy import ndimage

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from conditions import conditions, heading, typed, write_results  # noqa: E402
from write_tables import table  # noqa: E402

from input_pipeline.synthesis.degradation import add_bias, add_noise  # noqa: E402
from input_pipeline.synthesis.images import brain_mask, synthesize_image  # noqa: E402
from neuralizer_jax import Scan, load_weights, read_scan, restore, strip_skull, use_compilation_cache  # noqa: E402
from neuralizer_jax.files.volumes import read_volume  # noqa: E402
from neuralizer_jax.volumes.scan import to_ras  # noqa: E402

TASKS = ("denoising", "bias-correction", "super-resolution", "inpainting")


def timed(function):
    """What a function returns, and the seconds that it took, by the clock and of all threads together."""
    started, worked = time.perf_counter(), time.process_time()
    found = function()
    return found, {"clock": time.perf_counter() - started, "work": time.process_time() - worked}


def stripped(network, path, number, modality, count):
    labels, affine = to_ras(*read_volume(path, labels=True))
    scan = Scan(synthesize_image(labels, modality, seed=number), affine, path.name)
    found, seconds = timed(lambda: strip_skull(*network, scan, examples_per_target=count))
    truth = brain_mask(labels)
    dice = 2 * np.count_nonzero(found.mask & truth) / (np.count_nonzero(found.mask) + np.count_nonzero(truth))
    volume = np.count_nonzero(found.mask) / np.count_nonzero(truth) - 1
    return {"subject": path.name.split(".")[0], "modality": modality, "dice": dice, "volume": volume, **seconds}


def restored(network, scan, task, count):
    clean = scan.values
    brain = clean > 0
    brightest = np.percentile(clean[brain], 99.5)
    rng = np.random.default_rng(0)
    affine, measured = scan.affine, brain
    if task == "denoising":
        worse = np.where(brain, add_noise(clean, 0.08 * brightest, rng), 0)
    elif task == "bias-correction":
        worse = add_bias(clean, 0.25, np.linalg.norm(affine[:3, :3], axis=0), rng)
    elif task == "inpainting":
        centre = np.argwhere(brain).mean(axis=0) + 15
        distance = np.linalg.norm(np.indices(clean.shape) - centre[:, None, None, None], axis=0)
        measured = brain & (distance < 12)
        worse = np.where(measured, 0, clean)
    else:
        planes = clean.shape[2] // 4 * 4
        worse = clean[:, :, :planes].reshape(*clean.shape[:2], -1, 4).mean(axis=-1)
        affine = affine @ np.diag([1, 1, 4, 1.0])
        affine[:3, 3] += scan.affine[:3, 2] * 1.5
    found, seconds = timed(lambda: restore(*network, Scan(worse, affine), task, examples_per_target=count))
    values = [on_grid(worse, affine, scan), on_grid(found.values, found.affine, scan)]
    if task == "bias-correction":  # a gain is not part of the field
        values = [x * (x * clean)[brain].sum() / (x**2)[brain].sum() for x in values]
    before, after = (-10 * np.log10(np.mean(((x - clean)[measured] / brightest) ** 2)) for x in values)
    return {"task": task, "before": float(before), "after": float(after), **seconds}


def on_grid(values, affine, scan):
    """A volume on the voxels of the scan, interpolated linearly."""
    matrix = np.linalg.inv(affine) @ scan.affine
    shape = scan.values.shape
    return ndimage.affine_transform(values, matrix[:3, :3], matrix[:3, 3], output_shape=shape, order=1, mode="nearest")


def page(results):
    """The results as Markdown."""
    text = heading("Tasks without examples", "builtin_tasks.py", results)
    text += (
        f"\n{results['count']} built-in heads as examples. Times are of all threads together, alignment and the making"
    )
    text += " of examples included.\n"
    if rows := results["stripping"]:
        text += "\nSkull stripping of whole heads that were synthesised from label maps:\n\n"
        lines = [
            [x["subject"], x["modality"], f"{x['dice']:.3f}", f"{x['volume']:+.1%}", f"{x['work']:.0f} s"] for x in rows
        ]
        text += table(["subject", "contrast", "Dice", "volume", "time"], lines) + "\n"
    if rows := results["restoration"]:
        text += f"\nRestoration of a T1-weighted scan with voxels of {results['voxels']} mm, PSNR:\n\n"
        lines = [[x["task"], f"{x['before']:.1f} dB", f"{x['after']:.1f} dB", f"{x['work']:.0f} s"] for x in rows]
        text += table(["task", "before", "after", "time"], lines) + "\n"
    return text + f"\nLargest memory of the process: {results['memory_gib']:.1f} GiB.\n"


def coarse(scan, factor):
    """The scan with voxels so many times as large."""
    if factor == 1:
        return scan
    shape = [length // factor for length in scan.values.shape]
    values = scan.values[tuple(slice(0, n * factor) for n in shape)]
    values = values.reshape(shape[0], factor, shape[1], factor, shape[2], factor).mean(axis=(1, 3, 5))
    affine = scan.affine @ np.diag([factor, factor, factor, 1.0])
    affine[:3, 3] += scan.affine[:3, :3].sum(axis=1) * (factor - 1) / 2
    return Scan(values, affine, scan.name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labelmaps", type=Path, required=True)
    parser.add_argument("--scan", type=Path, required=True)
    parser.add_argument("--subjects", type=int, nargs="*", help="numbers of label maps, from 0 (default: all)")
    parser.add_argument("--modalities", nargs="+", default=["T1"])
    parser.add_argument("--tasks", nargs="*", default=TASKS)
    parser.add_argument("--factor", type=int, default=1, help="make the scan's voxels so many times as large")
    parser.add_argument("--examples", type=int, default=4)
    options = parser.parse_args()
    results = conditions(typed("builtin_tasks.py"), ["jax", "flax", "numpy", "scipy", "SimpleITK"])
    use_compilation_cache()
    network = load_weights("small")
    scan = coarse(read_scan(options.scan).canonical(), options.factor)
    voxels = " x ".join(f"{size:.2g}" for size in np.linalg.norm(scan.affine[:3, :3], axis=0))
    results |= {"count": options.examples, "voxels": voxels, "stripping": [], "restoration": []}
    paths = sorted(options.labelmaps.glob("*.nii.gz"))

    def keep(kind, row):
        results[kind].append(row)
        results["memory_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        write_results("builtin_tasks", results, page(results))

    for task in options.tasks:
        keep("restoration", restored(network, scan, task, options.examples))
    for number in range(len(paths)) if options.subjects is None else options.subjects:
        for modality in options.modalities:
            keep("stripping", stripped(network, paths[number], number, modality, options.examples))


if __name__ == "__main__":
    main()
