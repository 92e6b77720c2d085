"""Statistics of scores: means, intervals and comparisons are those computed by hand, whatever the order of the rows."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_scores import BASELINE, SEEN, TASKS, UNSEEN, made_up_rows, write_results
from scipy import stats

from neuralizer_jax.errors import InputError
from neuralizer_jax.evaluation.scores import HEADER, KEYS, Kind, read_scores, scores_of
from neuralizer_jax.report.statistics import (
    class_scores,
    compared,
    complete,
    main_scores,
    mean_of,
    modality_errors,
    relative_performance,
    task_means,
)

DEFAULTS = {
    "experiment": "experiment1",
    "model": SEEN,
    "kind": Kind.IN_CONTEXT,
    "train_subjects": "",
    "training": 0,
    "context_size": 1,
    "task": "denoising",
    "dataset": "ixi",
    "modality": "T1",
    "class": "",
    "plane": "coronal",
    "position": -17,
    "subject": "a",
    "draw": 0,
    "metric": "psnr",
}


def row(value, n=1, **changes):
    size = {"context_size": n}
    if changes.get("model") == BASELINE:
        size = {"context_size": 0, "kind": Kind.BASELINE, "train_subjects": str(n)}
    return (*(DEFAULTS | size | changes).values(), value)


def table(*rows):
    return scores_of(rows)


def subjects_table(values, **changes):
    return [row(value, subject=f"s{number:03d}", **changes) for number, value in enumerate(values)]


class TestMeans:
    def test_draws_then_subjects_then_cells(self):
        scores = table(
            row(20, draw=0),
            row(22, draw=1),  # subject a: 21
            row(24, subject="b"),  # modality T1: 22.5
            row(30, modality="T2"),
            row(34, modality="T2", draw=1),
            row(38, modality="T2", draw=2),  # modality T2: 34
            row(10, modality="T2", dataset="oasis3"),  # another cell
        )
        [(key, estimate)] = task_means(scores).items()
        assert key == (SEEN, "denoising", 1)
        assert estimate.value == pytest.approx((22.5 + 34 + 10) / 3)

    def test_classes_are_cells(self):
        scores = table(
            *(row(v, **{"class": c, "subject": s}) for c, s, v in [("1", "a", 1), ("1", "b", 0), ("2", "a", 1)])
        )
        [estimate] = task_means(scores).values()
        assert estimate.value == pytest.approx(0.75)

    def test_tasks_count_alike(self):
        scores = table(row(20), row(30, modality="T2"), row(10, task="inpainting"))
        assert mean_of(task_means(scores).values()).value == pytest.approx((25 + 10) / 2)

    def test_models_and_sizes_are_apart(self):
        scores = table(row(20), row(21, n=2), row(22, model=UNSEEN), row(23, task="inpainting"))
        assert {key: estimate.value for key, estimate in task_means(scores).items()} == {
            (SEEN, "denoising", 1): 20,
            (SEEN, "denoising", 2): 21,
            (UNSEEN, "denoising", 1): 22,
            (SEEN, "inpainting", 1): 23,
        }

    def test_missing_distances_are_left_out(self):
        values = {"a": 4.0, "b": float("nan"), "c": 8.0, "d": float("inf")}
        scores = table(*(row(value, subject=name, metric="hd95") for name, value in values.items()))
        [estimate] = task_means(scores).values()
        assert estimate.value == 6
        assert np.isfinite(estimate.resamples).all()

    def test_several_metrics_or_experiments_are_no_mean(self):
        for change in ({"metric": "ssim"}, {"experiment": "experiment2"}):
            with pytest.raises(ValueError, match="expected one experiment and one metric a task"):
                task_means(table(row(20), row(0.5, **change)))

    def test_main_metric(self):
        mask = {"task": "segmentation"}
        scores = table(row(20), row(0.5, metric="ssim"), row(0.8, metric="dice", **mask), row(9, metric="hd95", **mask))
        chosen = main_scores(scores)
        assert chosen[["task", "metric"]].values.tolist() == [["denoising", "psnr"], ["segmentation", "dice"]]

    def test_modalities(self):
        rows = [row(20), row(24, dataset="oasis3"), row(30, modality="T2"), row(29, modality="PD"), row(9, n=2)]
        errors = modality_errors(table(*rows))
        # The means of the modalities are 29, 22 and 30.
        assert errors[SEEN, "denoising", 1] == pytest.approx(np.std([29, 22, 30], ddof=1) / 3**0.5)
        assert np.isnan(errors[SEEN, "denoising", 2])

    def test_classes_of_a_protocol(self):
        """Subject b lacks a class; modalities of a subject are averaged first."""
        mask = {"task": "segmentation", "metric": "dice"}
        found = class_scores(
            table(
                row(0.5, **mask, **{"class": "p:1"}),
                row(0.7, **mask, **{"class": "p:1", "modality": "T2"}),
                row(0.9, **mask, **{"class": "p:1", "subject": "b"}),
                row(0.2, **mask, **{"class": "p:2"}),
            )
        )
        np.testing.assert_allclose(found[SEEN, 1, "p:1"], [0.6, 0.9])
        np.testing.assert_allclose(found[SEEN, 1, "p:2"], [0.2])
        np.testing.assert_allclose(found[SEEN, 1, ""], [0.4, 0.9])


class TestIntervals:
    def test_two_subjects(self):
        """Of two subjects, the mean of two draws is 0, 1/2 or 1, by 1/4, 1/2 and 1/4."""
        [estimate] = task_means(table(row(0, subject="a"), row(1, subject="b"))).values()
        values, counts = np.unique(estimate.resamples, return_counts=True)
        np.testing.assert_allclose(values, [0, 0.5, 1])
        assert stats.chisquare(counts, np.array([0.25, 0.5, 0.25]) * counts.sum()).pvalue > 1e-3
        assert estimate.interval == (0, 1)

    def test_as_scipy_has_it(self):
        values = np.random.default_rng(0).gamma(2, 1, 40)
        [estimate] = task_means(table(*subjects_table(values))).values()
        expected = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=50_000, rng=1)
        np.testing.assert_allclose(estimate.interval, expected.confidence_interval, atol=0.04)
        assert estimate.resamples.std() == pytest.approx(expected.standard_error, rel=0.08)

    def test_a_subject_is_drawn_with_all_of_its_scores(self):
        """Modalities that vary alike leave the uncertainty of one, opposite ones none."""
        values = np.arange(20.0)
        [one] = task_means(table(*subjects_table(values))).values()
        alike = [*subjects_table(values), *subjects_table(values, modality="T2")]
        opposite = [*subjects_table(values), *subjects_table(-values, modality="T2")]
        np.testing.assert_allclose(next(iter(task_means(table(*alike)).values())).interval, one.interval)
        np.testing.assert_allclose(next(iter(task_means(table(*opposite)).values())).interval, 0, atol=1e-12)

    def test_datasets_are_drawn_apart(self):
        """The same subject names in another dataset are others; the number of each dataset stays."""
        values = np.arange(20.0)
        rows = [*subjects_table(values), *subjects_table(-values, dataset="oasis3")]
        [estimate] = task_means(table(*rows)).values()
        [one] = task_means(table(*subjects_table(values))).values()
        assert estimate.value == 0
        assert estimate.resamples.std() == pytest.approx(one.resamples.std() / 2**0.5, rel=0.1)

    def test_differences_are_paired(self):
        values = np.random.default_rng(0).normal(25, 5, 12)
        means = task_means(table(*subjects_table(values), *subjects_table(values - 1.5, model=UNSEEN)))
        difference = means[SEEN, "denoising", 1] - means[UNSEEN, "denoising", 1]
        assert means[SEEN, "denoising", 1].interval[1] - means[SEEN, "denoising", 1].interval[0] > 3
        assert difference.value == pytest.approx(1.5)
        np.testing.assert_allclose(difference.interval, 1.5)

    def test_tasks_are_averaged_on_the_same_subjects(self):
        values = np.arange(10.0)
        means = task_means(table(*subjects_table(values), *subjects_table(10 - values, task="inpainting")))
        np.testing.assert_allclose(mean_of(means.values()).interval, 5)

    def test_a_cell_without_a_drawn_subject_keeps_its_mean(self):
        """One of ten subjects alone has the second class, and is drawn in two thirds of the resamples."""
        rows = [*subjects_table(np.full(10, 0.5), **{"class": "p:1"}), row(0.9, subject="s000", **{"class": "p:2"})]
        [estimate] = task_means(table(*rows)).values()
        np.testing.assert_allclose(estimate.resamples, 0.7)

    def test_seed(self):
        scores = table(*subjects_table(np.arange(9.0)))
        [one], [same], [other] = (list(task_means(scores, seed).values()) for seed in (0, 0, 1))
        np.testing.assert_array_equal(one.resamples, same.resamples)
        assert not np.array_equal(one.resamples, other.resamples)


class TestComparisons:
    def test_the_subjects_that_all_models_have(self):
        rows = [row(value, subject=s) for s, value in zip("abc", (1, 2, 3), strict=True)]
        rows += [row(value, subject=s, model=UNSEEN) for s, value in zip("bcd", (20, 30, 40), strict=True)]
        # Another modality that one model alone has, another size that it alone has.
        rows += [row(9, modality="T2"), row(7, n=32)]
        means = task_means(compared(table(*rows)))
        assert {key: estimate.value for key, estimate in means.items()} == {
            (SEEN, "denoising", 1): 2.5,
            (UNSEEN, "denoising", 1): 25,
            (SEEN, "denoising", 32): 7,
        }

    def test_along_n_the_cells_are_the_same(self):
        """A baseline of one modality at n = 8 alone: the others are averaged over that modality at all n."""
        rows = [row(value, modality=m, n=n) for m, value in (("T1", 10), ("T2", 90)) for n in (1, 8)]
        rows += [row(12, model=BASELINE, n=8)]
        means = task_means(compared(table(*rows)))
        assert {key: estimate.value for key, estimate in means.items()} == {
            (SEEN, "denoising", 1): 10,
            (SEEN, "denoising", 8): 10,
            (BASELINE, "denoising", 8): 12,
        }

    def test_the_contexts_that_all_models_have(self):
        rows = [row(value, draw=draw) for draw, value in enumerate((10, 20, 60))]
        rows += [row(value, draw=draw, model=UNSEEN) for draw, value in enumerate((11, 21))]
        means = task_means(compared(table(*rows)))
        assert means[SEEN, "denoising", 1].value == 15
        assert means[UNSEEN, "denoising", 1].value == 16

    def test_a_baseline_has_no_context(self):
        rows = [row(value, draw=draw) for draw, value in enumerate((10, 20, 60))]
        rows += [row(12, model=BASELINE), row(14, model=BASELINE, subject="b")]
        means = task_means(compared(table(*rows)))
        assert means[SEEN, "denoising", 1].value == 30
        assert means[BASELINE, "denoising", 1].value == 12

    def test_trainings_of_a_baseline_are_averaged(self):
        rows = [row(value, model=BASELINE, training=training) for training, value in enumerate((10, 20))]
        rows += [row(18, model=BASELINE, subject="b")]
        assert task_means(compared(table(*rows)))[BASELINE, "denoising", 1].value == (15 + 18) / 2

    def test_all_subjects_are_the_largest_size(self):
        rows = [row(value, model=BASELINE, train_subjects=n) for n, value in (("8", 10), ("32", 11), ("all", 12))]
        assert [key[2] for key in task_means(table(*rows))] == [8, 32, np.inf]

    def test_who_has_no_distance_is_left_out_for_all(self):
        distance = {"metric": "hd95"}
        rows = [row(5, **distance), row(float("nan"), subject="b", **distance)]
        rows += [row(7, model=UNSEEN, **distance), row(1, subject="b", model=UNSEEN, **distance)]
        rows += [row(20), row(30, subject="b"), row(20, model=UNSEEN), row(30, subject="b", model=UNSEEN)]
        kept = compared(table(*rows))
        assert {key[0]: estimate.value for key, estimate in task_means(kept[kept["metric"] == "hd95"]).items()} == {
            SEEN: 5,
            UNSEEN: 7,
        }
        assert (kept["metric"] == "psnr").sum() == 4

    def test_tasks_do_not_touch_each_other(self):
        rows = [row(1), row(2, subject="b", task="inpainting"), row(3, subject="b", task="inpainting", model=UNSEEN)]
        assert len(compared(table(*rows))) == 3

    def test_relative_performance(self):
        """Subject b has no n = 4: it is left out of all sizes. A task with negative scores has no share."""
        sizes = {1: 18.0, 2: 20.0, 4: 19.0}
        rows = [row(value, n=n) for n, value in sizes.items()]
        rows += [row(99, n=1, subject="b"), row(11, n=2, subject="b")]
        rows += [row(30, n=n, modality="T2") for n in sizes]
        rows += [row(-1, n=n, task="inpainting") for n in sizes]
        assert relative_performance(table(*rows)) == {
            "denoising": pytest.approx({1: 48 / 50, 2: 1.0, 4: 49 / 50}),
        }
        assert set(complete(table(*rows))["subject"]) == {"a"}


def small(seed):
    few = {"tasks": ("segmentation", "denoising"), "sizes": (1, 2), "modalities": ("T1", "T2"), "draws": 2}
    return made_up_rows(**few, subjects=3, classes=("p:1", "p:2"), datasets=("one", "two"), seed=seed)


def estimates(rows):
    return task_means(compared(main_scores(scores_of(rows))))


class TestLaws:
    @settings(max_examples=10)
    @given(st.integers(0, 100), st.randoms(use_true_random=False))
    def test_the_order_of_rows(self, seed, random):
        rows = small(seed)
        expected = estimates(rows)
        random.shuffle(rows)
        found = estimates(rows)
        assert list(found) == list(expected)
        for key, estimate in expected.items():
            assert found[key].value == estimate.value
            np.testing.assert_array_equal(found[key].resamples, estimate.resamples)

    @settings(max_examples=10)
    @given(st.floats(-50, 50))
    def test_a_constant_has_no_width(self, value):
        for estimate in estimates([(*key, value) for *key, _ in small(0)]).values():
            np.testing.assert_allclose((estimate.value, *estimate.interval), value, atol=1e-12)

    @settings(max_examples=10)
    @given(st.floats(-50, 50), st.floats(0.01, 50))
    def test_another_unit(self, shift, scale):
        expected = estimates(small(0))
        for key, estimate in estimates([(*key, shift + scale * value) for *key, value in small(0)]).items():
            np.testing.assert_allclose(estimate.value, shift + scale * expected[key].value, rtol=1e-9, atol=1e-9)
            ours, theirs = estimate.interval, expected[key].interval
            np.testing.assert_allclose(ours, np.array(theirs) * scale + shift, rtol=1e-9, atol=1e-9)

    def test_a_row_twice(self):
        rows = [*small(0), small(0)[7]]
        with pytest.raises(InputError, match=rf"lines 8 and {len(rows)} are of the same \(experiment1, .*expected one"):
            scores_of(rows)


GOOD = ["e", "m", "in-context", "", "0", "1", "t", "d", "T1", "", "axial", "-3", "s", "1", "psnr", "1"]


def changed(value="1", **changes):
    return [*(dict(zip(KEYS, GOOD, strict=False)) | changes).values(), value]


class TestFile:
    def test_read_as_written(self, tmp_path):
        rows = made_up_rows(subjects=2, draws=1, sizes=(1, 4), modalities=("T1", "T2"))
        scores = read_scores(write_results(tmp_path, rows, records=False) / "scores.csv")
        expected = sorted(rows)
        assert [tuple(row) for row in scores[list(KEYS)].itertuples(index=False)] == [row[:-1] for row in expected]
        np.testing.assert_array_equal(scores["value"], [row[-1] for row in expected])
        assert set(scores["task"]) == set(TASKS)
        assert set(scores["size"]) == {1, 4}

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            (GOOD[:-1], "line 3: 15 values, expected 16"),
            (changed(context_size="x"), "line 3, context_size: 'x', expected a whole number"),
            (changed(draw="-1"), "line 3, draw: '-1', expected a whole"),
            (changed(position="4.5"), "line 3, position: '4.5', expected a whole"),
            (changed(""), "line 3: score '', expected a number"),
            (changed("nan"), "line 3: psnr is nan, expected a finite"),
            (changed("inf", metric="dice"), "line 3: dice is inf, expected a finite"),
            (changed("2"), "lines 2 and 3 are of the same (e, m, in-context, "),
            (changed(kind="other"), "line 3: kind 'other', expected in-context, baseline, untrained"),
            (changed(train_subjects="8"), "line 3: in-context with train_subjects '8' and context_size 1, expected no"),
            (changed(context_size="0"), "line 3: in-context with train_subjects '' and context_size 0, expected no"),
            (changed(kind="baseline"), "line 3: baseline with train_subjects '' and context_size 1, expected a number"),
        ],
    )
    def test_wrong_rows(self, tmp_path, line, expected):
        path = tmp_path / "scores.csv"
        with path.open("w", newline="") as stream:
            csv.writer(stream).writerows([HEADER, GOOD, line])
        with pytest.raises(InputError) as error:
            read_scores(path)
        assert expected in str(error.value)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (b"", "its columns are , expected experiment,model"),
            (b"model,value\na,1\n", "its columns are model,value, expected experiment,model,kind"),
            (",".join(HEADER).encode() + b"\n", "has no row, expected scores"),
            (
                b"experiment,model,task,dataset,modality,class,subject,draw,metric,value\n",
                "(from an earlier version: evaluate again, into another folder)",
            ),
            (b"\xff\xfe\x00", "is no table of scores"),
            (None, "cannot be read (No such file or directory)"),
        ],
    )
    def test_wrong_files(self, tmp_path, content, expected):
        path = tmp_path / "scores.csv"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(InputError) as error:
            read_scores(path)
        assert expected in str(error.value)
