"""Makes the table of `input_pipeline/align/reference.py`: centroids of brain structures in MNI152 space.

    python benchmarks/make_reference_centroids.py LABELMAPS

`LABELMAPS` is a folder of label maps with FreeSurfer labels, `*.nii.gz`. The committed table was made from the 14
training label maps of SynthSeg (github.com/BBillot/SynthSeg, Apache 2.0). A plain T1-like image is made from each map
and registered to the MNI152 template (`register_to_template`). The centroid of a structure is the median over subjects
and both sides, so that left and right mirror each other, as in the symmetric template. Its volume is the median of the
volumes in MNI152. A second pass aligns each subject to the table (`fit_affine`) and takes the medians again, which
removes the errors of single registrations. An affine map common to all centroids is then removed: the position of the
brain as a whole comes from the registrations alone.

Prints the table, the Dice with the template's tissue maps, and the variation of each centroid between subjects.
"""

import argparse
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from input_pipeline.align.centroids import fit_affine, fold_variants, label_centroids  # noqa: E402
from input_pipeline.align.intensities import register_to_template  # noqa: E402
from input_pipeline.space.protocols import other_side  # noqa: E402
from input_pipeline.space.resample import resample_to_grid  # noqa: E402
from input_pipeline.space.structure_names import FREESURFER_CLASSES  # noqa: E402

# Brightness of the brain's labels in a T1-weighted image; all others are 0.
WHITE, DEEP, GREY, FLUID = 1.0, 0.8, 0.6, 0.2
BRIGHTNESS = {
    **dict.fromkeys((2, 41, 7, 46, 77, 85, 251, 252, 253, 254, 255), WHITE),
    **dict.fromkeys((10, 49, 13, 52, 16, 28, 60), DEEP),
    **dict.fromkeys((3, 42, 8, 47, 11, 50, 12, 51, 17, 53, 18, 54, 26, 58, 80), GREY),
    **dict.fromkeys((4, 43, 5, 44, 14, 15, 31, 63, 72), FLUID),
    **{25: WHITE, 57: WHITE, 136: FLUID, 137: FLUID, 163: FLUID, 164: FLUID},
}


def synthetic_t1(labels):
    """A skull-stripped T1-like image with one brightness per tissue."""
    table = np.zeros(int(labels.max()) + 1, np.float32)
    for label, brightness in BRIGHTNESS.items():
        if label < len(table):
            table[label] = brightness
    return table[labels]


def transformed(centroids, matrix):
    """Centroids and volumes in another world."""
    scale = abs(np.linalg.det(matrix[:3, :3]))
    return {label: (matrix[:3, :3] @ x + matrix[:3, 3], v * scale) for label, (x, v) in centroids.items()}


def symmetric_median(subjects):
    """`{label: (centroid, volume)}`, the median over subjects and both sides."""
    table = {}
    mirror = np.array([-1.0, 1.0, 1.0])
    for left in (label for label, name in FREESURFER_CLASSES.items() if not name.startswith("right")):
        right = int(other_side("freesurfer")[left])
        points = [s[left][0] for s in subjects if left in s] + [s[right][0] * mirror for s in subjects if right in s]
        volumes = [s[side][1] for s in subjects for side in (left, right) if side in s]
        centroid, volume = np.median(points, axis=0), float(np.median(volumes))
        if right == left:
            centroid[0] = 0.0
        else:
            table[right] = (centroid * mirror, volume)
        table[left] = (centroid, volume)
    return dict(sorted(table.items()))


def read(path):
    image = nib.load(path)
    return np.asarray(image.dataobj).astype(np.int32), image.affine


def tissue_overlap(labels, affine, to_mni):
    """Dice with the template's grey and white matter."""
    from nilearn.datasets import load_mni152_gm_template, load_mni152_wm_template

    brightness = resample_to_grid(
        synthetic_t1(labels), affine, to_mni, labels=True, shape=(197, 233, 189),
        grid_affine=load_mni152_gm_template(resolution=1).affine,
    )  # fmt: skip
    own = {"grey": np.isclose(brightness, GREY), "white": np.isclose(brightness, WHITE)}
    template = {"grey": load_mni152_gm_template(resolution=1), "white": load_mni152_wm_template(resolution=1)}
    overlap = {}
    for name, mask in own.items():
        other = template[name].get_fdata() > 0.5
        overlap[name] = 2 * np.count_nonzero(mask & other) / (np.count_nonzero(mask) + np.count_nonzero(other))
    return overlap


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("labelmaps", type=Path)
    paths = sorted(parser.parse_args().labelmaps.glob("*.nii.gz"))
    if not paths:
        sys.exit("no *.nii.gz in the folder, expected label maps")

    own, registered = [], []
    for path in paths:
        labels, affine = read(path)
        own.append(fold_variants(label_centroids(labels, affine)))
        fit = register_to_template(synthetic_t1(labels), affine, skull_stripped=True)
        registered.append(transformed(own[-1], fit.matrix))
        overlap = ", ".join(f"{key} {value:.2f}" for key, value in tissue_overlap(labels, affine, fit.matrix).items())
        print(
            f"{path.name}: mutual information {fit.mutual_information:.2f}, Dice with template: {overlap}", flush=True
        )

    first = symmetric_median(registered)
    again = [transformed(centroids, fit_affine(centroids, first).matrix) for centroids in own]
    second = symmetric_median(again)
    table = symmetric_median([transformed(second, fit_affine(second, first).matrix)])

    print("\n_TABLE = {")
    for label, (centroid, volume) in table.items():
        x, y, z = (round(float(value), 1) + 0.0 for value in centroid)
        if not FREESURFER_CLASSES[label].startswith("right"):
            print(f"    {label}: (({x}, {y}, {z}), {round(volume, -1):.0f}),  # {FREESURFER_CLASSES[label]}")
    print("}\n")
    print("label: distance first -> second pass, spread over subjects after registration, after the fit (mm)")
    for label, (centroid, _) in table.items():
        spreads = [
            np.sqrt(np.mean([np.sum((s[label][0] - t[label][0]) ** 2) for s in group if label in s]))
            for group, t in ((registered, first), (again, second))
        ]
        print(f"{label:3}: {np.linalg.norm(centroid - first[label][0]):.1f}  {spreads[0]:.1f}  {spreads[1]:.1f}")


if __name__ == "__main__":
    main()
