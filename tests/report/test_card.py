"""A card's numbers are those of the files that are behind the weights; scores of other weights are refused."""

import hashlib
import json

import numpy as np
import pytest
from made_up_runs import write_training
from made_up_scores import SEEN, UNTRAINED, made_up_rows, write_results
from PIL import Image

from neuralizer_jax.cli.main import main
from neuralizer_jax.errors import InputError
from neuralizer_jax.evaluation.scores import scores_of
from neuralizer_jax.report.card import write_card
from neuralizer_jax.report.expected import expected_scores
from neuralizer_jax.weights.pretrained import pretrained_path

LEFT, RIGHT, STEM = CLASSES = "freesurfer:17", "freesurfer:53", "freesurfer:16"
NAMES = {LEFT: "left hippocampus", RIGHT: "right hippocampus", STEM: "brain stem"}
OWN = {"tasks": ("segmentation", "denoising"), "sizes": (1, 8), "classes": CLASSES, "modalities": ("T1", "T2")}
ROWS = made_up_rows(**OWN, models=(SEEN, *UNTRAINED), subjects=3, draws=2)
SHA = hashlib.sha256(pretrained_path("small").read_bytes()).hexdigest()


def mean(model, size, *classes):
    """Of all rows: every subject has as many draws and modalities here."""
    metric = "dice" if classes[0] else "psnr"
    return np.mean([r[-1] for r in ROWS if (r[1], r[5], r[-2]) == (model, size, metric) and r[9] in classes])


def write_scores(folder, sha256=SHA, experiments=("experiment1",)):
    rows = [(experiment, *row[1:]) for experiment in experiments for row in ROWS]
    if "planes" in experiments:
        rows += [(*r[:10], "axial", 12, *r[12:-1], r[-1] / 2) for r in rows if r[0] == "planes"]
    write_results(folder, rows, records=False)
    records = [
        {"model": SEEN, "experiment": name, "weights": "w", "sha256": sha256, "command": f"evaluate {name}"}
        for name in experiments
    ]
    (folder / "models.json").write_text(json.dumps(records))
    return folder


def rows_of(text):
    """First cell -> the other cells of every table row."""
    lines = [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {line[0]: line[1:] for line in lines}


class TestExpected:
    def test_structures_then_tasks(self):
        found = expected_scores(scores_of(ROWS), SEEN, NAMES)
        assert list(found) == ["Segmentation, mean of 2 structures", "Brain stem", "Hippocampus", "Denoising"]
        structures = {"Brain stem": (STEM,), "Hippocampus": (LEFT, RIGHT), "Denoising": ("",)}
        for label, classes in structures.items():
            for size in (1, 8):
                assert found[label].model[size] == pytest.approx(mean(SEEN, size, *classes))
                best = max(mean(model, size, *classes) for model in UNTRAINED)
                assert found[label].untrained[size] == pytest.approx(best)
        expected = (mean(SEEN, 8, STEM) + mean(SEEN, 8, LEFT, RIGHT)) / 2
        assert found["Segmentation, mean of 2 structures"].model[8] == pytest.approx(expected)

    def test_along_n_nothing_but_n_changes(self):
        """A subject without the largest context does not count at the smaller one."""
        rows = [row for row in ROWS if not (row[12] == "ixi002" and row[5] == 8)]
        kept = [row for row in ROWS if row[12] != "ixi002"]
        one, two = (expected_scores(scores_of(its), SEEN, NAMES)["Denoising"] for its in (rows, kept))
        assert one == two


class TestCard:
    def test_numbers_of_files(self, tmp_path, capsys):
        scores = write_scores(tmp_path / "scores", experiments=("experiment1", "planes"))
        first = write_training(tmp_path / "runs/first", 7200)
        start = {"init_from": str(first / "checkpoints"), "learning_rate": 0.25}
        second = write_training(tmp_path / "runs/second", 600, **start)
        card = tmp_path / "card.md"
        arguments = ["card", "--weights", "small", "--scores", f"Scans={scores}", "--out", str(card)]
        assert main([*arguments, "--training", str(second)]) == 0
        text = card.read_text()
        rows = rows_of(text)
        assert SHA in text
        assert "0.65 MB" in rows["file"][0]
        shown = f"{mean(SEEN, 8, ''):.1f} ({max(mean(model, 8, '') for model in UNTRAINED):.1f})"
        assert rows["Denoising, PSNR (dB)"][1] == shown
        assert rows["first"][:4] == ["random parameters", "7", "12,345", "96x96 of 144 mm, 3 a step"]
        assert rows["first"][5:] == ["2.0 h", "A CPU: 2.0 h, A GPU: 1.0 min", "steps"]
        assert rows["second"][0] == "first"
        assert rows["train.learning\\_rate"][-2:] == ["0.5", "0.25"]
        assert set(rows) >= {"data.size", "data.extent"}
        assert "data.only.tasks" not in rows  # as in the default
        assert rows["maps"] == ["2", "0123456789abcdef"]
        assert rows["Axial 12 mm, PSNR (dB)"][2].startswith("-")
        assert "jax 1.2.3" in text
        for command in ("evaluate experiment1", "evaluate planes"):
            assert f"    {command}\n" in text
        pictures = {path.name for path in tmp_path.glob("*.png")}
        assert pictures == {"card_expected.png", "card_curves.png"}
        for name in pictures:
            assert f"]({name})" in text
            with Image.open(tmp_path / name) as picture:
                assert picture.width > 800
        assert capsys.readouterr().out.split() == [str(card), str(tmp_path / "card_expected.png")]
        assert "\n\n\n" not in text

    def test_scores_of_other_weights(self, tmp_path, capsys):
        scores = write_scores(tmp_path / "scores", sha256="0" * 64)
        assert main(["card", "--weights", "small", "--scores", f"A={scores}", "--out", str(tmp_path / "c.md")]) == 2
        assert f"no score of these weights (SHA-256 {SHA[:16]}" in capsys.readouterr().err
        assert not (tmp_path / "c.md").exists()

    def test_a_template(self, tmp_path, capsys):
        template = tmp_path / "card.md.j2"
        template.write_text(
            '{% extends "card.md.j2" %}\n{% block limits %}\nHippocampus: '
            '{{ "%.3f"|format(scores[0].expected["Tasks"]["Hippocampus"].model[8]) }}\n{% endblock %}\n'
        )
        scores = write_scores(tmp_path / "scores")
        arguments = ["card", "--weights", "small", "--scores", f"A={scores}", "--out", str(tmp_path / "c.md")]
        assert main([*arguments, "--template", str(template)]) == 0
        assert f"Hippocampus: {mean(SEEN, 8, LEFT, RIGHT):.3f}\n" in (tmp_path / "c.md").read_text()
        template.write_text("{{ ''.__class__.__mro__[1].__subclasses__() }} {{ nothing }}")
        capsys.readouterr()
        assert main([*arguments, "--template", str(template)]) == 2
        assert "expected a template of a card" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("name", "content", "expected"),
        [
            ("summary.json", None, "expected a training that has ended"),
            ("summary.json", '{"step": 3}', "has no seconds"),
            ("config.json", "[1]", "expected an object"),
            ("training_subjects.csv", "a,b\n1,2\n", "expected the subjects of the training"),
        ],
    )
    def test_a_training_that_is_damaged(self, tmp_path, name, content, expected):
        folder = write_training(tmp_path / "run", 10)
        (folder / name).unlink()
        if content is not None:
            (folder / name).write_text(content)
        with pytest.raises(InputError, match=expected) as error:
            write_card(tmp_path / "c.md", {"sha256": SHA}, {}, [folder])
        assert str(folder / name) in str(error.value)
