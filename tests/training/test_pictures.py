"""Pictures of a run: each validation picture shows what it says, pixel by pixel, and the curves what was recorded."""

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from neuralizer_jax.errors import InputError
from neuralizer_jax.training.curves import curves_figure, draw_curves
from neuralizer_jax.training.metrics_log import MetricsLog, read_metrics
from neuralizer_jax.training.pictures import draw_validation, picture_rows

TASKS = ["segmentation", "skull_stripping", "denoising", "two_modality_transfer"]
SIDE = 192


def constant(*values):
    """Images `[..., 192, 192, C]` of constant values `[..., C]`."""
    return np.broadcast_to(np.asarray(values, np.float32)[..., None, None, :], (*np.shape(values)[:-1], SIDE, SIDE, 3))


@pytest.fixture
def batch():
    """Four episodes of three tasks, N = 4 of 5, each image of one grey value; the last has two channels."""
    values = 0.1 + 0.02 * np.arange(4 * 5).reshape(4, 5)
    grey = np.stack([values, 0 * values, 0 * values], -1)
    target = np.array([[0.5, 0, 0], [0.6, 0, 0], [0.7, 0, 0], [0.8, 0.3, 0]])
    episode = {
        "target_in": constant(*target),
        "target_out": np.full((4, SIDE, SIDE, 1), 0.4, np.float32),
        "context_in": np.stack([constant(*members) for members in grey]),
        "context_out": np.stack([constant(*members)[..., :1] for members in 1 - grey]),
        "context_mask": np.tile([True, False, True, True, True], (4, 1)),
        "is_segmentation": np.array([True, True, False, False]),
        "task": np.array([0, 0, 2, 3], np.int32),
    }
    episode["context_in"][:, 1] = np.nan
    prediction = np.stack([np.full((SIDE, SIDE, 3), value, np.float32) for value in (0.4, 0, 0.65, 1.5)])
    prediction[..., 1:] = 9
    scores = {"dice": np.array([0.8134, 0.1, np.nan, np.nan]), "psnr": np.array([np.nan, 0, 23.44, 12])}
    return episode, prediction, scores


def rows_of(batch):
    episode, prediction, scores = batch
    return picture_rows(episode, scores | {"prediction": prediction}, TASKS)


def cells(path):
    """Colours in the middle of each image, by row and column, in 0..255."""
    picture = np.asarray(Image.open(path).convert("RGB"))
    middles_x = [6 + 198 * column + 96 + (column >= 4) * (column // 2) * 6 for column in range(10)]
    middles_y = [28 + 30 + 96 + 222 * row for row in range(picture.shape[0] // 222)]
    return picture[np.ix_(middles_y, middles_x)]


class TestRows:
    def test_one_a_task(self, batch):
        rows = rows_of(batch)
        assert [row.title for row in rows.values()] == [
            "segmentation:  Dice 0.813,  N = 4",
            "denoising:  PSNR 23.4 dB,  N = 4",
            "two modality transfer:  PSNR 12.0 dB,  N = 4",
        ]
        assert list(rows) == ["segmentation", "denoising", "two_modality_transfer"]
        assert rows["segmentation"].target_in.max() == 0.5  # the first of two

    def test_they_do_not_keep_the_batch(self, batch):
        for row in rows_of(batch).values():
            arrays = [row.target_in, row.prediction, row.target_out, *(array for pair in row.context for array in pair)]
            assert all(array.base is None for array in arrays)


class TestPicture:
    def test_every_image_is_in_its_place(self, batch, tmp_path):
        path = draw_validation(tmp_path / "step_00001000.png", rows_of(batch).values())
        shown = cells(path)
        assert shown.shape == (3, 10, 3)

        def grey(value):
            return np.full(3, 255 * value)

        for row, (b, target, prediction) in enumerate(((0, 0.5, 0.4), (2, 0.7, 0.65))):
            np.testing.assert_allclose(shown[row, 0], grey(target), atol=1)
            np.testing.assert_allclose(shown[row, 1], grey(prediction), atol=1)
            np.testing.assert_allclose(shown[row, 2], grey(0.4), atol=1)
            for pair, member in enumerate((0, 2, 3)):  # member 1 is padding
                value = 0.1 + 0.02 * (5 * b + member)
                np.testing.assert_allclose(shown[row, 4 + 2 * pair], grey(value), atol=1)
                np.testing.assert_allclose(shown[row, 5 + 2 * pair], grey(1 - value), atol=1)
        # Several channels are colours; a prediction beyond 1 is white.
        np.testing.assert_allclose(shown[2, 0], [255 * 0.8, 255 * 0.3, 0], atol=1)
        np.testing.assert_allclose(shown[2, 1], grey(1), atol=1)

    def test_the_scale_of_the_difference_is_fixed(self, batch, tmp_path):
        """From 0 to 0.5, whatever else the picture shows: here 0, 0.25 and 1.1."""
        path = draw_validation(tmp_path / "picture.png", rows_of(batch).values())
        expected = 255 * np.array(colormaps["inferno"]([0.0, 0.5, 1.0]))[:, :3]
        np.testing.assert_allclose(cells(path)[:, 3], expected, atol=2)

    def test_fewer_context_members(self, batch, tmp_path):
        episode, prediction, scores = batch
        episode["context_mask"][:] = [True, False, False, False, False]
        rows = picture_rows(episode, scores | {"prediction": prediction}, TASKS).values()
        assert all(row.title.endswith("N = 1") for row in rows)
        with Image.open(draw_validation(tmp_path / "picture.png", rows)) as picture:
            assert picture.width == 6 + 6 * 198 + 2 * 6

    def test_small_images_are_enlarged(self, batch, tmp_path):
        episode, prediction, scores = batch
        small = {name: array[..., :32, :32, :] if array.ndim > 2 else array for name, array in episode.items()}
        rows = picture_rows(small, scores | {"prediction": prediction[:, :32, :32]}, TASKS).values()
        with Image.open(draw_validation(tmp_path / "picture.png", rows)) as picture:
            assert picture.width > 10 * 160

    def test_titles_and_headings_are_written(self, batch, tmp_path):
        path = draw_validation(tmp_path / "picture.png", rows_of(batch).values())
        picture = np.asarray(Image.open(path).convert("L"))
        bands = [picture[:28], *(picture[28 + 222 * row : 58 + 222 * row, :500] for row in range(3))]
        assert all((band > 200).sum() > 100 for band in bands)
        # Nothing is cut off: black all around.
        assert not any(edge.any() for edge in (picture[:2], picture[-2:], picture[:, :2], picture[:, -2:]))

    def test_nan_is_drawn(self, batch, tmp_path):
        batch[1][:] = np.nan
        assert (cells(draw_validation(tmp_path / "picture.png", rows_of(batch).values()))[:, 1] == 0).all()

    def test_a_folder_that_is_missing(self, batch, tmp_path):
        with pytest.raises(InputError, match=r"none/picture\.png: cannot be written"):
            draw_validation(tmp_path / "none" / "picture.png", rows_of(batch).values())


def record_run(folder, steps, every, losses=None):
    with MetricsLog(folder) as log:
        for step in range(10, steps + 1, 10):
            log.write(step, {"train/loss": 1 / step})
            if step % every == 0:
                loss = (losses or {}).get(step, 2 / step)
                scores = {"validation/loss": loss, "validation/loss/denoising": loss}
                for size in (1, 8, 32):
                    scores[f"validation/dice/segmentation/N={size}"] = 0.5 + size / 100 + step / 1e6
                    scores[f"validation/dice/skull_stripping/N={size}"] = 0.6 + size / 100 + step / 1e6
                    scores[f"validation/psnr/denoising/N={size}"] = 20 + size / 10
                log.write(step, scores)
    return folder / "metrics.csv"


def line(axes, label):
    [found] = [line for line in axes.lines if label in line.get_label()]
    return found


class TestCurves:
    def test_losses_and_the_best_step(self, tmp_path):
        metrics = record_run(tmp_path, 200, 20, losses={120: 0.005, 140: float("nan")})
        losses = curves_figure(read_metrics(metrics)).axes[0]
        best = line(losses, "best")
        assert best.get_label() == "best: 0.0050 at step 120"
        np.testing.assert_array_equal(best.get_xydata(), [[120, 0.005]])
        np.testing.assert_array_equal(line(losses, "training").get_xdata(), np.arange(10, 201, 10))
        # The validation that gave NaN is left out.
        steps = [step for step in range(20, 201, 20) if step != 140]
        np.testing.assert_array_equal(line(losses, "validation").get_xdata(), steps)
        assert losses.get_yscale() == "log"

    def test_losses_that_hardly_fall(self, tmp_path):
        with MetricsLog(tmp_path) as log:
            for step in range(1, 9):
                log.write(step, {"train/loss": 0.5 - step / 100})
        assert curves_figure(read_metrics(tmp_path / "metrics.csv")).axes[0].get_yscale() == "linear"

    def test_smoothing_keeps_the_mean_and_lessens_the_noise(self, tmp_path):
        noise = np.random.default_rng(0).normal(1, 0.1, 1000)
        with MetricsLog(tmp_path) as log:
            for step, value in enumerate(noise):
                log.write(step, {"train/loss": value})
        raw, smooth = curves_figure(read_metrics(tmp_path / "metrics.csv")).axes[0].lines
        np.testing.assert_allclose(raw.get_ydata(), noise)
        assert abs(smooth.get_ydata() - 1).max() < 0.1
        assert smooth.get_ydata().std() < 0.3 * noise.std()

    def test_scores_of_each_task(self, tmp_path):
        _, dice, psnr = curves_figure(read_metrics(record_run(tmp_path, 200, 20))).axes
        assert (dice.get_ylabel(), psnr.get_ylabel()) == ("Dice", "PSNR (dB)")
        assert dice.get_title(loc="left") == "Validation, N = 32 (dashed: N = 1)"
        # From the best to the worst, with the last value at the largest context size.
        assert [text.get_text() for text in dice.get_legend().get_texts()] == [
            "0.920  skull stripping",
            "0.820  segmentation",
        ]
        assert [text.get_text() for text in psnr.get_legend().get_texts()] == ["23.2  denoising"]
        solid, dashed = psnr.lines
        assert (solid.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
        np.testing.assert_allclose(solid.get_ydata(), 23.2)
        np.testing.assert_allclose(dashed.get_ydata(), 20.1)
        assert solid.get_color() == dashed.get_color()

    @pytest.mark.parametrize(("steps", "every"), [(0, 10), (10, 20), (20, 20), (40, 20)])
    def test_short_runs(self, tmp_path, steps, every):
        """Nothing at all, one value, one validation, two: all are drawn without a warning."""
        draw_curves(record_run(tmp_path, steps, every), tmp_path / "curves.png")
        with Image.open(tmp_path / "curves.png") as picture:
            picture.load()

    def test_one_kind_of_score(self, tmp_path):
        with MetricsLog(tmp_path) as log:
            log.write(10, {"validation/loss": 0.5, "validation/psnr/denoising/N=4": 20})
        _, psnr = curves_figure(read_metrics(tmp_path / "metrics.csv")).axes
        assert psnr.get_ylabel() == "PSNR (dB)"
        assert psnr.get_title(loc="left") == "Validation, N = 4"

    def test_no_metrics(self, tmp_path):
        with pytest.raises(InputError, match=r"metrics\.csv: cannot be read"):
            draw_curves(tmp_path / "metrics.csv", tmp_path / "curves.png")
        assert not list(tmp_path.iterdir())
