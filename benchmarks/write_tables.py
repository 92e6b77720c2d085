"""Writes the results of the benchmarks into README, documentation and cards of the weights, between markers.

    python benchmarks/write_tables.py

A text that shows a result has `<!-- begin: NAME -->` before it and `<!-- end: NAME -->` after it. NAME is a function
of this file that makes the text from `benchmarks/results/*.json`. Every benchmark calls this script when it ends.
"""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = ("README.md", "docs/**/*.md", "neuralizer_jax/weights_files/*.md")
MARKED = re.compile(r"(<!-- begin: (\w+) -->)(.*?)(<!-- end: \2 -->)", re.DOTALL)

MODEL, UNET = "Neuralizer-seen", "Baseline-seen"
UNTRAINED = ("Input as it is", "Intensity map", "Mean context output", "Nearest context pair")
SCANS, MAPS = "multiatlas2012", "labelmaps"


def results(name):
    """The `results` of `benchmarks/results/NAME.json`."""
    return _json(name)["results"]


def _json(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


def table(header, rows):
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def rounded(number, metric):
    """Three digits of a Dice, one of a PSNR in dB; a dash where there is no number."""
    return "-" if number is None else f"{number:.3f}" if metric == "dice" else f"{number:.1f}"


def best_untrained(scores):
    """The highest score of the untrained baselines."""
    return max(scores[name] for name in UNTRAINED if name in scores)


def of_dataset(dataset, task):
    """Metric, scores at N = 1 (segmentation alone) and scores at N = 8 of `small` and the untrained baselines."""
    found = results("pretrained")[dataset]
    if task == "segmentation":
        sizes = found["structures_by_size"]
        return "dice", sizes[MODEL]["1"], {name: values["8"] for name, values in sizes.items()}
    return found["metrics"][task], None, found["tasks"][task]


def of_unets(task):
    """Scores at N = 8 on the seven scans of the comparison with U-Nets."""
    found = results("pretrained_comparisons")["pretrained_unets"]["experiment1"]
    if task == "segmentation":
        return {name: values["8"] for name, values in found["structures_by_size"].items()}
    return found["tasks"].get(task, {})


def dice_1():
    """Mean Dice of `small` on the real scans from one example."""
    return f"{of_dataset(SCANS, 'segmentation')[1]:.2f}"


def dice_8():
    """The same from eight examples."""
    return f"{of_dataset(SCANS, 'segmentation')[2][MODEL]:.2f}"


def dice_8_untrained():
    """The same of the best untrained baseline."""
    return f"{best_untrained(of_dataset(SCANS, 'segmentation')[2]):.2f}"


def dice_other_contrast():
    """Dice of the label maps at N = 8 with contexts of the target's contrast and of another one."""
    return "{:.2f} to {:.2f}".format(*results("pretrained")[MAPS]["other_contrast"]["segmentation"])


def pretrained_summary():
    """`small` beside untrained baselines and U-Nets, each task at N = 8."""
    rows = []
    for dataset, shown in ((SCANS, "real T1 scans"), (MAPS, "label maps")):
        for task in results("pretrained")[dataset]["tasks"]:
            metric, _, scores = of_dataset(dataset, task)
            if dataset == MAPS and task in results("pretrained")[SCANS]["tasks"]:
                continue
            unets = of_unets(task) if dataset == SCANS else {}
            name = f"{task.replace('_', ' ')}, {'Dice' if metric == 'dice' else 'dB'}"
            numbers = scores[MODEL], best_untrained(scores), unets.get(MODEL), unets.get(UNET)
            rows.append((name, shown, *(rounded(number, metric) for number in numbers)))
    return table(("N = 8", "targets", "`small`", "best untrained", "`small`, 7 scans", "U-Net, 7 scans"), rows)


def pretrained_by_size():
    """Mean Dice of seven structures by the size of the context set."""
    scan = results("pretrained_comparisons")["pretrained_others"]["experiment1"]["structures_by_size"]
    shown = {
        MODEL: "`small`",
        "Mean context output": "majority vote",
        "Nearest context pair": "labels of nearest image",
    }
    rows = []
    for data, sizes in (
        ("15 real scans", results("pretrained")[SCANS]["structures_by_size"]),
        ("scan from elsewhere", scan),
        ("label maps", results("pretrained")[MAPS]["structures_by_size"]),
    ):
        rows += [(data, name, *(f"{sizes[key][n]:.3f}" for n in "1248")) for key, name in shown.items()]
    return table(("targets", "Dice", "N = 1", "N = 2", "N = 4", "N = 8"), rows)


def heldout_summary():
    """Models that have and have not seen a task, at N = 8."""
    found = results("pretrained_comparisons")["heldout"]["experiment1"]
    rows = []
    for task, scores in found["tasks"].items():
        if "Neuralizer-unseen" in scores:
            numbers = scores[MODEL], scores["Neuralizer-unseen"], best_untrained(scores)
            name = f"{task.replace('_', ' ')}, {'Dice' if found['metrics'][task] == 'dice' else 'dB'}"
            rows.append((name, *(rounded(number, found["metrics"][task]) for number in numbers)))
    return table(("label maps, 64x64, N = 8", "seen", "unseen", "best untrained"), rows)


def speed_summary():
    """Seconds and memory of one prediction on a CPU, beside eager PyTorch."""
    summary = _json("predict_cpu")["summary"]
    found = {(row["members"], row["implementation"]): row for row in summary}
    rows = []
    for members in sorted({members for members, _ in found}):
        both = [found[members, name] for name in ("jax", "torch")]
        seconds = [f"{row['seconds']['median']:.2f}" for row in both]
        rows.append((members, *seconds, *(f"{row['peak_rss_bytes']['median'] / 2**20:.0f}" for row in both)))
    return table(("N", "neuralizer_jax, s", "PyTorch, s", "neuralizer_jax, MiB", "PyTorch, MiB"), rows)


def cpu_ratio():
    """Time and memory of a prediction from the largest context, divided by those of eager PyTorch."""
    summary = _json("predict_cpu")["summary"]
    largest = max(row["members"] for row in summary)
    ratio = next(r["jax_ratio"] for r in summary if (r["members"], r["implementation"]) == (largest, "torch"))
    return f"{ratio['seconds']:.2f} of the time and {ratio['peak_rss_bytes']:.2f} of the memory"


def start_up_seconds():
    """Seconds of `neuralizer predict` as a whole, with compiled programs in the cache."""
    return f"{results('start_up')['warm']['median']:.1f} s"


def pairs_per_second():
    """Image pairs a second that two cores make for training."""
    return f"{results('episodes')['host']['2']['pairs_per_s']:.0f}"


def memory_summary():
    """Peak memory of a prediction by the size of the context set."""
    found = {(row["members"], row["way"]): row for row in results("context_memory")}
    ways = {
        "together": "all together",
        "kept": "in chunks, activations kept",
        "streamed": "in chunks, nothing kept",
        "torch": "PyTorch, eager",
    }
    rows = [
        (
            shown,
            *(f"{found[members, way]['peak_bytes'] / 2**20:.0f}" for members in (64, 512)),
            f"{found[512, way]['seconds']:.1f}",
        )
        for way, shown in ways.items()
    ]
    return table(("context", "N = 64, MiB", "N = 512, MiB", "N = 512, s"), rows)


def of_volumes(count, key):
    """The mean of a score over structures and real scans that were segmented whole from so many examples."""
    return _json("predict_volumes")["by_examples"][str(count)]["structures"]["mean"][key]


def volumes_scans():
    """The number of these scans."""
    return str(_json("predict_volumes")["subjects"])


def volumes_dice_8():
    """Mean Dice of whole scans from eight examples."""
    return f"{of_volumes(8, 'dice'):.2f}"


def volumes_dice_1():
    """The same from one example."""
    return f"{of_volumes(1, 'dice'):.2f}"


def volumes_dice_vote():
    """The same of the majority vote of eight."""
    return f"{of_volumes(8, 'vote'):.2f}"


def volumes_summary():
    """Whole scans: each structure."""
    found = {count: _json("predict_volumes")["by_examples"][count]["structures"] for count in ("8", "1")}
    rows = [
        (name, *(f"{found[n][name]['dice']:.3f}" for n in found), f"{its['vote']:.3f}", f"{its['hd95']:.1f}",
         f"{its['volume_error']:.1f}")
        for name, its in found["8"].items()
    ]  # fmt: skip
    header = ("structure", "Dice, N = 8", "N = 1", "majority vote, N = 8", "HD95, mm, N = 8", "error of the volume, %")
    return table(header, rows)


def volumes_seconds():
    """Seconds of one core for a structure of a whole scan, and for the registration of the scan."""
    seconds = _json("predict_volumes")["by_examples"]["8"]["seconds"]
    return f"{seconds['structure']:.0f} s a structure after {seconds['alignment']:.0f} s for the scan"


def trust_summary():
    """How the expected Dice follows the true one on real scans."""
    found = _json("trust")["summaries"]["Real scans"]
    return " and ".join(
        f"{found[f'good, N = {n}']['spearman']:.2f} from {word} (mean error {found[f'good, N = {n}']['error']:.2f})"
        for n, word in ((8, "eight examples"), (1, "one example"))
    )


def update(write=True):
    """Writes the marked texts of the repository anew; returns the files that changed, or would change."""
    changed = []
    for path in sorted(path for pattern in FILES for path in ROOT.glob(pattern) if "_build" not in path.parts):
        before = path.read_text(encoding="utf-8")
        after = MARKED.sub(_marked, before)
        if after != before:
            changed.append(path.relative_to(ROOT))
            if write:
                path.write_text(after, encoding="utf-8")
    return changed


def _marked(match):
    begin, name, _, end = match.groups()
    text = TEXTS[name]()
    return f"{begin}\n\n{text}\n\n{end}" if "\n" in text else begin + text + end


TEXTS = {
    function.__name__: function
    for function in (
        cpu_ratio,
        dice_1,
        dice_8,
        dice_8_untrained,
        dice_other_contrast,
        heldout_summary,
        memory_summary,
        pairs_per_second,
        pretrained_by_size,
        pretrained_summary,
        speed_summary,
        start_up_seconds,
        trust_summary,
        volumes_dice_1,
        volumes_dice_8,
        volumes_dice_vote,
        volumes_scans,
        volumes_seconds,
        volumes_summary,
    )
}

if __name__ == "__main__":
    for path in update():
        print(path)
