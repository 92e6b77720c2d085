"""Whole scans: each target is segmented from other people's, every score comes once, a bad scan stops nothing."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from conftest import draw_params
from fake_volumes import write_fake_scans
from miniature_head import SPACING, head_affine, head_image, head_segmentation, save

from neuralizer_jax.cli.main import main
from neuralizer_jax.errors import InputError, OutputError
from neuralizer_jax.evaluation import evaluate_volumes as evaluation
from neuralizer_jax.evaluation import label_fusion
from neuralizer_jax.evaluation.evaluate_volumes import AnnotatedScan, VolumeModel, evaluate_volumes
from neuralizer_jax.evaluation.label_fusion import DeformableVote, majority_vote
from neuralizer_jax.evaluation.score_log import ScoresTable
from neuralizer_jax.evaluation.scores import HEADER, TENTHS, Kind, read_scores
from neuralizer_jax.model import Neuralizer
from neuralizer_jax.volumes.aligned import align_example
from neuralizer_jax.volumes.scan import Example, Scan, to_ras
from neuralizer_jax.weights import save_weights

LABELS = (17, 53)


def head(place=0, moved=0, labels=LABELS):
    """A head on its voxels, its image and structures moved by some voxels to the right."""
    shown = np.where(np.isin(head_segmentation(), labels), head_segmentation(), 0)
    image = head_image(skull_stripped=True, seed=place)
    scan = Scan(np.roll(image, moved, axis=0), head_affine(), f"head {place}")
    return Example(scan, np.roll(shown, moved, axis=0))


def annotated(subject, person=None, **of_head):
    return AnnotatedScan(subject, person or subject, lambda: head(**of_head))


def bad(subject):
    def read():
        raise InputError(f"{subject}.nii.gz: is damaged")

    return AnnotatedScan(subject, subject, read)


class Recorder:
    """Segments as the vote does, and keeps what it was given: names of target and examples, labels, count."""

    def __init__(self):
        self.seen = []

    def __call__(self, scan, target, examples, labels, count):
        self.seen.append((scan.name, [x.scan.name for x in examples], labels, count))
        return majority_vote(target, examples, labels, count), {}


def evaluated(folder, targets, examples, sizes=(1,), **options):
    """What was segmented, what was done, and the table."""
    recorder = Recorder()
    with ScoresTable(folder / "scores.csv") as table:
        outcome = evaluate_volumes(
            [VolumeModel("vote", recorder, Kind.UNTRAINED)], targets, examples, table, experiment="volumes",
            dataset="heads", sizes=sizes, aligned=True, deformable=False, **options,
        )  # fmt: skip
    return recorder.seen, outcome, read_scores(folder / "scores.csv")


class TestEvaluateVolumes:
    def test_each_scan_is_segmented_from_those_of_others(self, tmp_path):
        scans = [annotated("a1", "a", place=0), annotated("a2", "a", place=1), annotated("b", place=2)]
        seen, outcome, table = evaluated(tmp_path, scans, scans)
        assert [names[:2] for names in seen] == [
            ("head 0", ["head 2"]), ("head 1", ["head 2"]), ("head 2", ["head 0", "head 1"]),
        ]  # fmt: skip
        assert (outcome.made, outcome.failures) == (3, {})
        # All heads have the same structures in the same place.
        assert set(table.loc[table["metric"].isin(["dice", *TENTHS]), "value"].dropna()) == {1.0}
        assert set(table.loc[table["metric"].isin(["hd95", "volume_error", "volume_bias"]), "value"]) == {0.0}
        assert set(table["class"]) == {"17", "53"}
        assert set(zip(table["dataset"], table["plane"], table["position"], strict=True)) == {("heads", "volume", 0)}

    def test_targets_of_another_folder(self, tmp_path):
        examples = [annotated("a", place=1), annotated("b", place=2)]
        seen, _, table = evaluated(tmp_path, [annotated("a", place=3, moved=1), annotated("c", place=4)], examples)
        assert [names[:2] for names in seen] == [("head 3", ["head 2"]), ("head 4", ["head 1", "head 2"])]
        dice = table[table["metric"] == "dice"].groupby("subject")["value"].min()
        assert dice["a"] < 1 == dice["c"]

    def test_scores_come_once(self, tmp_path):
        scans = [annotated("a"), annotated("b", place=1), annotated("c", place=2)]
        whole = evaluated(tmp_path / "whole", scans, scans, sizes=(1, 2))[2]
        for sizes, targets in (((1,), scans[:1]), ((2, 1), scans)):
            seen, outcome, table = evaluated(tmp_path / "parts", targets, scans, sizes)
            assert len(seen) == outcome.made > 0
        assert table[HEADER].equals(whole[HEADER])
        assert evaluated(tmp_path / "parts", scans, scans, (1, 2))[1].made == 0

    def test_a_bad_scan_is_no_example_and_stops_nothing(self, tmp_path):
        scans = [bad("x"), annotated("a"), annotated("b", place=1)]
        seen, outcome, table = evaluated(tmp_path, scans, scans)
        assert outcome.failures == {"x": "x.nii.gz: is damaged"}
        assert [names[:2] for names in seen] == [("head 0", ["head 1"]), ("head 1", ["head 0"])]
        assert set(table["subject"]) == {"a", "b"}

    def test_a_copy_of_the_target_is_no_example(self, tmp_path):
        scans = [annotated("a"), annotated("copy"), annotated("b", place=1)]
        seen, outcome, _ = evaluated(tmp_path, scans, scans)
        assert outcome.failures == dict.fromkeys(
            ("a", "copy"), "head 0: is the same image as head 0, expected another person's"
        )
        assert [names[0] for names in seen] == ["head 1"]

    def test_a_structure_needs_as_many_examples_that_were_annotated_for_it(self, tmp_path):
        scans = [annotated("a"), annotated("b", place=1), annotated("c", place=2, labels=(17,))]
        seen, outcome, _ = evaluated(tmp_path, scans, scans, sizes=(1, 2, 3))
        assert [(name, labels, count) for name, _, labels, count in seen] == [
            ("head 0", LABELS, 1), ("head 0", (17,), 2), ("head 1", LABELS, 1), ("head 1", (17,), 2),
            ("head 2", (17,), 1), ("head 2", (17,), 2),
        ]  # fmt: skip
        assert outcome.left_out == {1: 0, 2: 2, 3: 5}

    def test_a_structure_that_no_example_shows_is_left_out(self, tmp_path):
        """Not even where all were annotated for it."""
        scans = [annotated("a"), AnnotatedScan("b", "b", lambda: replace(head(1, labels=(17,)), annotated=LABELS))]
        seen, outcome, _ = evaluated(tmp_path, scans, scans)
        assert [labels for *_, labels, _ in seen] == [(17,), (17,)]
        assert (outcome.left_out, outcome.failures) == ({1: 1}, {})

    def test_classes_have_names(self, tmp_path):
        scans = [annotated("a"), annotated("b", place=1)]
        _, _, table = evaluated(tmp_path, scans, scans, labels={53}, names={53: "right hippocampus"})
        assert set(table["class"]) == {"right hippocampus"}

    def test_a_label_that_no_example_shows(self, tmp_path):
        scans = [annotated("a"), annotated("b", place=1)]
        with (
            ScoresTable(tmp_path / "scores.csv") as table,
            pytest.raises(InputError, match="label 99 is in no example"),
        ):
            evaluate_volumes(
                [],
                scans,
                scans,
                table,
                experiment="v",
                dataset="d",
                sizes=[1],
                labels={17, 99},
                aligned=True,
                deformable=False,
            )

    def test_a_full_disk_ends_it(self, tmp_path):
        def full(*arguments):
            raise OutputError("scores.csv: cannot be written (No space left on device)")

        scans = [annotated("a"), annotated("b", place=1)]
        with ScoresTable(tmp_path / "scores.csv") as table, pytest.raises(OutputError):
            evaluate_volumes(
                [VolumeModel("m", full)],
                scans,
                scans,
                table,
                experiment="v",
                dataset="d",
                sizes=[1],
                aligned=True,
                deformable=False,
            )


class TestVotes:
    def test_the_majority_wins(self):
        target = align_example(head(), aligned=True, deformable=False)
        examples = [
            align_example(head(place, moved), aligned=True, deformable=False)
            for place, moved in ((1, 0), (2, 0), (3, 3))
        ]
        assert (majority_vote(target.scan, examples, LABELS, 3) == to_ras(head().labels, head_affine())[0]).all()
        assert (majority_vote(target.scan, examples[2:], LABELS, 1) == head(0, 3).labels).all()

    def test_deformed_labels_lie_where_the_image_was_found(self, monkeypatch):
        target, example = (align_example(head(0, moved), aligned=True, deformable=False) for moved in (0, 2))

        def found(fixed, moving, spacing):
            # The whole example lies two voxels further to the right.
            assert fixed.shape == moving.shape
            assert not (fixed == moving).all()
            return np.full((*fixed.shape, 3), (2 * SPACING, 0, 0), np.float32)

        monkeypatch.setattr(label_fusion, "displacements", found)
        vote = DeformableVote()
        assert (vote(target.scan, [example], LABELS, 1) == target.labels).all()
        # Another target has fields of its own.
        monkeypatch.setattr(label_fusion, "displacements", lambda fixed, moving, mm: np.zeros((*fixed.shape, 3)))
        assert (vote(target.scan, [example], LABELS, 1) == target.labels).all()
        assert (vote(example.scan, [target], LABELS, 1) == target.labels).all()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three annotated heads, one of which has a truncated image, and weights."""
    folder = tmp_path_factory.mktemp("volumes")
    for place in range(3):
        name = f"sub-{place}"
        save(folder / "scans" / f"{name}_T1w.nii.gz", head(place).scan.values, orientation="LIA" if place else "RAS")
        save(folder / "scans" / f"{name}_dseg.nii.gz", head(place).labels.astype(np.uint8))
    (folder / "scans" / "dseg.tsv").write_text("index\tname\n17\tLeft-Hippocampus\n53\tRight-Hippocampus\n")
    model = Neuralizer(features=4, stages=2)
    save_weights(folder / "tiny.safetensors", model, draw_params(model))
    return folder


def command(folder, *options):
    scans = folder / "scans"
    return main(["evaluate", "--volumes", str(scans), "--out", str(folder / "out"), *map(str, options)])


class TestCommand:
    def test_scores_and_report(self, folder, capsys):
        options = (
            "--weights",
            f"tiny={folder / 'tiny.safetensors'}",
            "--labels",
            "17",
            "--aligned",
            "--affine",
            "--sizes",
            1,
        )
        assert command(folder, *options, "--subjects", 2) == 0
        shown = capsys.readouterr().out
        assert "2 predictions" in shown
        assert "tiny" in shown
        table = read_scores(folder / "out" / "scores.csv")
        assert set(table["class"]) == {"Left-Hippocampus"}
        assert table.loc[table["metric"] == "expected_dice", "value"].between(0, 1).sum() == 2
        assert set(table["subject"]) == {"sub-0_T1w", "sub-1_T1w"}
        assert json.loads((folder / "out" / "models.json").read_text())[0]["config"] == str(folder / "scans")
        assert command(folder, *options, "--subjects", 2) == 0
        assert "0 predictions" in capsys.readouterr().out

    def test_a_bad_scan_is_reported_at_the_end(self, folder, tmp_path, capsys):
        for path in (folder / "scans").iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes()[: 200 if path.name == "sub-2_T1w.nii.gz" else None])
        weights = ("--weights", folder / "tiny.safetensors", "--sizes", 1, "--labels", "17,53", "--aligned", "--affine")
        assert main(["evaluate", "--volumes", str(tmp_path), "--out", str(tmp_path / "out"), *map(str, weights)]) == 1
        shown = capsys.readouterr()
        assert "2 predictions" in shown.out
        assert next(line for line in shown.err.splitlines() if "error" in line).count("sub-2_T1w") == 2

    @pytest.mark.parametrize("how", ["default", "--partial", "labels.json", "file"])
    def test_a_structure_that_an_example_was_not_annotated_for_is_not_absent(self, folder, tmp_path, monkeypatch, how):
        """Of a head that was annotated for the left hippocampus, and shows a speck of the other if a file says so."""
        shutil.copytree(folder / "scans", tmp_path / "scans")
        labels = head().labels.astype(np.uint8)
        right = np.flatnonzero(labels == 53)
        labels.flat[right[how in ("labels.json", "file") :]] = 0
        save(tmp_path / "scans/sub-2_dseg.nii.gz", labels)
        options = ["--untrained", "--aligned", "--sizes", 2]
        if how in ("labels.json", "file"):
            path = tmp_path / ("scans/labels.json" if how == "labels.json" else "other.json")
            path.write_text('{"sub-2": ["Left-Hippocampus"]}')
        if how in ("--partial", "file"):
            options += ["--partial", *([tmp_path / "other.json"] if how == "file" else [])]
        recorder = Recorder()
        monkeypatch.setattr(evaluation, "volume_baselines", lambda: [VolumeModel("vote", recorder, Kind.UNTRAINED)])
        assert command(tmp_path, *options) == 0
        others = LABELS if how == "default" else (17,)
        assert [labels for *_, labels, _ in recorder.seen] == [others, others, (17,)]

    def test_prepared_volumes(self, tmp_path, monkeypatch, capsys):
        scans = write_fake_scans(tmp_path, {"a": "train", "b": "test"})
        recorder = Recorder()
        monkeypatch.setattr(evaluation, "volume_baselines", lambda: [VolumeModel("vote", recorder, Kind.UNTRAINED)])
        arguments = ["--untrained", "--aligned", "--labels", "10", "--sizes", "1", "--out", str(tmp_path / "out")]
        assert main(["evaluate", "--volumes", str(scans), *arguments]) == 0
        assert [(name[-3:], [x[-3:] for x in others]) for name, others, *_ in recorder.seen] == [
            (": a", [": b"]), (": b", [": a"]),
        ]  # fmt: skip
        table = read_scores(tmp_path / "out" / "scores.csv")
        assert set(zip(table["subject"], table["class"], strict=True)) == {
            ("a", "left thalamus"),
            ("b", "left thalamus"),
        }
        assert main(["evaluate", "--volumes", str(scans), "--partial", *arguments]) == 2
        assert "says itself what is annotated" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--untrained", "--draws", 2), "--draws: is an option of --config"),
            (("--untrained", "--config.data.size=64"), "expected --config"),
            ((), "neither --weights nor --untrained"),
            (("--untrained", "--sizes", 0), "--sizes: 0"),
            (("--weights", "Majority vote=small"), "is a name of --untrained"),
            (("--weights", "net@8=small"), "expected a 2-D network"),
            (("--untrained", "--targets", "nowhere"), "nowhere"),
        ],
    )
    def test_wrong_options_are_one_line(self, folder, capsys, options, message):
        assert command(folder, *options) == 2
        assert message in (error := capsys.readouterr().err)
        assert error.count("\n") == 1

    def test_targets_of_another_folder(self, folder, tmp_path, capsys):
        """Scans of the same person are no examples, a target among the examples is refused."""
        for name in ("T1w", "dseg"):
            source = folder / "scans" / f"sub-0_{name}.nii.gz"
            (tmp_path / f"sub-7_ses-2_{name}.nii.gz").write_bytes(source.read_bytes())
        weights = ("--weights", folder / "tiny.safetensors", "--sizes", 1, 3, "--labels", "17", "--aligned", "--affine")
        assert command(folder, *weights, "--targets", tmp_path, "--experiment", "held-out") == 1
        shown = capsys.readouterr()
        assert "sub-7_ses-2_T1w.nii.gz: is the same image as" in shown.err
        head_7 = save(tmp_path / "sub-7_ses-2_T1w.nii.gz", head(7).scan.values)
        assert command(folder, *weights, "--targets", tmp_path, "--experiment", "held-out") == 0
        assert "2 predictions" in capsys.readouterr().out
        for name in ("T1w", "dseg"):
            (folder / "scans" / f"sub-7_{name}.nii.gz").hardlink_to(head_7.with_name(f"sub-7_ses-2_{name}.nii.gz"))
        assert command(folder, *weights, "--targets", tmp_path) == 2
        assert "the target is in its own context" in capsys.readouterr().err
        (folder / "scans" / "sub-7_T1w.nii.gz").unlink()
        (folder / "scans" / "sub-7_dseg.nii.gz").unlink()

    def test_one_scan_is_too_few(self, folder, tmp_path, capsys):
        for name in ("sub-0_T1w.nii.gz", "sub-0_dseg.nii.gz"):
            (tmp_path / name).write_bytes((folder / "scans" / name).read_bytes())
        assert main(["evaluate", "--volumes", str(tmp_path), "--untrained", "--out", str(tmp_path / "out")]) == 2
        assert f"{tmp_path}: has one annotated scan, expected several" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_options_of_whole_scans_need_them(self, tmp_path, capsys):
        assert main(["evaluate", "--config", "smoke", "--untrained", "--out", str(tmp_path), "--labels", "3"]) == 2
        assert "--labels: is an option of --volumes" in capsys.readouterr().err
