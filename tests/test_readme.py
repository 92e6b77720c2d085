"""README and how-to pages: every command and every Python example works, tables are those of the results."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import jax
import nibabel as nib
import numpy as np
import pytest
from made_up_scans import Predictor, strip
from ml_collections import ConfigDict
from PIL import Image
from training_examples import SMALL_TRAINING

from input_pipeline.ops.task_augmentations import TASK_AUGMENTATIONS
from input_pipeline.ops.tasks import TASKS
from neuralizer_jax.cli.main import main

ROOT = Path(__file__).parents[1]
# In this order: later pages use what earlier ones have made.
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "start").glob("*.md")),
    *sorted((ROOT / "docs/howto").glob("*.md")),
]
SIZE = (24, 24)
SMALLER = ("--config.train.steps=1", "--config.train.warmup_steps=0", *SMALL_TRAINING)


def blocks(language):
    return [
        pytest.param(block, id=f"{page.stem}-{number}")
        for page in PAGES
        for number, block in enumerate(re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL))
    ]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, tiny_weights):
    """A folder with small files that have the names of the examples."""
    folder = tmp_path_factory.mktemp("readme")
    rng = np.random.default_rng(0)
    (folder / "experiments").symlink_to(ROOT / "experiments")
    (folder / "runs" / "smoke").mkdir(parents=True)
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


def prepared_phantom():
    if not Path("data/phantom").exists():
        assert main(["prepare", "phantom", "--subjects", "12", "--workers", "1", "--out", "data"]) == 0


def prepared_study():
    """The dataset of the page on BIDS."""
    if not Path("study").exists():
        page = (ROOT / "docs/howto/bids.md").read_text()
        exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], {})


@pytest.fixture(scope="module")
def commands_run():
    """Several pages show the same command: it runs once."""
    return set()


@pytest.mark.parametrize("block", blocks("bash"))
def test_commands(block, workplace, commands_run, monkeypatch):
    monkeypatch.chdir(workplace)
    prepared_phantom()
    prepared_study()
    # `bids` takes minutes otherwise; whole scans are predicted in their own tests.
    monkeypatch.setattr("neuralizer_jax.volumes.predict.predict_volume", Predictor())
    monkeypatch.setattr("neuralizer_jax.volumes.skull_stripping.strip_skull", strip)
    commands = block.replace("\\\n", " ").strip().splitlines()
    for command in [command for command in commands if command not in commands_run]:
        commands_run.add(command)
        shorter = command.replace("--config.train.steps=200", " ".join(SMALLER)).replace(
            "--out episodes", "--out episodes --tasks-only"
        )
        program, *arguments = shlex.split(shorter)
        assert program == "neuralizer"
        assert main(arguments) == 0
        if "--out" in arguments and "--list" not in arguments:
            out = Path(arguments[arguments.index("--out") + 1])
            assert out.is_file() or sorted(out.iterdir())


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


@pytest.mark.parametrize("block", blocks("python"))
def test_python(block, workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    prepared_phantom()
    registered = dict(TASKS), dict(TASK_AUGMENTATIONS)
    names = {}
    exec(compile(block, "a page", "exec"), names)
    for table, before in zip((TASKS, TASK_AUGMENTATIONS), registered, strict=True):
        for name in table.keys() - before.keys():
            check_operation(table.pop(name))
    if "metrics" in names:
        assert np.isfinite(names["metrics"]["losses"]).all()


def test_tables_are_those_of_the_results(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    import write_tables

    assert write_tables.update(write=False) == [], "run `make tables`"


def test_every_key_of_volumes_is_explained():
    from input_pipeline.cut.config import DEFAULTS

    def leaves(values, path=""):
        for key, value in values.items():
            yield from leaves(value, f"{path}{key}.") if isinstance(value, dict) else [f"{path}{key}"]

    page = (ROOT / "docs/howto/training_images.md").read_text()
    keys = {re.sub(r"^planes\.\w+", "planes.PLANE", key) for key in leaves(DEFAULTS)}
    assert keys == set(re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE))


def test_links_and_files_exist():
    for page in [*PAGES, *(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md"]:
        text = page.read_text()
        for name in re.findall(r"`((?:neuralizer_jax|input_pipeline|tests|benchmarks|experiments)/[\w/.]+)`", text):
            assert (ROOT / name).exists(), f"{page.name}: {name}"
        for name in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (page.parent / name).exists(), f"{page.name}: {name}"
