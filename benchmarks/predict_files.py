"""Dice of `neuralizer predict` on NIfTI files of real scans, the way a user runs it.

From the repository root, with a folder of the MICCAI 2012 multi-atlas challenge (`NNNN_SS.nii.gz`, `NNNN_glm.nii.gz`):

    python benchmarks/predict_files.py --raw FOLDER

Every scan is registered to MNI152 by its intensities, without its labels, and written to `--work` as a NIfTI volume
with its label map in FreeSurfer's numbers. Then each scan is a target once, with the next N scans as its context.
Dice is the mean over left and right, then subjects, then structures. `--against CHECKOUT` predicts a second time with
the code of another checkout. Writes `predict_files.json` and `predict_files.md` to `benchmarks/results`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from conditions import conditions, heading, table, write_results  # noqa: E402

from input_pipeline.align.intensities import register_to_template  # noqa: E402
from input_pipeline.raw.datasets.multiatlas2012 import discover  # noqa: E402
from input_pipeline.slices.anatomy import read_published  # noqa: E402
from input_pipeline.space.grid import AFFINE, SLICE_Y  # noqa: E402
from input_pipeline.space.protocols import to_freesurfer  # noqa: E402
from input_pipeline.space.resample import resample_to_grid  # noqa: E402
from neuralizer_jax.files.volumes import read_volume  # noqa: E402

STRUCTURES = {
    "white matter": (2, 41),
    "cortex": (3, 42),
    "lateral ventricle": (4, 43),
    "thalamus": (10, 49),
    "hippocampus": (17, 53),
    "putamen": (12, 51),
    "brain stem": (16,),
}
LABELS = [label for sides in STRUCTURES.values() for label in sides]


def write_aligned(raw, folder):
    """Writes `SUBJECT_in.nii.gz` and `SUBJECT_out.nii.gz` on the MNI grid; returns the names of the subjects."""
    folder.mkdir(parents=True, exist_ok=True)
    subjects = discover(raw).subjects
    for subject in subjects:
        image_file, labels_file = (folder / f"{subject.subject}_{what}.nii.gz" for what in ("in", "out"))
        if labels_file.exists():
            continue
        image, affine = read_volume(subject.images["T1"])
        to_mni = register_to_template(image, affine, skull_stripped=True).matrix
        labels, labels_affine = read_published(subject, subject.labels[0])
        labels = to_freesurfer(labels, subject.labels[0].protocol)
        image = resample_to_grid(image, affine, to_mni, labels=False)
        labels = resample_to_grid(labels, labels_affine, to_mni, labels=True)
        nib.save(nib.Nifti1Image(image, AFFINE), image_file)
        nib.save(nib.Nifti1Image(labels.astype(np.int16), AFFINE), labels_file)
    return [subject.subject for subject in subjects]


def plane(path, y):
    """The coronal slice at y mm, `[X, Z]`."""
    volume = np.asarray(nib.load(path).dataobj)
    return volume.reshape(volume.shape[:3])[:, round(y - AFFINE[1, 3])] if volume.shape[1] > 1 else volume[:, 0]


def dice_of_structures(prediction, truth):
    """Dice of each structure, the mean of its sides that the truth shows; NaN where it shows none."""
    scores = []
    for sides in STRUCTURES.values():
        shown = [label for label in sides if (truth == label).any()]
        own = [
            2 * ((prediction == i) & (truth == i)).sum() / ((prediction == i).sum() + (truth == i).sum()) for i in shown
        ]
        scores.append(np.mean(own) if own else np.nan)
    return scores


def measure(subjects, folder, size, y, code):
    """Mean Dice over subjects of each structure, `[structures]`, predicted by the command of a checkout."""
    scores = []
    for place, target in enumerate(subjects):
        context = [subjects[(place + 1 + step) % len(subjects)] for step in range(size)]
        with tempfile.TemporaryDirectory() as out:
            result = Path(out) / "out.nii.gz"
            truth = plane(folder / f"{target}_out.nii.gz", y)
            context_in, context_out = ([folder / f"{name}_{what}.nii.gz" for name in context] for what in ("in", "out"))
            shown = {int(label) for path in context_out for label in np.unique(plane(path, y))}
            command = [sys.executable, "-m", "neuralizer_jax", "predict", "--task", "segmentation"]
            command += ["--target", folder / f"{target}_in.nii.gz", "--slice", f"y={y}", "--out", result]
            command += ["--context-in", *context_in, "--context-out", *context_out]
            command += ["--labels", *(str(label) for label in LABELS if label in shown)]
            environment = os.environ | {"PYTHONPATH": str(code)}
            subprocess.run(list(map(str, command)), env=environment, check=True, capture_output=True, cwd=code)
            scores.append(dice_of_structures(plane(result, y), truth))
    return np.nanmean(scores, axis=0)


def markdown(results):
    header = ("code", "y, mm", "N", "mean", *STRUCTURES)
    rows = [
        (r["code"], r["y"], r["n"], *(f"{v:.3f}" for v in (np.mean(r["dice"]), *r["dice"]))) for r in results["rows"]
    ]
    return (
        f"""{heading("`neuralizer predict` on NIfTI files of real scans", "predict_files.py", results)}
{results["subjects"]} T1 scans of the MICCAI 2012 challenge, aligned to MNI152 by their intensities; each is a target
once, the next N scans are its context. Dice of the labels that the command writes, in one coronal slice.

{table(header, rows)}

{results["note"]}
""".rstrip()
        + "\n"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raw", type=Path, required=True, help="folder of the challenge's files")
    parser.add_argument("--work", type=Path, default=Path("data/aligned_files"), help="folder for the aligned volumes")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--y", type=int, nargs="+", default=[SLICE_Y], help="coronal slices, mm")
    parser.add_argument("--against", type=Path, help="another checkout to compare with")
    parser.add_argument("--note", default="", help="a sentence for the results")
    options = parser.parse_args()
    results = conditions("python benchmarks/predict_files.py --raw FOLDER", ("jax", "nibabel", "SimpleITK"))
    subjects = write_aligned(options.raw, options.work.absolute())
    results |= {"subjects": len(subjects), "structures": list(STRUCTURES), "note": options.note, "rows": []}
    codes = {"this": ROOT} | ({"compared": options.against.absolute()} if options.against else {})
    for y in options.y:
        for size in options.sizes:
            for name, code in codes.items():
                dice = measure(subjects, options.work.absolute(), size, y, code)
                results["rows"].append({"code": name, "y": y, "n": size, "dice": [float(value) for value in dice]})
                print(results["rows"][-1], flush=True)
    write_results("predict_files", results, markdown(results))


if __name__ == "__main__":
    main()
