"""`neuralizer predict` and `neuralizer convert` from files to files, as a user types them."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import nibabel as nib
import numpy as np
import pytest
from golden.golden_weights import FOLDER
from PIL import Image
from safetensors import safe_open

import neuralizer_jax
from neuralizer_jax import load_weights, predict
from neuralizer_jax.cli.main import main
from neuralizer_jax.intensity import normalize

HEIGHT, WIDTH = 23, 24
# A plane of it is an image of HEIGHT x WIDTH: y is cut, z are the rows, x the columns. 2 mm, off the origin.
VOLUME = (WIDTH, 3, HEIGHT)
AFFINE = np.array([[2.0, 0, 0, -31], [0, 2.0, 0, 12], [0, 0, 2.0, -7.5], [0, 0, 0, 1]])
HEAVY = {"flax", "jax", "matplotlib", "nibabel", "nilearn", "numpy", "optax", "orbax", "PIL", "scipy", "tensorflow"}
HEAVY |= {"torch", "tqdm"}


def picture(seed, shape=(HEIGHT, WIDTH)):
    """Intensities in [0, 1]: a bright ellipsoid in noise."""
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, length) for length in shape), indexing="ij"))
    noise = np.random.default_rng(seed).uniform(0, 0.4, shape)
    return (noise + 0.6 * ((grid**2).sum(0) < 0.5)).astype(np.float32)


def label_map(seed, *values):
    """Bands of labels over a background of 0."""
    bands = np.zeros((HEIGHT, WIDTH), np.int32)
    for index, value in enumerate(values):
        bands[3 + seed + 6 * index : 8 + seed + 6 * index, 4:16] = value
    return bands


def save(path, pixels):
    """Writes intensities in [0, 1], or integers as they are."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".npy":
        with open(path, "wb") as stream:  # `save` adds its own suffix to .NPY
            np.save(stream, pixels)
    elif pixels.dtype.kind == "f":
        Image.fromarray(np.rint(pixels * 65535).astype(np.uint16)).save(path)
    else:
        Image.fromarray(pixels.astype(np.uint8)).save(path)


def load(path):
    return np.load(path) if Path(path).suffix == ".npy" else np.asarray(Image.open(path))


@pytest.fixture
def folder(tmp_path, monkeypatch, tiny_weights):
    """The working folder: a target, two example pairs of images, two of masks and two of label maps."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(tiny_weights, "w.safetensors")
    for suffix in ("png", "npy"):
        save(f"t.{suffix}", picture(0))
        for index in (0, 1):
            for task, output in {
                "images": 1 - picture(1 + index),
                "masks": label_map(index, 255),
                "labels": label_map(index, 3, 41),
            }.items():
                save(f"{task}_{suffix}/in{index}.{suffix}", picture(1 + index))
                save(f"{task}_{suffix}/out{index}.{suffix}", output)
    return tmp_path


def run(*arguments, out="o.npy", target="t.npy", context="images_npy", weights="w.safetensors"):
    """Runs a prediction that must succeed."""
    command = ["predict", "--weights", weights, "--target", target, "--context", context, "--out", out, *arguments]
    assert main([str(argument) for argument in command]) == 0


def expected(outputs, target=0, **options):
    """What the Python interface predicts for the pictures of `folder`."""
    return predict(
        *load_weights("w.safetensors"),
        picture(target),
        np.stack([picture(1), picture(2)]),
        np.stack(outputs),
        **options,
    )


IMAGES = [1 - picture(1), 1 - picture(2)]
MASKS = [label_map(0, 255), label_map(1, 255)]
LABELS = [label_map(0, 3, 41), label_map(1, 3, 41)]


def python(*arguments, **options):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, **options)


# What is imported, and the start of the program


@pytest.mark.parametrize("arguments", [["--help"], ["predict", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    script = f"""
import sys
from neuralizer_jax.cli.main import main
try:
    main({arguments})
except SystemExit as exit_:
    print(exit_.code, *sorted({HEAVY} & set(sys.modules)), file=sys.stderr)
"""
    finished = python("-c", script)
    assert finished.stderr == "0\n"
    assert "neuralizer" in finished.stdout


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import neuralizer_jax", HEAVY),
        ("from neuralizer_jax import predict, load_weights, save_weights", {"tensorflow", "torch", "matplotlib"}),
    ],
)
def test_importing_the_package_loads_only_what_is_used(statement, absent):
    finished = python("-c", f"{statement}\nimport sys\nprint(*sorted({absent} & set(sys.modules)))")
    assert (finished.stdout, finished.stderr) == ("\n", "")


def test_the_module_runs_as_a_program():
    finished = python("-m", "neuralizer_jax", "--version")
    assert (finished.returncode, finished.stdout) == (0, f"neuralizer {neuralizer_jax.__version__}\n")


def test_help_shows_the_commands_and_fits_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0
    commands = re.findall(r"^    (\w+)", capsys.readouterr().out, re.MULTILINE)
    assert commands[:4] == ["predict", "bids", "serve", "demo"]
    assert {"prepare", "episodes", "train", "evaluate", "report", "convert"} <= set(commands)
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    shown = capsys.readouterr().out
    assert "y=-17" in shown
    assert max(map(len, shown.splitlines())) <= 80


# Images


def test_numpy_image(folder, capsys):
    run()
    assert capsys.readouterr() == ("o.npy\n", "")
    out = load("o.npy")
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, expected(IMAGES).mean, atol=1e-5)
    assert out.std() > 0.01
    assert {path.name for path in folder.glob("o*")} == {"o.npy"}


def test_png_image(folder):
    run(out="o.png", target="t.png", context="images_png")
    out = load("o.png")
    assert out.dtype == np.uint16
    np.testing.assert_allclose(out / 65535, expected(IMAGES).mean.clip(0, 1), atol=1e-3)


@pytest.mark.parametrize("name", ["t\udcff.png", "t\x1b[31m\n.png", "t\u202e\u00a0.png"])
def test_names_that_no_terminal_can_show(folder, capfd, name):
    save(name, picture(0))
    os.rename("w.safetensors", "w$\udcff_$.safetensors")
    os.rename("images_png/in0.png", "images_png/\udcff\x1b_in.png")
    os.rename("images_png/out0.png", "images_png/\udcff\x1b_out.png")
    out = name.replace("t", "o", 1)
    run("--figure", f"figure_{name}", target=name, context="images_png", out=out, weights="w$\udcff_$.safetensors")
    assert {out, f"figure_{name}"} <= set(os.listdir())
    printed = capfd.readouterr()
    assert all(line.isprintable() for line in (printed.out + printed.err).splitlines())
    assert printed.out.startswith("o")


def test_explicit_pairs_are_the_same_as_the_folder(folder):
    run(out="folder.npy")
    pairs = ["--context-in", *(f"images_npy/in{i}.npy" for i in (1, 0))]
    pairs += ["--context-out", *(f"images_npy/out{i}.npy" for i in (1, 0))]
    command = ["predict", "--weights", "w.safetensors", "--target", "t.npy", *pairs, "--out", "pairs.npy"]
    assert main(command) == 0
    np.testing.assert_allclose(load("pairs.npy"), load("folder.npy"), atol=1e-5)


def test_published_layout(folder, capsys):
    """The target lies beside the pairs, as in the authors' examples."""
    save("task/target_in.png", picture(0))
    for index in (0, 1):
        save(f"task/ctx_in{index}.png", picture(1 + index))
        save(f"task/ctx_out{index}.png", IMAGES[index])
    run(target="task/target_in.png", context="task", out="task/prediction.npy")
    assert capsys.readouterr().err == ""
    np.testing.assert_allclose(load("task/prediction.npy"), expected(IMAGES).mean, atol=1e-3)
    # A second run finds the result of the first beside the pairs.
    run(target="task/target_in.png", context="task", out="task/prediction.npy")
    assert "ignored prediction.npy" in capsys.readouterr().err


def test_a_gap_in_the_numbering_is_noted(folder, capsys):
    for role in ("in", "out"):
        os.rename(f"images_npy/{role}1.npy", f"images_npy/{role}2.npy")
    run()
    assert capsys.readouterr().err == "neuralizer: note: images_npy: the numbering leaves out in1\n"


def test_masks_without_the_task_are_noted(folder, capsys):
    run(context="masks_npy")
    assert capsys.readouterr().err.startswith("neuralizer: note: the context outputs have two values each")


@pytest.mark.parametrize("how", ["percentile", "none"])
def test_normalize(folder, how, capsys):
    run("--normalize", how)
    np.testing.assert_allclose(load("o.npy"), expected(IMAGES, normalize=how).mean, atol=1e-5)
    assert capsys.readouterr().err == ""


def test_images_beyond_the_range_that_are_not_scaled_are_noted(folder, capsys):
    save("t.npy", 255 * picture(0))
    run("--normalize", "none")
    assert re.fullmatch(r"neuralizer: note: t\.npy: values from .* to 2\d\d.*\n", capsys.readouterr().err)


def scaled_file(name, pixels, gain, offset, dtype):
    """Writes `gain * pixels + offset`: integers span 4000 values, to which NIfTI adds slope and intercept."""
    integers = np.dtype(dtype).kind != "f"
    stored = pixels.astype(np.float64) * (4000 if integers else gain) + (100 if integers else offset)
    stored = (np.rint(stored) if integers else stored).astype(dtype)
    if name.endswith(".nii"):
        image = nib.Nifti1Image(stored.T[:, None, ::-1], AFFINE)
        image.header.set_slope_inter(gain / 4000, offset)
        nib.save(image, name)
    elif name.endswith(".npy"):
        np.save(name, stored)
    else:
        Image.fromarray(stored).save(name)


SCALES = [
    ("npy", 1e-6, 0, "f4"),
    ("npy", 4095 / 65535, 0, "f4"),
    ("npy", 1, 1000, "f8"),
    ("npy", 1e30, -1e30, "f4"),
    ("npy", 1e200, 0, "f8"),
    ("npy", 1000, 0, "f2"),
    ("npy", 1, 0, "u8"),
    ("npy", 1, 0, ">i2"),
    ("png", 1, 0, "u2"),
    ("tif", 1e-20, 0, "f4"),
    ("nii", 1e-6, 5, "i2"),
    ("nii", 700, -1e4, "u2"),
]


@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_gain_offset_and_datatype_of_each_image_do_not_matter(folder, scale):
    suffix, *how = scale
    target = f"scaled.{suffix}"
    scaled_file(target, picture(0), *how)
    for index, other in enumerate((scale, SCALES[0])):  # each example by itself
        scaled_file(f"images_npy/in{index}.{other[0]}", picture(1 + index), *other[1:])
        if other[0] != "npy":
            os.remove(f"images_npy/in{index}.npy")
        np.save(f"images_npy/out{index}.npy", LABELS[index])
    run("--task", "segmentation", target=target, out="o.npy")
    want = expected(LABELS, task="segmentation").labels
    assert np.mean(load("o.npy") != want) < 0.01
    assert len(np.unique(want)) == 3


def test_resample(folder):
    for index in (0, 1):
        save(f"large/in{index}.npy", np.kron(picture(1 + index), np.ones((2, 2), np.float32)))
        save(f"large/out{index}.npy", np.kron(LABELS[index], np.ones((2, 2), np.int32)))
    run("--resample", "--task", "segmentation", context="large")
    np.testing.assert_array_equal(load("o.npy"), expected(LABELS, task="segmentation").labels)


def test_three_channels(folder):
    def channels(seed):
        return np.stack([picture(seed), picture(seed + 10), picture(seed + 20)], axis=-1)

    save("t.npy", channels(0))
    for index in (0, 1):
        save(f"images_npy/in{index}.npy", channels(1 + index))
    run()
    inputs = np.stack([channels(1), channels(2)])
    want = predict(*load_weights("w.safetensors"), channels(0), inputs, np.stack(IMAGES))
    np.testing.assert_allclose(load("o.npy"), want.mean, atol=1e-5)


# Segmentations


@pytest.mark.parametrize(
    ("outputs", "options", "notes"),
    [
        ([(3, 41), (3, 41), (3, 41)], [], ""),
        ([(3, 41), (3, 41), (3,)], [], ""),
        ([(3,), (3,), (3, 41)], [], "labels differ among the context outputs: of 3, label 41 is in 1 (few/out2.npy)"),
        ([(3,), (3,), (3, 41)], ["--labels", "3"], ""),
        ([(1,), (2,)], [], "of 2, label 1 is in 1 (few/out0.npy), 2 is in 1 (few/out1.npy)"),
        ([(1,), (), (1,)], [], "few/out1.npy: holds none of the labels"),
        ([(3, 41), (41,)], ["--labels", "3"], "few/out1.npy: holds none of the labels"),
        ([(1,), (255,)], ["--labels", "1,255"], "of 2, label 1 is in 1 (few/out0.npy), 255 is in 1 (few/out1.npy)"),
    ],
)
def test_context_outputs_whose_labels_differ_are_noted(folder, capsys, outputs, options, notes):
    for index, labels in enumerate(outputs):
        save(f"few/in{index}.npy", picture(1 + index))
        save(f"few/out{index}.npy", label_map(0, *labels))
    run("--task", "segmentation", *options, context="few")
    noted = [line for line in capsys.readouterr().err.splitlines() if re.search("differ among|holds none", line)]
    assert len(noted) == bool(notes)
    assert notes in "".join(noted)


def test_masks(folder, capsys):
    run("--task", "segmentation", out="o.png", target="t.png", context="masks_png")
    assert capsys.readouterr() == ("o.png\no_prob.png\n", "")
    want = expected(MASKS, task="segmentation")
    assert set(np.unique(want.labels)) == {0, 255}
    mask, probability = load("o.png"), load("o_prob.png")
    assert (mask.dtype, probability.dtype) == (np.uint8, np.uint16)
    assert set(np.unique(mask)) == {0, 255}
    np.testing.assert_allclose(probability / 65535, want.mean, atol=1e-3)
    np.testing.assert_array_equal(mask == 255, probability > 32767)


def test_label_maps(folder):
    run("--task", "segmentation", out="o.npy", context="labels_npy")
    want = expected(LABELS, task="segmentation")
    np.testing.assert_array_equal(load("o.npy"), want.labels)
    assert set(np.unique(load("o.npy"))) == {0, 3, 41}
    np.testing.assert_allclose(load("o_prob.npy"), want.mean.max(0), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "labels"), [(["41"], [41]), (["41,3"], [3, 41]), (["41", "3"], [3, 41]), (["3,", "41"], [3, 41])]
)
def test_chosen_labels(folder, arguments, labels):
    run("--task", "segmentation", "--labels", *arguments, context="labels_npy")
    np.testing.assert_array_equal(load("o.npy"), expected(LABELS, task="segmentation", label_values=labels).labels)
    assert set(np.unique(load("o.npy"))) == {0, *labels}


def test_short_options(folder):
    run(out="long.npy")
    command = ["predict", "--weights", "w.safetensors", "-i", "t.npy", "--context", "images_npy", "-o", "short.npy"]
    assert main(command) == 0
    np.testing.assert_array_equal(load("short.npy"), load("long.npy"))


def test_many_labels_are_noted(folder, capsys, monkeypatch):
    """As a grey image has, that was taken for a label map."""
    monkeypatch.setattr("neuralizer_jax.cli.predict_checks.MANY_LABELS", 1)
    run("--task", "segmentation", context="labels_npy")
    assert "hold 2 labels, from 3 to 41" in capsys.readouterr().err


# Bootstrapping


def test_bootstrap_writes_the_spread_and_repeats_itself(folder, capsys):
    options = ["--bootstrap", "2", "--bootstrap-size", "2", "--augment"]
    run(*options, out="a.npy")
    assert capsys.readouterr().out == "a.npy\na_std.npy\n"
    run(*options, "--seed", "0", out="b.npy")
    run(*options, "--seed", "1", out="c.npy")
    files = {path.name: path.read_bytes() for path in folder.glob("?*.npy")}
    assert files["a.npy"] == files["b.npy"] != files["c.npy"]
    assert files["a_std.npy"] == files["b_std.npy"] != files["c_std.npy"]
    want = expected(IMAGES, bootstrap=2, bootstrap_size=2, augment=True)
    np.testing.assert_allclose(load("a.npy"), want.mean, atol=1e-5)
    np.testing.assert_allclose(load("a_std.npy"), want.std, atol=1e-5)
    assert want.std.max() > 0


# Memory and devices


def test_chunks_and_devices_change_no_prediction(folder):
    run(out="a.npy")
    run("--context-chunk", "1", "--all-devices", out="b.npy")
    np.testing.assert_allclose(load("b.npy"), load("a.npy"), atol=1e-5)


# Several targets


@pytest.fixture
def targets(folder):
    for name, seed in {"one.npy": 5, "two.NPY": 6}.items():
        save(f"scans/{name}", picture(seed))
    shutil.copy("scans/one.npy", "scans/.hidden.npy")
    Path("scans/notes.txt").write_text("scanned twice")
    return folder


@pytest.mark.parametrize("named", ["files", "folder"])
def test_several_targets(targets, capsys, named):
    paths = ["scans/one.npy", "scans/two.NPY"] if named == "files" else ["scans"]
    command = ["predict", "--weights", "w.safetensors", "--target", *paths, "--context", "images_npy"]
    assert main([*command, "--out", "new/results"]) == 0
    assert capsys.readouterr().out == "new/results/one.npy\nnew/results/two.NPY\n"
    assert sorted(os.listdir("new/results")) == ["one.npy", "two.NPY"]
    for name, seed in {"one.npy": 5, "two.NPY": 6}.items():
        np.testing.assert_allclose(np.load(f"new/results/{name}"), expected(IMAGES, seed).mean, atol=1e-5)


def test_one_target_into_a_folder_that_exists(folder):
    Path("results").mkdir()
    run("--figure", "results/t_figure.png", out="results")
    assert sorted(os.listdir("results")) == ["t.npy", "t_figure.png"]


# NIfTI


def save_nifti(path, array, affine=AFFINE):
    Path(path).parent.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)


def upright(volume, y):
    """The coronal plane of a volume as it is displayed: superior at the top, left (-x) on the left."""
    return volume[:, y, ::-1].T


def volume_pairs(outputs):
    """A folder of volumes; gives the planes at y = 1."""
    volumes = [picture(10 + index, VOLUME) for index in range(3)]
    save_nifti("t1.nii.gz", volumes[0])
    for index in (0, 1):
        save_nifti(f"volumes/sub-0{index}_in.nii.gz", volumes[1 + index])
        save_nifti(f"volumes/sub-0{index}_out.nii.gz", outputs[index])
    return volumes[0][:, 1], np.stack([upright(volume, 1) for volume in volumes[1:]])


@pytest.mark.parametrize("where", ["y=14.3", "1/1"])
def test_plane_of_a_volume(folder, where):
    outputs = [1 - picture(20 + index, VOLUME) for index in (0, 1)]
    target, inputs = volume_pairs(outputs)
    run("--slice", where, "--normalize", "none", target="t1.nii.gz", context="volumes", out="o.nii.gz")
    written = nib.load("o.nii.gz")
    assert written.shape == (WIDTH, 1, HEIGHT)
    assert written.get_data_dtype() == np.float32
    # The first voxel of the output lies where the first of the plane lies, and the axes run as they do.
    np.testing.assert_allclose(written.affine[:, :3], AFFINE[:, :3])
    np.testing.assert_allclose(written.affine @ [0, 0, 0, 1], AFFINE @ [0, 1, 0, 1])
    planes = np.stack([upright(volume, 1) for volume in outputs])
    want = predict(*load_weights("w.safetensors"), target[:, ::-1].T, inputs, planes, normalize="none")
    np.testing.assert_allclose(upright(written.get_fdata(), 0), want.mean, atol=1e-5)


def test_a_plane_is_scaled_by_its_volume(folder):
    """Also a plane that is darker than the rest of the head."""
    outputs = [1 - picture(20 + index, VOLUME) for index in (0, 1)]
    volume_pairs(outputs)
    scan = 900 * picture(10, VOLUME) * np.array([1, 0.1, 1])[:, None]
    save_nifti("t1.nii.gz", scan.astype(np.float32))
    run("--slice", "1/1", target="t1.nii.gz", context="volumes", out="scaled.npy")
    for path in (Path("t1.nii.gz"), *Path("volumes").iterdir()):
        save_nifti(path, normalize(nib.load(path).get_fdata()))
    run("--slice", "1/1", "--normalize", "none", target="t1.nii.gz", context="volumes", out="given.npy")
    np.testing.assert_allclose(load("scaled.npy"), load("given.npy"), atol=1e-4)
    assert normalize(scan)[:, 1].max() < 0.5


def test_label_volumes(folder):
    # FreeSurfer stores labels as floats often enough.
    outputs = [np.where(picture(20 + index, VOLUME) > 0.7, 2035.0, 17.0) for index in (0, 1)]
    volume_pairs(outputs)
    run("--slice", "y=14", "--task", "segmentation", target="t1.nii.gz", context="volumes", out="o.nii.gz")
    labels, probability = nib.load("o.nii.gz"), nib.load("o_prob.nii.gz")
    assert labels.get_data_dtype().kind in "iu"
    assert probability.get_data_dtype() == np.float32
    assert set(np.unique(labels.dataobj)) <= {0, 17, 2035}
    np.testing.assert_array_equal(labels.affine, probability.affine)


def test_2d_nifti(folder):
    for path, pixels in {"t": picture(0), "ctx/in1": picture(1), "ctx/in2": picture(2)}.items():
        save_nifti(f"{path}.nii", pixels[::-1].T)
    for index in (0, 1):
        save_nifti(f"ctx/out{1 + index}.nii", IMAGES[index][::-1].T)
    run(target="t.nii", context="ctx", out="o.nii")
    written = nib.load("o.nii")
    assert written.shape == (WIDTH, HEIGHT)
    np.testing.assert_allclose(written.affine, nib.load("t.nii").affine)
    np.testing.assert_allclose(written.get_fdata()[:, ::-1].T, expected(IMAGES).mean, atol=1e-5)


def test_formats_may_be_mixed(folder):
    save_nifti("t.nii.gz", picture(0)[::-1].T)
    run(target="t.nii.gz", context="images_npy", out="o.npy")
    np.testing.assert_allclose(load("o.npy"), expected(IMAGES).mean, atol=1e-5)


# The figure


@pytest.mark.parametrize("task", ["image", "segmentation"])
def test_figure(folder, capsys, task):
    context = "labels_npy" if task == "segmentation" else "images_npy"
    Path("dseg.tsv").write_text("index\tname\n3\tLeft-Cerebral-Cortex\n")
    options = ["--figure", "figure.PNG", "--label-names", "dseg.tsv", "--bootstrap", "2", "--bootstrap-size", "2"]
    run("--task", task, *options, context=context)
    assert capsys.readouterr().out.splitlines()[-1] == "figure.PNG"
    with Image.open("figure.PNG") as figure:
        assert figure.format == "PNG"
        assert 400 <= figure.height <= figure.width <= 4000
        assert len(np.unique(np.asarray(figure.convert("L")))) > 50


# Names and places


def test_names_as_people_give_them(folder):
    """Blanks, umlauts, capitals, links, a file that may only be read, a path with dots."""
    Path("Ödem Studie (2)").mkdir()
    os.rename("images_png", "Ödem Studie (2)/ctx 1")
    for path in Path("Ödem Studie (2)/ctx 1").iterdir():
        path.rename(path.with_suffix(".PNG"))
    os.symlink("Ödem Studie (2)/ctx 1", "linked")
    save("Ödem Studie (2)/Ziel.PNG", picture(0))
    Path("Ödem Studie (2)/Ziel.PNG").chmod(0o400)
    Path("Ödem Studie (2)").chmod(0o700)
    run(target="Ödem Studie (2)/../Ödem Studie (2)/Ziel.PNG", context="linked", out="./Ergebnis 1.NPY")
    np.testing.assert_allclose(np.load("Ergebnis 1.NPY"), expected(IMAGES).mean, atol=1e-3)
    save_nifti("T1.nii.gz", picture(0)[::-1].T)
    os.rename("T1.nii.gz", "T1.NII.GZ")
    run("--task", "segmentation", target="T1.NII.GZ", context="masks_npy", out="O.Nii.gz")
    assert {"O.Nii.gz", "O_prob.nii.gz"} <= set(os.listdir())


def test_an_output_is_replaced_and_a_link_is_not_followed(folder):
    shutil.copy("t.npy", "precious.npy")
    os.symlink("precious.npy", "o.npy")
    run()
    assert not Path("o.npy").is_symlink()
    assert Path("precious.npy").read_bytes() == Path("t.npy").read_bytes()
    before = load("o.npy")
    run()
    np.testing.assert_array_equal(load("o.npy"), before)


def test_a_process_prints_the_files_and_nothing_else(folder):
    """No warnings of libraries, no progress where nobody watches; names need not be in the terminal's alphabet."""
    command = "-m neuralizer_jax predict --weights w.safetensors --target t.png --context masks_png --task segmentation"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    finished = python(*command.split(), "--out", "größe.png", env=environment)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "gr\\xf6\\xdfe.png\ngr\\xf6\\xdfe_prob.png\n"
    assert finished.stderr == ""
    assert Path("größe_prob.png").exists()


# Conversion


def test_convert_a_lightning_checkpoint(folder, capsys):
    checkpoint = FOLDER / "lightning.ckpt"
    assert main(["convert", str(checkpoint), "new.safetensors"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("new.safetensors: Neuralizer, 2-D, 4 stages of 8 features, ")
    assert second == "ignored, not part of the model: losses.0.dummy_param"
    (model, params), (old_model, old_params) = load_weights("new.safetensors"), load_weights(checkpoint)
    assert model == old_model
    jax.tree.map(np.testing.assert_array_equal, params, old_params)
    assert f"{sum(leaf.size for leaf in jax.tree.leaves(params)):,} parameters" in first
    with safe_open("new.safetensors", framework="numpy") as file:
        described = json.loads(file.metadata()["neuralizer_jax"])
    assert (described["architecture"], described["features"]) == ("neuralizer", 8)


def test_converted_weights_predict_the_same(folder):
    checkpoint = FOLDER / "half.pt"
    assert main(["convert", str(checkpoint), "new.safetensors"]) == 0
    run(weights=checkpoint, out="a.npy")
    run(weights="new.safetensors", out="b.npy")
    assert Path("a.npy").read_bytes() == Path("b.npy").read_bytes()


def test_converting_a_release_file_gives_the_same_bytes(folder, capsys):
    assert main(["convert", "w.safetensors", "again.safetensors"]) == 0
    assert Path("again.safetensors").read_bytes() == Path("w.safetensors").read_bytes()
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert main(["convert", "again.safetensors", "again.safetensors"]) == 0
    assert Path("again.safetensors").read_bytes() == Path("w.safetensors").read_bytes()


def test_convert_the_baseline(folder, capsys, unet_weights):
    assert main(["convert", str(unet_weights), "unet.safetensors"]) == 0
    assert "unet.safetensors: UNet, 2-D" in capsys.readouterr().out
