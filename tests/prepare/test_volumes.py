"""`neuralizer prepare --volumes`: a plane of a volume is the slice that is prepared of the same files."""

from pathlib import Path

import numpy as np
import pytest
from miniature_head import head_affine, head_image, head_labels, head_segmentation, posed, save

from input_pipeline.prepare.write_volumes import volumes_of_record
from input_pipeline.raw.datasets import labelmaps
from input_pipeline.slices.anatomy import Labels
from input_pipeline.slices.from_labelmaps import labelmap_jobs
from input_pipeline.slices.labels import labelled_brain
from input_pipeline.slices.record import SubjectRecord
from input_pipeline.slices.settings import PrepareSettings
from input_pipeline.space.grid import ALL_Y, SHAPE, SLICE_SHAPE, SLICE_Y, coronal_image, coronal_index, volume_of
from input_pipeline.store.records import SliceStore
from input_pipeline.store.volumes import open_volumes
from neuralizer_jax.cli.main import main
from neuralizer_jax.errors import InputError

PLANE = coronal_index(SLICE_Y)


def prepare(dataset, out, *options):
    """The store of volumes, or of slices."""
    assert main(["prepare", dataset, "--out", str(out), "--workers", "1", *map(str, options)]) == 0
    return open_volumes(out / f"{dataset}-volumes") if "--volumes" in options else SliceStore(out / dataset)


def failed(capsys, *arguments):
    assert main(["prepare", *map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def in_slice(volume):
    return coronal_image(volume, PLANE)


@pytest.fixture(scope="module")
def maps(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("maps")
    for number in range(2):
        save(root / f"head_{number}.nii.gz", np.roll(head_labels(), number, axis=1), orientation="LIA")
    return root


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    """A skull-stripped scan in BIDS, as it lies in the scanner, with a segmentation."""
    root, pose = tmp_path_factory.mktemp("scans"), posed((6, -4, 8), (12, -20, 15))
    save(root / "sub-01/anat/sub-01_desc-brain_T1w.nii.gz", head_image("T1", skull_stripped=True), pose)
    save(root / "sub-01/anat/sub-01_dseg.nii.gz", head_segmentation(), pose)
    return root


@pytest.fixture(scope="module", params=["labelmaps", "bids"])
def both(request, maps, scans, tmp_path_factory):
    """A dataset as volumes and as slices."""
    out = tmp_path_factory.mktemp(request.param)
    raw = ("--raw", maps if request.param == "labelmaps" else scans)
    slices = prepare(request.param, out, *raw, *(("--skull-stripped", 0) if request.param == "labelmaps" else ()))
    return prepare(request.param, out, "--volumes", *raw), slices


def test_a_plane_of_a_volume_is_the_slice(both):
    volumes, slices = both
    assert [entry["subject"] for entry in volumes.index] == [entry["subject"] for entry in slices.index]
    for number, entry in enumerate(volumes.index):
        record = slices.read(entry["subject"])
        for place, modality in enumerate(entry["modalities"]):
            image = in_slice(volumes.images[volumes.first_image[number] + place])
            np.testing.assert_array_equal(image, record.images[record.modalities.index(modality), 0])
        for place, protocol in enumerate(entry["label_sources"]):
            codes = in_slice(volumes.labels[volumes.first_labels[number] + place])
            labels = record.labels[record.protocols.index(protocol), 0]
            np.testing.assert_array_equal(volumes.label_values[protocol][codes], labels)
            assert labels.any()


def test_subjects_are_in_the_same_splits(both):
    volumes, slices = both
    assert {e["subject"]: e["split"] for e in volumes.index} == {e["subject"]: e["split"] for e in slices.index}


def test_label_maps_have_no_images(both):
    volumes, slices = both
    if slices.folder.name == "labelmaps":
        assert not len(volumes.images)
        assert 511 in volumes.label_values["freesurfer"]  # the head stays: training strips skulls by a draw of its own
    else:
        assert [entry["modalities"] for entry in volumes.index] == [["T1"]]
        assert volumes.index[0]["label_sources"] == {"freesurfer": "published"}
        assert volumes.index[0]["coverage"] == 1


def test_labels_of_the_template_are_not_stored():
    record = SubjectRecord(
        dataset="bids", subject="01", person="01", y=np.array(ALL_Y, np.int16), modalities=(),
        images=np.empty((0, SHAPE[1], *SLICE_SHAPE), np.uint16), coverage=np.ones((0, SHAPE[1]), np.float32),
        to_mni=np.empty((0, 4, 4)), protocols=("lesion", "freesurfer"),
        labels=np.full((2, SHAPE[1], *SLICE_SHAPE), [[[[1]]], [[[2]]]], np.uint16),
        label_sources=("published", "template"), brain_mask=np.ones((SHAPE[1], *SLICE_SHAPE), bool),
        mask_source="template", skull_stripped=False, alignment="intensity",
    )  # fmt: skip
    assert list(volumes_of_record(record).labels[:, 0, 0, 0]) == [1]


def test_masks_cover_the_brain(both):
    volumes, _ = both
    mask = volumes.masks[volumes.first_mask[0]]
    labels = volumes.label_values["freesurfer"][volumes.labels[volumes.first_labels[0]]]
    brain = (labels > 0) & (labels < 500) & (labels != 24)
    assert mask[brain].mean() > 0.98
    assert 1.0 < mask.sum() / 1e6 < 2.2  # litres


def test_the_page_shows_every_subject(both):
    volumes, slices = both
    folder = slices.folder.with_name(f"{slices.folder.name}-volumes") / "quality"
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert all(f"pictures/{entry['subject']}.png" in page for entry in volumes.index)
    assert (folder / "contact_sheet.png").is_file()


def test_the_mask_of_a_segmentation_is_smooth_in_all_directions():
    labels = Labels((np.where(head_labels() < 500, head_labels(), 0), head_affine()), "found", "freesurfer")
    mask = volume_of(labelled_brain(labels, np.eye(4), range(SHAPE[1])))
    steps = [np.count_nonzero(np.diff(mask, axis=axis)) for axis in range(3)]
    assert steps[1] < 0.95 * steps[0]  # plane by plane: 1.02


def test_it_goes_on_where_it_stopped(maps, tmp_path):
    first = prepare("labelmaps", tmp_path, "--volumes", "--raw", maps)
    made = tmp_path / "labelmaps-volumes/work/subjects/head_0.npz"
    before = made.stat().st_mtime_ns
    made.with_name("head_1.npz").unlink()
    again = prepare("labelmaps", tmp_path, "--volumes", "--raw", maps)
    assert made.stat().st_mtime_ns == before
    assert again.index == first.index
    np.testing.assert_array_equal(again.labels, first.labels)


def test_the_phantom_varies(tmp_path):
    volumes = prepare("phantom", tmp_path, "--volumes", "--subjects", 2)
    assert not len(volumes.images)
    brain = volumes.masks[0] > 0
    assert 0.05 < np.mean(volumes.labels[0][brain] != volumes.labels[1][brain]) < 0.6


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda head: head[:32], "the edge of the file cuts through 1[0-9][0-9] cm2 of the brain"),
        (lambda head: head[:, :, 36:], "the edge of the file cuts through"),
        (lambda head: np.where(head == 2, 9999, head), r"labels that FreeSurfer does not know \(9999\)"),
        (lambda head: head_image().astype(np.uint16), "labels that FreeSurfer does not know"),
        (lambda head: np.where(np.isin(head, (17, 53)), head, 0), "2 structures can be matched"),
    ],
)
def test_what_is_not_the_label_map_of_a_brain(tmp_path, make, reason):
    path = save(tmp_path / "head.nii.gz", make(head_labels().astype(np.int32)))
    (job,) = labelmap_jobs(labelmaps.discover(tmp_path).subjects, PrepareSettings(volumes=True))
    with pytest.raises(InputError, match=reason) as raised:
        job.make()
    assert str(raised.value).startswith(f"{path}: ")


def test_other_labels_of_freesurfer_are_known(tmp_path):
    """Cortical parcels of both atlases, their white matter, and SAMSEG's head become the labels of SynthSeg."""
    parcels = {2: 3007, 41: 4035, 3: 11175, 42: 2012, 515: 165, 507: 258, 24: 257}
    head = np.select([head_labels() == label for label in parcels], list(parcels.values()), head_labels().astype(int))
    save(tmp_path / "head.nii.gz", head.astype(np.uint16))
    (job,) = labelmap_jobs(labelmaps.discover(tmp_path).subjects, PrepareSettings(volumes=True))
    labels = job.make().record.labels
    found = set(np.unique(labels).tolist())
    assert set(parcels) <= found
    assert found.isdisjoint(parcels.values())


@pytest.mark.parametrize("option", ["--slices=-17", "--skull-stripped=1"])
def test_options_of_slices(maps, tmp_path, capsys, option):
    error = failed(capsys, "labelmaps", "--volumes", "--raw", maps, "--out", tmp_path, option)
    assert f"{option.partition('=')[0]}: is not an option of labelmaps as volumes" in error
