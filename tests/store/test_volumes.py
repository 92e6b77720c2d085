"""Volumes are stored exactly, and a dataset that cannot be read says why."""

import json

import numpy as np
import pytest

from input_pipeline.prepare.write_volumes import SubjectVolumes, label_voxels, write_volumes
from input_pipeline.space.grid import SHAPE
from input_pipeline.store.records import SliceStore
from input_pipeline.store.volumes import open_volumes
from neuralizer_jax.errors import InputError

PROTOCOLS = {"a": ("freesurfer",), "b": (), "c": ("lesion", "freesurfer")}


def made_up(name):
    """A subject whose volumes are constant in boxes."""
    rng = np.random.default_rng(ord(name))

    def boxes(values):
        coarse = rng.choice(np.array(values, np.uint16), [length // 32 for length in SHAPE])
        return coarse.repeat(32, 0).repeat(32, 1).repeat(32, 2)

    labels = [boxes((0, 1)) if protocol == "lesion" else boxes((0, 2, 530)) for protocol in PROTOCOLS[name]]
    images = [boxes((0, 7, 65535)) for _ in range(name == "b")]
    return SubjectVolumes(
        images=np.stack(images) if images else np.empty((0, *SHAPE), np.uint16),
        labels=np.stack(labels) if labels else np.empty((0, *SHAPE), np.uint16),
        brain_mask=boxes((0, 1)).astype(bool),
    )


def entry(name, subject):
    return {
        "subject": name,
        "modalities": ["T1"] * len(subject.images),
        "label_sources": dict.fromkeys(PROTOCOLS[name], "published"),
        "label_voxels": {p: label_voxels(own) for p, own in zip(PROTOCOLS[name], subject.labels, strict=True)},
    }


@pytest.fixture(scope="module")
def subjects():
    return {name: made_up(name) for name in PROTOCOLS}


@pytest.fixture(scope="module")
def dataset(subjects, tmp_path_factory):
    """Do not write to it."""
    folder = tmp_path_factory.mktemp("volumes") / "made-up-volumes"
    write_volumes(folder, [entry(*each) for each in subjects.items()], subjects.values())
    return folder


@pytest.fixture
def copy(dataset, tmp_path):
    """A dataset whose small files are copied."""
    copied = tmp_path / "copy"
    (copied / "volumes").mkdir(parents=True)
    for path in (dataset / "volumes").iterdir():
        if path.name == "index.json":
            (copied / "volumes" / path.name).write_bytes(path.read_bytes())
        else:
            (copied / "volumes" / path.name).symlink_to(path)
    return copied


def test_volumes_come_back_as_they_were(dataset, subjects):
    store = open_volumes(dataset)
    assert [each["subject"] for each in store.index] == list(subjects)
    assert (len(store.images), len(store.labels), len(store.masks)) == (1, 3, 3)
    assert store.labels.dtype == np.uint8
    for number, (name, subject) in enumerate(subjects.items()):
        first = store.first_image[number]
        np.testing.assert_array_equal(store.images[first : first + len(subject.images)], subject.images)
        for place, protocol in enumerate(PROTOCOLS[name]):
            codes = store.labels[store.first_labels[number] + place]
            np.testing.assert_array_equal(store.label_values[protocol][codes], subject.labels[place])
        np.testing.assert_array_equal(store.masks[store.first_mask[number]], subject.brain_mask)


def test_profiles_count_the_voxels_of_each_plane(dataset, subjects):
    store = open_volumes(dataset)
    assert list(store.label_values["freesurfer"]) == [0, 2, 530]
    profiles = store.profiles["freesurfer"]
    planes = subjects["c"].labels[1] == 530
    for axis, length in enumerate(SHAPE):
        expected = np.count_nonzero(planes, axis=tuple({0, 1, 2} - {axis}))
        np.testing.assert_array_equal(profiles[2, axis, :length, 2], expected)
        assert not profiles[2, axis, length:].any()
    assert not profiles[1].any()


def test_written_whole_or_not_at_all(copy, subjects):
    def broken():
        yield subjects["a"]
        raise InputError("no second subject")

    with pytest.raises(InputError, match="no second subject"):
        write_volumes(copy, [entry("a", subjects["a"]), entry("b", subjects["b"])], broken())
    assert len(open_volumes(copy).index) == 3
    write_volumes(copy, [entry("b", subjects["b"])], [subjects["b"]])
    assert [each["subject"] for each in open_volumes(copy).index] == ["b"]
    assert not any((copy / "work").iterdir())


def test_slices_and_volumes_are_told_apart(dataset, folder):
    with pytest.raises(InputError, match=r"holds slices, expected volumes that `neuralizer prepare --volumes` wrote"):
        open_volumes(folder)
    with pytest.raises(InputError, match="holds volumes, expected a dataset of slices"):
        SliceStore(dataset)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 9}, r"volumes: is damaged, or of another version \(format 9, expected 1\); prepare it again"),
        ({"subjects": [{"subject": "a"}]}, "is damaged"),
        ({"label_values": {"../../freesurfer": [0]}}, "is damaged"),
        ({"label_values": {"freesurfer": [0, 70000]}}, "is damaged"),
    ],
)
def test_damaged_index(copy, change, message):
    path = copy / "volumes/index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=message):
        open_volumes(copy)


@pytest.mark.parametrize("name", ["images", "labels", "masks", "profiles-lesion"])
def test_damaged_array(copy, name):
    path = copy / f"volumes/{name}.npy"
    path.unlink()
    np.save(path, np.zeros((1, 2), np.uint8))
    with pytest.raises(
        InputError, match=rf"volumes: is damaged, or of another version \({name}.npy is uint8 \[1, 2\], expected"
    ):
        open_volumes(copy)
    path.write_bytes(b"no array")
    with pytest.raises(InputError, match="volumes: is damaged"):
        open_volumes(copy)
