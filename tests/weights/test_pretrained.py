"""Weights that come with the package: found by name, used by default, and predicting what they are known to predict."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from conftest import draw_params
from golden.golden_weights import FOLDER
from golden.pretrained_episode import MEMBERS, TASKS, draw_episode
from safetensors.numpy import load_file

from neuralizer_jax import InputError, Neuralizer, load_weights, predict, save_weights
from neuralizer_jax.cli.main import main
from neuralizer_jax.metrics import dice, psnr
from neuralizer_jax.weights.pretrained import PRETRAINED, pretrained_path

SMALL = Neuralizer(features=8, stages=3)


def predict_drawn(model, params, task):
    """The prediction for the drawn episode of a task."""
    episode = draw_episode(task)
    arrays = episode.target_in, episode.context_in, episode.context_out
    return predict(model, params, *arrays, task=task, normalize="none").mean


def score(metric, prediction, truth):
    return float(metric(prediction[None], truth[None])[0])


# What is shipped


def test_each_file_has_a_card_and_a_golden_prediction():
    assert {path.stem.removeprefix("pretrained_") for path in FOLDER.glob("pretrained_*.npz")} == set(PRETRAINED)
    for path in PRETRAINED.values():
        card, digest = path.with_suffix(".md").read_text(), hashlib.sha256(path.read_bytes()).hexdigest()
        assert digest in card
        assert "TODO" not in card


@pytest.mark.optimized
def test_predictions_are_those_of_pytorch():
    for name in PRETRAINED:
        model, params = load_weights(name)
        with np.load(FOLDER / f"pretrained_{name}.npz") as golden:
            for task in TASKS:
                np.testing.assert_allclose(predict_drawn(model, params, task), golden[task], atol=1e-4, err_msg=name)


def test_they_have_learned_to_read_the_context():
    """Better than untrained baselines, on drawn heads that look like no image of the training."""
    masks, images = (draw_episode(task) for task in TASKS)
    mean_mask = score(dice, masks.context_out.mean(0), masks.target_out)
    noisy = score(psnr, images.target_in, images.target_out)
    for name in PRETRAINED:
        model, params = load_weights(name)
        mask, image = (predict_drawn(model, params, task) for task in TASKS)
        overlap, quality = score(dice, mask, masks.target_out), score(psnr, image, images.target_out)
        assert overlap > mean_mask, name
        assert quality > noisy, name


# Names


@pytest.fixture
def nothing_shipped(monkeypatch):
    """As if no weights came with the package."""
    for name in tuple(PRETRAINED):
        monkeypatch.delitem(PRETRAINED, name)


@pytest.fixture
def shipped(nothing_shipped, monkeypatch, tiny_weights):
    """As if tiny weights came with the package, called small, and nothing else."""
    monkeypatch.setitem(PRETRAINED, "small", tiny_weights)
    return tiny_weights


def same_params(a, b):
    return all(np.array_equal(x, y) for x, y in zip(leaves(a), leaves(b), strict=True))


def leaves(params):
    import jax

    return jax.tree.leaves(params)


def test_a_name_is_a_file_of_the_package(shipped):
    assert pretrained_path() == pretrained_path("small") == shipped
    (model, params), (expected, expected_params) = load_weights("small"), load_weights(shipped)
    assert model == expected
    assert same_params(params, expected_params)


@pytest.mark.parametrize("call", [pretrained_path, load_weights])
def test_a_name_that_there_is_not(shipped, call):
    with pytest.raises(InputError, match=r"^smal: no .*expected .*\bsmall\b") as error:
        call("smal")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("call", [pretrained_path, load_weights])
def test_no_weights_in_this_copy(nothing_shipped, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^small: no .*copy of neuralizer_jax") as error:
        call("small")
    assert "\n" not in str(error.value)


def test_a_name_means_the_same_in_every_folder(shipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small").mkdir()
    assert load_weights("small")[0] == load_weights(shipped)[0]
    for folder in ("./small", Path("small")):
        with pytest.raises(InputError, match="small: no training checkpoint in this folder"):
            load_weights(folder)


# On the command line


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A target and example pairs; the working folder."""
    monkeypatch.chdir(tmp_path)
    episode = draw_episode("segmentation")
    np.save("target.npy", episode.target_in[::2, ::2])
    Path("pairs").mkdir()
    for index in range(MEMBERS):
        np.save(f"pairs/in{index}.npy", episode.context_in[index, ::2, ::2])
        np.save(f"pairs/out{index}.npy", episode.context_out[index, ::2, ::2])
    return tmp_path


COMMAND = ["predict", "--task", "segmentation", "--target", "target.npy", "--context", "pairs", "--out"]


def test_predict_takes_them_by_default_and_by_name(files, shipped):
    Path("small").mkdir()
    for name, weights in {"default": [], "name": ["--weights", "small"], "file": ["--weights", str(shipped)]}.items():
        assert main([*COMMAND, f"{name}.npy", *weights]) == 0
    assert Path("default.npy").read_bytes() == Path("name.npy").read_bytes() == Path("file.npy").read_bytes()
    assert Path("default_prob.npy").read_bytes() == Path("file_prob.npy").read_bytes()
    assert np.load("default_prob.npy").std() > 0.01


def test_predict_takes_a_folder_of_that_name_as_a_path(files, shipped, capsys):
    Path("small").mkdir()
    assert main([*COMMAND, "o.npy", "--weights", "./small"]) == 2
    assert "small: no training checkpoint in this folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("weights", "message"), [([], "expected --weights FILE"), (["--weights", "small"], "small: no such file")]
)
def test_predict_where_none_come_along(files, nothing_shipped, capsys, weights, message):
    before = sorted(Path().iterdir())
    assert main([*COMMAND, "o.npy", *weights]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert "copy of neuralizer_jax" in printed.err
    assert len(printed.err.splitlines()) == 1
    assert sorted(Path().iterdir()) == before


# 16 bits


def test_half_precision_predicts_the_same_in_half_the_space(tmp_path):
    params = draw_params(SMALL)
    for name, half in {"full": False, "half": True}.items():
        save_weights(tmp_path / f"{name}.safetensors", SMALL, params, half=half)
    assert {value.dtype for value in load_file(tmp_path / "half.safetensors").values()} == {np.dtype(np.float16)}
    assert (tmp_path / "half.safetensors").stat().st_size < 0.6 * (tmp_path / "full.safetensors").stat().st_size
    model, rounded = load_weights(tmp_path / "half.safetensors")
    assert model == SMALL
    assert {leaf.dtype for leaf in leaves(rounded)} == {np.dtype(np.float32)}
    assert not same_params(rounded, params)
    expected = predict_drawn(SMALL, params, "image")
    assert np.abs(predict_drawn(SMALL, rounded, "image") - expected).max() < 1e-2 * expected.std()


def test_half_precision_refuses_what_it_cannot_hold(tmp_path):
    path = tmp_path / "half.safetensors"
    path.write_bytes(b"precious")
    params = draw_params(SMALL)
    params["target_embedding"]["bias"][2] = -70_000
    with pytest.raises(InputError, match=r"half\.safetensors: parameter target_embedding\.bias holds -70000, expected"):
        save_weights(path, SMALL, params, half=True)
    assert path.read_bytes() == b"precious"
    params["target_embedding"]["bias"][2] = 65_504
    save_weights(path, SMALL, params, half=True)
    assert load_weights(path)[1]["target_embedding"]["bias"][2] == 65_504


def test_convert_half(tmp_path, shipped, capsys):
    once, twice, back = (str(tmp_path / f"{name}.safetensors") for name in ("once", "twice", "back"))
    assert main(["convert", "--half", "small", once]) == 0
    assert capsys.readouterr().out.endswith(" parameters of 16 bits\n")
    assert main(["convert", "--half", once, twice]) == 0
    assert Path(once).read_bytes() == Path(twice).read_bytes() != shipped.read_bytes()
    assert main(["convert", once, back]) == 0
    assert {value.dtype for value in load_file(back).values()} == {np.dtype(np.float32)}
    assert same_params(load_weights(back)[1], load_weights(once)[1])
