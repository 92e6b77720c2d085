"""What episodes are made of: what the configuration says, nothing that is held out, and always the same."""

from collections import Counter

import numpy as np
import pytest
from fake_collection import DATASETS, fake_collection
from scipy import stats

from input_pipeline.episodes.config import check_config, default_config
from input_pipeline.episodes.plan import MAX_CLASSES, PROTOCOLS, EpisodePlanner, Plan, join
from input_pipeline.ops.registry import TASKS
from input_pipeline.ops.task_augmentations import TASK_AUGMENTATIONS
from input_pipeline.space.protocols import other_side
from neuralizer_jax.errors import InputError


def configured(**changes):
    config = default_config()
    config.datasets = tuple(DATASETS)
    config.classes.min_pixels = 12
    config.update_from_flattened_dict({"context.max": 6} | changes)
    return config


def planner(collection=None, **changes):
    return EpisodePlanner(configured(**changes), collection or fake_collection())


@pytest.fixture(scope="module")
def collection():
    return fake_collection()


@pytest.fixture(scope="module")
def many(collection):
    """Twelve hundred batches of eight."""
    its = planner(collection)
    return [its.plan(step, range(8)) for step in range(1250)]


def names(plan):
    return [list(TASKS)[task] for task in plan.task]


def protocols(plan):
    return [PROTOCOLS[number] for number in plan.protocol]


def modalities(collection, plan, b, i):
    entry = collection.entries[plan.subject[b, i]]
    return [entry["modalities"][image] for image in plan.images[b, i] if image >= 0]


class TestDraws:
    def test_context_sizes(self, many):
        counts = Counter(plan.members for plan in many)
        assert set(counts) == set(range(1, 7))
        assert stats.chisquare(list(counts.values())).pvalue > 1e-3

    def test_tasks_follow_their_weights(self, collection):
        weights = {"segmentation": 3.0, "denoising": 1.0, "inpainting": 0.5}
        changes = {f"tasks.{name}.weight": weights.get(name, 0.0) for name in TASKS}
        its = planner(collection, **changes)
        counts = Counter(name for step in range(300) for name in names(its.plan(step, range(8))))
        assert set(counts) == set(weights)
        expected = [2400 * weight / sum(weights.values()) for weight in weights.values()]
        assert stats.chisquare([counts[name] for name in weights], expected).pvalue > 1e-3

    def test_all_tasks_are_drawn_alike(self, many):
        counts = Counter(name for plan in many for name in names(plan))
        assert set(counts) == set(TASKS)
        assert stats.chisquare(list(counts.values())).pvalue > 1e-3

    def test_classes_are_drawn_alike(self, collection):
        its = planner(
            collection,
            **{"only.datasets": ("heads",), "only.tasks": ("segmentation",), "flip.shared_probability": 0.0},
        )
        counts = Counter(int(label) for step in range(200) for label in its.plan(step, range(8)).classes[:, 0])
        assert set(counts) == {2, 41, 10, 49, 17, 53, 54}  # 12 is in one subject only
        assert stats.chisquare(list(counts.values())).pvalue > 1e-3

    def test_augmentations_follow_their_probability(self, collection):
        its = planner(
            collection, **{"task_augmentations.mask_invert.probability": 0.3, "only.tasks": ("segmentation",)}
        )
        place = list(TASK_AUGMENTATIONS).index("mask_invert")
        on = np.concatenate([its.plan(step, range(8)).augmentations[:, place] for step in range(250)])
        assert abs(on.mean() - 0.3) < 4 * np.sqrt(0.21 / len(on))

    def test_augmentations_fit_their_task(self, many):
        for plan in many[:200]:
            for name, on in zip(names(plan), plan.augmentations, strict=True):
                for augmentation, is_on in zip(TASK_AUGMENTATIONS.values(), on, strict=True):
                    assert not is_on or augmentation.fits(TASKS[name])

    def test_unions(self, many):
        sizes = Counter(
            int((row > 0).sum()) for plan in many for row, p in zip(plan.classes, protocols(plan), strict=True) if p
        )
        assert set(sizes) == set(range(1, MAX_CLASSES + 1))
        assert 0.1 < 1 - sizes[1] / sizes.total() < 0.25

    def test_flips(self, many, collection):
        flips = np.concatenate([plan.flip[:, 0] for plan in many])
        assert abs(flips.mean() - 0.5) < 0.03
        assert all((plan.flip == plan.flip[:, :1]).all() for plan in many)
        own = planner(collection, **{"flip.shared_probability": 0.0, "flip.own_probability": 0.5}).plan(3, range(8))
        assert 0 < own.flip.mean() < 1


class TestEpisodes:
    def test_the_query_is_in_no_context_and_members_are_distinct(self, many, collection):
        for plan in many:
            for b in range(8):
                target, *context = plan.subject[b]
                assert target not in context
                person = collection.person_of[plan.subject[b]]
                assert person[0] not in person[1:]
        assert any(not plan.reused.any() for plan in many)

    def test_subjects_are_used_twice_only_when_all_are_used(self, collection):
        its = planner(
            collection,
            **{
                "context.min": 9,
                "context.max": 9,
                "only.datasets": ("heads",),
                "context.other_source_probability": 0.0,
                "only.tasks": ("denoising",),
            },
        )
        assert not its.plan(0, range(8)).reused.any()
        its = planner(
            collection,
            **{
                "context.min": 12,
                "context.max": 12,
                "only.datasets": ("heads",),
                "context.other_source_probability": 0.0,
                "only.tasks": ("denoising",),
            },
        )
        plan = its.plan(0, range(8))
        assert (plan.reused == 3).all()
        for row in plan.subject:
            assert len(set(row[1:10])) == 9

    def test_the_class_is_in_target_and_context(self, many, collection):
        for plan in many:
            for b in np.flatnonzero(plan.protocol):
                sides = other_side(PROTOCOLS[plan.protocol[b]]) if plan.flip[b, 0] else np.arange(2**16)
                label = str(sides[plan.classes[b, 0]])
                for i, subject in enumerate(plan.subject[b]):
                    pixels = collection.entries[subject]["label_pixels"][PROTOCOLS[plan.protocol[b]]].get(label, [0, 0])
                    assert pixels[plan.slice[b, i]] >= 12 or (label in ("54", "18") and i > 0)
                own = collection.entries[plan.subject[b, 0]]["label_pixels"][PROTOCOLS[plan.protocol[b]]]
                assert all(own[str(sides[c])][plan.slice[b, 0]] >= 12 for c in plan.classes[b] if c)

    def test_template_labels_are_never_segmented(self, many, collection):
        for plan in many:
            for b, protocol in enumerate(protocols(plan)):
                for subject in plan.subject[b] if protocol else ():
                    assert collection.entries[subject]["label_sources"][protocol] != "template"

    def test_skull_stripping_needs_a_skull(self, many, collection):
        for plan in many:
            for b in np.flatnonzero(np.array(names(plan)) == "skull_stripping"):
                assert all(collection.entries[s]["subject"].startswith("h") for s in plan.subject[b])

    def test_modality_transfer_shows_one_pair(self, many, collection):
        pairs = set()
        for plan in many:
            for b in np.flatnonzero(np.array(names(plan)) == "modality_transfer"):
                shown = {tuple(modalities(collection, plan, b, i)) for i in range(1 + plan.members)}
                assert len(shown) == 1
                pairs |= shown
        assert ("T1", "T2") in pairs
        assert {("T1", f"DTI-0{n}") for n in range(3)} <= pairs
        assert not any(a[:3] == b[:3] == "DTI" for a, b in pairs)

    def test_three_modalities(self, many, collection):
        for plan in many[:300]:
            for b in np.flatnonzero(np.array(names(plan)) == "two_modality_transfer"):
                shown = [tuple(modalities(collection, plan, b, i)) for i in range(1 + plan.members)]
                assert len(set(shown)) == 1
                assert len(set(shown[0])) == 3

    def test_context_of_other_sources(self, many, collection):
        others = total = 0
        for plan in many:
            for b, name in enumerate(names(plan)):
                if name in ("denoising", "segmentation"):
                    first = modalities(collection, plan, b, 0), collection.dataset_of[plan.subject[b, 0]]
                    for i in range(1, 1 + plan.members):
                        total += 1
                        others += first != (
                            modalities(collection, plan, b, i),
                            collection.dataset_of[plan.subject[b, i]],
                        )
        assert 0.1 < others / total < 0.3

    def test_slices_at_the_same_height(self, many, collection):
        for plan in many[:300]:
            for subjects, slices in zip(plan.subject, plan.slice, strict=True):
                heights = [collection.entries[s]["y"][k] for s, k in zip(subjects, slices, strict=True)]
                several = [len(collection.entries[s]["y"]) > 1 for s in subjects]
                for height, has_several in zip(heights, several, strict=True):
                    assert height == heights[0] or not (has_several and several[0])


class TestHoldingOut:
    def plans(self, collection, **changes):
        its = planner(collection, **changes)
        return its, [its.plan(step, range(8)) for step in range(1250)]  # 10,000 episodes

    def test_tasks(self, collection):
        _, plans = self.plans(collection, **{"hold_out.tasks": ("segmentation", "inpainting")})
        seen = {name for plan in plans for name in names(plan)}
        assert seen == set(TASKS) - {"segmentation", "inpainting"}

    def test_modalities(self, collection):
        _, plans = self.plans(collection, **{"hold_out.modalities": ("T2", "DTI")})
        seen = {
            name
            for plan in plans
            for b in range(8)
            for i in range(1 + plan.members)
            for name in modalities(collection, plan, b, i)
        }
        assert seen == {"T1", "FLAIR"}

    def test_datasets(self, collection):
        _, plans = self.plans(collection, **{"hold_out.datasets": ("heads",)})
        seen = {int(d) for plan in plans for d in np.unique(collection.dataset_of[plan.subject])}
        assert seen == {1, 2}

    def test_classes(self, collection):
        _, plans = self.plans(collection, **{"hold_out.classes": ("freesurfer:17", "freesurfer:53", "lesion:1")})
        seen = {
            (p, int(c))
            for plan in plans
            for p, row in zip(protocols(plan), plan.classes, strict=True)
            for c in row
            if c
        }
        assert not seen & {("freesurfer", 17), ("freesurfer", 53), ("lesion", 1)}
        assert {("freesurfer", 10), ("neuromorphometrics", 48)} <= seen

    def test_a_class_on_one_side_alone(self):
        """Nothing of it is left in a flipped slice, where it would be on the other side."""
        own = fake_collection()
        for entry in own.entries:
            for pixels in entry["label_pixels"].values():
                pixels.pop("53", None)
        _, plans = self.plans(own, **{"only.classes": ("freesurfer:17",), "only.tasks": ("segmentation",)})
        assert not any(plan.flip.any() for plan in plans)

    def test_only(self, collection):
        _, plans = self.plans(collection, **{"only.classes": ("freesurfer:17",), "only.tasks": ("segmentation",)})
        assert {(p, tuple(row)) for plan in plans for p, row in zip(protocols(plan), plan.classes, strict=True)} == {
            ("freesurfer", (17, 0, 0, 0))
        }


class TestDeterminism:
    def test_the_same_batch_every_time(self, collection, many):
        its = planner(fake_collection())
        for step in (7, 3, 900):
            for field in Plan._fields:
                np.testing.assert_array_equal(getattr(its.plan(step, range(8)), field), getattr(many[step], field))

    def test_rows_do_not_depend_on_which_are_planned(self, collection, many):
        its = planner(collection)
        halves = join([its.plan(5, range(4)), its.plan(5, range(4, 8))])
        for field in Plan._fields:
            np.testing.assert_array_equal(getattr(halves, field), getattr(many[5], field))

    def test_another_seed(self, collection, many):
        assert not np.array_equal(planner(collection, seed=1).plan(5, range(8)).subject, many[5].subject)


class TestSubjects:
    def test_so_many_and_more_has_them_too(self, collection):
        shown = {}
        for number in (1, 3, 6):
            changes = {"subjects.number": number, "context.min": 0, "context.max": 0, "only.datasets": ("heads",)}
            its = planner(collection, **changes)
            shown[number] = {int(subject) for step in range(60) for subject in its.plan(step, range(8)).subject.flat}
            assert len(shown[number]) == number
        assert shown[1] < shown[3] < shown[6]

    def test_another_draw_has_others(self, collection):
        def shown(draw):
            its = planner(collection, **{"subjects.number": 3, "subjects.draw": draw})
            return {int(subject) for step in range(30) for subject in its.plan(step, range(8)).subject.flat}

        assert len({tuple(sorted(shown(draw))) for draw in range(4)}) > 1

    def test_one_subject_is_too_few_for_a_context(self, collection):
        with pytest.raises(InputError, match="no task can be drawn"):
            planner(collection, **{"subjects.number": 1})


class TestWrongConfiguration:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"hold_out.tasks": ("denoise",)}, "'denoise' is unknown, expected some of segmentation, skull_stripping"),
            ({"hold_out.classes": ("freesurfer:999",)}, "'freesurfer:999' is unknown, expected some of freesurfer:2"),
            ({"only.modalities": ("PET",)}, "only.modalities: 'PET' is unknown, expected some of DTI, FLAIR, T1, T2"),
            ({"hold_out.tasks": tuple(TASKS)}, "hold_out.tasks: nothing is left of segmentation"),
            ({f"tasks.{name}.weight": 0.0 for name in TASKS}, "none has a weight above 0"),
            ({"only.tasks": ("modality_transfer",), "only.datasets": ("regions",)}, "no task can be drawn"),
        ],
    )  # fmt: skip
    def test_names(self, collection, changes, expected):
        with pytest.raises(InputError) as error:
            planner(collection, **changes)
        assert expected in str(error.value)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"flip.shared_probability": 1.5}, "flip.shared_probability: 1.5, expected a probability from 0 to 1"),
            ({"task_augmentations.mask_invert.probability": -0.1}, "mask_invert.probability: -0.1"),
            ({"context.min": -1}, "context.min: -1, expected 0 or more"),
            ({"context.min": 7}, "context.max: 6, expected at least context.min"),
            ({"split": "training"}, "split: 'training', expected train, val or test, or several joined by +"),
            ({"split": "train+all"}, "split: 'train+all', expected train, val or test"),
            ({"split": "train, val"}, "split: 'train, val', expected train, val or test"),
            ({"apply": "gpu"}, "apply: 'gpu', expected host or device"),
            ({"tasks.denoising.weight": -1.0}, "tasks.denoising.weight: -1.0"),
            ({"datasets": ()}, "datasets: none given"),
            ({"batch_size": 0}, "batch_size: 0"),
            ({"extent": 200}, "extent: 200, expected 16 to 192"),
            ({"seed": 2**32}, "seed: 4294967296, expected 0 to 2**32 - 1"),
            ({"tasks.denoising.noise": (0.3,)}, "tasks.denoising.noise: (0.3,), expected 2 numbers"),
            ({"tasks.denoising.noise": (0.3, 0.1)}, "expected a range from low to high"),
        ],
    )
    def test_values(self, changes, expected):
        with pytest.raises(InputError) as error:
            check_config(configured(**changes))
        assert expected in str(error.value)

    def test_an_operation_that_there_is_not(self):
        config = configured()
        with config.unlocked():
            config.task_augmentations.sobbel = {"probability": 0.1}
        with pytest.raises(InputError, match="task_augmentations: 'sobbel', expected some of synthetic_modality"):
            check_config(config)

    def test_a_task_that_the_data_cannot_show_is_left_out(self, collection):
        its = planner(collection, **{"only.datasets": ("regions",)})
        assert set(its.left_out) == {"skull_stripping", "modality_transfer", "two_modality_transfer"}
        assert "segmentation" in its.sources
