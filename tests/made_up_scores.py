"""Plausible results of an evaluation, for tests and to look at the report.

python tests/made_up_scores.py FOLDER [--smoke]
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np

from neuralizer_jax.evaluation.scores import ALL, HEADER, TENTHS, Kind

# Score at many context members, how much is missing at one, spread between subjects.
TASKS = {
    "segmentation": (0.86, 0.07, 0.02),
    "skull_stripping": (0.975, 0.02, 0.005),
    "modality_transfer": (24.5, 1.6, 0.8),
    "super_resolution": (28.9, 0.8, 0.7),
    "motion_correction": (29.6, 0.9, 0.9),
    "undersampled_reconstruction": (30.4, 0.7, 0.7),
    "denoising": (28.2, 1.4, 0.8),
    "inpainting": (31.0, 1.2, 1.2),
    "two_modality_transfer": (25.6, 1.5, 0.8),
}
MODALITIES = ("T1", "T2", "FLAIR", "PD", "MRA", "ADC")
CLASSES = ("freesurfer:17", "freesurfer:10", "freesurfer:4")
SIZES = (1, 2, 4, 8, 16, 32)
SEEN, UNSEEN, BASELINE = MODELS = ("Neuralizer-seen", "Neuralizer-unseen", "Baseline-seen")
ABLATIONS = (SEEN, "Without task augmentation", "With bootstrapping", "Context from other modalities")
UNTRAINED = ("Mean context output", "Nearest context pair")


def whole_scan_row(model, size, label, subject, metric, value):
    """A row of whole scans; all models but `net` are untrained."""
    kind = Kind.IN_CONTEXT if model == "net" else Kind.UNTRAINED
    case = ("segmentation", "scans", "", label, "volume", 0, subject, 0)
    return ("volumes", model, kind, "", 0, size, *case, metric, value)


def whole_scan_rows(models=("net", "Majority vote"), sizes=(1, 8), subjects="abc"):
    """Dice is .9 of the ventricle, .8 of the hippocampus; .1 less of the vote and at N = 1, .3 less at an end.

    The net expects twice as much above .8 or below.
    """
    rows = []
    for model in models:
        for size in sizes:
            for label, dice in (("17", 0.8), ("4", 0.9)):
                value = dice - 0.1 * (model != "net") - 0.1 * (size == 1)
                for subject in subjects:
                    ends = {name: value - 0.3 * (name == "dice_y1") for name in TENTHS}
                    error = 10 * (1 - value)
                    scores = {"dice": value, "hd95": error, "volume_error": error, "volume_bias": -error} | ends
                    scores["true_mm3"] = 100.0 * int(label) + 10 * ord(subject)
                    scores |= {"expected_dice": 2 * value - 0.8} if model == "net" else {}
                    rows += [whole_scan_row(model, size, label, subject, *score) for score in scores.items()]
    return rows


def made_up_rows(
    experiment="experiment1",
    models=MODELS,
    tasks=tuple(TASKS),
    sizes=SIZES,
    modalities=MODALITIES,
    classes=CLASSES,
    subjects=8,
    draws=3,
    datasets=("ixi",),
    seed=0,
):
    """Rows as `scores_of` takes them."""
    noise = np.random.default_rng(seed)
    rows = []
    for task in tasks:
        level, gain, spread = TASKS[task]
        is_mask = level < 1
        for dataset in datasets:
            person = noise.normal(0, spread, subjects)
            for place, modality in enumerate(modalities):
                shown = modality
                if task == "modality_transfer":
                    shown = f"{modality}>{modalities[place - 1]}" if len(modalities) > 1 else f"{modality}>T2"
                elif task == "two_modality_transfer":
                    shown = f"{modality}+{modalities[place - 1]}>{modalities[place - 2]}"
                for name in classes if task == "segmentation" else ("",):
                    own = level - spread * place + 0.02 * is_mask * (classes.index(name) if name else 0)
                    for model in models:
                        baseline = kind_of(model) == Kind.BASELINE
                        # 64 stands for all subjects.
                        for n in (*sizes, 64) if baseline and max(sizes) == 32 else sizes:
                            repeats = {1: 3, 2: 2}.get(n, 1) if baseline else draws
                            score = own - _missing(model, gain, n) + person
                            value = score[:, None] + noise.normal(0, spread / 3, (subjects, repeats))
                            if is_mask:
                                value = np.clip(value, 0, 0.995)
                            rows += _lines(experiment, model, task, dataset, shown, name, n, value, is_mask, noise)
    return rows


def kind_of(model):
    if model == BASELINE:
        return Kind.BASELINE
    return Kind.UNTRAINED if model in (*UNTRAINED, "Input as it is") else Kind.IN_CONTEXT


def _missing(model, gain, n):
    if kind_of(model) == Kind.BASELINE:
        return gain * (3.2 * n**-0.6 - 0.25)
    worse = {
        UNSEEN: 0.25,
        "Without task augmentation": 0.45,
        "With bootstrapping": -0.12,
        "Context from other modalities": 0.3,
        "Mean context output": 3.5,
        "Nearest context pair": 2.5,
    }
    return gain * (n**-0.6 + worse.get(model, 0))


def _lines(experiment, model, task, dataset, modality, name, n, value, is_mask, noise):
    for subject, of_subject in enumerate(value):
        for draw, score in enumerate(of_subject):
            kind, case = kind_of(model), (task, dataset, modality, name, "coronal", -17, f"{dataset}{subject:03d}")
            if kind == Kind.BASELINE:
                key = (experiment, model, kind, ALL if n == 64 else str(n), draw, 0, *case, 0)
            else:
                key = (experiment, model, kind, "", 0, n, *case, draw)
            yield (*key, "dice" if is_mask else "psnr", float(score))
            if is_mask:
                empty = noise.random() < 0.002
                yield (*key, "hd95", float("nan") if empty else float(40 * (1 - score) * noise.uniform(0.8, 1.2)))
            else:
                yield (*key, "ssim", float(min(1, 0.5 + score / 70)))


def write_results(folder: Path, rows, *, records=True, examples=6, size=64):
    """A folder of results: `scores.csv`, and with `records` models.json, runtime.json and examples."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "scores.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADER)
        writer.writerows(rows)
    if not records:
        return folder
    models = [_model(name, place) for place, name in enumerate((*MODELS, *ABLATIONS[1:]))]
    times = [_runtime(name, n) for name in MODELS for n in ((0,) if name == BASELINE else (1, 8, 32))]
    (folder / "models.json").write_text(json.dumps(models))
    (folder / "runtime.json").write_text(json.dumps(times))
    (folder / "examples").mkdir(exist_ok=True)
    for number in range(examples):
        write_example(folder / "examples" / f"{number:02d}.npz", number, size)
    return folder


def _model(name, place):
    architecture = "unet" if name == BASELINE else "neuralizer"
    return {
        "model": name,
        "kind": str(kind_of(name)),
        "train_subjects": ALL if name == BASELINE else "",
        "training": 0,
        "experiment": "experiment1",
        "weights": f"runs/{name.lower()}/best.safetensors",
        "sha256": f"{place}123456789abcdef" * 4,
        "command": f"neuralizer evaluate --config experiments/{architecture}.py --weights {name}=best.safetensors",
        "config": f"experiments/{architecture}.py",
        "step": 120_000 + place,
        "versions": {"neuralizer_jax": "0.1.0", "jax": "0.10.2"},
    }


def _runtime(name, n):
    baseline = name == BASELINE
    return {
        "model": name,
        "parameters": 616_067 if baseline else 1_273_859,
        "flops": 2.4e10 if baseline else 6e10 * n,
        "context_size": n,
        "seconds": 0.11 if baseline else 0.2 + 0.22 * n,
        "peak_bytes": None if baseline else 2**20 * (400 + 55 * n),
        "device": "AMD EPYC, 2 cores",
        "training_seconds": 28 * 3600 if baseline else 600_000,
        "training_steps": 20_000 if baseline else 500_000,
    }


def write_example(path: Path, number=0, size=64, models=MODELS, pairs=2):
    """A qualitative example of blobs; an even number gives a mask."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]

    def head(shift):
        brain = (x / 0.75) ** 2 + ((y - shift) / 0.9) ** 2 < 1
        inner = ((x - 0.3) / 0.2) ** 2 + ((y - shift) / 0.3) ** 2 < 1
        return np.float32(0.55 * brain + 0.3 * inner * brain + 0.04 * rng.random((size, size))), np.float32(inner)

    def pair(shift):
        image, mask = head(shift)
        noisy = np.clip(image + rng.normal(0, 0.15, image.shape), 0, 1).astype(np.float32)
        shown = np.stack([image if number % 2 == 0 else noisy, 0 * image, 0 * image], -1)
        return shown, mask if number % 2 == 0 else image

    (target_in, target_out), context = pair(0), [pair(shift) for shift in rng.uniform(-0.1, 0.1, pairs)]
    errors = [0.03 + 0.06 * place for place in range(len(models))]
    predictions = [target_out + rng.normal(0, error, target_out.shape) for error in errors]
    np.savez_compressed(
        path,
        target_in=target_in,
        target_out=target_out,
        context_in=np.stack([image for image, _ in context]),
        context_out=np.stack([output for _, output in context]),
        predictions=np.float32(predictions),
        models=np.array(models),
        train_subjects=np.array(["all" if model == BASELINE else "" for model in models]),
        task=np.array("segmentation" if number % 2 == 0 else "denoising"),
        dataset=np.array("ixi"),
        modality=np.array(MODALITIES[number % len(MODALITIES)]),
        **{"class": np.array("freesurfer:17" if number % 2 == 0 else "")},
        subject=np.array(f"ixi{number:03d}"),
        experiment=np.array("experiment1"),
        n=np.array(8),
    )


if __name__ == "__main__":
    where = Path(sys.argv[1])
    if "--smoke" in sys.argv:
        few = {"tasks": ("segmentation", "denoising"), "sizes": (1, 2, 4, 8), "modalities": ("T1", "T2")}
        rows = made_up_rows(**few, datasets=("phantom",), subjects=4, draws=2, models=(*MODELS, *UNTRAINED))
    else:
        rows = made_up_rows(models=(*MODELS, *UNTRAINED))
        protocol = tuple(f"hammers:{label}" for label in (1, 3, 5, 7, 9, 11, 19, 21, 27, 41, 49, 51, 57, 63))
        new = {"tasks": ("segmentation",), "modalities": ("T1",), "classes": protocol, "datasets": ("hammers",)}
        rows += made_up_rows("experiment3", (UNSEEN, BASELINE), sizes=(1, 8, 32), **new)
        rows += made_up_rows("ablations", ABLATIONS, sizes=(8,))
    write_results(where, rows, size=192, examples=11)
