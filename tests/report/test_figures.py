"""Figures and qualitative grids of a report: they show the numbers given, readable at print size, nothing cut off."""

from itertools import pairwise

import numpy as np
import pytest
from made_up_scores import BASELINE, MODELS, SEEN, TASKS, UNSEEN, write_example
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.text import Text
from PIL import Image

from neuralizer_jax.errors import InputError
from neuralizer_jax.report.figure_style import paper_style, save_figure, styles
from neuralizer_jax.report.figures import context_size_figure, differences_figure, relative_mean, scores_figure
from neuralizer_jax.report.qualitative import draw_examples
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
    return styles([model])[model]["color"]


class TestScores:
    @pytest.mark.parametrize("number", [1, 2, 4, 5, 9])
    def test_panels(self, number):
        tasks = tuple(TASKS)[:number]
        values, errors = some_scores(tasks)
        figure = scores_figure(values, errors, metrics_of(tasks), {})
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
        [axes] = scores_figure(values, errors, {"denoising": "psnr"}, {}).axes
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
        figure = scores_figure(values, errors, metrics_of(["denoising", "segmentation"]), {})
        segmentation, denoising = figure.axes
        assert set(lines_of(segmentation)) == {colour(UNSEEN)}
        assert set(lines_of(denoising)) == {colour(UNSEEN), colour(BASELINE)}
        assert len(lines_of(denoising)[colour(UNSEEN)][0]) == 5
        assert_readable(figure)

    def test_many_models(self):
        models = (*MODELS, *(f"A network with quite a long name, number {i}" for i in range(9)))
        values, errors = some_scores(tuple(TASKS)[:2], models)
        figure = scores_figure(values, errors, metrics_of(tuple(TASKS)[:2]), {})
        assert_readable(figure)
        looks = styles(models)
        assert len({(look["color"], look["marker"]) for look in list(looks.values())[:9]}) == 9

    def test_strange_names(self):
        task = r"a_task_with_a_very_long_name,_$\frac{%_of_it"
        values, errors = some_scores([task], (r"$\alpha", "50 % & more"))
        assert_readable(scores_figure(values, errors, {task: "psnr"}, {}))

    def test_all_subjects(self):
        values, errors = some_scores(["denoising"], MODELS, (1, 32))
        values[BASELINE, "denoising", 64] = 29.0
        [axes] = scores_figure(values, errors, {"denoising": "psnr"}, {64: "all"}).axes
        assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "4", "8", "16", "32", "all"]
        assert axes.get_xlim()[1] > 64 * 2**0.2

    def test_noise_does_not_fill_the_axis(self):
        values = {(SEEN, "segmentation", n): 0.8 + 1e-5 * n for n in (1, 2)}
        [axes] = scores_figure(values, {}, {"segmentation": "dice"}, {}).axes
        assert np.ptp(axes.get_ylim()) >= 0.02


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
            figure = scores_figure(values, errors, {"denoising": "psnr"}, {})
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
    """An example of images of one grey value each."""

    def image(*values):
        return np.ones((size, size, 1), np.float32) * np.array(values, np.float32)

    write_example(path, size=8)
    with np.load(path) as file:
        content = dict(file)
    content |= {
        "target_in": image(0.5, 0, 0),
        "target_out": image(truth)[..., 0],
        "context_in": np.stack([image(0.2, 0, 0), image(0.9, 0, 0)]),
        "context_out": np.stack([image(0.3)[..., 0], image(0.8)[..., 0]]),
        "predictions": np.stack([image(value)[..., 0] for value in predictions.values()]),
        "models": np.array(list(predictions)),
        "task": np.array(task),
        "class": np.array(label),
        "experiment": np.array(experiment),
    }
    np.savez(path, **content)
    return path


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def cells(path, columns, rows):
    """Colours in the middle of each image: of the rows of squares of 160 pixels that there are."""
    picture = pixels(path)
    line = round(1.3 * 0.145 * 160)
    breaks = (3, 4, 4 + (columns - 4) // 2)
    x = [6 + place * 166 + 12 * sum(place >= at for at in breaks) + 80 for place in range(columns)]
    bottom = picture.shape[0] - 3 * 6 - 2 * line
    y = [bottom - (rows - 1 - row) * (line + 12 + 160) - 80 for row in range(rows)]
    return picture[np.ix_(y, x)]


class TestExamples:
    def test_every_image_is_in_its_place(self, tmp_path):
        first = constant(tmp_path / "a.npz", 0.4, {SEEN: 0.4, "Baseline-seen@2": 0.9, "Baseline-seen@16": 0.65})
        second = constant(tmp_path / "b.npz", 0.4, {UNSEEN: 0.15}, size=160)
        [path] = draw_examples([first, second], tmp_path, {})
        assert path.name == "qualitative_experiment1.png"
        shown = cells(path, 10, 2)
        greys = np.round(255 * np.array([0.5, 0.2, 0.3, 0.4]))[:, None] * np.ones(3)
        np.testing.assert_allclose(shown[0, :4], greys, atol=1)
        np.testing.assert_allclose(shown[1, :4], greys, atol=1)
        inferno = np.round(255 * np.array(colormaps["inferno"]([0.0, 0.5]))[:, :3])
        np.testing.assert_allclose(shown[0, 4], 255 * 0.4, atol=1)  # seen
        np.testing.assert_allclose(shown[0, 6], 255 * 0.65, atol=1)  # the baseline of most subjects
        np.testing.assert_allclose(shown[0, [7, 9]], inferno, atol=2)
        np.testing.assert_allclose(shown[1, 5], 255 * 0.15, atol=1)
        np.testing.assert_allclose(shown[1, 8], inferno[1], atol=2)
        # What a model did not predict stays empty: "none" is written there in grey.
        picture = pixels(path)
        assert (shown[0, [5, 8]] > 100).all()
        # Nothing is cut off.
        assert all((edge > 250).all() for edge in (picture[:2], picture[-2:], picture[:, :2], picture[:, -2:]))

    def test_a_long_title_is_not_cut_off(self, tmp_path):
        name = constant(tmp_path / "a.npz", 0.4, {SEEN: 0.4}, label="a structure with a name that is long " * 4)
        [path] = draw_examples([name], tmp_path, {})
        assert (pixels(path)[:, -2:] > 250).all()

    def test_each_experiment_has_its_models_and_at_most_nine_rows(self, tmp_path):
        names = [constant(tmp_path / f"{number:02d}.npz", 0.4, {SEEN: 0.4}, size=16) for number in range(10)]
        other = constant(tmp_path / "z.npz", 0.4, {UNSEEN: 0.4}, size=16, experiment="ablations")
        paths = draw_examples([*names, other], tmp_path, {})
        assert [path.name for path in paths] == ["qualitative_experiment1.png", "qualitative_ablations.png"]
        (height, width), (less, same) = (pixels(path).shape[:2] for path in paths)
        assert height - less == 8 * (30 + 12 + 160)
        assert width == same
        assert draw_examples([*names, other], tmp_path, {}, alike=("ablations",)) == paths[:1]
        assert draw_examples([other], tmp_path, {}, alike=("ablations",)) == paths[1:]

    def test_what_most_models_have_predicted_is_shown_of_each_task(self, tmp_path):
        names = [
            constant(tmp_path / f"{number:02d}.npz", 0.1 * task, {SEEN: 0.4} | more, size=16, task=f"task {task}")
            for number, (task, more) in enumerate((task, {}) for task in range(9) for _ in range(2))
        ]
        # The second of each task has one more.
        for task in range(9):
            truth = 0.1 * task
            constant(names[2 * task + 1], truth, {SEEN: 0.4, UNSEEN: 0.9}, size=16, task=f"task {task}")
        [path] = draw_examples(names, tmp_path, {})
        shown = cells(path, 8, 9)
        np.testing.assert_allclose(shown[:, 3, 0], 255 * 0.1 * np.arange(9), atol=1)
        np.testing.assert_allclose(shown[:, 5, 0], 255 * 0.9, atol=1)

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
