"""The reported numbers of trained weights: Dice of structures, untrained baselines beside it, confidence."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from made_up_scores import made_up_rows, write_results

from neuralizer_jax.evaluation.scores import scores_of

with pytest.MonkeyPatch.context() as patch:
    patch.setattr(sys, "path", [str(Path(__file__).parents[2] / "benchmarks"), *sys.path])
    import pretrained
    import pretrained_confidence as confidence

LEFT, RIGHT, STEM = "freesurfer:17", "freesurfer:53", "freesurfer:16"
UNTRAINED = ("Input as it is", "Mean context output")


def row(label, subject, value, n=1, draw=0):
    model = ("Neuralizer-seen", "in-context", "", 0)
    return "experiment1", *model, n, "segmentation", "scans", "T1", label, "coronal", -17, subject, draw, "dice", value


class TestStructures:
    def test_draws_then_subjects_then_sides(self):
        """A structure with two sides counts as much as one with one; a subject with many draws as one with one."""
        rows = [row(LEFT, "a", 0.9), row(LEFT, "a", 0.7, draw=1), row(LEFT, "b", 0.4)]
        rows += [row(RIGHT, "a", 0.8), row(STEM, "a", 0.5), row(STEM, "b", 0.3)]
        means = pretrained.structure_means(pretrained.class_means(scores_of(rows)))
        key = "Neuralizer-seen", 1
        assert means[key] == pytest.approx({"hippocampus": (0.6 + 0.8) / 2, "brain stem": 0.4})
        assert pretrained.by_size(means)[key[0]] == pytest.approx({1: 0.55})

    def test_along_n_nothing_but_n_changes(self):
        """Who cannot have the largest context does not count, nor a class that no one can."""
        rows = [row(label, subject, 0.8, n) for label in (LEFT, STEM) for subject in "ab" for n in (1, 2)]
        rows += [row(LEFT, "c", 0.1), *(row(RIGHT, subject, 0.1) for subject in "ab")]
        means = pretrained.class_means(scores_of(rows))
        assert means == {("Neuralizer-seen", n): pytest.approx({LEFT: 0.8, STEM: 0.8}) for n in (1, 2)}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The summary of each dataset, the second without contexts of another modality; and the rows of experiment 1."""
    own = {"tasks": ("segmentation", "denoising"), "sizes": (1, 8), "classes": (LEFT, RIGHT, STEM)}
    own |= {"modalities": ("T1",), "subjects": 3, "draws": 2}
    rows = made_up_rows(models=(pretrained.MODEL, *UNTRAINED), **own)
    rows = [one for one in rows if (one[1], one[6]) != (pretrained.INPUT, "segmentation")]
    more = made_up_rows("experiment3", (pretrained.MODEL,), **(own | {"tasks": ("segmentation",)}))
    contrast = made_up_rows("ablations", (pretrained.MODEL, pretrained.OTHER), **(own | {"sizes": (8,)}))
    folders = {}
    for dataset, ablations in ((pretrained.MAPS, contrast), (pretrained.SCANS, [])):
        folder = write_results(tmp_path_factory.mktemp(dataset), [*rows, *more, *ablations], records=False)
        known = {pretrained.MODEL: "0" * 64} | dict.fromkeys(UNTRAINED)
        records = [{"model": name, "experiment": "experiment1", "sha256": sha} for name, sha in known.items()]
        (folder / "models.json").write_text(json.dumps(records))
        folders[dataset] = pretrained.summary(folder)
    return folders, rows


class TestSummary:
    def test_numbers(self, found):
        folders, rows = found
        own = folders[pretrained.SCANS]
        at_8 = [row for row in rows if row[6] == "denoising" and row[5] == 8 and row[-2] == "psnr"]
        for model in (pretrained.MODEL, *UNTRAINED):
            expected = np.mean([row[-1] for row in at_8 if row[1] == model])
            assert own["tasks"]["denoising"][model] == pytest.approx(expected)
        assert set(own["structures_by_size"]) == {pretrained.MODEL, "Mean context output"}
        assert own["other_contrast"] == {}
        assert own["classes"] == 3
        assert own["weights_sha256"] == ["0" * 64]
        assert set(folders[pretrained.MAPS]["other_contrast"]) == {"segmentation", "denoising"}

    def test_tables(self, found):
        folders, _ = found
        own = folders[pretrained.SCANS]
        lines = pretrained.dice_table(own["structures_by_size"], "N = {}").splitlines()
        assert lines[0] == "| Dice | N = 1 | N = 8 |"
        values = own["structures_by_size"][pretrained.MODEL]
        assert lines[2] == f"| {pretrained.MODEL} | {values[1]:.3f} | {values[8]:.3f} |"
        (line,) = [line for line in pretrained.tasks_table(own).splitlines() if line.startswith("| Denoising")]
        scores = own["tasks"]["denoising"]
        best = max(UNTRAINED, key=scores.get)
        shown = [f"{number:.2f}" for number in (scores[pretrained.MODEL], scores[pretrained.INPUT])]
        more = f"{scores[pretrained.MODEL] - scores[best]:.2f}"
        other = f"{scores[best]:.2f} ({best.lower()})"
        assert line == f"| Denoising | PSNR (dB) | {' | '.join(shown)} | {other} | {more} |"

    def test_page(self, found):
        folders, _ = found
        both = folders[pretrained.MAPS]["other_contrast"]["denoising"]
        confident = {"denoising": {"cases": 0.5, "pixels": 0.25, "number": 3}}
        more = {"confidence_scans": "the real scans", "confidence": confident}
        results = pretrained.conditions("command", ("numpy",)) | {"results": folders | more}
        text = pretrained.markdown(results)
        assert f"| Denoising | PSNR (dB) | {both[0]:.2f} | {both[1]:.2f} |" in text
        assert text.count("Contexts of the target's modality and of others") == 1
        assert "| Denoising | 0.50 | 0.25 | 3 |" in text
        for title in pretrained.TITLES.values():
            assert text.count(f"## {title}\n") == 1


class TestConfidence:
    def test_by_ranks(self):
        rng = np.random.default_rng(0)
        error = rng.random(20)
        assert confidence.rank_correlation(np.exp(3 * error), error) == pytest.approx(1)
        assert confidence.rank_correlation(-(error**3), error) == pytest.approx(-1)
        assert np.isnan(confidence.rank_correlation(np.ones(20), error))

    def test_a_mask_twice_as_large_has_the_same_spread(self):
        mean = np.zeros((16, 16), np.float32)
        mean[4:8, 4:8] = 1
        truth, std = np.roll(mean, 1, axis=0), 0.1 * mean
        small = confidence.spread_and_error(mean, std, truth, True)
        large = confidence.spread_and_error(*(x.repeat(2, 0).repeat(2, 1) for x in (mean, std, truth)), True)
        assert small == pytest.approx((0.1, 0.25))
        assert large == pytest.approx(small)

    def test_an_image(self):
        mean, truth = np.zeros((4, 4)), np.full((4, 4), 0.2)
        assert confidence.spread_and_error(mean, truth / 2, truth, False) == pytest.approx((0.1, 0.2))

    def test_each_task_by_itself(self):
        """Tasks whose errors differ in size do not make a correlation of their own."""
        records = [
            {"task": task, "spread": level + spread, "error": level + error, "pixels": pixels}
            for task, level in (("denoising", 0), ("inpainting", 10))
            for spread, error, pixels in ((1, 3, 0.2), (2, 2, 0.4), (3, 1, float("nan")))
        ]
        found = confidence.correlations(records)
        assert found == {
            task: {"cases": pytest.approx(-1), "pixels": pytest.approx(0.3), "number": 3}
            for task in ("denoising", "inpainting")
        }

    def test_of_an_episode(self, tiny_model, tiny_params):
        rng = np.random.default_rng(0)
        episode = {
            "target_in": rng.random((16, 16, 3), np.float32), "context_in": rng.random((8, 16, 16, 3), np.float32),
            "target_out": rng.random((16, 16, 1), np.float32), "context_out": rng.random((8, 16, 16, 1), np.float32),
        }  # fmt: skip
        image = confidence.record(tiny_model, tiny_params, episode | {"is_segmentation": False})
        masks = {name: (episode[name] > 0.5).astype(np.float32) for name in ("target_out", "context_out")}
        mask = confidence.record(tiny_model, tiny_params, episode | masks | {"is_segmentation": True})
        for one in (image, mask):
            assert one["spread"] > 0
            assert one["error"] > 0
            assert -1 < one["pixels"] < 1
