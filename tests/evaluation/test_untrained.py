"""Untrained baselines are scored like models, and the report says where a model does not beat them."""

import argparse
import json
import re
from pathlib import Path

import evaluation_child as child
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralizer_jax.case import Case
from neuralizer_jax.cli import evaluate as command
from neuralizer_jax.errors import InputError
from neuralizer_jax.evaluation.case_scores import case_scores
from neuralizer_jax.evaluation.evaluate import evaluate
from neuralizer_jax.evaluation.score_log import ScoresTable
from neuralizer_jax.evaluation.scores import HEADER, read_scores
from neuralizer_jax.evaluation.untrained import (
    input_as_it_is,
    intensity_map,
    mean_context_output,
    nearest_context_pair,
    untrained_baselines,
)
from neuralizer_jax.report.report import write_report

NAMES = ["Input as it is", "Mean context output", "Nearest context pair", "Intensity map"]
BIN = 1 / 64


def image(*rows):
    """An input with one channel `[H, W, 3]`."""
    return np.pad(np.array(rows, np.float32)[..., None], ((0, 0), (0, 0), (0, 2)))


def output(*rows):
    return np.array(rows, np.float32)[..., None]


def episode(seed, members, size=6, channels=1):
    """A random target and context, masks where the seed is even."""
    rng = np.random.default_rng(seed)
    inputs = rng.random((1 + members, size, size, 3), np.float32)
    inputs[..., channels:] = 0
    outputs = rng.random((members, size, size, 1), np.float32)
    return inputs[0], inputs[1:], outputs if seed % 2 else np.float32(outputs > 0.5)


class TestPredictions:
    """By hand."""

    TARGET = image([0.1, 0.2], [0.3, 0.4])
    CONTEXT = np.stack([image([0, 0], [0, 0]), image([0.1, 0.2], [0.3, 0.9]), image([0.5, 0.6], [0.7, 0.8])])
    MASKS = np.stack([output([1, 1], [0, 0]), output([1, 0], [1, 0]), output([1, 0], [0, 1])])

    def test_input_as_it_is(self):
        np.testing.assert_array_equal(
            input_as_it_is(self.TARGET, self.CONTEXT, self.MASKS), np.float32([[0.1, 0.2], [0.3, 0.4]])
        )
        second = self.TARGET[..., [1, 0, 0]]
        np.testing.assert_array_equal(input_as_it_is(second, self.CONTEXT, self.MASKS), self.TARGET[..., 0])
        assert not input_as_it_is(0 * self.TARGET, self.CONTEXT, self.MASKS).any()

    def test_majority_of_labels(self):
        """Where half of an even number have a pixel it is not in the mask."""
        found = mean_context_output(self.TARGET, self.CONTEXT, self.MASKS)
        np.testing.assert_allclose(found, [[1, 1 / 3], [1 / 3, 1 / 3]], rtol=1e-6)
        found = mean_context_output(self.TARGET, self.CONTEXT[:2], self.MASKS[:2])
        np.testing.assert_array_equal(found, [[1, 0.5], [0.5, 0]])
        assert case_scores(found, np.float32([[1, 0], [0, 0]]), True)["dice"] == 1

    def test_nearest_pair(self):
        found = nearest_context_pair(self.TARGET, self.CONTEXT, self.MASKS)
        np.testing.assert_array_equal(found, self.MASKS[1, ..., 0])
        # Squares: one large error is worse than four small ones.
        close = np.stack([image([0.1, 0.2], [0.3, 0.7]), image([0.2, 0.3], [0.4, 0.5])])
        assert nearest_context_pair(self.TARGET, close, self.MASKS[:2])[1, 0] == 1
        # All channels count.
        target, context = self.TARGET.copy(), self.CONTEXT.copy()
        target[..., 1], context[2, ..., 1] = 1, 1
        np.testing.assert_array_equal(nearest_context_pair(target, context, self.MASKS), self.MASKS[2, ..., 0])

    def test_intensity_map(self):
        """Bin 0 has the mean of two pixels, bins 4, 8 and 63 one pixel's; what lies between is on a line."""
        context = image([0, 0.9 * BIN], [4.5 * BIN, 8 * BIN], [1.0, 1.0])[None]
        out = output([0.2, 0.4], [0.7, 0.1], [0.5, 0.9])[None]
        target = image([0.5 * BIN, 2.2 * BIN], [4.9 * BIN, 7.1 * BIN], [63 * BIN, 8.9 * BIN])
        expected = [[0.3, 0.5], [0.7, 0.25], [0.7, 0.1]]
        np.testing.assert_allclose(intensity_map(target, context, out), expected, rtol=1e-5)

    def test_intensity_map_beyond_what_the_context_shows(self):
        """As at the nearest intensity that it shows; intensities outside of 0 to 1 are the last ones."""
        found = intensity_map(image([0.0, -1.0], [1.0, 2.0]), image([0.3, 0.6])[None], output([0.2, 0.8])[None])
        np.testing.assert_allclose(found, [[0.2, 0.2], [0.8, 0.8]], rtol=1e-6)

    @pytest.mark.parametrize("telling", [0, 1])
    def test_intensity_map_of_the_channel_that_tells_more(self, telling):
        target, context, _ = episode(1, 4, channels=2)
        found = intensity_map(target, context, 1 - context[..., telling, None])
        np.testing.assert_allclose(found, 1 - target[..., telling], atol=BIN)


class TestLaws:
    @given(st.integers(0, 999), st.integers(1, 5))
    def test_the_order_of_members_does_not_matter(self, seed, members):
        target, context_in, context_out = episode(seed, members)
        order = np.random.default_rng(seed).permutation(members)
        for predict in (mean_context_output, intensity_map, nearest_context_pair):
            np.testing.assert_allclose(
                predict(target, context_in[order], context_out[order]),
                predict(target, context_in, context_out),
                atol=1e-6,
            )

    @given(st.integers(0, 999), st.integers(1, 5), st.data())
    def test_nearest_finds_a_copy(self, seed, members, data):
        target, context_in, context_out = episode(seed, members, channels=3)
        place = data.draw(st.integers(0, members - 1))
        context_in[place] = target
        np.testing.assert_array_equal(nearest_context_pair(target, context_in, context_out), context_out[place, ..., 0])

    @given(st.integers(0, 999), st.integers(1, 5))
    def test_no_map_of_intensities_fits_the_context_better(self, seed, members):
        """Not the constant, nor itself with a bin moved."""
        _, context_in, context_out = episode(seed, members)
        fitted = np.stack([intensity_map(one, context_in, context_out) for one in context_in])
        truth = context_out[..., 0]
        error = np.mean((fitted - truth) ** 2)
        assert error <= np.mean((truth.mean() - truth) ** 2) + 1e-7
        moved = np.floor(context_in[..., 0] * 64) == np.floor(context_in[0, 0, 0, 0] * 64)
        for step in (-0.1, 0.1):
            assert error < np.mean((fitted + step * moved - truth) ** 2)

    @given(st.integers(0, 999), st.integers(1, 5))
    def test_what_equals_its_input_is_predicted(self, seed, members):
        target, context_in, _ = episode(seed, members, size=16)
        same = input_as_it_is(target, context_in, context_in[..., :1])
        assert case_scores(same, target[..., 0], False)["psnr"] == 100


def evaluated(folder, cases, make_episodes=child.made_up_episodes):
    """How many predictions were made; and the scores by key."""
    with ScoresTable(folder / "scores.csv") as table:
        made = evaluate(
            untrained_baselines(), cases, make_episodes, table, experiment="made-up", examples=folder / "examples"
        )
    scores = read_scores(folder / "scores.csv")
    return made, {row[:-1]: row[-1] for row in scores[HEADER].itertuples(index=False, name=None)}


class TestEvaluation:
    CASES = child.made_up_cases()

    def test_like_models(self, tmp_path):
        """Each case at each size, but for the input, which is no mask; a second start has nothing to make."""
        made, found = evaluated(tmp_path, self.CASES)
        masks = [case for case in self.CASES if case.is_segmentation]
        sizes = sum(len(case.sizes) for case in self.CASES)
        assert made == 4 * sizes - sum(len(case.sizes) for case in masks)
        assert len(found) == 2 * made
        shown = {(key[1], key[6]) for key in found}
        tasks = ("segmentation", "denoising", "modality_transfer")
        assert shown == {(name, task) for name in NAMES for task in tasks} - {("Input as it is", "segmentation")}
        assert {key[5] for key in found} == {1, 3}
        again, same = evaluated(tmp_path, self.CASES, make_episodes=None)
        assert (again, same) == (0, found)
        # They are no examples to look at.
        assert not (tmp_path / "examples").exists()

    def test_by_the_case_s_own_context_alone(self, tmp_path):
        """Whoever else is in the batch, where shorter contexts are padded."""
        _, found = evaluated(tmp_path, self.CASES)
        functions = (input_as_it_is, mean_context_output, nearest_context_pair, intensity_map)
        expected = {}
        for case in self.CASES:
            made = child.made_up_episodes([case], 3)
            for name, function in zip(NAMES, functions, strict=True):
                for n in case.sizes if name != NAMES[0] or not case.is_segmentation else ():
                    context = (made[part][0, :n] for part in ("context_in", "context_out"))
                    prediction = function(made["target_in"][0], *context)
                    scores = case_scores(prediction, made["target_out"][0, ..., 0], case.is_segmentation)
                    for metric, value in scores.items():
                        expected["made-up", name, "untrained", "", 0, n, *case.columns, metric] = value
        assert found.keys() == expected.keys()
        np.testing.assert_allclose([found[key] for key in found], [expected[key] for key in found], rtol=1e-5)

    def test_a_batch_that_is_no_one_s(self, tmp_path):
        """Masks alone: the input is left out and the others are not."""
        case = Case("segmentation", "ixi", "T1", "freesurfer:17", "coronal", -17, "s0", 0, (1,), True)
        made, found = evaluated(tmp_path, [case])
        assert made == 3
        assert {key[1] for key in found} == set(NAMES[1:])


class TestCommand:
    BASE = Path(__file__).parents[2] / "experiments/base.py"
    TINY = (
        "--config.data.size=16", "--config.data.classes.min_pixels=12", "--config.data.only.modalities=T1,T2",
        "--config.data.only.tasks=modality_transfer,segmentation", "--config.data.only.classes=freesurfer:2",
    )  # fmt: skip

    @pytest.fixture(autouse=True)
    def _in_test(self, monkeypatch, test_datasets):
        monkeypatch.chdir(test_datasets)

    def run(self, out, *more):
        parser = argparse.ArgumentParser()
        command.add_parser(parser.add_subparsers())
        arguments = ["evaluate", "--config", str(self.BASE), "--data", "heads", "--out", str(out), "--subjects", "3"]
        arguments += ["--draws", "1", "--experiment", "experiment1", *self.TINY, *more]
        options, options.changes = parser.parse_known_args(arguments)
        options.command_line = "neuralizer " + " ".join(arguments)
        options.run(options)
        return options.command_line

    def test_alone_then_beside_a_model(self, tmp_path, capsys, tiny_weights):
        sizes = ("--sizes", "1", "2", "4")
        alone = self.run(tmp_path, "--untrained", *sizes)
        assert set(read_scores(tmp_path / "scores.csv")["model"]) == set(NAMES)
        _, left_out = write_report(tmp_path, tmp_path / "report")
        assert any(line.startswith("table_untrained") for line in left_out)

        arguments = ("--weights", f"Neuralizer-seen={tiny_weights}", "--untrained", *sizes)
        both = self.run(tmp_path, *arguments)
        # Two transfers, and two modalities of a class, of three subjects each: the model's alone are made.
        assert "\n36 predictions" in capsys.readouterr().out
        table = (tmp_path / "scores.csv").read_bytes()
        scores = read_scores(tmp_path / "scores.csv")
        for name in ["Neuralizer-seen", *NAMES]:
            tasks = ["modality_transfer"] + ["segmentation"] * (name != NAMES[0])
            its = scores[scores["model"] == name]
            assert sorted(set(its["task"])) == tasks
            for task in tasks:
                assert its[its["task"] == task]["context_size"].value_counts().to_dict() == {1: 12, 2: 12, 4: 12}

        records = json.loads((tmp_path / "models.json").read_text())
        assert [(record["model"], record["command"]) for record in records] == [
            *((name, alone) for name in NAMES), *((name, both) for name in ("Neuralizer-seen", *NAMES))
        ]  # fmt: skip
        for record in records:
            known = [record[key] is not None for key in ("weights", "sha256")]
            assert known == [record["model"] == "Neuralizer-seen"] * 2
        self.run(tmp_path, *arguments)
        assert "\n0 predictions" in capsys.readouterr().out
        assert (tmp_path / "scores.csv").read_bytes() == table
        assert json.loads((tmp_path / "models.json").read_text()) == records

        written, _ = write_report(tmp_path, tmp_path / "report")
        assert tmp_path / "report/table_untrained.md" in written
        rows = (tmp_path / "report/table_untrained.md").read_text()
        assert all(name in rows for name in ("Neuralizer-seen", *NAMES))
        assert not any(name in (tmp_path / "report/table4.md").read_text() for name in NAMES)
        page = (tmp_path / "report/index.html").read_text()
        # Nothing was trained here: it beats no one, in either task.
        cautions = re.findall(r'<p class="caution">Neuralizer-seen does not beat “(.*?)” in (.*?) at N = 4: ', page)
        assert cautions == [
            ("Intensity map", "modality transfer"),
            ("Nearest context pair", "segmentation"),
        ]
        assert [page.count(line) for line in (alone, both)] == [1, 1]
        assert page.count("<td>Intensity map</td>") == 1

    @pytest.mark.parametrize(
        ("more", "expected"),
        [
            ([], "neither --weights nor --untrained is given, expected at least one of them"),
            (["--weights", "Intensity map=a/best.safetensors"], "--weights: Intensity map is a name of --untrained"),
        ],
    )
    def test_wrong_options(self, tmp_path, more, expected):
        with pytest.raises(InputError, match=re.escape(expected)) as error:
            self.run(tmp_path / "out", *more)
        assert "\n" not in str(error.value)
        assert not (tmp_path / "out").exists()
