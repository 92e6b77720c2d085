"""What the README shows works as it stands there: every command and every Python example."""

import json
import re
import shlex
import shutil
from pathlib import Path

import jax
import nibabel as nib
import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from input_pipeline.ops.task_augmentations import TASK_AUGMENTATIONS
from input_pipeline.ops.tasks import TASKS
from neuralizer_jax.cli.main import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SIZE = (24, 24)
SMALLER = "--config.train.warmup_steps=1 --config.model.features=4 --config.model.stages=2"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, tiny_weights):
    """A folder with the files that the README's examples mention, small ones."""
    folder = tmp_path_factory.mktemp("readme")
    rng = np.random.default_rng(0)
    (folder / "experiments").symlink_to(ROOT / "experiments")
    shutil.copy(tiny_weights, folder / "neuralizer.safetensors")
    shutil.copy(ROOT / "tests" / "golden" / "lightning.ckpt", folder / "model_weights.ckpt")
    np.save(folder / "target.npy", rng.random(SIZE) * 900)
    np.save(folder / "context_in.npy", rng.random((2, *SIZE)) * 900)
    np.save(folder / "context_out.npy", rng.integers(0, 2, (2, *SIZE)) * 17)

    def png(path, values):
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(values.astype(np.uint8)).save(path)

    png(folder / "target.png", rng.integers(0, 256, SIZE))
    for name in ("a", "b"):
        png(folder / "images" / f"{name}.png", rng.integers(0, 256, SIZE))
    for i in range(2):
        for kind in ("in", "out"):
            png(folder / "pairs" / f"ctx_{kind}{i}.png", rng.integers(0, 256, SIZE))
        png(folder / "masks" / f"ctx_in{i}.png", rng.integers(0, 256, SIZE))
        png(folder / "masks" / f"ctx_out{i}.png", 255 * rng.integers(0, 2, SIZE))
    volume = rng.random((SIZE[1], 5, SIZE[0])).astype(np.float32)
    affine = np.diag([1.0, 1, 1, 1])
    affine[:3, 3] = -12, -19, -12
    nib.save(nib.Nifti1Image(volume, affine), folder / "sub-01.nii.gz")
    return folder


def test_the_examples_are_found():
    assert len(blocks("python")) == 6
    assert len(blocks("bash")) == 9
    assert len(blocks("python")[0].strip().splitlines()) <= 10


@pytest.mark.parametrize("block", blocks("bash"), ids=lambda block: " ".join(block.split()[:3]))
def test_commands(block, workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    weights = (workplace / "neuralizer.safetensors").read_bytes()
    for command in block.replace("\\\n", " ").strip().splitlines():
        program, *arguments = shlex.split(command.replace("steps=200", f"steps=2 {SMALLER}"))
        assert program == "neuralizer"
        assert main(arguments) == 0
        if "--out" in arguments and "--list" not in arguments:
            out = Path(arguments[arguments.index("--out") + 1])
            assert out.is_file() or sorted(out.iterdir())
    (workplace / "neuralizer.safetensors").write_bytes(weights)


def test_written_files_are_those_the_text_names(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    command = next(block for block in blocks("bash") if "--slice" in block).replace("\\\n", " ")
    assert main(shlex.split(command)[1:]) == 0
    assert Path("brain_prob.nii.gz").is_file()
    assert Path("brain.png").is_file()
    brain = nib.load("brain.nii.gz")
    assert set(np.unique(brain.dataobj)) <= {0, 255}
    np.testing.assert_allclose(brain.affine[:3, 3], (-12, -17, -12))


def check_operation(operation):
    """It does something, and stays in [0, 1]."""
    key = jax.random.key(0)
    config = ConfigDict(dict(operation.defaults))
    shared = operation.sample(key, config)
    images = jax.random.uniform(key, (64, 64, 3))
    image_in, image_out = operation.apply(shared, operation.sample_image(key, shared, config), images, images[..., :1])
    assert image_in.shape == (64, 64, 3)
    assert image_out.shape in ((64, 64, 1), (64, 64))
    assert not np.array_equal(image_in, images)
    assert 0 <= image_in.min() <= image_in.max() <= 1


@pytest.mark.parametrize(
    "block", blocks("python"), ids=("predict", "read data", "episodes", "add a task", "train", "change the model")
)
def test_python(block, workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    names = {}
    if "data/phantom" in block and not Path("data").exists():
        assert main(["prepare", "phantom", "--subjects", "12", "--out", "data"]) == 0
    registered = dict(TASKS), dict(TASK_AUGMENTATIONS)
    exec(compile(block, "README.md", "exec"), names)
    for table, before in zip((TASKS, TASK_AUGMENTATIONS), registered, strict=True):
        for name in table.keys() - before.keys():
            check_operation(table.pop(name))
    if "prediction" in names:
        assert set(np.unique(names["prediction"].labels)) <= {0, 17}
    elif "batch" in names:
        assert names["batch"]["target_in"].shape == (8, 192, 192, 3)
    elif "remove_stripes" in names:
        assert "stripes" in names["config"].tasks
    elif "metrics" in names:
        assert np.isfinite(names["metrics"]["losses"]).all()
    elif "record" in names:
        assert names["record"].split == "train"
    else:
        from neuralizer_jax import load_weights

        assert load_weights("attention.safetensors", model=names["model"])[0] == names["model"]


def test_the_data_table_is_complete():
    from input_pipeline.raw.datasets import BUILDERS

    assert re.findall(r"\| `neuralizer prepare (\w+)(?: --raw DIR)?` \|$", README, re.MULTILINE) == list(BUILDERS)


def test_numbers_are_those_of_the_results():
    results = json.loads((ROOT / "benchmarks" / "results" / "predict_cpu.json").read_text())["summary"]
    found = {(row["members"], row["implementation"]): row for row in results}
    host = json.loads((ROOT / "benchmarks" / "results" / "episodes.json").read_text())["results"]["host"]
    assert f"two cores of an Intel Xeon the host makes {host['2']['pairs_per_s']:.0f} image pairs" in README
    step = (ROOT / "benchmarks/results/train_step.md").read_text()
    ratios = {name: row for name, *row in re.findall(r"^\| (.*?) \|.*\| ([\d.]+) \| ([\d.]+) \|$", step, re.MULTILINE)}
    prose = " ".join(README.split())
    assert f"takes {ratios['neuralizer_jax'][0]} of the time of eager PyTorch" in prose
    assert "`remat` {} of its time and {} of its memory".format(*ratios["neuralizer_jax, model.remat"]) in prose
    assert f"compiled PyTorch takes {ratios['PyTorch, compiled'][0]} (`benchmarks/results/train_step.md`)" in prose
    recovery = json.loads((ROOT / "benchmarks" / "results" / "alignment.json").read_text())["summary"]["recovery_mm"]
    assert "random affine maps to 0.2 mm on average" in README
    assert all(row["mean"] < 0.2 for row in recovery.values())
    table = re.search(r"## Speed and memory\n(.*?)\n## ", README, re.DOTALL)[1]
    rows = re.findall(r"^\| (\d+) \| ([\d.]+) \| ([\d.]+) \| (\d+) \| (\d+) \|$", table, re.MULTILINE)
    assert [int(row[0]) for row in rows] == [1, 8, 32]
    for members, *shown in rows:
        ours, theirs = (found[int(members), name] for name in ("jax", "torch"))
        seconds = [f"{row['seconds']['median']:.2f}" for row in (ours, theirs)]
        memory = [f"{row['peak_rss_bytes']['median'] / 2**20:.0f}" for row in (ours, theirs)]
        assert shown == seconds + memory
    eager, compiled = (found[32, name]["jax_ratio"] for name in ("torch", "torch_compile"))
    shares = [f"{ratio[kind]:.2f}" for ratio in (eager, compiled) for kind in ("seconds", "peak_minus_before_bytes")]
    assert "{} of the time at N = 32 and, beyond what is loaded before, {} of the memory".format(*shares[:2]) in prose
    assert "of compiled PyTorch (`torch.compile`) {} and {}.".format(*shares[2:]) in prose
    row = found[32, "jax"]
    assert f"runs at {100 * row['least_seconds']['matrix_rate'] / row['seconds']['median']:.0f} % of the rate" in README
    start_up = json.loads((ROOT / "benchmarks/results/start_up.json").read_text())["results"]["warm"]["median"]
    assert f"takes\n{start_up:.1f} s from start to end" in README
    records = json.loads((ROOT / "benchmarks/results/context_memory.json").read_text())["results"]
    peak = {(r["members"], r["way"]): f"{r['peak_bytes'] / 2**20:.0f}" for r in records}
    seconds = {r["way"]: f"{r['seconds']:.1f}" for r in records if r["members"] == 512}
    table = re.search(r"\| the context \|.*?\n\n", README, re.DOTALL)[0]
    rows = re.findall(r"^\| .* \| (\d+) \| (\d+) \| ([\d.]+) \|$", table, re.MULTILINE)
    ways = ("together", "kept", "streamed", "torch")
    assert rows == [(peak[64, way], peak[512, way], seconds[way]) for way in ways]


def test_the_table_of_the_experiments_is_that_of_the_results():
    tables = json.loads((ROOT / "benchmarks/results/experiments.json").read_text())["results"]["tables"]

    def rows(text):
        plain = re.sub(r" \[.*?\]|\*\*", "", text)
        cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in plain.splitlines() if "|" in line]
        return {name: values for name, *values in cells}

    models, trivial = rows(tables["table4"]), rows(tables["table_trivial"])
    shown = rows(re.search(r"best that learned nothing \|\n(.*?)\n\n", README, re.DOTALL)[1])
    assert len(shown) == 6  # with the line below the heading
    for task, values in list(shown.items())[1:]:
        own = dict(zip(trivial["Task"], trivial[task], strict=True))
        untrained = [own[name] for name in own if name not in models["Task"]]
        assert values[:3] == models[task]
        assert values[3] == own["Mean context output"]
        assert float(values[4]) == max(float(value) for value in untrained if value[0].isdigit())


def test_the_tables_of_the_weights_are_those_of_the_results():
    found = json.loads((ROOT / "benchmarks/results/pretrained.json").read_text())["results"]
    compared = json.loads((ROOT / "benchmarks/results/pretrained_comparisons.json").read_text())["results"]
    others = compared["pretrained_others"]["experiment1"]
    datasets = {"real scans": found["multiatlas2012"], "label maps": found["labelmaps"], "another scan": others}
    rows = {
        "`small`": "Neuralizer-seen",
        "vote of the aligned labels": "Mean context output",
        "labels of the nearest image": "Nearest context pair",
    }
    section = re.search(r"## The weights that come along\n(.*?)\n## ", README, re.DOTALL)[1]
    shown = re.findall(r"^\| (real scans|label maps|another scan): (.+?) \| (.*) \|$", section, re.MULTILINE)
    by_size = {(data, name): cells.split(" | ") for data, name, cells in shown if name in rows}
    assert len(by_size) == 9
    for (data, name), cells in by_size.items():
        own = datasets[data]["structures_by_size"][rows[name]]
        assert cells == [f"{own[n]:.3f}" for n in ("1", "2", "4", "8")]
    tasks = {(data, name): cells.split(" | ") for data, name, cells in shown if name not in rows}
    assert len(tasks) == sum(len(datasets[name]["tasks"]) - 1 for name in ("real scans", "label maps"))
    for (data, name), (_, *cells) in tasks.items():
        own = datasets[data]["tasks"][name.replace(" ", "_")]
        digits = 3 if datasets[data]["metrics"][name.replace(" ", "_")] == "dice" else 2
        trained = own.pop("Neuralizer-seen")
        numbers = trained, own.get("Input as it is"), max(own.values())
        assert cells == ["" if number is None else f"{number:.{digits}f}" for number in numbers]


def test_the_comparisons_of_the_weights_are_those_of_the_results():
    found = json.loads((ROOT / "benchmarks/results/pretrained_comparisons.json").read_text())["results"]
    unets = found["pretrained_unets"]["experiment1"]["structures_by_size"]
    text = " ".join(README.split())
    for name, what in (
        ("Neuralizer-seen", "`small` reaches"),
        ("Baseline-seen", "U-Nets"),
        ("Mean context output", "vote"),
    ):
        assert re.search(rf"{what}[^.;:]* {unets[name]['8']:.3f}", text), name
    assert f"one of them {unets['Neuralizer-seen']['1']:.3f}" in text
    assert f"trained on one {unets['Baseline-seen']['1']:.3f}" in text
    of_tasks = found["pretrained_unets"]["experiment1"]["tasks"]
    table = re.search(r"\| seven real scans, N = 8 \|.*?\n\n", README, re.DOTALL)[0]
    shown = re.findall(r"^\| ([a-z ]+) \| PSNR, dB" + r" \| ([\d.]+)" * 3 + r" \|$", table, re.MULTILINE)
    assert len(shown) == len(of_tasks) - 1
    for name, *cells in shown:
        scores = dict(of_tasks[name.replace(" ", "_")])
        numbers = scores.pop("Neuralizer-seen"), scores.pop("Baseline-seen"), max(scores.values())
        assert cells == [f"{number:.2f}" for number in numbers]
    held_out = found["heldout"]["experiment1"]
    table = re.search(r"\| label maps, 64x64 \|.*?\n\n", README, re.DOTALL)[0]
    shown = {
        name: cells
        for name, _, *cells in re.findall(r"^\| (.+?) \| (.+?)" + r" \| ([\d.]+)" * 3 + " ", table, re.MULTILINE)
    }
    assert len(shown) == sum("Neuralizer-unseen" in scores for scores in held_out["tasks"].values())
    for name, cells in shown.items():
        scores = dict(held_out["tasks"][name.replace(" ", "_").lower()])
        models = [scores.pop(f"Neuralizer-{which}") for which in ("seen", "unseen")]
        digits = 3 if held_out["metrics"][name.replace(" ", "_").lower()] == "dice" else 2
        assert cells == [f"{number:.{digits}f}" for number in (*models, max(scores.values()))]


def test_files_that_the_readme_names_exist():
    for name in re.findall(r"`((?:neuralizer_jax|input_pipeline|tests|benchmarks|experiments)/[\w/.]+)`", README):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"\]\((docs/[^)]+)\)", README):
        assert (ROOT / name).is_file(), name
