"""The page of a training has the curves, settings, data and versions of the runs that are behind it."""

import pytest
from made_up_runs import write_training

from neuralizer_jax.cli.main import main


@pytest.fixture
def run(tmp_path):
    """The second of two trainings."""
    first = write_training(tmp_path / "runs/first", 7200)
    start = {"init_from": str(first / "checkpoints"), "learning_rate": 0.25}
    return write_training(tmp_path / "runs/second", 600, **start)


def test_the_page_has_all_trainings_and_loads_nothing(run, capsys):
    assert main(["report", str(run)]) == 0
    page = run / "report" / "index.html"
    assert capsys.readouterr().out.split() == [str(page)]
    assert list(page.parent.iterdir()) == [page]
    text = page.read_text()
    for part in ("Training second", "24,690", "2.0 h", "random parameters", "train.learning_rate", "jax 1.2.3"):
        assert part in text, part
    assert text.count('src="data:image/png;base64,') == text.count("src=") == 1


def test_pictures_of_predictions_are_in_it(run):
    from PIL import Image

    (run / "pictures").mkdir()
    for step, colour in ((10, "red"), (20, "blue")):
        Image.new("RGB", (8, 8), colour).save(run / "pictures" / f"step_{step:08d}.png")
    assert main(["report", str(run)]) == 0
    assert (run / "report/index.html").read_text().count('src="data:image/png;base64,') == 2


def test_a_training_without_curves(run):
    for folder in (run, run.parent / "first"):
        (folder / "metrics.csv").write_text("step,name,value\n")
    assert main(["report", str(run)]) == 0
    assert "Nothing was recorded." in (run / "report/index.html").read_text()


def test_a_training_that_goes_on_is_named(run, capsys):
    (run / "summary.json").unlink()
    assert main(["report", str(run)]) == 2
    assert "summary.json: does not exist, expected a training that has ended" in capsys.readouterr().err
    assert not (run / "report").exists()
