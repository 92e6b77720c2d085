"""Episodes cut from volumes: in every plane, never what is held out, the same however they are made."""

import jax
import numpy as np
import pytest
from fake_volumes import SCANS, write_fake_volumes

from input_pipeline.episodes.batches import EpisodeStream
from input_pipeline.episodes.config import default_config
from input_pipeline.episodes.evaluation import EvaluationCases
from input_pipeline.episodes.plan import PROTOCOLS
from input_pipeline.episodes.threads import episode_iterator
from input_pipeline.episodes.validation import validation_batches, validation_config
from input_pipeline.ops.registry import TASKS
from input_pipeline.space.grid import ORIGIN, SLICE_Y, coronal_index
from input_pipeline.space.modalities import MODALITIES
from input_pipeline.store.table import PLANE_NAMES, open_collection
from input_pipeline.store.volume_table import FIRST_CONTRAST
from neuralizer_jax.errors import InputError

SIZE = 48
STILL = {
    "volumes.deformation.probability": 0.0,
    "volumes.misalignment.shift": (0.0, 0.0),
    "volumes.misalignment.rotation": (0.0, 0.0),
    "volumes.shared.tilt": (0.0, 0.0),
    "volumes.shared.rotation": (0.0, 0.0),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return write_fake_volumes(tmp_path_factory.mktemp("volumes"))


def make_stream(folders, **changes):
    config = default_config()
    config.datasets = tuple(map(str, folders))
    config.batch_size, config.size = 4, SIZE
    config.context.max, config.context.pad_to = 3, 1
    for augmentation in config.task_augmentations.values():
        augmentation.probability = 0.0
    config.only.tasks = ("segmentation", "skull_stripping", "modality_transfer")
    config.update_from_flattened_dict(changes)
    return EpisodeStream(config, open_collection(config.datasets, config.split))


@pytest.fixture(scope="module")
def stream(folders):
    """Label maps and scans."""
    return make_stream(folders)


class TestContract:
    def test_shapes_ranges_and_spec(self, stream):
        tasks, planes = set(), set()
        for step in range(6):
            batch = stream.episodes(step)
            for name, (shape, dtype) in stream.episodes_spec.items():
                assert batch[name].dtype == dtype
                assert all(known in (None, length) for known, length in zip(shape, batch[name].shape, strict=True))
            for name in ("target_in", "target_out", "context_in", "context_out"):
                assert 0 <= batch[name].min() <= batch[name].max() <= 1
                assert np.isfinite(batch[name]).all()
            assert set(np.unique(batch["target_out"][batch["is_segmentation"]])) <= {0, 1}
            assert (batch["target_in"][..., 0].std((1, 2)) > 0.01).all()
            tasks |= set(batch["task"].tolist())
            planes |= set(batch["plane"].tolist())
        assert len(tasks) == 3
        assert planes == {0, 1, 2}
        gathered = stream.slices(0)
        assert gathered.keys() == stream.slices_spec.keys()
        assert all(gathered[name].dtype == dtype for name, (_, dtype) in stream.slices_spec.items())

    def test_the_same_in_threads_and_in_shares(self, folders, stream):
        whole = stream.episodes(2)
        iterator = episode_iterator(stream, 2, threads=2)
        threaded = next(iterator)
        iterator.close()
        halves = [EpisodeStream(stream.config, stream.collection, process=n, processes=2).plan(2) for n in range(2)]
        for name, value in whole.items():
            np.testing.assert_array_equal(value, threaded[name])
        for name, value in stream.plan(2)._asdict().items():
            np.testing.assert_array_equal(value, np.concatenate([getattr(half, name) for half in halves]))

    def test_the_same_on_an_accelerator(self, stream):
        gathered, step = stream.slices(1), stream.episodes(1)
        there = {name: jax.numpy.asarray(array) for name, array in (gathered | stream.stored).items()}
        made = stream.apply_on_device(there)
        shown = step["context_mask"]
        for name in ("target_in", "target_out", "context_in", "context_out"):
            one, other = step[name], np.asarray(made[name])
            if name.startswith("context"):
                one, other = one[shown], other[shown]
            # A point between two voxels may be rounded to either.
            assert (np.abs(one - other) > 1e-3).mean() < 2e-3, name
        np.testing.assert_array_equal(step["plane"], made["plane"])

    def test_validation_shows_every_plane_of_every_task(self, folders):
        config = validation_config(make_stream(folders[:1]).config)
        its = EpisodeStream(config, open_collection(config.datasets, config.split))
        plans = []
        its.apply_on_host = lambda gathered: plans.append(gathered)
        list(validation_batches(its, 3, (1,)))
        shown = {
            (task, plane) for gathered in plans for task, plane in
            zip(gathered["task"], gathered["axis"][:, 0], strict=True)
        }  # fmt: skip
        assert len(shown) == 9


class TestAnatomy:
    def test_left_stays_left(self, folders):
        classes = {"freesurfer:17": -1, "freesurfer:53": 1, "freesurfer:49": 1}
        changes = {"only.tasks": ("segmentation",), "context.max": 1, **STILL}
        its = make_stream(folders[:1], **changes | {"only.classes": tuple(classes)})
        place = np.arange(SIZE) - (SIZE - 1) / 2
        seen = set()
        for step in range(20):
            gathered = its.slices(step)
            if (gathered["axis"][:, 0] == 0).all():
                continue
            batch, plan = its.apply_on_host(gathered), its.plan(step)
            for b in np.flatnonzero(batch["plane"] > 0):
                if plan.classes[b, 1]:
                    continue
                mask = batch["target_out"][b, ..., 0]
                side = classes[f"freesurfer:{plan.classes[b, 0]}"]
                assert mask.any()
                assert np.sign((mask * place).sum()) == side
                seen.add((side, bool(plan.flip[b, 0])))
        assert len(seen) == 4

    def test_an_evaluation_is_on_the_slice_of_the_paper(self, folders):
        its = EvaluationCases(make_stream(folders[1:]).config, (1,), 1, split="train")
        assert {case.task for case in its.cases} == {"segmentation"}
        assert {case.subject for case in its.cases} == set(SCANS)
        gathered = its.stream.gather(its._plan(its.cases[0], 1), 0)
        assert (gathered["axis"] == 1).all()
        assert (gathered["position"] == coronal_index(SLICE_Y)).all()

    @pytest.mark.parametrize("place", [("sagittal", 13), ("coronal", -30), ("axial", 12)])
    def test_an_evaluation_in_any_plane(self, folders, place):
        """Target and context are the scan in that plane, rows from its high end, and every member shows the class."""
        changes = {"only.tasks": ("segmentation",), "only.classes": ("freesurfer:49",)}
        hidden = {f"volumes.planes.{place[0]}.positions": (70.0, 71.0), "hold_out.planes": (place[0],)}
        config = make_stream(folders[1:], size=192).config.copy_and_resolve_references()
        config.update_from_flattened_dict(changes | hidden)
        its = EvaluationCases(config, (1,), 1, split="train", planes=[place])
        assert {(case.plane, case.position) for case in its.cases} == {place}
        assert {case.subject for case in its.cases} == set(SCANS)
        shown = its.episodes(its.cases[:1], 1)
        assert shown["context_out"].sum() >= config.classes.min_pixels
        axis, data = PLANE_NAMES.index(place[0]), its.stream.collection.datasets[0]
        subject = next(n for n, e in enumerate(its.stream.collection.entries) if e["subject"] == its.cases[0].subject)
        image = np.take(data.images[data.first_image[subject]], place[1] - ORIGIN[axis], axis) / 65535
        if axis < 2:
            image = image.T[::-1]  # superior at the top
            image = image[:, 16:-16] if axis == 0 else image
        else:
            image = image.T[::-1][16:-16]  # anterior at the top
        np.testing.assert_allclose(shown["target_in"][0, ..., 0], image, atol=1e-4)

    def test_planes_of_an_evaluation_have_the_same_contexts(self, folders):
        config = make_stream(folders[:1]).config
        its = EvaluationCases(config, (1, 3), 1, split="train", planes=[("coronal", -17), ("axial", 12)])
        members = {}
        for case in its.cases:
            members.setdefault((*case.columns[:4], case.subject), []).append(its.context(case))
        assert max(map(len, members.values())) == 2
        assert all(found[0] == found[-1] for found in members.values())

    def test_planes_that_show_nothing(self, folders):
        config = make_stream(folders[1:]).config
        for place, expected in (
            (("axial", 112), "no case in the axial plane at 112 mm"),
            (("sagittal", 96), "sagittal 96 mm: outside of the grid, expected -96 to 95"),
        ):
            with pytest.raises(InputError, match=expected):
                EvaluationCases(config, (1,), 1, split="train", planes=[("coronal", -17), place])

    def test_small_images_show_the_class(self, folders):
        changes = {"only.tasks": ("segmentation",), "only.classes": ("freesurfer:17", "freesurfer:53"), **STILL}
        its = make_stream(folders[:1], extent=SIZE, **changes, **{"volumes.shared.scale": (1.0, 1.0)})
        found = np.concatenate([its.episodes(step)["target_out"].any((1, 2, 3)) for step in range(3)])
        assert found.mean() > 0.9


class TestHeldOut:
    def test_never_in_ten_thousand_episodes(self, folders):
        out = {
            "hold_out.planes": ("axial",), "hold_out.modalities": ("T2", "FLAIR"),
            "hold_out.classes": ("freesurfer:10",), "hold_out.tasks": ("denoising",), "only.tasks": (),
            "volumes.planes.sagittal.positions": (-40.0, 40.0),
        }  # fmt: skip
        its = make_stream(folders, **out, batch_size=8)
        collection, names, planes, modalities, protocols = its.collection, set(), set(), set(), set()
        for step in range(1250):
            plan = its.plan(step)
            names |= {list(TASKS)[task] for task in plan.task}
            rows = collection.first_row[plan.subject] + plan.slice
            planes |= set(collection.plane_of[rows].ravel().tolist())
            sagittal = collection.plane_of[rows] == 0
            assert (np.abs(collection.y[rows][sagittal]) <= 40).all()
            made_up = plan.images[plan.images <= FIRST_CONTRAST]
            modalities |= set((FIRST_CONTRAST - made_up).tolist())
            assert 10 not in plan.classes[plan.protocol == PROTOCOLS.index("freesurfer")]
            protocols |= {PROTOCOLS[number] for number in plan.protocol}
            persons = collection.person_of[plan.subject]
            assert (persons[:, :1] != persons[:, 1:]).all()
        assert names == set(TASKS) - {"denoising"}
        assert planes == {0, 1}
        allowed = {n for n, name in enumerate(MODALITIES) if name not in ("T2", "FLAIR")}
        assert modalities == allowed | {n + len(MODALITIES) for n in allowed}
        assert protocols == {"", "freesurfer", "lesion"}
        assert {entry["split"] for entry in collection.entries} == {"train"}

    def test_planes_are_drawn_by_their_weights(self, folders):
        its = make_stream(
            folders[:1],
            **{f"volumes.planes.{name}.weight": w for name, w in zip(PLANE_NAMES, (1.0, 0.0, 3.0), strict=True)},
        )
        drawn = np.concatenate([its.plan(step).slice[:, 0] // 224 for step in range(100)])
        assert set(drawn.tolist()) == {0, 2}
        assert (drawn == 2).mean() == pytest.approx(0.75, abs=0.08)

    def test_the_slice_of_the_paper(self, folders):
        changes = {f"volumes.planes.{name}.weight": 0.0 for name in ("sagittal", "axial")}
        its = make_stream(folders[:1], **changes, **{"volumes.planes.coronal.positions": (-17.0, -17.0)})
        assert {int(row) for step in range(20) for row in its.plan(step).slice.ravel()} == {224 + coronal_index(-17)}

    def test_lesions_are_drawn_as_often_as_asked(self, folders):
        its = make_stream(folders[:1], **{"only.tasks": ("segmentation",), "volumes.lesions.segment_probability": 0.3})
        plans = [its.plan(step) for step in range(100)]
        share = np.mean([PROTOCOLS[number] == "lesion" for plan in plans for number in plan.protocol])
        assert share == pytest.approx(0.3, abs=0.08)
        none = make_stream(folders[:1], **{"only.tasks": ("segmentation",), "hold_out.classes": ("lesion:1",)})
        assert not any(PROTOCOLS[number] == "lesion" for step in range(30) for number in none.plan(step).protocol)


class TestBadInput:
    def test_positions_beside_the_brain(self, folders):
        with pytest.raises(InputError, match=r"volumes.planes.axial.positions: no brain from 110.0 to 114.0 mm"):
            make_stream(folders[:1], **{"volumes.planes.axial.positions": (110.0, 114.0)})

    def test_no_plane_left(self, folders):
        changes = {"hold_out.planes": ("axial", "coronal"), "volumes.planes.sagittal.weight": 0.0}
        with pytest.raises(InputError, match=r"volumes.planes"):
            make_stream(folders[:1], **changes)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("volumes.deformation.strain", (0.5, 1.5)),
            ("volumes.misalignment.shift", (-3.0, 1.0)),
            ("volumes.scans.blur", (0.0, 9.0)),
            ("volumes.lesions.count", (0, 3)),
            ("volumes.planes.axial.weight", -1.0),
            ("hold_out.planes", ("oblique",)),
        ],
    )
    def test_values_that_make_no_sense(self, folders, key, value):
        with pytest.raises(InputError, match=key.split(".")[1]):
            make_stream(folders[:1], **{key: value})

    def test_slices_and_volumes_together(self, folders, tmp_path):
        (tmp_path / "slices").mkdir()
        with pytest.raises(InputError, match="slices: holds no volumes"):
            open_collection([folders[0], tmp_path / "slices"], "train")
