"""`neuralizer prepare`: a complete dataset or none, the same however it was made, and read back subject by subject."""

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from miniature_head import ORIENTATIONS, head_labels, save

from input_pipeline.prepare.jobs import dataset_jobs
from input_pipeline.prepare.run_jobs import dropped_reason, run_jobs, subject_file
from input_pipeline.raw.datasets import DATASETS
from input_pipeline.slices.record import to_example
from input_pipeline.slices.settings import PrepareSettings
from input_pipeline.store.records import SliceStore
from input_pipeline.synthesis.deformation import swap_hemispheres
from neuralizer_jax.cli.main import main
from neuralizer_jax.files.folder_lock import locked


@pytest.fixture(scope="module")
def maps(tmp_path_factory) -> Path:
    """Three label maps, each stored in another order of axes."""
    root = tmp_path_factory.mktemp("maps")
    for number in range(3):
        save(root / f"head_{number}.nii.gz", np.roll(head_labels(), number, axis=1), orientation=ORIENTATIONS[number])
    return root


def prepare(raw, out, *options, dataset="labelmaps", workers=1):
    status = main(["prepare", dataset, "--raw", str(raw), "--out", str(out), "--workers", str(workers), *options])
    return SliceStore(out / dataset) if status == 0 and "--shard" not in options else status


@pytest.fixture(scope="module")
def store(maps, tmp_path_factory):
    return prepare(maps, tmp_path_factory.mktemp("whole"), "--subjects-per-map", "2")


def assert_same(one, other):
    assert one.index == other.index
    for subject in one.subjects():
        first, second = (to_example(each.read(subject)) for each in (one, other))
        for name, value in first.items():
            np.testing.assert_array_equal(value, second[name], err_msg=name)


def dropped(out, dataset="labelmaps"):
    with (out / dataset / "dropped.csv").open(newline="", encoding="utf-8") as file:
        return {row["subject"]: row["reason"] for row in csv.DictReader(file)}


def written(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def made_when(out):
    """When each subject's file was written."""
    folder = subject_file(out / "labelmaps", "any").parent
    return {path: path.stat().st_mtime_ns for path in folder.iterdir()}


class TestWhatIsStored:
    def test_subjects(self, store):
        assert list(store.subjects()) == [f"head_{n}{warp}" for n in range(3) for warp in ("", "-w001")]
        sides = [store.subjects(split) for split in ("train", "val", "test")]
        assert sorted(sum(sides, ())) == sorted(store.subjects())
        assert sides[0]
        assert sides[2]

    def test_records(self, store):
        for subject in reversed(store.subjects()):  # any order
            record = store.read(subject)
            assert record.subject == subject
            assert record.modalities[:7] == ("T1", "T2", "PD", "MRA", "FLAIR", "ADC", "DWI")
            assert record.modalities[7:] == tuple(f"DTI-{n:02d}" for n in range(17))
            assert record.images.shape == (24, 1, 192, 192)
            assert record.images.dtype == record.labels.dtype == np.uint16
            assert record.image("T1").max() <= 1
            assert record.image("T1")[record.brain_mask[0]].mean() > 0.2
            assert record.alignment == "centroids"
            assert {2, 3, 41, 42, 10, 49, 17, 53, 16} <= set(np.unique(record.labels).tolist())
            assert (record.images[0, 0][~record.brain_mask[0]] == 0).all() == record.skull_stripped

    def test_a_map_s_subjects_stay_on_one_side(self, store):
        sides = {}
        for entry in store.index:
            sides.setdefault(entry["subject"][:6], set()).add(entry["split"])
        assert all(len(side) == 1 for side in sides.values())

    def test_the_index_tells_what_the_record_holds(self, store):
        for entry in store.index:
            record = store.read(entry["subject"])
            assert entry["split"] == record.split
            assert entry["person"] == record.person
            assert tuple(entry["modalities"]) == record.modalities
            for value, pixels in entry["label_pixels"]["freesurfer"].items():
                assert pixels == [np.count_nonzero(record.labels[0, 0] == int(value))]

    def test_swapped_hemispheres(self, maps, store, tmp_path):
        raw = tmp_path / "raw"
        raw.mkdir()
        (raw / "head_0.nii.gz").write_bytes((maps / "head_0.nii.gz").read_bytes())
        both = prepare(raw, tmp_path / "out", "--swap-hemispheres", "--skull-stripped", "0")
        assert both.subjects() == ("head_0", "head_0-swapped")
        one, other = (both.read(name).labels[0, 0] for name in both.subjects())
        assert np.mean((one == swap_hemispheres(other, axis=1))[one > 0]) > 0.99
        assert np.mean((one == other)[np.isin(one, (2, 3, 41, 42))]) < 0.95

    def test_warped_subjects_are_others(self, store):
        one, other = (store.read(name).labels[0, 0] for name in ("head_0", "head_0-w001"))
        brain = np.isin(one, (2, 3, 41, 42))
        assert 0.05 < np.mean((one != other)[brain]) < 0.6

    def test_orders_of_axes_are_gone(self, store):
        """The maps differ in what they show by 3 mm along y, and not in how."""
        one, other = (store.read(f"head_{n}").labels[0, 0] for n in (0, 1))
        brain = np.isin(one, (2, 3, 41, 42))
        assert np.mean((one == other)[brain]) > 0.6

    def test_both_with_and_without_skull(self, store):
        assert {entry["skull_stripped"] for entry in store.index} == {True, False}

    def test_quality_page(self, store):
        page = (store.folder / "quality/index.html").read_text(encoding="utf-8")
        assert "neuralizer prepare labelmaps --raw" in page
        for subject in store.subjects():
            assert f"pictures/{subject}.png" in page
            assert (store.folder / f"quality/pictures/{subject}.png").is_file()
        assert (store.folder / "quality/contact_sheet.png").is_file()
        assert dropped(store.folder.parent) == {}


class TestHowItIsMade:
    def test_workers_do_not_matter(self, maps, store, tmp_path):
        assert_same(prepare(maps, tmp_path, "--subjects-per-map", "2", workers=2), store)

    def test_shards_do_not_matter(self, maps, store, tmp_path):
        options = ("--subjects-per-map", "2")
        for shard in ("3/3", "1/3", "2/3"):
            assert main(["prepare", "labelmaps", "--raw", str(maps), "--out", str(tmp_path), "--workers", "1",
                         "--shard", shard, *options]) == 0  # fmt: skip
            assert not (tmp_path / "labelmaps/1.0.0").exists()
        before = made_when(tmp_path)
        assert len(before) == 6
        assert_same(prepare(maps, tmp_path, *options), store)
        assert made_when(tmp_path) == before

    def test_killed_it_goes_on(self, maps, store, tmp_path):
        def killed():
            raise KeyboardInterrupt

        settings = PrepareSettings(subjects_per_map=2)
        folder = tmp_path / "labelmaps"
        jobs, _ = dataset_jobs(DATASETS["labelmaps"], maps, folder, settings)
        with pytest.raises(KeyboardInterrupt):
            run_jobs([*jobs[:2], replace(jobs[2], make=killed), *jobs[3:]], folder, workers=1)
        done = made_when(tmp_path)
        assert len(done) == 2
        assert_same(prepare(maps, tmp_path, "--subjects-per-map", "2"), store)
        assert done.items() <= made_when(tmp_path).items()

    def test_more_subjects_leave_the_others_as_they_are(self, maps, store, tmp_path):
        prepare(maps, tmp_path)
        few = SliceStore(tmp_path / "labelmaps")
        assert list(few.subjects()) == ["head_0", "head_1", "head_2"]
        images = {subject: few.read(subject).images for subject in few.subjects()}
        many = prepare(maps, tmp_path, "--subjects-per-map", "2")
        assert len(many.subjects()) == 6
        for subject, expected in images.items():
            np.testing.assert_array_equal(many.read(subject).images, expected)
            np.testing.assert_array_equal(store.read(subject).images, expected)

    def test_another_seed_makes_others(self, maps, store, tmp_path):
        other = prepare(maps, tmp_path, "--seed", "1", "--skull-stripped", "0")
        assert (other.read("head_0").labels[0, 0][60:] == store.read("head_0").labels[0, 0][60:]).mean() > 0.5
        assert not np.array_equal(other.read("head_0").images, store.read("head_0").images)
        assert not any(entry["skull_stripped"] for entry in other.index)

    def test_several_slices(self, maps, tmp_path, store):
        many = prepare(maps, tmp_path, "--slices=-21:-13:4")
        record = many.read("head_0")
        assert record.y.tolist() == [-21, -17, -13]
        assert record.images.shape == (24, 3, 192, 192)
        expected = store.read("head_0")
        if not record.skull_stripped:
            np.testing.assert_array_equal(record.labels[0, 1], expected.labels[0, 0])


class TestWrongInput:
    """One line, status 2, and no dataset."""

    def failed(self, capsys, *arguments):
        assert main(["prepare", *map(str, arguments)]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    def test_no_folder(self, tmp_path, capsys):
        error = self.failed(capsys, "ixi", "--raw", tmp_path / "none", "--out", tmp_path)
        assert "does not exist" in error
        assert written(tmp_path) == []

    def test_empty_folder(self, tmp_path, capsys):
        (tmp_path / "raw").mkdir()
        assert "no subjects found" in self.failed(capsys, "ixi", "--raw", tmp_path / "raw", "--out", tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_another_dataset_s_folder(self, maps, tmp_path, capsys):
        error = self.failed(capsys, "brats2021", "--raw", maps, "--out", tmp_path)
        assert "no subjects found" in error
        assert "BraTS 2021's unpacked files" in error
        assert written(tmp_path) == []

    def test_no_raw_folder_given(self, tmp_path, capsys):
        error = self.failed(capsys, "ixi", "--out", tmp_path)
        assert "--raw DIR" in error
        assert "https://biomedic.doc.ic.ac.uk" in error

    def test_a_raw_folder_that_is_not_needed(self, tmp_path, capsys):
        assert "is not an option of phantom" in self.failed(capsys, "phantom", "--raw", tmp_path, "--out", tmp_path)

    def test_an_option_of_another_dataset(self, maps, tmp_path, capsys):
        error = self.failed(capsys, "labelmaps", "--raw", maps, "--out", tmp_path, "--subjects", "3")
        assert "--subjects: is not an option of labelmaps" in error

    def test_other_settings_than_before(self, maps, tmp_path, capsys):
        prepare(maps, tmp_path)
        capsys.readouterr()
        before = {path: (tmp_path / path).read_bytes() for path in written(tmp_path)}
        error = self.failed(capsys, "labelmaps", "--raw", maps, "--out", tmp_path, "--seed", "1")
        assert "was prepared with" in error
        assert {path: (tmp_path / path).read_bytes() for path in written(tmp_path)} == before

    def test_a_start_that_failed_blocks_nothing(self, maps, tmp_path):
        settings = tmp_path / "labelmaps/work/settings.json"
        settings.parent.mkdir(parents=True)
        settings.write_text('{"seed": 1}')
        assert prepare(maps, tmp_path, "--shard", "4/4", "--seed", "2") == 0
        assert '"seed": 2' in settings.read_text()

    def test_damaged_settings(self, maps, tmp_path, capsys):
        settings = tmp_path / "labelmaps/work/settings.json"
        settings.parent.mkdir(parents=True)
        settings.write_text("{")
        assert "settings.json: cannot be read" in self.failed(capsys, "labelmaps", "--raw", maps, "--out", tmp_path)

    def test_another_run_in_the_folder(self, maps, tmp_path, capsys):
        with locked(tmp_path / "labelmaps/.lock", shared=True):
            error = self.failed(capsys, "labelmaps", "--raw", maps, "--out", tmp_path)
            assert "labelmaps: another run is using it" in error
            assert main(["prepare", "labelmaps", "--raw", str(maps), "--out", str(tmp_path), "--shard", "4/4"]) == 0

    def test_a_full_disk(self, tmp_path, capsys, full_disk):
        arguments = ("phantom", "--subjects", 1, "--out", tmp_path, "--workers", 1)
        assert main(["prepare", *map(str, arguments), "--shard", "1/1"]) == 0
        capsys.readouterr()
        with full_disk():
            assert "phantom: cannot be written" in self.failed(capsys, *arguments)
        assert not (tmp_path / "phantom/1.0.0").exists()
        assert not (tmp_path / "phantom/work/written").exists()

    @pytest.mark.parametrize(
        "option",
        ["--slices=front", "--slices=-17:", "--slices=500", "--slices=-9:-25:4", "--shard=0/3", "--shard=4/3",
         "--shard=1", "--workers=0", "--skull-stripped=2", "--subjects-per-map=x"],
    )  # fmt: skip
    def test_options(self, maps, tmp_path, capsys, option):
        with pytest.raises(SystemExit) as stopped:
            main(["prepare", "labelmaps", "--raw", str(maps), "--out", str(tmp_path), option])
        assert stopped.value.code == 2
        assert capsys.readouterr().err.count("\n") == 1

    def test_bad_subjects_are_dropped_with_their_reasons(self, maps, tmp_path):
        raw = tmp_path / "raw"
        raw.mkdir()
        good = (maps / "head_0.nii.gz").read_bytes()
        (raw / "good.nii.gz").write_bytes(good)
        (raw / "truncated.nii.gz").write_bytes(good[:-3000])
        (raw / "text.nii.gz").write_bytes(b"not an image")
        save(raw / "fractions.nii.gz", head_labels() / 3)
        save(raw / "blank.nii.gz", np.zeros((64, 75, 64), np.uint8))
        values = head_labels().copy()
        values[np.isin(values, (10, 49))] = 0
        save(raw / "headless.nii.gz", values)
        store = prepare(raw, tmp_path / "out")
        assert store.subjects() == ("good",)
        reasons = dropped(tmp_path / "out")
        assert set(reasons) == {"truncated", "text", "fractions", "blank", "headless"}
        assert "no thalamus" in reasons["headless"]
        assert all(str(raw / f"{name}.nii.gz") in reasons[name] for name in ("truncated", "text", "fractions"))
        page = (tmp_path / "out/labelmaps/quality/index.html").read_text(encoding="utf-8")
        assert "no thalamus in the slice" in page

    def test_nothing_is_left(self, tmp_path, capsys):
        raw = tmp_path / "raw"
        raw.mkdir()
        (raw / "text.nii.gz").write_bytes(b"not an image")
        error = self.failed(capsys, "labelmaps", "--raw", raw, "--out", tmp_path / "out", "--workers", 1)
        assert "none of 1 subjects could be prepared" in error
        assert str(raw / "text.nii.gz") in error
        assert not (tmp_path / "out/labelmaps/1.0.0").exists()

    def test_names_of_any_bytes(self, maps, tmp_path):
        raw = tmp_path / "raw"
        raw.mkdir()
        for name in (b"caf\xe9.nii.gz", b"two\nlines.NII.GZ"):
            (raw / os.fsdecode(name)).write_bytes((maps / "head_0.nii.gz").read_bytes())
        (raw / os.fsdecode(b"caf\xe9.png")).write_bytes(b"a picture")
        store = prepare(raw, tmp_path / "out")
        assert store.subjects() == ("caf%E9", "two%0Alines")
        assert store.read("caf%E9").subject == "caf%E9"
        assert list(dropped(tmp_path / "out")) == ["caf\\udce9.png"]

    def test_a_dropped_subject_is_tried_again(self, maps, tmp_path):
        raw = tmp_path / "raw"
        raw.mkdir()
        for name in ("a", "b"):
            (raw / f"{name}.nii.gz").write_bytes(
                (maps / "head_0.nii.gz").read_bytes()[: -3000 if name == "b" else None]
            )
        assert prepare(raw, tmp_path / "out").subjects() == ("a",)
        (raw / "b.nii.gz").write_bytes((maps / "head_0.nii.gz").read_bytes())
        assert prepare(raw, tmp_path / "out").subjects() == ("a", "b")
        assert dropped(tmp_path / "out") == {}

    def test_an_unexpected_error_drops_one_subject(self, maps, tmp_path):
        def broken():
            raise ZeroDivisionError("ours")

        jobs, _ = dataset_jobs(DATASETS["labelmaps"], maps, tmp_path, PrepareSettings())
        run_jobs([jobs[0], replace(jobs[1], make=broken), jobs[2]], tmp_path, workers=1)
        assert written(tmp_path / "work/subjects") == ["head_0.npz", "head_2.npz"]
        assert dropped_reason(tmp_path, "head_1") == "unexpected ZeroDivisionError: ours"
