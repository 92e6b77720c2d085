"""Test cases are the same for every model: what is shown, who is context, and which artefacts there are."""

import numpy as np
import pytest
from fake_collection import DATASETS, SIZE, write_datasets

from input_pipeline.episodes.config import default_config
from input_pipeline.episodes.evaluation import EvaluationCases
from neuralizer_jax.errors import InputError

TASKS = ("segmentation", "modality_transfer", "denoising")


def configured(**changes):
    config = default_config()
    config.datasets = tuple(DATASETS)
    config.classes.min_pixels = 12
    config.size = SIZE
    config.only.tasks = TASKS
    config.update_from_flattened_dict(changes)
    return config


@pytest.fixture(autouse=True, scope="module")
def _in_test(test_datasets):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(test_datasets)
        yield


@pytest.fixture(scope="module")
def listed():
    return EvaluationCases(configured(), (1, 2, 4), 2)


def of(cases, **wanted):
    return [case for case in cases if all(getattr(case, name) == value for name, value in wanted.items())]


def own(case):
    """What a case is, without which contexts there are subjects for."""
    return case.task, case.dataset, case.modality, case.class_name, case.subject, case.draw


class TestList:
    def test_every_subject_of_every_modality_in_every_draw(self):
        """Two sessions of each of four persons, two modalities: three others can be context."""
        its = EvaluationCases(configured(**{"datasets": ("lesions",), "only.tasks": ("denoising",)}), (1, 3, 4), 2)
        expected = {
            ("denoising", "lesions", modality, "", f"l{n}_{s}", draw)
            for modality in ("FLAIR", "T1")
            for n in range(4)
            for s in range(2)
            for draw in range(2)
        }
        assert {own(case) for case in its.cases} == expected
        assert len(its.cases) == 32
        assert {case.sizes for case in its.cases} == {(1, 3)}
        assert its.left_out == 32
        assert not any(case.is_segmentation for case in its.cases)

    def test_classes_that_two_persons_show(self, listed):
        """Label 12 is in one subject, 54 in two, the others in all ten."""
        cases = of(listed.cases, task="segmentation", dataset="heads", modality="T1", draw=0)
        subjects = {}
        for case in cases:
            subjects.setdefault(case.class_name, {})[case.subject] = case.sizes
        assert set(subjects) == {f"freesurfer:{label}" for label in (2, 41, 10, 49, 17, 53, 54)}
        assert subjects["freesurfer:54"] == {"h0": (1,), "h1": (1,)}
        assert subjects["freesurfer:2"] == {f"h{n}": (1, 2, 4) for n in range(10)}
        assert all(case.is_segmentation for case in cases)

    def test_names_of_modalities(self):
        its = EvaluationCases(
            configured(**{"datasets": ("heads",), "only.tasks": ("modality_transfer", "two_modality_transfer")}),
            (1,),
            1,
        )
        names = {case.modality for case in of(its.cases, task="modality_transfer")}
        assert names == {
            f"{a}>{b}" for a in ("T1", "T2", "FLAIR", "DTI") for b in ("T1", "T2", "FLAIR", "DTI") if a != b
        }
        # The order of two inputs does not matter.
        names = {case.modality for case in of(its.cases, task="two_modality_transfer")}
        assert len(names) == 12
        assert "T1+T2>FLAIR" in names
        assert "T2+T1>FLAIR" not in names

    def test_what_is_held_out_of_training_is_evaluated(self, listed):
        held_out = {
            "hold_out.tasks": ("denoising",),
            "hold_out.classes": ("freesurfer:17",),
            "hold_out.modalities": ("T2",),
        }
        its = EvaluationCases(configured(seed=7, **held_out), (1, 2, 4), 2)
        assert its.cases == listed.cases

    @pytest.mark.parametrize("number", [1, 3, 20])
    def test_fewer_subjects_and_modalities(self, listed, number):
        few = EvaluationCases(configured(), (1, 2, 4), 2, subjects=number, modalities=number).cases
        assert set(few) <= set(listed.cases)
        cells = {own(case)[:4] for case in few}
        for cell in cells:
            drawn = {case.subject for case in few if own(case)[:4] == cell}
            there = {case.subject for case in listed.cases if own(case)[:4] == cell}
            assert len(drawn) == min(number, len(there))
        protocols = {(task, dataset, name.partition(":")[0]) for task, dataset, _, name in cells}
        for task, dataset, protocol in protocols:
            modalities = {own(case)[2] for case in listed.cases if own(case)[:2] == (task, dataset)}
            own_cells = {c for c in cells if c[:2] == (task, dataset) and c[3].startswith(protocol)}
            assert len({modality for _, _, modality, _ in own_cells}) == min(number, len(modalities))
        more = EvaluationCases(configured(), (1, 2, 4), 2, subjects=number + 1, modalities=number + 1).cases
        assert set(few) <= set(more)

    def test_too_few_subjects_for_any(self):
        with pytest.raises(InputError, match="no case in split test of heads, regions, lesions"):
            EvaluationCases(configured(), (50,), 1)

    def test_other_planes_need_volumes(self):
        for place, expected in (
            (("axial", 0), "coronal slices, expected volumes"),
            (("coronal", 3), "not every subject"),
        ):
            with pytest.raises(InputError, match=expected):
                EvaluationCases(configured(), (1,), 1, planes=[place])


class TestContext:
    def test_other_persons_who_show_the_same(self, listed):
        collection = listed.stream.collection
        rows = collection.nearest_rows(-17)
        for case in listed.cases:
            members = listed.context(case)
            subjects = [subject for subject, _ in members]
            assert len(members) == max(case.sizes)
            persons = {collection.entries[subject]["person"] for subject in subjects}
            query = next(e for e in collection.entries if e["subject"] == case.subject)
            assert len(persons | {query["person"]}) == len(members) + 1
            assert {collection.names[collection.dataset_of[subject]] for subject in subjects} == {case.dataset}
            modalities = tuple(case.modality.replace("+", ">").split(">"))
            assert {modalities} == {shown for _, shown in members}
            if case.class_name:
                protocol, label = case.class_name.split(":")
                labels, pixels = collection.class_pixels[protocol]
                assert (pixels[rows[subjects], labels.index(int(label))] >= 12).all()

    def test_draws_differ_and_are_even(self, listed):
        """Each of the others comes about as often."""
        many = EvaluationCases(configured(**{"datasets": ("heads",), "only.tasks": ("denoising",)}), (1,), 200)
        first = [many.context(case)[0][0] for case in of(many.cases, modality="T1", subject="h3")]
        counts = np.bincount(first, minlength=10)
        assert counts[3] == 0
        # 200 / 9 = 22 each; five standard deviations.
        assert np.delete(counts, 3).min() > 0
        assert np.delete(counts, 3).max() < 45

    def test_the_same_whatever_else_is_evaluated(self, listed):
        changes = {"datasets": ("regions",), "only.tasks": ("denoising",), "seed": 9, "subjects.number": 3}
        alone = EvaluationCases(configured(**changes), (1, 2), 1)
        cases = {own(case): case for case in listed.cases if case.dataset == "regions"}
        assert {own(case) for case in alone.cases} == {
            name for name in cases if name[0] == "denoising" and not name[-1]
        }
        entries, others = alone.stream.collection.entries, listed.stream.collection.entries
        for case in alone.cases:
            names = [entries[subject]["subject"] for subject, _ in alone.context(case)]
            members = listed.context(cases[own(case)])
            assert names == [others[subject]["subject"] for subject, _ in members[:2]]

    def test_of_other_modalities(self, listed):
        its = EvaluationCases(configured(), (1, 2, 4), 2, other_modality=True)
        # A dataset with one modality has no other, a transfer is about the modality.
        assert {(case.task, case.dataset) for case in its.cases} == {
            (task, dataset) for task in ("segmentation", "denoising") for dataset in ("heads", "lesions")
        }
        shown = set()
        for case in its.cases:
            plain = next(c for c in listed.cases if own(c) == own(case))
            members = its.context(case)
            assert [subject for subject, _ in members] == [subject for subject, _ in listed.context(plain)]
            shown |= {(case.modality, other) for _, (other,) in members if case.dataset == "heads"}
        names = ("T1", "T2", "FLAIR", "DTI")
        assert shown == {(a, b) for a in names for b in names if a != b}


class TestContextOfAnotherSplit:
    """Targets of one split, contexts of others: of ten persons four are for training, one for validation."""

    @pytest.fixture(autouse=True)
    def _in_splits(self, monkeypatch, split_datasets):
        monkeypatch.chdir(split_datasets)

    def made(self, split, context_split=""):
        config = configured(datasets=("heads", "lesions"))
        return EvaluationCases(config, (1, 2, 4, 9), 2, split=split, context_split=context_split)

    @pytest.mark.parametrize(
        ("split", "context"), [("val", "train"), ("val", "train+val+test"), ("test", "train"), ("test", "val+train")]
    )
    def test_who_is_shown(self, split, context):
        its = self.made(split, context)
        entries = its.stream.collection.entries
        split_of = {entry["subject"]: entry["split"] for entry in entries}
        there = {entry["person"] for entry in entries if entry["split"] in context.split("+")}
        assert len(its.cases) > 20
        for case in its.cases:
            assert split_of[case.subject] == split
            members = [entries[subject] for subject, _ in its.context(case)]
            assert {member["split"] for member in members} <= set(context.split("+"))
            persons = {member["person"] for member in members}
            assert len(persons) == len(members) == max(case.sizes)
            query = next(entry["person"] for entry in entries if entry["subject"] == case.subject)
            assert query not in persons
            if case.dataset == "heads" and not case.class_name:
                others = {person for person in there if person.startswith("h")} - {query}
                assert max(case.sizes) == max(size for size in (1, 2, 4, 9) if size <= len(others))
        assert {subject for _, subject, _ in its.targets()} == {name for name in split_of if split_of[name] == split}

    def test_targets_are_those_of_the_split_alone(self):
        """The same images with the same artefacts; the contexts are others, and larger ones."""
        alone, wide = self.made("test"), self.made("test", "train+val+test")
        plain, others = ({own(case): case for case in its.cases} for its in (alone, wide))
        assert plain.keys() <= others.keys()
        cases = of(alone.cases, task="denoising", dataset="heads", modality="T1")
        assert {case.sizes for case in cases} == {(1, 2, 4)}
        same = [others[own(case)] for case in cases]
        assert {case.sizes for case in same} == {(1, 2, 4, 9)}
        one, other = alone.episodes(cases, 2), wide.episodes(same, 2)
        for name in ("target_in", "target_out"):
            np.testing.assert_array_equal(one[name], other[name])
        assert (one["context_out"] != other["context_out"]).any((1, 2, 3, 4)).all()
        assert alone.targets() == wide.targets() == alone.stream.subjects()
        assert len(wide.stream.subjects()) == 18

    def test_two_datasets_of_one_name(self):
        with pytest.raises(InputError, match="b/heads: another dataset has the same name") as error:
            EvaluationCases(configured(datasets=("b/heads", "a/heads")), (1,), 1)
        assert "\n" not in str(error.value)

    def test_of_the_same_split_nothing_changes(self):
        alone, same = self.made("test"), self.made("test", "test")
        assert alone.cases == same.cases
        assert [alone.context(case) for case in alone.cases] == [same.context(case) for case in same.cases]


class TestContextOfAnotherDataset:
    """Heads have T1, T2, FLAIR and DTI, regions T1 alone; both have FreeSurfer's labels."""

    def made(self, target, *contexts, **options):
        config = configured(datasets=(target,), **{"only.tasks": ("segmentation", "denoising")})
        return EvaluationCases(config, (1, 2, 4), 2, context_datasets=contexts, **options)

    def test_who_is_shown(self, listed):
        its = self.made("heads", "regions")
        collection = its.stream.collection
        assert {case.dataset for case in its.cases} == {"heads"}
        # What a context cannot show is not there: other modalities, other classes, more members than persons.
        assert {case.modality for case in its.cases} == {"T1"}
        assert {case.class_name for case in of(its.cases, task="segmentation")} == {
            f"freesurfer:{label}" for label in (2, 41, 10, 49, 17, 53)
        }
        for case in its.cases:
            subjects = [subject for subject, _ in its.context(case)]
            assert {collection.names[collection.dataset_of[subject]] for subject in subjects} == {"regions"}
            assert len(set(subjects)) == len(subjects) == max(case.sizes) == 4
        assert {dataset for dataset, *_ in its.targets()} == {"heads"}

    def test_target_is_the_same_whoever_is_the_context(self):
        alone, others = self.made("heads"), self.made("heads", "regions")
        cases = of(others.cases, task="denoising")[:3]
        one, other = alone.episodes(cases, 2), others.episodes(cases, 2)
        for name in ("target_in", "target_out"):
            np.testing.assert_array_equal(one[name], other[name])
        assert (one["context_out"] != other["context_out"]).any((1, 2, 3, 4)).all()

    def test_its_own_among_others(self):
        its = self.made("regions", "regions", "heads")
        collection = its.stream.collection
        assert {case.dataset for case in its.cases} == {"regions"}
        shown = set()
        for case in its.cases:
            names = [collection.entries[subject]["subject"] for subject, _ in its.context(case)]
            assert case.subject not in names
            shown |= {name[0] for name in names}
        assert shown == {"h", "r"}

    def test_the_same_folder_spelled_otherwise(self):
        one, other = self.made("regions", "regions", "heads"), self.made("./regions", "regions/", "heads")
        assert one.cases == other.cases
        assert [one.context(case) for case in one.cases] == [other.context(case) for case in other.cases]

    def test_of_another_modality(self):
        its = self.made("regions", "heads", other_modality=True)
        shown = {modality for case in its.cases for _, (modality,) in its.context(case)}
        assert shown == {"T2", "FLAIR", "DTI"}

    def test_one_subject_needs_the_context_of_others(self, tmp_path):
        regions = str(write_datasets(tmp_path, ["test"], subjects=1) / "regions")
        its = self.made(regions, "heads")
        assert {(case.task, case.subject, case.sizes) for case in its.cases} == {
            (task, "r0", (1, 2, 4)) for task in ("segmentation", "denoising")
        }
        with pytest.raises(InputError, match="no case in split test of regions, expected two persons"):
            self.made(regions)


class TestEpisodes:
    def test_no_artefact_no_augmentation_the_slice_nearest_to_the_middle(self, listed):
        """The second of two slices; of DTI the first direction."""
        data = listed.stream.collection.datasets[0]
        (case,) = of(listed.cases, task="modality_transfer", modality="T2>DTI", subject="h4", draw=1)
        batch = listed.episodes([case], 2)
        for b, subject in enumerate([4, *(subject for subject, _ in listed.context(case)[:2])]):
            image = batch["target_in"][0] if b == 0 else batch["context_in"][0, b - 1]
            output = batch["target_out"][0] if b == 0 else batch["context_out"][0, b - 1]
            first = data.first_image[subject]
            np.testing.assert_allclose(image[..., 0], data.images[first + 2 * 1 + 1] / 65535, atol=1e-6)
            np.testing.assert_allclose(output[..., 0], data.images[first + 2 * 3 + 1] / 65535, atol=1e-6)
            assert not image[..., 1:].any()

    def test_the_mask_is_the_class(self, listed):
        data = listed.stream.collection.datasets[0]
        (case,) = of(listed.cases, task="segmentation", modality="T1", subject="h2", class_name="freesurfer:10", draw=0)
        batch = listed.episodes([case], 4)
        for b, (subject, _) in enumerate(listed.context(case)):
            expected = data.labels[data.first_labels[subject] + 1] == 10
            np.testing.assert_array_equal(batch["context_out"][0, b, ..., 0], expected)

    def test_a_smaller_context_is_the_beginning_of_a_larger_one(self, listed):
        """Images with their artefacts, of target and context, whatever the size and whoever is in the batch."""
        cases = [*of(listed.cases, task="denoising", dataset="heads", subject="h1", modality="T1")]
        cases += of(listed.cases, task="denoising", dataset="lesions", subject="l2_1", modality="T1")
        whole = listed.episodes(cases, 4)
        for b, case in reversed(list(enumerate(cases))):
            for members in (0, 1, 2):
                one = listed.episodes([case], members)
                assert one["context_mask"].shape == (1, members)
                for name in ("context_in", "context_out", "context_mask"):
                    np.testing.assert_array_equal(one[name][0], whole[name][b, :members])
                for name in ("target_in", "target_out", "is_segmentation", "task"):
                    np.testing.assert_array_equal(one[name][0], whole[name][b])

    def test_the_same_whatever_else_is_evaluated(self, listed):
        """Another training, other tasks and sizes: the same artefacts."""
        changes = {"only.tasks": ("denoising",), "only.datasets": ("regions",), "seed": 9}
        alone = EvaluationCases(configured(**changes), (1, 2), 1)
        cases = {own(case): case for case in listed.cases}
        made = alone.episodes(alone.cases, 2)
        whole = listed.episodes([cases[own(case)] for case in alone.cases], 2)
        for name, value in made.items():
            np.testing.assert_allclose(value, whole[name], atol=1e-5)

    def test_too_few_members_are_padding(self, listed):
        (few,) = of(listed.cases, task="denoising", dataset="lesions", subject="l0_0", modality="T1", draw=0)
        (many,) = of(listed.cases, task="denoising", dataset="heads", subject="h0", modality="T1", draw=0)
        batch = listed.episodes([few, many], 4)
        np.testing.assert_array_equal(batch["context_mask"], [[True, True, False, False], [True] * 4])
        assert not batch["context_in"][0, 2:].any()

    def test_another_draw_is_another_artefact(self, listed):
        cases = of(listed.cases, task="denoising", subject="h1", modality="T1")
        batch = listed.episodes(cases, 1)
        assert len(cases) == 2
        np.testing.assert_array_equal(batch["target_out"][0], batch["target_out"][1])
        assert np.abs(batch["target_in"][0] - batch["target_in"][1]).max() > 0.01


def test_subjects_of_a_stream(listed):
    rows = listed.stream.subjects()
    assert len(rows) == 10 + 6 + 8
    assert rows[-1] == ("lesions", "l3_1", "l3")
    config = configured(**{"only.tasks": ("modality_transfer",), "datasets": ("heads", "regions")})
    assert {dataset for dataset, *_ in EvaluationCases(config, (1,), 1).stream.subjects()} == {"heads"}
