"""How often `neuralizer predict` notes a good target, and a target that was moved, turned, mirrored or inverted.

From the repository root, with the volumes that `benchmarks/predict_files.py` writes:

    python benchmarks/plausibility.py --files FOLDER

Each scan is a target, with examples drawn among the others, as it is and changed. Images alone are compared at every
size of the context; structures are predicted by `small`. The limits in `neuralizer_jax/inference/plausibility.py` were
chosen on these scans. Writes `plausibility.json` and `plausibility.md` to `benchmarks/results`.
"""

import argparse
import re
import sys
import time
from pathlib import Path

import numpy as np
from scipy import ndimage

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from conditions import conditions, heading, table, write_results  # noqa: E402

from neuralizer_jax import load_weights, predict  # noqa: E402
from neuralizer_jax.files.image_files import read_image  # noqa: E402
from neuralizer_jax.files.planes import SliceChoice  # noqa: E402
from neuralizer_jax.inference.plausibility import plausibility_notes  # noqa: E402
from neuralizer_jax.inference.predict import Prediction  # noqa: E402
from neuralizer_jax.intensity import normalize  # noqa: E402
from neuralizer_jax.weights.pretrained import DEFAULT, weights_path  # noqa: E402

LABELS = (2, 3, 4, 10, 12, 16, 17, 41, 42, 43, 49, 51, 53)
GREY_NOISE = 0.1


def shifted(rows, columns):
    return lambda image: ndimage.shift(image, (rows, columns), order=1)


def turned(degrees):
    return lambda image: ndimage.rotate(image, degrees, reshape=False, order=1)


def inverted(image):
    return np.where(image > 0.05, np.clip(1.05 - image, 0, 1), 0)


def noisy(image):
    return np.clip(image + GREY_NOISE * np.random.default_rng(0).standard_normal(image.shape), 0, 1)


CHANGES = {
    "as it is": lambda image: image,
    "other contrast curve (gamma 1.6)": lambda image: image**1.6,
    "noise, 10 % of the range": noisy,
    "8 mm to the right": shifted(0, 8),
    "15 mm to the right": shifted(0, 15),
    "15 mm to the left": shifted(0, -15),
    "15 mm up": shifted(-15, 0),
    "15 mm down": shifted(15, 0),
    "turned by 15 degrees": turned(15),
    "turned by 25 degrees": turned(25),
    "turned by -25 degrees": turned(-25),
    "inverted contrast": inverted,
    "upside down": lambda image: image[::-1],
    "left and right exchanged": lambda image: image[:, ::-1],
}


def read(folder, y):
    """Image in [0, 1] and label map of every subject, in the coronal slice at y mm."""
    choice, slices = SliceChoice(True, 1, y), {}
    for path in sorted(folder.glob("*_in.nii.gz")):
        image = read_image(path, slice_=choice)
        labels = read_image(path.with_name(path.name.replace("_in.", "_out.")), slice_=choice, labels=True).pixels
        slices[path.name] = (
            normalize(image.pixels, foreground_of=image.volume),
            np.where(np.isin(labels, LABELS), labels, 0),
        )
    return slices


def examples_of(slices, target, size, random):
    """The arrays of `size` subjects other than the target."""
    others = random.choice([name for name in slices if name != target], size, replace=False)
    return [np.stack(arrays) for arrays in zip(*(slices[name] for name in others), strict=True)]


def of_images(planes, sizes, draws):
    """Share of targets with a note from the images alone: change -> size -> share."""
    shares = {change: {} for change in CHANGES}
    for change, apply in CHANGES.items():
        for size in sizes:
            random, noted = np.random.default_rng(0), []
            for slices in planes.values():
                for target, (image, _) in slices.items():
                    changed = apply(image)
                    for _ in range(draws):
                        inputs, outputs = examples_of(slices, target, size, random)
                        notes = plausibility_notes(changed, inputs, outputs, Prediction(image, image))
                        noted.append(any(note.startswith("target") for note in notes))
            shares[change][size] = float(np.mean(noted))
    return shares


def of_structures(slices, size, changes):
    """Share of targets with a note on the structures that `small` predicts: change -> share; Dice of those noted."""
    model, params = load_weights(weights_path(DEFAULT))
    shares, noted_dice = {}, []
    for change in changes:
        random, noted = np.random.default_rng(0), []
        for target, (image, truth) in slices.items():
            inputs, outputs = examples_of(slices, target, size, random)
            image = CHANGES[change](image).astype(np.float32)
            prediction = predict(model, params, image, inputs, outputs, task="segmentation", normalize="none")
            notes = plausibility_notes(image, inputs, outputs, prediction)
            odd = [int(label) for note in notes for label in re.findall(r"label (\d+)", note)]
            noted.append(bool(odd))
            if change == "as it is":
                noted_dice += [dice(prediction.labels == label, truth == label) for label in odd]
        shares[change] = float(np.mean(noted))
        print(size, change, shares[change], flush=True)
    return shares, noted_dice


def dice(a, b):
    return 2 * float((a & b).sum()) / max(1, a.sum() + b.sum())


def milliseconds(slices, size):
    """The time of one comparison, the fastest of 50."""
    images = [image for image, _ in slices.values()]
    inputs = np.stack([images[index % len(images)] for index in range(size)])
    outputs = np.stack([labels for _, labels in slices.values()])[np.arange(size) % len(images)]
    prediction = Prediction(images[0], images[0], outputs[0], LABELS)
    times = []
    for _ in range(50):
        start = time.perf_counter()
        plausibility_notes(images[0], inputs, outputs, prediction)
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def markdown(results):
    sizes, structures = results["sizes"], results["structures"]
    rows = [
        (
            change,
            *(f"{100 * shares[size]:.1f}" for size in sizes),
            *(percent(part, change) for part in structures.values()),
        )
        for change, shares in results["images"].items()
    ]
    header = ("target", *(f"N = {size}" for size in sizes), *(f"structures, N = {size}" for size in structures))
    return f"""{heading("Notes on implausible targets", "plausibility.py", results)}
{results["subjects"]} skull-stripped T1 scans of the MICCAI 2012 challenge, aligned to MNI152 by their intensities.
Percent of the targets with a note. Columns N: notes from the images alone, at
y = {", ".join(map(str, results["y"]))} mm with {results["draws"]} draws of examples each. Columns structures: notes on
the structures that `small` predicts, at y = {results["y"][0]} mm.

{table(header, rows)}

The first three rows are good targets: a note there is a false alarm. {structures_noted(results["noted_dice"])}
The limits were chosen on the same scans, so other data will show more. Left and right differ little in a brain: few
examples do not tell them apart.

One comparison with N = 32 takes {results["milliseconds"]:.0f} ms.
"""


def structures_noted(dice):
    if not dice:
        return "No structure of theirs was noted."
    return f"Dice of their structures that were noted: {', '.join(f'{value:.2f}' for value in dice)}."


def percent(shares, change):
    return f"{100 * shares[change]:.1f}" if change in shares else "-"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=Path, required=True, help="aligned volumes, *_in.nii.gz and *_out.nii.gz")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4, 8, 14])
    parser.add_argument("--y", type=int, nargs="+", default=[-17, -25, -9], help="coronal slices, mm")
    parser.add_argument("--draws", type=int, default=2, help="contexts drawn for each target")
    options = parser.parse_args()
    results = conditions("python benchmarks/plausibility.py --files FOLDER", ("numpy", "scipy", "jax"))
    planes = {y: read(options.files, y) for y in options.y}
    first = planes[options.y[0]]
    kinds = ("as it is", "15 mm to the right", "15 mm up", "turned by 25 degrees", "inverted contrast")
    results |= {
        "subjects": len(first),
        "y": options.y,
        "sizes": options.sizes,
        "draws": options.draws,
        "milliseconds": milliseconds(first, 32),
        "images": of_images(planes, options.sizes, options.draws),
    }
    of_one, dice_of_one = of_structures(first, 1, kinds[:1])
    of_four, dice_of_four = of_structures(first, 4, kinds)
    results |= {"structures": {1: of_one, 4: of_four}, "noted_dice": dice_of_one + dice_of_four}
    write_results("plausibility", results, markdown(results))


if __name__ == "__main__":
    main()
