"""Whole volumes: the same scan turned, moved, stored in other ways, or of thick slices is segmented as before.

From the repository root, with a folder of the MICCAI 2012 multi-atlas challenge (`*_SS.nii.gz`, `*_glm.nii.gz`):

    python benchmarks/volume_invariance.py MULTIATLAS --work FOLDER --processes 2

Targets are changed, with their true labels; examples are as they come. FOLDER keeps a row of each change of each
target: run again, it computes those that are missing. Writes `volume_invariance.json` and `volume_invariance.md` to
`benchmarks/results`.
"""

import argparse
import itertools
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from conditions import conditions, heading, typed, write_results  # noqa: E402
from kept_rows import add_options, network, rows_of  # noqa: E402
from predict_volumes import example, others, scans_of  # noqa: E402
from write_tables import table  # noqa: E402

from input_pipeline.space.structure_names import NEUROMORPHOMETRICS_CLASSES  # noqa: E402
from neuralizer_jax import Scan, predict_volume, read_scan  # noqa: E402
from neuralizer_jax.evaluation.volume_scores import volume_scores  # noqa: E402
from neuralizer_jax.volumes.scan import to_ras  # noqa: E402

STRUCTURES = (47, 58)
DEGREES, MOVED_MM = 30, (20, -10, 20)
# All ways to store a volume: the order of its axes, and which of them are turned round.
STORAGES = [
    (axes, turned) for axes in itertools.permutations(range(3)) for turned in itertools.product((0, 1), repeat=3)
]
ALL_STORAGES = "48 storages"


def as_it_is(values, labels, affine):
    """The target as it comes."""
    return values, labels, affine


def turned_header(values, labels, affine):
    """The same voxels, elsewhere in the world: by 30 degrees about two axes and by 30 mm."""
    return values, labels, turn(affine, values.shape) @ affine


def turned_voxels(values, labels, affine):
    """The same, resampled to a larger grid along the axes of the world."""
    to_world = turn(affine, values.shape) @ affine
    corners = np.indices((2, 2, 2)).reshape(3, -1) * (np.array(values.shape)[:, None] - 1)
    places = to_world[:3, :3] @ corners + to_world[:3, 3:]
    low, high = np.floor(places.min(axis=1)), np.ceil(places.max(axis=1))
    grid = np.eye(4)
    grid[:3, 3] = low
    to_voxel, shape = np.linalg.inv(to_world) @ grid, tuple((high - low).astype(int) + 1)

    def resampled(volume):
        return ndimage.affine_transform(
            volume.astype(np.float32), to_voxel[:3, :3], to_voxel[:3, 3], output_shape=shape, order=1, prefilter=False
        )

    return resampled(values), each_label(labels, resampled), grid


def stored(values, labels, affine, axes=(2, 0, 1), turned=(1, 0, 1)):
    """The same voxels with their axes in another order and direction."""
    # From the place in the new array to the place in the old one.
    to_old = np.zeros((4, 4))
    to_old[3, 3] = 1
    for new, (old, back) in enumerate(zip(axes, turned, strict=True)):
        to_old[old, new] = -1 if back else 1
        to_old[old, 3] = values.shape[old] - 1 if back else 0
    flipped = [axis for axis, back in enumerate(turned) if back]
    values, labels = (np.flip(volume.transpose(axes), flipped) for volume in (values, labels))
    return values, labels, affine @ to_old


def thick(values, labels, affine):
    """Axial slices of 3 mm, each the mean of three."""
    count = values.shape[2] // 3

    def averaged(volume):
        return volume[:, :, : 3 * count].astype(np.float32).reshape(*volume.shape[:2], count, 3).mean(axis=3)

    to_old = np.diag([1.0, 1, 3, 1])
    to_old[2, 3] = 1
    return averaged(values), each_label(labels, averaged), affine @ to_old


CHANGES = {
    "as it is": as_it_is,
    "turned and moved, in the header": turned_header,
    "turned and moved, resampled": turned_voxels,
    "stored in another orientation": stored,
    "1 x 1 x 3 mm": thick,
}


def turn(affine, shape):
    """A map of the world: by 30 degrees about x and about z, at the middle of the volume, and by 30 mm."""
    matrix, middle = np.eye(4), affine[:3, :3] @ (np.array(shape) / 2) + affine[:3, 3]
    matrix[:3, :3] = Rotation.from_euler("xz", [DEGREES, DEGREES], degrees=True).as_matrix()
    matrix[:3, 3] = middle - matrix[:3, :3] @ middle + MOVED_MM
    return matrix


def each_label(labels, resampled):
    """Labels where a resampled mask is at least half."""
    result = None
    for label in STRUCTURES:
        mask = resampled(labels == label) >= 0.5
        result = np.zeros(mask.shape, np.int32) if result is None else result
        result[mask] = label
    return result


def measure(case):
    """Scores of each structure of a changed target; of all storages of a scan, how many voxels of its labels differ."""
    if case["change"] == ALL_STORAGES:
        return {"differ": voxels_that_differ(case)}
    original = example(case["folder"], case["subject"])
    values, labels, affine = CHANGES[case["change"]](original.scan.values, original.labels, original.scan.affine)
    found = segmented(case, Scan(values, affine, case["subject"]), 8, STRUCTURES)
    in_ras, canonical = to_ras(found.labels, affine)
    to_mni = found.alignment.to_mni @ canonical
    scores = volume_scores(in_ras, to_ras(labels, affine)[0], STRUCTURES, affine=canonical, to_mni=to_mni)
    return {"scores": {str(label): scores[label] for label in STRUCTURES}}


def segmented(case, target, count, labels):
    """The prediction for a target."""
    examples = others(case["folder"], case["subject"])
    return predict_volume(
        *network(case["weights"]), target, examples, label_values=labels, examples_per_target=count
    )  # fmt: skip


def voxels_that_differ(case):
    """For each storage, written to a file and read again, voxels with another label than of the first; one example."""
    original, first, differ = example(case["folder"], case["subject"]).scan, None, []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.nii"
        for axes, turned in STORAGES:
            values, _, affine = stored(original.values, original.values, original.affine, axes, turned)
            nib.save(nib.Nifti1Image(values, affine), path)
            scan = read_scan(path)
            labels = to_ras(segmented(case, scan, 1, STRUCTURES[:1]).labels, scan.affine)[0]
            first = labels if first is None else first
            differ.append(int(np.count_nonzero(labels != first)))
    return differ


def page(results):
    """The results as Markdown."""
    text = heading("Whole volumes that are turned, moved and stored in other ways", "volume_invariance.py", results)
    text += f"""
Targets {", ".join(results["subjects"])}, from eight others. Turned by {DEGREES} degrees about two axes and moved by
{np.linalg.norm(MOVED_MM):.0f} mm. The true labels are changed in the same way; resampled, a voxel has a label where at
least half of it does. Dice in 3-D, mean over the scans, and the largest loss of a scan:

"""
    names = [NEUROMORPHOMETRICS_CLASSES[label] for label in STRUCTURES]
    header = ["target", *(f"{name}{part}" for name in names for part in ("", ": mean change", ": largest loss"))]
    lines = [
        [name, *(text for its in found for text in
                 (f"{its['dice']:.3f}", f"{its['change']:+.3f}", f"{its['largest_loss']:.3f}"))]
        for name, found in results["changes"].items()
    ]  # fmt: skip
    text += table(header, lines)
    if differ := results["differ"]:
        text += f"\n\nThe {len(differ)} ways to store {results['subjects'][0]} (files; one structure, one example):"
        text += f" {differ.count(0)} label maps are the same voxel for voxel"
        text += "." if not any(differ) else f", in the others at most {max(differ)} voxels differ."
    return text + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--subjects", nargs="+", help="default: three of them")
    parser.add_argument("--changes", nargs="+", choices=[*CHANGES, ALL_STORAGES], default=[*CHANGES, ALL_STORAGES])
    add_options(parser)
    options = parser.parse_args()
    results = conditions(typed("volume_invariance.py"), ["jax", "flax", "numpy", "scipy", "SimpleITK"])
    subjects = options.subjects or list(scans_of(options.folder))[::6]
    case = {"folder": str(options.folder), "weights": options.weights}
    # All storages of the first scan alone.
    cases = [
        case | {"subject": subject, "change": change}
        for change in options.changes
        for subject in (subjects[:1] if change == ALL_STORAGES else subjects)
    ]
    done = {}
    for row in rows_of(cases, measure, options.work / "volume_invariance.jsonl", options.processes, options.only_kept):
        done[row["change"], row["subject"]] = row
        print(row["change"], row["subject"], row.get("differ", row.get("scores")), flush=True)
    results |= {"subjects": subjects, "changes": {}}
    for change in [change for change in CHANGES if (change, subjects[0]) in done]:
        found = []
        for label in map(str, STRUCTURES):
            before, after = (
                np.array([done[name, subject]["scores"][label]["dice"] for subject in subjects])
                for name in ("as it is", change)
            )
            found.append(
                {
                    "dice": float(after.mean()),
                    "change": float((after - before).mean()),
                    "largest_loss": float((before - after).max()),
                }
            )
        results["changes"][change] = found
    results["differ"] = done.get((ALL_STORAGES, subjects[0]), {}).get("differ", [])
    write_results("volume_invariance", results, page(results))


if __name__ == "__main__":
    main()
