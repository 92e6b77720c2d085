"""Accuracy of the alignment to MNI152, by centroids and by intensities.

Run from the repository root, with a folder of label maps with FreeSurfer labels (`*.nii.gz`), a folder of the MICCAI
2012 multi-atlas challenge (`*_SS.nii.gz`, `*_glm.nii.gz`), and a folder with one scan (`t1_skullstripped.nii.gz` and
`t1_skullstripped_seg.nii.gz`):

    python benchmarks/alignment.py --labelmaps LABELMAPS --multiatlas MULTIATLAS --scan SCAN

Recovery: labels (nearest voxel) and image (linear) are resampled by a random affine map with up to 30 degrees, 40 mm,
20 % scale and 5 % shear, and aligned again. The error is the mean distance of the brain's voxels, in MNI152 mm, to
their position after alignment of the untransformed subject. Overlap: mean Dice of the structures in the coronal slice,
over pairs of subjects of a set. Label maps have a plain image made from their labels. Writes `alignment.json` and
`alignment.md` to `benchmarks/results`.
"""

import argparse
import json
import sys
import time
from itertools import combinations, product
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.spatial.transform import Rotation

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from conditions import conditions, heading, table  # noqa: E402
from make_reference_centroids import BRIGHTNESS, synthetic_t1  # noqa: E402

from input_pipeline.align.centroids import fit_affine, label_centroids  # noqa: E402
from input_pipeline.align.intensities import register_to_template  # noqa: E402
from input_pipeline.align.reference import REFERENCE_CENTROIDS  # noqa: E402
from input_pipeline.space.grid import SLICE_Y, coronal_index  # noqa: E402
from input_pipeline.space.protocols import to_freesurfer  # noqa: E402
from input_pipeline.space.resample import resample_to_grid  # noqa: E402

# Structures in the slice of most subjects: white matter, cortex, ventricles, thalamus, putamen, hippocampus and
# ventral diencephalon of both sides, third ventricle, brain stem.
SLICE_LABELS = (2, 41, 3, 42, 4, 43, 10, 49, 12, 51, 17, 53, 28, 60, 14, 16)
METHODS = ("centre of mass", "centroids", "intensity")


def load(path):
    image = nib.load(path)
    return np.asarray(image.dataobj), image.affine


def subjects(options):
    """Yields `(set, name, image, labels, affine)`."""
    paths = sorted(options.labelmaps.glob("*.nii.gz"))
    for path in paths:
        labels, affine = load(path)
        labels = np.where(np.isin(labels, list(BRIGHTNESS)), labels, 0).astype(np.int32)
        yield "label maps", path.name.partition(".")[0], synthetic_t1(labels), labels, affine
    for path in sorted(options.multiatlas.glob("*_SS.nii.gz")):
        name = path.name.partition("_")[0]
        labels, _ = load(path.with_name(f"{name}_glm.nii.gz"))
        image, affine = load(path)
        yield "multi-atlas", name, image, to_freesurfer(labels, "neuromorphometrics"), affine
    image, affine = load(options.scan / "t1_skullstripped.nii.gz")
    yield "scan", "t1_skullstripped", image, load(options.scan / "t1_skullstripped_seg.nii.gz")[0], affine


def random_affine(rng):
    """World -> world, with up to 30 degrees about any axis, 40 mm, 20 % scale and 5 % shear."""
    axis = rng.normal(size=3)
    rotation = Rotation.from_rotvec(np.deg2rad(rng.uniform(-30, 30)) * axis / np.linalg.norm(axis)).as_matrix()
    shear = np.eye(3)
    shear[np.triu_indices(3, 1)] = rng.uniform(-0.05, 0.05, 3)
    matrix = np.eye(4)
    matrix[:3, :3] = rotation @ np.diag(rng.uniform(0.8, 1.2, 3)) @ shear
    matrix[:3, 3] = rng.uniform(-40, 40, 3)
    return matrix


def transformed_grid(labels, affine, matrix):
    """Shape and affine of an axis-aligned 1 mm grid around the transformed labels."""
    inside = np.argwhere(labels > 0)
    low, high = inside.min(0), inside.max(0)
    corners = np.array(list(product(*zip(low, high, strict=True))))
    to_world = matrix @ affine
    world = corners @ to_world[:3, :3].T + to_world[:3, 3]
    grid_affine = np.eye(4)
    grid_affine[:3, 3] = np.floor(world.min(0)) - 2
    return tuple((np.ceil(world.max(0)) - grid_affine[:3, 3] + 3).astype(int).tolist()), grid_affine


def brain_points(labels, affine):
    """World coordinates of every 997th voxel of the brain."""
    points = np.argwhere(np.isin(labels, list(BRIGHTNESS)))[::997]
    return points @ affine[:3, :3].T + affine[:3, 3]


def mean_distance(points, first, second):
    difference = first - second
    return float(np.linalg.norm(points @ difference[:3, :3].T + difference[:3, 3], axis=-1).mean())


def centre_of_mass(points):
    reference = list(REFERENCE_CENTROIDS.values())
    matrix = np.eye(4)
    matrix[:3, 3] = np.average([x for x, _ in reference], axis=0, weights=[v for _, v in reference]) - points.mean(0)
    return matrix


def align(image, labels, affine):
    """`{method: matrix}`, and the fits."""
    centroids = fit_affine(label_centroids(labels, affine), REFERENCE_CENTROIDS)
    start = time.perf_counter()
    intensity = register_to_template(image, affine, skull_stripped=True)
    return {"centroids": centroids.matrix, "intensity": intensity.matrix}, {
        "residual_mm": centroids.residual_mm,
        "matched": len(centroids.matched),
        "mutual_information": intensity.mutual_information,
        "intensity_seconds": time.perf_counter() - start,
    }


def measure(options):
    """One record per subject, and the slices of each set and method."""
    records, slices = [], {}
    plane = [coronal_index(SLICE_Y)]
    for number, (kind, name, image, labels, affine) in enumerate(subjects(options)):
        points = brain_points(labels, affine)
        matrices, fits = align(image, labels, affine)
        for method, matrix in ({METHODS[0]: centre_of_mass(points)} | matrices).items():
            cut = resample_to_grid(labels, affine, matrix, labels=True, planes=plane)
            slices.setdefault((kind, method), []).append(cut)
        draws = []
        seen = sum(r["set"] == kind for r in records)
        for draw in range(options.draws if options.recovered is None or seen < options.recovered else 0):
            transform = random_affine(np.random.default_rng([number, draw]))
            shape, grid_affine = transformed_grid(labels, affine, transform)
            moved = [
                resample_to_grid(x, affine, transform, labels=nearest, shape=shape, grid_affine=grid_affine)
                for x, nearest in ((image, False), (labels, True))
            ]
            again, _ = align(*moved, grid_affine)
            draws.append({k: mean_distance(points, again[k] @ transform, matrices[k]) for k in METHODS[1:]})
        between = mean_distance(points, matrices["centroids"], matrices["intensity"])
        records.append({"set": kind, "subject": name, **fits, "between_mm": between, "recovery_mm": draws})
        print(records[-1], flush=True)
    return records, slices


def overlap(cuts):
    """Mean Dice of each structure over pairs of subjects."""
    dice = {}
    for label in SLICE_LABELS:
        masks = [cut == label for cut in cuts]
        pairs = [
            (np.count_nonzero(a & b), np.count_nonzero(a) + np.count_nonzero(b)) for a, b in combinations(masks, 2)
        ]
        dice[label] = float(np.mean([2 * both / total for both, total in pairs if total]))
    return dice


def summarize(records, slices):
    recovery = {}
    for kind, method in product(dict.fromkeys(r["set"] for r in records), METHODS[1:]):
        errors = [draw[method] for r in records if r["set"] == kind for draw in r["recovery_mm"]]
        recovery[f"{kind}, {method}"] = {"mean": float(np.mean(errors)), "max": max(errors), "draws": len(errors)}
    dice = {f"{kind}, {method}": overlap(cuts) for (kind, method), cuts in slices.items() if len(cuts) > 1}
    seconds = [r["intensity_seconds"] for r in records]
    return {
        "recovery_mm": recovery,
        "slice_dice": {key: {"mean": float(np.mean(list(value.values()))), **value} for key, value in dice.items()},
        "intensity_seconds": {"mean": float(np.mean(seconds)), "max": max(seconds)},
    }


def markdown(results):
    records, summary = results["records"], results["summary"]
    recovery = [
        (key, value["draws"], f"{value['mean']:.2f}", f"{value['max']:.2f}")
        for key, value in summary["recovery_mm"].items()
    ]
    kinds = list(dict.fromkeys(key.partition(",")[0] for key in summary["slice_dice"]))
    dice = [
        (kind, row, *(f"{summary['slice_dice'][f'{kind}, {method}'][row]:.3f}" for method in METHODS))
        for kind in kinds
        for row in ("mean", *SLICE_LABELS)
    ]
    fits = []
    for kind in dict.fromkeys(r["set"] for r in records):
        own = [r for r in records if r["set"] == kind]
        means = [np.mean([r[key] for r in own]) for key in ("residual_mm", "between_mm", "mutual_information")]
        fits.append((kind, len(own), *(f"{value:.2f}" for value in means), min(r["matched"] for r in own)))
    fit_header = ("set", "subjects", "residual of centroids, mm", "centroids to intensity, mm", "mutual information")
    limited = ""
    if len(transformed := [r for r in records if r["recovery_mm"]]) < len(records):
        limited = f", for {len(transformed)} of the {len(records)} subjects"
    return f"""{heading("Alignment to MNI152", "alignment.py", results)}
Recovery of random affine maps (30 degrees, 40 mm, 20 % scale, 5 % shear), mean distance over the brain in MNI152 mm to
the alignment of the untransformed subject{limited}:

{table(("set, method", "draws", "mean", "largest"), recovery)}

Mean Dice of structures (FreeSurfer's numbers) in the slice y = {SLICE_Y} mm, over pairs of subjects. The images of the
label maps are made of their labels, and the reference centroids come from the same label maps:

{table(("set", "label", *METHODS), dice)}

Fits; the fourth column is the mean distance over the brain between the two alignments:

{table((*fit_header, "fewest matched"), fits)}

One alignment by intensity takes {summary["intensity_seconds"]["mean"]:.1f} s of wall time on one thread
(at most {summary["intensity_seconds"]["max"]:.1f} s), beside whatever else the machine did at the time.
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("labelmaps", "multiatlas", "scan"):
        parser.add_argument(f"--{name}", type=Path, required=True, help="folder, see above")
    parser.add_argument("--draws", type=int, default=1, help="random affine maps a subject")
    parser.add_argument("--recovered", type=int, help="subjects of each set that are transformed; default: all")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the results")
    options = parser.parse_args()
    limit = "" if options.recovered is None else f" --recovered {options.recovered}"
    command = "python benchmarks/alignment.py --labelmaps LABELMAPS --multiatlas MULTIATLAS --scan SCAN"
    command += f" --draws {options.draws}{limit}"
    results = conditions(command, ("numpy", "scipy", "SimpleITK", "nilearn", "nibabel"))
    records, slices = measure(options)
    results |= {"summary": summarize(records, slices), "records": records}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "alignment.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.out / "alignment.md").write_text(markdown(results))
    print(markdown(results))


if __name__ == "__main__":
    main()
