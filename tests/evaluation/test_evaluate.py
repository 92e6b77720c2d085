"""Every score comes once, the same however often an evaluation is interrupted; all models see the same episodes."""

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import evaluation_child as child
import jax
import numpy as np
import pytest
from conftest import draw_params

from input_pipeline.store.records import SliceStore
from neuralizer_jax.cli import evaluate as command
from neuralizer_jax.errors import InputError
from neuralizer_jax.evaluation import predictor
from neuralizer_jax.evaluation.case_scores import case_scores
from neuralizer_jax.evaluation.evaluate import evaluate
from neuralizer_jax.evaluation.examples import read_example
from neuralizer_jax.evaluation.leakage import write_training_subjects
from neuralizer_jax.evaluation.predictor import Predictor, network
from neuralizer_jax.evaluation.score_log import ScoresTable
from neuralizer_jax.evaluation.scores import HEADER, Kind, read_scores
from neuralizer_jax.inference.predict import predict
from neuralizer_jax.model import Neuralizer
from neuralizer_jax.unet import UNet
from neuralizer_jax.weights import save_weights

CASES = child.made_up_cases()


def evaluated(folder, models, cases=CASES, make_episodes=child.made_up_episodes):
    """How many predictions were made; and the scores by key."""
    with ScoresTable(folder / "scores.csv") as table:
        made = evaluate(models, cases, make_episodes, table, experiment="made-up", examples=folder / "examples")
    scores = read_scores(folder / "scores.csv")
    return made, {row[:-1]: row[-1] for row in scores[HEADER].itertuples(index=False, name=None)}


def assert_close(one, other):
    assert one.keys() == other.keys()
    np.testing.assert_allclose([one[key] for key in one], [other[key] for key in one], rtol=1e-4)


@pytest.fixture(scope="module")
def unet():
    model = UNet(features=4, stages=2)
    return model, draw_params(model)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The table of an evaluation that nobody interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    child.run(folder)
    return (folder / "scores.csv").read_bytes()


class TestScores:
    def test_every_case_at_every_size(self, tmp_path, tiny_model, tiny_params):
        """As one by one, with the model called by itself."""
        made, found = evaluated(tmp_path, [network("Neuralizer", tiny_model, tiny_params)])
        apply, expected = jax.jit(tiny_model.apply), {}
        for case in CASES:
            episode = child.made_up_episodes([case], 3)
            for n in case.sizes:
                context = (episode[name][:, :n] for name in ("context_in", "context_out"))
                output = apply({"params": tiny_params}, episode["target_in"], *context)
                scores = case_scores(
                    np.asarray(output)[0, ..., 0], episode["target_out"][0, ..., 0], case.is_segmentation
                )
                for metric, value in scores.items():
                    expected["made-up", "Neuralizer", "in-context", "", 0, n, *case.columns, metric] = value
        assert made == 38
        assert len(expected) == 76
        assert_close(found, expected)

    def test_a_probability_where_the_output_is_a_logit(self, tmp_path, tiny_model, tiny_params):
        model = tiny_model.clone(segmentation_sigmoid=True)
        episode = child.made_up_episodes(CASES[:1], 1) | {"is_segmentation": np.array([True])}
        plain, sigmoid = (network("Neuralizer", its, tiny_params).predict(episode) for its in (tiny_model, model))
        np.testing.assert_allclose(sigmoid, 1 / (1 + np.exp(-plain)), atol=1e-5)
        image = episode | {"is_segmentation": np.array([False])}
        np.testing.assert_array_equal(network("Neuralizer", model, tiny_params).predict(image), plain)

    def test_a_network_without_a_context(self, tmp_path, unet):
        """Once a case and training."""
        model, params = unet
        baselines = [
            network("Baseline-seen", model, params, train_subjects="8"),
            network("Baseline-seen", model, params, train_subjects="8", training=2),
        ]
        made, found = evaluated(tmp_path, baselines)
        assert made == 2 * len(CASES)
        assert {key[2:6] for key in found} == {("baseline", "8", 0, 0), ("baseline", "8", 2, 0)}
        episode = child.made_up_episodes([CASES[-1]], 0)
        expected = case_scores(
            np.asarray(model.apply({"params": params}, episode["target_in"]))[0, ..., 0],
            episode["target_out"][0, ..., 0],
            False,
        )
        for training in (0, 2):
            key = ("made-up", "Baseline-seen", "baseline", "8", training, 0, *CASES[-1].columns, "psnr")
            assert found[key] == pytest.approx(expected["psnr"], rel=1e-4)

    def test_a_large_context_goes_in_parts(self, tiny_model, tiny_params, monkeypatch):
        """Of so many rows as the memory has room for: the predictions are the same."""
        episodes = child.made_up_episodes(CASES[:5], 3)
        whole = network("Neuralizer", tiny_model, tiny_params).predict(episodes)
        rows, forward = [], predictor._forward

        def noting(model, params, part):
            rows.append(len(part["target_in"]))
            return forward(model, params, part)

        monkeypatch.setattr(predictor, "_forward", noting)
        monkeypatch.setattr(predictor, "_BATCH_BYTES", 2 * 4 * 4 * 4 * child.SIZE**2)
        parts = network("Neuralizer", tiny_model, tiny_params).predict(episodes)
        assert rows == [2, 2, 2]
        assert parts.shape == (5, child.SIZE, child.SIZE)
        np.testing.assert_allclose(parts, whole, atol=1e-5)

    def test_bootstrapping(self, tiny_model, tiny_params):
        """As `predict` does it, masks as masks; nothing to segment where the context shows nothing."""
        cases = [CASES[0], CASES[-1], CASES[1]]
        episodes = child.made_up_episodes(cases, 3)
        episodes["context_out"][2] = 0
        found = network("Neuralizer", tiny_model, tiny_params, bootstrap=2, augment=True).predict(episodes)
        for row, task in ((0, "segmentation"), (1, "image")):
            arrays = (episodes[name][row] for name in ("target_in", "context_in", "context_out"))
            options = {"task": task, "normalize": "none", "bootstrap": 2, "augment": True}
            np.testing.assert_array_equal(found[row], predict(tiny_model, tiny_params, *arrays, **options).mean)
        assert not found[2].any()

    def test_a_prediction_that_is_not_finite(self, tmp_path):
        broken = Predictor("Broken", lambda episodes: np.full_like(episodes["target_in"][..., 0], np.nan))
        with pytest.raises(
            InputError, match=r"Broken: the prediction of segmentation ixi T1 freesurfer:17, coronal -17 mm, subject s0"
        ):
            evaluated(tmp_path, [broken])

    def test_names(self, unet):
        with pytest.raises(InputError, match="Net: a U-Net without a context, expected NAME@N=FILE"):
            network("Net", *unet)
        with pytest.raises(InputError, match="a U-Net without a context, expected one to be resampled"):
            network("Baseline", *unet, train_subjects="1", bootstrap=4)

    def test_kind(self, tiny_model, tiny_params, unet):
        assert network("Anything", *unet, train_subjects="all").columns == ("Anything", Kind.BASELINE, "all", 0)
        assert network("Baseline", tiny_model, tiny_params).columns == ("Baseline", Kind.IN_CONTEXT, "", 0)


class TestResuming:
    @pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.55, 0.99, 1.0])
    def test_cut_short_anywhere(self, tmp_path, whole, share):
        """What is missing is added, and nothing else: the table is what it would have been."""
        (tmp_path / "scores.csv").write_bytes(whole[: round(share * len(whole))])
        made = child.run(tmp_path)
        assert (tmp_path / "scores.csv").read_bytes() == whole
        assert (made == 0) == (share == 1)

    def test_cut_between_the_metrics_of_a_case(self, tmp_path, whole):
        (tmp_path / "scores.csv").write_bytes(whole[: whole[:-1].rfind(b"\n") + 1])
        assert child.run(tmp_path) > 0
        assert (tmp_path / "scores.csv").read_bytes() == whole

    def test_killed(self, tmp_path, whole):
        process = subprocess.Popen([sys.executable, child.__file__, str(tmp_path), "0.3"], stderr=subprocess.DEVNULL)
        path = tmp_path / "scores.csv"
        for _ in range(400):
            if path.exists() and path.read_bytes().count(b"\n") > 20:
                break
            time.sleep(0.05)
        process.kill()
        process.wait()
        assert 20 < path.read_bytes().count(b"\n") < whole.count(b"\n")
        child.run(tmp_path)
        assert path.read_bytes() == whole

    def test_nothing_is_made_where_nothing_is_missing(self, tmp_path, tiny_model, tiny_params):
        model = network("Neuralizer", tiny_model, tiny_params)
        made, first = evaluated(tmp_path, [model])
        again, second = evaluated(tmp_path, [model], make_episodes=None)
        assert (made, again) == (38, 0)
        assert first == second

    def test_any_order_and_any_part(self, tmp_path, tiny_model, tiny_params):
        model = network("Neuralizer", tiny_model, tiny_params)
        _, whole = evaluated(tmp_path / "whole", [model])
        evaluated(tmp_path / "parts", [model], CASES[13:5:-1])
        _, parts = evaluated(tmp_path / "parts", [model], CASES[::-1])
        assert_close(parts, whole)

    def test_every_model_sees_the_same_and_episodes_are_made_once(self, tmp_path):
        seen, asked = {"one": [], "other": []}, []

        def noting(name):
            def predict(episodes):
                seen[name].append({key: value.copy() for key, value in episodes.items()})
                return episodes["target_in"][..., 0]

            return Predictor(name, predict)

        def make_episodes(cases, members):
            asked.append((len(cases), members))
            return child.made_up_episodes(cases, members)

        evaluated(tmp_path, [noting("one"), noting("other")], make_episodes=make_episodes)
        assert asked == [(8, 3), (8, 3), (4, 3)]
        assert len(seen["one"]) == len(seen["other"]) == 6
        for one, other in zip(seen["one"], seen["other"], strict=True):
            assert one["context_mask"].all()
            for name, value in one.items():
                np.testing.assert_array_equal(value, other[name])


class TestExamples:
    def test_first_of_each_task_with_the_predictions_of_all(self, tmp_path, unet, tiny_model, tiny_params):
        mean = Predictor("Mean", child.mean_of_context)
        evaluated(tmp_path, [network("Baseline", *unet, train_subjects="4")])
        evaluated(tmp_path, [mean, network("Neuralizer", tiny_model, tiny_params)])
        names = sorted(path.name for path in (tmp_path / "examples").iterdir())
        assert names == [
            "made-up_denoising_ixi_T1.npz",
            "made-up_modality_transfer_ixi_T1-T2.npz",
            "made-up_segmentation_ixi_T1_freesurfer-17.npz",
        ]
        example = read_example(tmp_path / "examples" / names[2])
        episode = child.made_up_episodes(CASES[:1], 3)
        for name, axis in (("target_in", ()), ("target_out", (0,)), ("context_in", ()), ("context_out", (0,))):
            expected = episode[name][0][(..., *axis)]
            np.testing.assert_array_equal(example[name], expected)
        words = {
            name: example[name].item()
            for name in ("experiment", "task", "dataset", "modality", "class", "subject", "n")
        }
        assert words == {
            "experiment": "made-up", "task": "segmentation", "dataset": "ixi", "modality": "T1",
            "class": "freesurfer:17", "subject": "s0", "n": 3,
        }  # fmt: skip
        assert example["models"].tolist() == ["Baseline", "Mean", "Neuralizer"]
        assert example["train_subjects"].tolist() == ["4", "", ""]
        np.testing.assert_array_equal(example["predictions"][1], child.mean_of_context(episode)[0])
        output = unet[0].apply({"params": unet[1]}, episode["target_in"])
        np.testing.assert_allclose(example["predictions"][0], output[0, ..., 0], atol=1e-5)

    def test_one_of_other_episodes_stays(self, tmp_path):
        """A context of another modality has another model's predictions in another file, or none."""
        mean = Predictor("Mean", child.mean_of_context)
        evaluated(tmp_path, [mean])
        path = tmp_path / "examples/made-up_denoising_ixi_T1.npz"
        before = path.read_bytes()

        def others(cases, members):
            made = child.made_up_episodes(cases, members)
            return made | {"context_in": 1 - made["context_in"]}

        evaluated(tmp_path, [Predictor("Mean, other context", child.mean_of_context)], make_episodes=others)
        assert path.read_bytes() == before
        path.write_bytes(before[:100])
        with pytest.raises(InputError, match="damaged"):
            evaluated(tmp_path, [Predictor("Another", child.mean_of_context)])


class TestCommand:
    BASE = Path(__file__).parents[2] / "experiments/base.py"
    TINY = (
        "--config.data.size=16", "--config.data.classes.min_pixels=12",
        "--config.data.only.tasks=modality_transfer,segmentation", "--config.data.only.modalities=T1,T2",
    )  # fmt: skip

    @pytest.fixture(autouse=True)
    def _in_test(self, monkeypatch, test_datasets):
        monkeypatch.chdir(test_datasets)

    def run(self, out, weights, *more):
        parser = argparse.ArgumentParser()
        command.add_parser(parser.add_subparsers())
        arguments = ["evaluate", "--config", str(self.BASE), "--data", "heads", "--out", str(out)]
        arguments += ["--weights", *map(str, weights), "--subjects", "2", "--draws", "1", *self.TINY, *more]
        options, options.changes = parser.parse_known_args(arguments)
        options.command_line = "neuralizer " + " ".join(arguments)
        options.run(options)

    def test_from_weights_to_a_table(self, tmp_path, capsys, tiny_weights, unet_weights):
        weights = [f"Neuralizer-seen={tiny_weights}", f"Baseline-seen@8={unet_weights}"]
        self.run(tmp_path, weights, "--sizes", "1", "2", "50", "--experiment", "first")
        out = capsys.readouterr().out
        assert f"{tiny_weights}: no training_subjects.csv beside it, not checked" in out
        # Two modalities, seven classes of two subjects each; two transfers.
        assert "32 cases of 2 tasks, 36 contexts left out" in out
        scores = read_scores(tmp_path / "scores.csv")
        assert set(scores["experiment"]) == {"first"}
        sizes = scores.groupby(["model", "kind", "train_subjects"])["context_size"].unique()
        assert {key: found.tolist() for key, found in sizes.items()} == {
            ("Baseline-seen", "baseline", "8"): [0],
            ("Neuralizer-seen", "in-context", ""): [1, 2],
        }
        table = out.split("\n\n")[1].splitlines()
        assert table[0].split() == ["task", "model", "metric", "N=1", "N=2", "N=8"]
        shown = scores[(scores["task"] == "modality_transfer") & (scores["metric"] == "psnr")]
        mean = shown[(shown["model"] == "Neuralizer-seen") & (shown["size"] == 2)]["value"].mean()
        (line,) = [line for line in table if "modality transfer" in line and "Neuralizer-seen" in line]
        assert line.split()[-1] == f"{mean:.2f}"
        models = json.loads((tmp_path / "models.json").read_text())
        keys = ("model", "kind", "train_subjects", "training", "experiment", "config")
        assert [tuple(model[key] for key in keys) for model in models] == [
            ("Neuralizer-seen", "in-context", "", 0, "first", str(self.BASE)),
            ("Baseline-seen", "baseline", "8", 0, "first", str(self.BASE)),
        ]
        assert models[0]["command"].startswith("neuralizer evaluate --config")
        # One of each class, and of each transfer.
        assert len(list((tmp_path / "examples").iterdir())) == 9

    def test_who_was_trained_on_is_not_tested(self, tmp_path, tiny_model, tiny_params, capsys):
        weights = tmp_path / "run" / "best.safetensors"
        weights.parent.mkdir()
        save_weights(weights, tiny_model, tiny_params)
        write_training_subjects(weights.parent, [("regions", "r0", "r0"), ("heads", "h7", "h7")])
        with pytest.raises(InputError, match=r"person h7 of heads was trained on"):
            self.run(tmp_path / "out", [weights])
        assert not (tmp_path / "out").exists()
        write_training_subjects(weights.parent, [("regions", "r0", "r0")])
        self.run(
            tmp_path / "out",
            [weights],
            "--sizes",
            "1",
            "--modalities",
            "1",
            "--config.data.only.tasks=modality_transfer",
        )
        assert "not checked" not in capsys.readouterr().out
        assert sorted(set(read_scores(tmp_path / "out/scores.csv")["model"])) == ["run"]
        # Other weights of the same name would be mixed with these.
        save_weights(weights, tiny_model, draw_params(tiny_model, seed=9))
        with pytest.raises(InputError, match=r"best\.safetensors: has changed since"):
            self.run(tmp_path / "out", [weights])

    def test_all_persons_of_data_that_nothing_was_trained_on(
        self, tmp_path, monkeypatch, split_datasets, tiny_model, tiny_params
    ):
        """Each is a target and the others are its context; a model that was trained on one of them is not evaluated."""
        monkeypatch.chdir(split_datasets)
        weights = tmp_path / "run" / "best.safetensors"
        weights.parent.mkdir()
        save_weights(weights, tiny_model, tiny_params)
        write_training_subjects(weights.parent, [("regions", "r0", "r0")])
        few = ("--subjects", "0", "--modalities", "1", "--config.data.only.tasks=modality_transfer", "--sizes", "9")
        self.run(tmp_path / "out", [weights], *few, "--split", "all")
        index = SliceStore(Path("heads")).index
        found = sorted(set(read_scores(tmp_path / "out/scores.csv")["subject"]))
        assert found == sorted(entry["subject"] for entry in index)
        with pytest.raises(InputError, match="no case in split test of heads"):
            self.run(tmp_path / "out", [weights], *few)
        trained = next(entry["subject"] for entry in index if entry["split"] == "train")
        write_training_subjects(weights.parent, [("heads", trained, trained)])
        with pytest.raises(InputError, match=f"person {trained} of heads was trained on"):
            self.run(tmp_path / "out", [weights], *few, "--split", "all")

    def test_a_context_may_have_been_trained_on(
        self, tmp_path, monkeypatch, capsys, split_datasets, tiny_model, tiny_params
    ):
        """A target may not; contexts of other splits are larger, and of whom they are is said."""
        monkeypatch.chdir(split_datasets)
        split_of = {entry["subject"]: entry["split"] for entry in SliceStore(Path("heads")).index}
        weights = tmp_path / "run" / "best.safetensors"
        weights.parent.mkdir()
        save_weights(weights, tiny_model, tiny_params)
        trained = [("heads", subject, subject) for subject, split in split_of.items() if split != "val"]
        write_training_subjects(weights.parent, trained)
        few = ("--modalities", "1", "--config.data.only.tasks=modality_transfer", "--sizes", "9")
        self.run(tmp_path / "out", [weights], *few, "--split", "val", "--context-split", "all")
        assert "contexts are of split train+val+test: a model may have been trained on" in capsys.readouterr().out
        scores = read_scores(tmp_path / "out/scores.csv")
        assert {split_of[subject] for subject in scores["subject"]} == {"val"}
        assert sorted(set(scores["size"])) == [9]
        with pytest.raises(InputError, match="of heads was trained on"):
            self.run(tmp_path / "again", [weights], *few[:-1], "1", "--split", "all", "--context-split", "val")

    def test_context_of_another_dataset(self, tmp_path, capsys, tiny_model, tiny_params):
        """A target may not have been trained on; members of contexts may, and that they are not checked is said."""
        weights = tmp_path / "run" / "best.safetensors"
        weights.parent.mkdir()
        save_weights(weights, tiny_model, tiny_params)
        write_training_subjects(weights.parent, [("regions", "r0", "r0")])
        few = ("--sizes", "2", "--context-data", "regions", "--config.data.only.tasks=segmentation")
        self.run(tmp_path / "out", [weights], *few)
        assert "contexts are of split test of regions: a model may have been trained on" in capsys.readouterr().out
        scores = read_scores(tmp_path / "out/scores.csv")
        assert sorted(set(scores["dataset"])) == ["heads"]
        assert sorted(set(scores["modality"])) == ["T1"]
        write_training_subjects(weights.parent, [("heads", "h7", "h7")])
        with pytest.raises(InputError, match=r"person h7 of heads was trained on"):
            self.run(tmp_path / "out", [weights], *few)

    @pytest.mark.parametrize(
        ("more", "expected"),
        [
            (["--draws", "0"], "--draws is 0, expected 1 or more"),
            (["--sizes", "0"], "--sizes: 0, expected 1 or more context members"),
            (["--weights", "a/best.safetensors", "b/a/best.safetensors"], "--weights: a is there twice, expected"),
            (["--augment"], "--augment needs --bootstrap"),
            (["--config.data.size=17"], "data.size: 17, expected a multiple of 2"),
            (["--config.data.only.modalities=T3"], "only.modalities: 'T3' is unknown"),
            (["--sizes", "50"], "no case in split test of heads"),
        ],
    )
    def test_wrong_options(self, tmp_path, tiny_weights, more, expected):
        with pytest.raises(InputError, match=re.escape(expected)) as error:
            self.run(tmp_path / "out", [tiny_weights], *more)
        assert "\n" not in str(error.value)
        assert not (tmp_path / "out").exists()


def test_widths_that_differ_and_lists_are_models_too():
    model = Neuralizer(features=(2, 4), stages=2)
    episodes = child.made_up_episodes(CASES[:2], 1)
    assert network("Neuralizer", model, draw_params(model)).predict(episodes).shape == (2, child.SIZE, child.SIZE)
