"""Figures and qualitative grids of a report: they show the numbers given, readable at print size, nothing cut off."""

import math
from itertools import pairwise

import numpy as np
import pytest
from made_up_scores import BASELINE, MODELS, SEEN, TASKS, UNSEEN, write_example
from matplotlib.colors import to_hex
from matplotlib.text import Text
from PIL import Image

from neuralizer_jax.errors import InputError
from neuralizer_jax.report.figure_style import model_looks, paper_style, save_figure
from neuralizer_jax.report.figures import context_size_figure, differences_figure, relative_mean, scores_figure
from neuralizer_jax.report.qualitative import draw_examples, examples_figure, most_predicted
from neuralizer_jax.report.statistics import Estimate

NAN = float("nan")


def metrics_of(tasks):
    return {task: "dice" if TASKS.get(task, (30,))[0] < 1 else "psnr" for task in tasks}


def some_scores(tasks, models=MODELS, sizes=(1, 2, 4, 8, 16, 32)):
    """Values and errors of all of them, each value another."""
    values = {}
    for task in tasks:
        for place, model in enumerate(models):
            for n in sizes:
                level = TASKS.get(task, (30,))[0]
                values[model, task, n] = level * (1 - 0.1 / n - 0.01 * place)
    return values, {key: 0.02 * value for key, value in values.items()}


def assert_readable(figure):
    """All is within the figure, texts have 8 points and more, and the numbers of an axis do not overlap."""
    with paper_style():
        figure.draw_without_rendering()
        (left, bottom), (right, top) = figure.get_tightbbox().get_points()
    width, height = figure.get_size_inches()
    assert left > -0.01
    assert bottom > -0.01
    assert right < width + 0.01
    assert top < height + 0.01
    for text in figure.findobj(Text):
        assert text.get_fontsize() >= 8 or not text.get_text(), text
    for axes in figure.axes:
        shown = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
        assert all(one.x1 < other.x0 for one, other in pairwise(shown))


def lines_of(axes):
    """Model colours of a panel -> (x, y)."""
    found = {}
    for container in axes.containers:
        line = container.lines[0]
        found[to_hex(line.get_color()).upper()] = line.get_xdata(orig=False), line.get_ydata(orig=False)
    return found


def colour(model):
    return model_looks([model])[model]["color"]


class TestScores:
    @pytest.mark.parametrize("number", [1, 2, 4, 5, 9])
    def test_panels(self, number):
        tasks = tuple(TASKS)[:number]
        values, errors = some_scores(tasks)
        figure = scores_figure(values, errors, metrics_of(tasks))
        assert_readable(figure)
        assert len(figure.axes) == number
        assert figure.get_figwidth() <= 7
        titles = [axes.texts[0].get_text() for axes in figure.axes]
        assert sorted(titles) == sorted(task.replace("_", " ").capitalize() for task in tasks)
        for axes, title in zip(figure.axes, titles, strict=True):
            task = title.lower().replace(" ", "_")
            assert axes.get_ylabel() == {"dice": "Dice", "psnr": "PSNR (dB)"}[metrics_of(tasks)[task]]
            for model in MODELS:
                x, y = lines_of(axes)[colour(model)]
                np.testing.assert_allclose(y, [values[model, task, n] for n in (1, 2, 4, 8, 16, 32)])
                # Beside each other, but nearest to their own size.
                np.testing.assert_array_equal(np.round(np.log2(x)), range(6))
            assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "4", "8", "16", "32"]
        [legend] = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == list(MODELS)

    def test_error_bars(self):
        values, errors = some_scores(["denoising"])
        errors[SEEN, "denoising", 4] = NAN
        for n in (1, 2, 4, 8, 16, 32):
            errors[BASELINE, "denoising", n] = NAN
        [axes] = scores_figure(values, errors, {"denoising": "psnr"}).axes
        bars = {to_hex(c.lines[0].get_color()).upper(): c.lines[2] for c in axes.containers}
        assert bars[colour(BASELINE)] == ()
        [segments] = bars[colour(UNSEEN)]
        lengths = [segment[1, 1] - segment[0, 1] for segment in segments.get_segments()]
        expected = [2 * errors[UNSEEN, "denoising", n] for n in (1, 2, 4, 8, 16, 32)]
        np.testing.assert_allclose(lengths, expected)
        assert sum(len(segment) == 2 for segment in bars[colour(SEEN)][0].get_segments()) == 5

    def test_missing_models_and_sizes(self):
        """Who is there keeps its colour; each line has the points there are."""
        values, errors = some_scores(["denoising", "segmentation"], (UNSEEN, BASELINE))
        del values[UNSEEN, "denoising", 16]
        values = {key: value for key, value in values.items() if key[:2] != (BASELINE, "segmentation")}
        figure = scores_figure(values, errors, metrics_of(["denoising", "segmentation"]))
        segmentation, denoising = figure.axes
        assert set(lines_of(segmentation)) == {colour(UNSEEN)}
        assert set(lines_of(denoising)) == {colour(UNSEEN), colour(BASELINE)}
        assert len(lines_of(denoising)[colour(UNSEEN)][0]) == 5
        assert_readable(figure)

    def test_many_models(self):
        models = (*MODELS, *(f"A network with quite a long name, number {i}" for i in range(9)))
        values, errors = some_scores(tuple(TASKS)[:2], models)
        figure = scores_figure(values, errors, metrics_of(tuple(TASKS)[:2]))
        assert_readable(figure)
        looks = model_looks(models)
        assert len({(look["color"], look["marker"]) for look in list(looks.values())[:9]}) == 9

    def test_strange_names(self):
        task = r"a_task_with_a_very_long_name,_$\frac{%_of_it"
        values, errors = some_scores([task], (r"$\alpha", "50 % & more"))
        assert_readable(scores_figure(values, errors, {task: "psnr"}))

    def test_all_subjects(self):
        values, errors = some_scores(["denoising"], MODELS, (1, 32))
        values[BASELINE, "denoising", math.inf] = 29.0
        [axes] = scores_figure(values, errors, {"denoising": "psnr"}).axes
        assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "4", "8", "16", "32", "all"]
        assert axes.get_xlim()[1] > 64 * 2**0.2

    def test_noise_does_not_fill_the_axis(self):
        values = {(SEEN, "segmentation", n): 0.8 + 1e-5 * n for n in (1, 2)}
        [axes] = scores_figure(values, {}, {"segmentation": "dice"}).axes
        assert np.ptp(axes.get_ylim()) >= 0.1

    def test_no_axis_reaches_beyond_the_best_dice(self):
        values = {(SEEN, "segmentation", n): 0.97 + 0.001 * n for n in (1, 2, 4)}
        [axes] = scores_figure(values, {}, {"segmentation": "dice"}).axes
        low, high = axes.get_ylim()
        assert high <= 1
        assert low < 0.91

    @pytest.mark.parametrize(
        ("sizes", "expected"),
        [((8,), ["8"]), ((14,), ["14"]), ((1, 2, 4, 8, 14), ["1", "2", "4", "8", "14"]), ((math.inf,), ["all"])],
    )
    def test_every_size_has_a_tick(self, sizes, expected):
        figure = scores_figure({(SEEN, "denoising", n): 25.0 for n in sizes}, {}, {"denoising": "psnr"})
        assert_readable(figure)
        assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == expected


class TestContextSizes:
    def test_shares_and_their_mean(self):
        relative = {"denoising": {1: 0.9, 4: 1.0}, "inpainting": {1: 0.96, 2: 1.0, 4: 0.98}}
        assert relative_mean(relative) == pytest.approx({1: 0.93, 4: 0.99})
        figure = context_size_figure(relative)
        assert_readable(figure)
        [axes] = figure.axes
        lines = {line.get_label(): line.get_xydata() for line in axes.lines}
        np.testing.assert_allclose(lines["Denoising"], [[1, 90], [4, 100]])
        np.testing.assert_allclose(lines["Inpainting"], [[1, 96], [2, 100], [4, 98]])
        np.testing.assert_allclose(lines["Mean of tasks"], [[1, 93], [4, 99]])
        assert [text.get_text() for text in figure.legends[0].get_texts()] == [
            "Inpainting",
            "Denoising",
            "Mean of tasks",
        ]
        assert any(set(line.get_ydata()) == {90} for line in axes.lines)
        assert "90%" in [text.get_text() for text in axes.texts]

    def test_nine_tasks_are_apart(self):
        figure = context_size_figure({task: {1: 0.6 + place / 30, 32: 1.0} for place, task in enumerate(TASKS)})
        assert_readable(figure)
        lines = [line for line in figure.axes[0].lines if line.get_label()[0] != "_"]
        assert len({(line.get_color(), line.get_marker()) for line in lines}) == 10
        assert figure.axes[0].get_ylim()[0] < 60

    def test_one_task(self):
        figure = context_size_figure({"denoising": {1: 0.5, 2: 1.0}})
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Denoising"]

    def test_no_size_of_all_tasks(self):
        figure = context_size_figure({"denoising": {1: 0.5, 2: 1.0}, "inpainting": {4: 0.7, 8: 1.0}})
        assert len(figure.legends[0].get_texts()) == 2


class TestDifferences:
    def test_values_and_intervals(self):
        def estimate(value):
            return Estimate(value, value + np.linspace(-0.1, 0.1, 2001))

        tasks = ("segmentation", "denoising", "inpainting")
        names = ("Without this", "With that")
        found = {(name, task): estimate(i - 2 * j) for j, name in enumerate(names) for i, task in enumerate(tasks)}
        del found["With that", "denoising"]
        figure = differences_figure(found, metrics_of(tasks), SEEN)
        assert_readable(figure)
        dice, psnr = figure.axes
        assert dice.get_xlabel() == "Dice, difference to Neuralizer-seen"
        assert [label.get_text() for label in dice.get_yticklabels()] == ["Segmentation"]
        assert [label.get_text() for label in psnr.get_yticklabels()] == ["Denoising", "Inpainting", "Mean of tasks"]
        shown = {container.get_label(): container for container in psnr.containers}
        np.testing.assert_allclose(shown["Without this"].lines[0].get_xdata(orig=False), [1, 2, 1.5])
        # No mean of one of two tasks.
        np.testing.assert_allclose(shown["With that"].lines[0].get_xdata(orig=False), [0])
        segments = shown["Without this"].lines[2][0].get_segments()
        np.testing.assert_allclose(segments[0][:, 0], [0.905, 1.095])
        assert {container.get_label() for container in dice.containers} == set(names)
        # No ablation is taken for one of the paper's models.
        colours = {to_hex(c.lines[0].get_color()).upper() for c in psnr.containers}
        assert not colours & {colour(model) for model in MODELS}


class TestFiles:
    def test_same_bytes_every_time(self, tmp_path):
        written = []
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            values, errors = some_scores(["denoising"])
            figure = scores_figure(values, errors, {"denoising": "psnr"})
            paths = save_figure(figure, tmp_path / name, "figure")
            assert [path.name for path in paths] == ["figure.png", "figure.svg"]
            written.append([path.read_bytes() for path in paths])
        assert written[0] == written[1]
        with Image.open(paths[0]) as picture:
            np.testing.assert_allclose(picture.size, 200 * figure.get_size_inches(), atol=1)

    def test_a_folder_that_is_missing(self, tmp_path):
        figure = context_size_figure({"denoising": {1: 0.5, 2: 1.0}})
        with pytest.raises(InputError, match=r"none/figure\.png: cannot be written"):
            save_figure(figure, tmp_path / "none", "figure")


def constant(path, truth, predictions, size=40, label="", task="denoising", experiment="experiment1"):
    """An example of images of one grey value each; a baseline's prediction is named NAME@N."""

    def image(*values):
        return np.ones((size, size, 1), np.float32) * np.array(values, np.float32)

    write_example(path, size=8)
    with np.load(path) as file:
        content = dict(file)
    models, _, subjects = zip(*(name.partition("@") for name in predictions), strict=True)
    content |= {
        "target_in": image(0.5, 0, 0),
        "target_out": image(truth)[..., 0],
        "context_in": np.stack([image(0.2, 0, 0), image(0.9, 0, 0)]),
        "context_out": np.stack([image(0.3)[..., 0], image(0.8)[..., 0]]),
        "predictions": np.stack([image(value)[..., 0] for value in predictions.values()]),
        "models": np.array(models),
        "train_subjects": np.array(subjects),
        "task": np.array(task),
        "class": np.array(label),
        "experiment": np.array(experiment),
    }
    np.savez(path, **content)
    return path


def load(*paths):
    return [dict(np.load(path)) for path in paths]


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"))


def shown(figure, columns):
    """The value in the middle of each image by row and column; the red one if it is in colours; None without image."""
    panels = figure.axes[:-1]  # the last one is the scale of errors
    assert len(panels) % columns == 0

    def middle(axes):
        if not axes.images:
            return None
        image = axes.images[0].get_array()
        return np.ravel(image[image.shape[0] // 2, image.shape[1] // 2])[0]

    return [[middle(axes) for axes in panels[row : row + columns]] for row in range(0, len(panels), columns)]


class TestExamples:
    def test_every_image_is_in_its_place(self, tmp_path):
        first = constant(tmp_path / "a.npz", 0.4, {SEEN: 0.4, f"{BASELINE}@2": 0.9, f"{BASELINE}@16": 0.65})
        second = constant(tmp_path / "b.npz", 0.4, {UNSEEN: 0.15, f"{BASELINE}@all": 0.3}, size=160)
        figure = examples_figure(load(first, second), {})
        one, other = shown(figure, 10)
        np.testing.assert_allclose(one[:5], [0.5, 0.2, 0.3, 0.4, 0.4], atol=1e-6)
        assert one[5] is one[8] is None
        # Of the baseline's trainings the one with the most subjects.
        np.testing.assert_allclose([one[6], one[7], one[9]], [0.65, 0, 0.25], atol=1e-6)
        np.testing.assert_allclose([*other[:4], other[5], other[6]], [0.5, 0.2, 0.3, 0.4, 0.15, 0.3], atol=1e-6)
        np.testing.assert_allclose(other[8], 0.25, atol=1e-6)
        texts = [text.get_text() for axes in figure.axes for text in axes.texts]
        assert [texts.count(text) for text in ("L", "R", "none", "N = 16", "N = all")] == [2, 2, 4, 1, 1]

    def test_masks_are_outlined_on_the_image(self, tmp_path):
        write_example(tmp_path / "a.npz", number=0, size=32)
        figure = examples_figure(load(tmp_path / "a.npz"), {})
        outlines = [len(axes.collections) for axes in figure.axes[:10]]
        assert outlines == [0, 0, 1, 1, 2, 2, 2, 0, 0, 0]
        images = [axes.images[0].get_array() for axes in figure.axes[:7]]
        for place in (3, 4, 5, 6):
            np.testing.assert_array_equal(images[place], images[0])
        np.testing.assert_array_equal(images[2], images[1])

    @pytest.mark.parametrize("label", ["p:1", "a structure with a name that is long " * 4])
    def test_nothing_is_cut_off(self, tmp_path, label):
        long = "Of a model with a name of many lines"
        name = constant(tmp_path / "a.npz", 0.4, {SEEN: 0.4, long: 0.3}, label=label)
        [path] = draw_examples([name], tmp_path, {})
        picture = pixels(path)
        assert all((edge > 250).all() for edge in (picture[:2], picture[-2:], picture[:, :2], picture[:, -2:]))

    def test_each_experiment_has_its_models_and_at_most_nine_rows(self, tmp_path):
        names = [constant(tmp_path / f"{number:02d}.npz", 0.4, {SEEN: 0.4}, size=16) for number in range(10)]
        other = constant(tmp_path / "z.npz", 0.4, {UNSEEN: 0.4}, size=16, experiment="ablations")
        paths = draw_examples([*names, other], tmp_path, {})
        assert [path.name for path in paths] == ["qualitative_experiment1.png", "qualitative_ablations.png"]
        (height, width), (less, same) = (pixels(path).shape for path in paths)
        assert width == same
        assert height > 5 * less
        assert draw_examples([*names, other], tmp_path, {}, alike=("ablations",)) == paths[:1]
        assert draw_examples([other], tmp_path, {}, alike=("ablations",)) == paths[1:]

    def test_examples_with_the_most_predictions_come_first(self, tmp_path):
        names = [
            constant(
                tmp_path / f"{task}{more}.npz",
                0.1 * task,
                {SEEN: 0.4} | ({UNSEEN: 0.9} if more else {}),
                task=f"task {task}",
            )
            for task in range(9)
            for more in range(2)
        ]
        chosen = most_predicted(load(*names))
        assert [len(example["models"]) for example in chosen] == [2] * 9
        assert [str(example["task"]) for example in chosen] == [f"task {task}" for task in range(9)]

    def test_same_bytes_every_time(self, tmp_path):
        name = constant(tmp_path / "a.npz", 0.4, {SEEN: 0.4}, label="p:1$", task="seg$mentation")
        [path] = draw_examples([name], tmp_path, {})
        before = path.read_bytes()
        draw_examples([name], tmp_path, {})
        assert path.read_bytes() == before
        draw_examples([name], tmp_path, {"p:1$": "left hippocampus"})
        assert path.read_bytes() != before

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"target_out": None}, "has no target_out"),
            ({"subject": None}, "has no subject"),
            ({"target_in": np.zeros((8, 8))}, "target_in has shape (8, 8), expected [8, 8, 3]"),
            ({"predictions": np.zeros((3, 8, 9))}, "predictions has shape (3, 8, 9), expected [k, 8, 8]"),
            ({"context_in": np.zeros((0, 8, 8, 3))}, "context_in has shape (0, 8, 8, 3), expected [k, 8, 8, 3]"),
            ({"models": np.array(["one"])}, "damaged"),
            ({"models": np.array([{"a": 1}])}, "damaged"),
        ],
    )
    def test_wrong_examples(self, tmp_path, change, expected):
        path = tmp_path / "a.npz"
        write_example(path, size=8)
        with np.load(path) as file:
            content = {name: value for name, value in (dict(file) | change).items() if value is not None}
        np.savez(path, **content)
        with pytest.raises(InputError) as error:
            draw_examples([path], tmp_path, {})
        assert expected in str(error.value)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
        assert not list(tmp_path.glob("*.png"))

    def test_no_example(self, tmp_path):
        path = tmp_path / "a.npz"
        path.write_bytes(b"no archive")
        with pytest.raises(InputError, match=r"a\.npz: damaged"):
            draw_examples([path], tmp_path, {})
