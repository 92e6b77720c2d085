"""Every dataset prepared from files in each layout of the published sets, and read back as slices.

The head is the phantom at 3 mm. A lesion is a ball at a known place in MNI152, bright in the images and drawn in the
label file: in the stored slice it has to lie at that place, and label and image on each other.
"""

import csv
import os
from functools import cache
from itertools import cycle

import numpy as np
import pytest
from dataset_layouts import (
    ATLAS2_FOLDERS,
    ATLAS2_MASK,
    ATLAS2_NAME,
    BRATS2021_FOLDERS,
    HAMMERS_FILES,
    ISLES2022_CHALLENGE,
    ISLES2022_ZENODO,
    IXI_FOLDERS,
    OASIS3_FOLDERS,
    OASIS3_FREESURFER_FOLDERS,
    WMH2017_FOLDERS,
    brats_case,
    wmh_subject,
)
from miniature_head import ball, head_affine, head_image, head_labels, head_segmentation, posed, save
from scipy.ndimage import binary_fill_holes

from input_pipeline.prepare.dataset import prepare_dataset
from input_pipeline.raw.datasets import DATASETS
from input_pipeline.slices.settings import PrepareSettings
from input_pipeline.space.grid import ORIGIN, SHAPE
from input_pipeline.space.protocols import HAMMERS_TO_FREESURFER, NEUROMORPHOMETRICS_TO_FREESURFER
from input_pipeline.store.records import SliceStore
from input_pipeline.store.table import open_collection

# In the left hemisphere's white matter, in the slice; the other one on the right.
PLACE, OTHER_PLACE, RADIUS = (-28, -17, 24), (30, -17, 30), 10

# How two scans of a session lie in the scanner.
POSE, OTHER_POSE = posed((6, -4, 8), (12, -20, 15)), posed((2, -1, 5), (8, -16, 20))


@pytest.fixture(scope="module", autouse=True)
def no_programs():
    """FreeSurfer's programs are not there, whatever is installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")
        yield


def prepare(dataset, raw):
    """The stored dataset, and what was left out: (subject, image) -> reason."""
    out = raw.with_name(f"{raw.name}-out")
    prepare_dataset(DATASETS[dataset], raw, out, PrepareSettings(), workers=1)
    with (out / dataset / "dropped.csv").open(newline="", encoding="utf-8") as file:
        dropped = {(row["subject"], row["image"]): row["reason"] for row in csv.DictReader(file)}
    return SliceStore(out / dataset), dropped


# The files.


@cache
def with_lesion(modality, **options):
    """An image of the head with the lesion, the brightest in the slice by far; so is another one in front of it."""
    return np.where(ball(PLACE, RADIUS) | ball((-25, 40, 15), 20), 3000, head_image(modality, **options))


def lesion_map():
    return ball(PLACE, RADIUS).astype(np.uint8)


def save_segmentation(image_file, affine=None, orientation="RAS"):
    """What SynthSeg would make of an image, beside it."""
    stem = image_file.name.partition(".nii")[0]
    return save(image_file.with_name(f"{stem}_synthseg.nii.gz"), head_segmentation(), affine, orientation)


def junk(root, *names):
    """Files that no one is to read, unless they are written over."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"not an image")


def again(root, old, new):
    """The files whose path has `old` once more under the path with `new`."""
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and old in name:
            other = root / name.replace(old, new)
            other.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, other)


# The stored slices.


def labels(record, protocol):
    return record.labels[record.protocols.index(protocol), 0]


def sources(record):
    return dict(zip(record.protocols, record.label_sources, strict=True))


def place_of(pixels):
    """Where the centre of the pixels lies: x and z in MNI152."""
    rows, columns = np.nonzero(pixels)
    return columns.mean() + ORIGIN[0], SHAPE[2] - 1 - rows.mean() + ORIGIN[2]


def overlap(one, other):
    """Dice."""
    return 2 * np.sum(one & other) / (one.sum() + other.sum())


def bright(record, modality):
    return record.image(modality) > 0.6


def assert_lesion_in_place(record, protocol="lesion"):
    """At its place (where alignment by centroids brings it), round, and on the bright spot of every image."""
    found = labels(record, protocol) > 0
    assert place_of(found) == pytest.approx((PLACE[0], PLACE[2]), abs=3)
    assert found.sum() == pytest.approx(np.pi * RADIUS**2, rel=0.25)
    for modality in record.modalities:
        assert overlap(found, bright(record, modality)) > 0.85, modality


def assert_hole_in_mask(record):
    """The published mask, which has a hole at the lesion's place."""
    inside = record.brain_mask[0]
    hole = binary_fill_holes(inside) & ~inside
    assert place_of(hole) == pytest.approx((PLACE[0], PLACE[2]), abs=3)
    assert hole.sum() == pytest.approx(np.pi * RADIUS**2, rel=0.25)


def assert_left_is_left(record):
    freesurfer = labels(record, "freesurfer")
    for left, right in ((17, 53), (10, 49), (4, 43), (2, 41), (3, 42)):
        assert place_of(freesurfer == left)[0] < 0 < place_of(freesurfer == right)[0]


def inverse(mapping):
    """FreeSurfer's numbers as those of another protocol."""
    table = np.zeros(600, np.uint16)
    for label, freesurfer in mapping.items():
        table[freesurfer] = label
    return table[head_segmentation()]


WMH2017_NUMBERS = (2, 70, 100, 150, 160, 161, 4, 101, 50, 137)


@pytest.fixture(scope="module")
def wmh2017(tmp_path_factory):
    """One subject in each place that there is, every second without `.gz`."""
    raw = tmp_path_factory.mktemp("wmh")
    drawn = np.where(ball(OTHER_PLACE, RADIUS), 2, lesion_map()).astype(np.float32)
    for number, folder, ending in zip(WMH2017_NUMBERS, WMH2017_FOLDERS, cycle((".nii.gz", ".nii")), strict=False):
        subject = raw / folder / str(number)
        junk(raw, *wmh_subject(str(subject), ending))
        for modality in ("FLAIR", "T1"):
            save(subject / f"pre/{modality}{ending}", with_lesion(modality), POSE, "LPS")
        save(subject / f"wmh{ending}", drawn, POSE, "LPS")
        save_segmentation(subject / f"pre/FLAIR{ending}", POSE, "LIA")
    junk(raw, "additional_annotations/observer_o3/training/Utrecht/2/result.nii.gz")
    return prepare("wmh2017", raw)


class TestWmh2017:
    def test_all_places(self, wmh2017):
        store, dropped = wmh2017
        assert sorted(map(int, store.subjects())) == sorted(WMH2017_NUMBERS)
        assert dropped == {}

    @pytest.mark.parametrize("number", WMH2017_NUMBERS)
    def test_record(self, wmh2017, number):
        record = wmh2017[0].read(str(number))
        assert record.modalities == ("FLAIR", "T1")
        assert sources(record) == {"lesion": "published", "freesurfer": "found"}
        assert (record.mask_source, record.alignment) == ("segmentation", "centroids")
        assert not record.skull_stripped
        np.testing.assert_array_equal(*record.to_mni)  # T1 lies on FLAIR
        assert_lesion_in_place(record)
        assert_left_is_left(record)

    def test_other_pathology_is_not_kept(self, wmh2017):
        record = wmh2017[0].read("2")
        assert set(np.unique(labels(record, "lesion"))) == {0, 1}
        rows, columns = SHAPE[2] - 1 - (OTHER_PLACE[2] - ORIGIN[2]), OTHER_PLACE[0] - ORIGIN[0]
        assert labels(record, "lesion")[rows, columns] == 0


@pytest.fixture(scope="module", params=ATLAS2_FOLDERS)
def atlas2(request, tmp_path_factory):
    raw = tmp_path_factory.mktemp("atlas")
    name = request.param + ATLAS2_NAME
    image = save(raw / name.format("r009s001", "T1w"), with_lesion("T1"))
    save(raw / name.format("r009s001", ATLAS2_MASK), 255 * lesion_map())
    save_segmentation(image)
    again(raw, "r009s001", "r009s002")
    # the template at the root is no subject
    save(raw / "MNI152NLin2009aSym.nii.gz", head_image("T1"))
    save(raw / "ATLAS_2/MNI152NLin2009aSym.nii.gz", head_image("T1"))
    return prepare("atlas2", raw)


class TestAtlas2:
    def test_record(self, atlas2):
        store, dropped = atlas2
        assert sorted(store.subjects()) == ["sub-r009s001_ses-1", "sub-r009s002_ses-1"]
        assert dropped == {}
        record = store.read("sub-r009s001_ses-1")
        assert (record.person, record.modalities) == ("sub-r009s001", ("T1",))
        assert sources(record) == {"lesion": "published", "freesurfer": "found"}
        assert not record.skull_stripped
        assert set(np.unique(labels(record, "lesion"))) == {0, 1}  # 255 in the file
        assert_lesion_in_place(record)
        assert_left_is_left(record)

    def test_testing_without_mask_and_segmentation(self, tmp_path):
        """The intensities of a full head align it; anatomy is the template's."""
        save(tmp_path / "ATLAS_2/Testing/R002" / ATLAS2_NAME.format("r002s001", "T1w"), with_lesion("T1"))
        store, _ = prepare("atlas2", tmp_path)
        record = store.read("sub-r002s001_ses-1")
        assert (record.alignment, record.mask_source) == ("intensity", "template")
        assert sources(record) == {"freesurfer": "template"}
        assert place_of(bright(record, "T1")) == pytest.approx((PLACE[0], PLACE[2]), abs=3)


@pytest.fixture(scope="module", params=HAMMERS_FILES)
def hammers(request, tmp_path_factory):
    """a01 and a02 with a segmentation beside them, a03 with the published regions only."""
    raw = tmp_path_factory.mktemp("hammers")
    image, regions = (raw / name for name in request.param)
    save(image, head_image("T1"), POSE, "LPS")
    shifted = POSE.copy()
    shifted[:3, 3] += (3, 20, -16)
    # with the trailing axis that some files have
    save(regions, inverse(HAMMERS_TO_FREESURFER)[..., np.newaxis], shifted, "LPS")
    again(raw, "a01", "a03")
    save_segmentation(image, POSE)
    again(raw, "a01", "a02")
    return prepare("hammers", raw)


class TestHammers:
    def test_subjects(self, hammers):
        store, dropped = hammers
        assert sorted(store.subjects()) == ["a01", "a02", "a03"]
        assert dropped == {}
        assert store.read("a01").modalities == ("T1",)

    @pytest.mark.parametrize("subject", ["a01", "a02"])
    def test_shifted_header_of_the_labels(self, hammers, subject):
        record = hammers[0].read(subject)
        assert sources(record) == {"hammers": "published", "freesurfer": "found"}
        assert_left_is_left(record)
        for number, freesurfer in {2: 17, 1: 53, 40: 10, 41: 49, 46: 4, 45: 43, 19: 16}.items():
            region = labels(record, "hammers") == number
            assert region.any()
            np.testing.assert_array_equal(region, labels(record, "freesurfer") == freesurfer)

    def test_published_regions_alone(self, hammers):
        """They align the subject, but their gyri hold cortex and white matter: anatomy is the template's."""
        record, segmented = (hammers[0].read(subject) for subject in ("a03", "a01"))
        assert sources(record) == {"hammers": "published", "freesurfer": "template"}
        assert (record.alignment, record.mask_source) == ("centroids", "template")
        for number in (1, 2, 40, 41, 19):
            assert overlap(labels(record, "hammers") == number, labels(segmented, "hammers") == number) > 0.8


# The stub that all headers have; on its grid of 3 mm.
STUB = np.array([[3, 0, 0, -237], [0, 3, 0, 2], [0, 0, 3, 0], [0, 0, 0, 1]], np.float64)


def save_case(raw, folder, number, segmented=True):
    t1, _, t2, flair, seg = (raw / name for name in brats_case(number, folder=folder))
    junk(raw, *brats_case(number, folder=folder))
    for path, modality in ((t1, "T1"), (t2, "T2"), (flair, "FLAIR")):
        save(path, with_lesion(modality, skull_stripped=True), STUB, "LPS")
    tumour = 2 * ball(PLACE, RADIUS) + 2 * ball(PLACE, RADIUS - 3) - 3 * ball(PLACE, RADIUS - 6)
    save(seg, tumour.astype(np.uint8), STUB, "LPS")
    if segmented:
        save_segmentation(t1, STUB, "LPS")


@pytest.fixture(scope="module", params=BRATS2021_FOLDERS)
def brats2021(request, tmp_path_factory):
    raw = tmp_path_factory.mktemp("brats")
    save_case(raw, request.param, "00000")
    for number in ("00557", "00639"):
        again(raw, "00000", number)
    return prepare("brats2021", raw)


class TestBrats2021:
    def test_subjects(self, brats2021):
        store, dropped = brats2021
        assert sorted(store.subjects()) == [f"BraTS2021_{number}" for number in ("00000", "00557", "00639")]
        assert dropped == {}

    def test_record(self, brats2021):
        record = brats2021[0].read("BraTS2021_00000")
        assert record.modalities == ("T1", "T2", "FLAIR")  # not t1ce
        assert sources(record) == {"tumour": "published", "freesurfer": "found"}
        assert (record.mask_source, record.alignment, record.skull_stripped) == ("nonzero", "centroids", True)
        assert (record.to_mni == record.to_mni[0]).all()
        assert_lesion_in_place(record, "tumour")
        assert_left_is_left(record)

    def test_parts_of_the_tumour(self, brats2021):
        tumour = labels(brats2021[0].read("BraTS2021_00000"), "tumour")
        assert set(np.unique(tumour)) == {0, 1, 2, 4}
        assert (tumour == 1).sum() < (tumour == 4).sum() < (tumour == 2).sum()
        assert place_of(tumour == 1) == pytest.approx((PLACE[0], PLACE[2]), abs=3)

    def test_same_patient_twice(self, brats2021):
        split = {entry["subject"][-5:]: entry["split"] for entry in brats2021[0].index}
        assert split["00557"] == split["00639"] != split["00000"]

    def test_second_copy_and_newer_release(self, tmp_path):
        save_case(tmp_path, "", "00495")
        again(tmp_path, "BraTS2021_00495/", "sample/BraTS2021_00495/")
        newer, copied = (
            "BraTS-GLI-00000-000/BraTS-GLI-00000-000-t1n.nii.gz",
            "BraTS2021_00495/BraTS2021_00495_{}.nii.gz",
        )
        junk(tmp_path, newer)
        store, dropped = prepare("brats2021", tmp_path)
        assert store.subjects() == ("BraTS2021_00495",)
        assert dropped.pop((newer, "")) == "BraTS 2023's naming, where enhancing tumour is 3"
        for suffix in ("t1", "t2", "flair", "seg"):
            first = copied.format(suffix)
            reason = f"second file of BraTS2021_00495's {suffix}, {first} is taken"
            assert dropped.pop((f"sample/{first}", "")) == reason
        assert dropped == {}

    def test_without_segmentation(self, tmp_path):
        """Intensities align it all the way from the stub."""
        save_case(tmp_path, "", "00002", segmented=False)
        record = prepare("brats2021", tmp_path)[0].read("BraTS2021_00002")
        assert (record.alignment, record.mask_source) == ("intensity", "nonzero")
        assert sources(record) == {"tumour": "published", "freesurfer": "template"}
        assert_lesion_in_place(record, "tumour")


@pytest.fixture(scope="module", params=[ISLES2022_ZENODO, ISLES2022_CHALLENGE], ids=["zenodo", "challenge"])
def isles2022(request, tmp_path_factory):
    """0009 with FLAIR in another pose, on a grid of its own; 0150 and 0151 without FLAIR and lesion."""
    raw = tmp_path_factory.mktemp("isles")
    dwi, adc, _, mask = (raw / name.format("0150") for name in request.param)
    for path, modality in ((dwi, "DWI"), (adc, "ADC")):
        save(path, with_lesion(modality, skull_stripped=True), POSE, "LPS")
    save_segmentation(dwi, POSE)
    again(raw, "0150", "0009")
    save(mask, 0 * lesion_map(), POSE, "LPS")
    again(raw, "0150", "0151")

    _, _, flair, mask = (raw / name.format("0009") for name in request.param)
    save(mask, lesion_map(), POSE, "LPS")
    thick = OTHER_POSE @ np.diag((1, 1, 2, 1))
    thick[:3, 3] = (OTHER_POSE @ (2, 3, 0, 1))[:3]
    save(flair, with_lesion("FLAIR", skull_stripped=True)[2:-2, 3:-3, ::2], thick, "RAS")
    junk(raw, "ISLES-2022/participants.tsv", mask.with_name(mask.name.replace("msk.nii.gz", "snp.png")))
    return prepare("isles2022", raw)


class TestIsles2022:
    def test_record(self, isles2022):
        record = isles2022[0].read("sub-strokecase0009_ses-0001")
        assert record.modalities == ("DWI", "ADC", "FLAIR")
        assert sources(record) == {"lesion": "published", "freesurfer": "found"}
        assert (record.mask_source, record.skull_stripped) == ("nonzero", True)
        assert_left_is_left(record)

    def test_lesion_lies_on_all_images(self, isles2022):
        """Also on FLAIR, on whose grid it is not."""
        assert_lesion_in_place(isles2022[0].read("sub-strokecase0009_ses-0001"))

    def test_alignment(self, isles2022):
        dwi, adc, flair = isles2022[0].read("sub-strokecase0009_ses-0001").to_mni
        np.testing.assert_array_equal(dwi, adc)
        voxel = (32, 37, 32, 1)  # in the middle of the head
        assert np.linalg.norm(flair @ OTHER_POSE @ voxel - dwi @ POSE @ voxel) < 2  # mm
        assert np.linalg.norm(OTHER_POSE @ voxel - POSE @ voxel) > 5

    def test_empty_masks_are_kept(self, isles2022):
        store, dropped = isles2022
        assert sorted(store.subjects()) == [f"sub-strokecase{number}_ses-0001" for number in ("0009", "0150", "0151")]
        assert dropped == {}
        record = store.read("sub-strokecase0150_ses-0001")
        assert sources(record)["lesion"] == "published"
        assert not labels(record, "lesion").any()


DIRECTIONS = tuple(f"DTI-{number:02d}" for number in range(17))


def save_scan(raw, subject, modality, layout="", affine=None, rows=slice(None), segmented=False):
    """One image; `rows` of its slices from below."""
    affine = head_affine() if affine is None else affine
    cut = affine.copy()
    cut[:3, 3] += affine[:3, 2] * (rows.start or 0)
    path = raw / layout.format(modality.partition("-")[0]) / f"{subject}-{modality}.nii.gz"
    save(path, with_lesion(modality.partition("-")[0])[..., rows], cut, "PSR")
    if segmented:
        save_segmentation(path, affine)
    return path


@pytest.fixture(scope="module")
def ixi(tmp_path_factory):
    raw = tmp_path_factory.mktemp("ixi")
    save_scan(raw, "IXI012-HH-1211", "T1", affine=POSE, segmented=True)
    for modality in ("T2", "PD"):
        save_scan(raw, "IXI012-HH-1211", modality, affine=OTHER_POSE)
    # a slab of 90 mm through the slice, and one of 30 mm at the crown
    save_scan(raw, "IXI012-HH-1211", "MRA", affine=OTHER_POSE, rows=slice(15, 45))
    save_scan(raw, "IXI002-Guys-0828", "T1", affine=POSE, segmented=True)
    save_scan(raw, "IXI002-Guys-0828", "MRA", affine=POSE, rows=slice(38, 50))
    for modality in ("T1", "T2", "PD"):
        save_scan(raw, "IXI014-HH-1236", modality, segmented=modality == "T1")
    (raw / "IXI.csv").write_text('IXI_ID,"SEX_ID (1=m, 2=f)",AGE\n2,2,35.8\n12,1,38.78\n', encoding="utf-8")
    return prepare("ixi", raw)


class TestIxi:
    @pytest.mark.parametrize("layout", IXI_FOLDERS)
    def test_layouts(self, layout, tmp_path):
        """Each in folders of its own: one subject a modality, T2 and PD together."""
        save_scan(tmp_path, "IXI116-Guys-0739", "T1", layout, segmented=True)
        save_scan(tmp_path, "IXI580-IOP-1157", "T2", layout, segmented=True)
        save_scan(tmp_path, "IXI580-IOP-1157", "PD", layout)
        save_scan(tmp_path, "IXI012-HH-1211", "MRA", layout, segmented=True)
        save_scan(tmp_path, "IXI013-HH-1212", "DTI-00", layout, segmented=True)
        for direction in DIRECTIONS[1:]:
            again(tmp_path, "DTI-00.nii.gz", f"{direction}.nii.gz")
        junk(tmp_path, "bvals.txt", "bvecs.txt", "IXI.xls")
        store, dropped = prepare("ixi", tmp_path)
        assert {subject: store.read(subject).modalities for subject in store.subjects()} == {
            "IXI116-Guys-0739": ("T1",),
            "IXI580-IOP-1157": ("PD", "T2"),
            "IXI012-HH-1211": ("MRA",),
            "IXI013-HH-1212": DIRECTIONS,
        }
        assert dropped == {}

    def test_record(self, ixi):
        record = ixi[0].read("IXI012-HH-1211")
        assert record.modalities == ("MRA", "PD", "T1", "T2")
        assert sources(record) == {"freesurfer": "found"}
        assert (record.mask_source, record.alignment, record.skull_stripped) == ("segmentation", "centroids", False)
        assert_left_is_left(record)

    def test_unregistered_scans_lie_on_each_other(self, ixi):
        record = ixi[0].read("IXI012-HH-1211")
        for modality in record.modalities:
            assert place_of(bright(record, modality)) == pytest.approx((PLACE[0], PLACE[2]), abs=3)
            assert overlap(bright(record, modality), bright(record, "T1")) > 0.85, modality

    def test_which_share_an_alignment(self, ixi):
        record = ixi[0].read("IXI012-HH-1211")
        to_mni = dict(zip(record.modalities, record.to_mni, strict=True))
        np.testing.assert_array_equal(to_mni["T2"], to_mni["PD"])
        voxel = (32, 37, 32, 1)  # in the middle of the head
        assert np.linalg.norm(to_mni["T2"] @ OTHER_POSE @ voxel - to_mni["T1"] @ POSE @ voxel) < 2  # mm
        assert np.linalg.norm(OTHER_POSE @ voxel - POSE @ voxel) > 5

    def test_slab_beside_the_brain_is_dropped(self, ixi):
        store, dropped = ixi
        assert store.read("IXI002-Guys-0828").modalities == ("T1",)
        assert "of the brain in the slices, expected at least 50%" in dropped["IXI002-Guys-0828", "MRA"]
        record = store.read("IXI012-HH-1211")  # with a slab that shows most of it
        coverage = dict(zip(record.modalities, record.coverage[:, 0], strict=True))
        assert 0.5 < coverage.pop("MRA") < 1
        assert set(coverage.values()) == {1}

    def test_what_was_left_out(self, ixi):
        store, dropped = ixi
        assert store.read("IXI014-HH-1236").modalities == ("T1",)
        assert dropped.keys() == {("IXI002-Guys-0828", "MRA"), ("IXI014-HH-1236 T2", ""), ("IXI014-HH-1236 PD", "")}

    def test_age_and_sex(self, ixi):
        people = {subject[:6]: ixi[0].read(subject) for subject in ixi[0].subjects()}
        assert (people["IXI012"].age, people["IXI012"].sex) == (pytest.approx(38.78), "M")
        assert (people["IXI002"].age, people["IXI002"].sex) == (pytest.approx(35.8), "F")
        assert (people["IXI014"].age, people["IXI014"].sex) == (None, None)


OASIS3_T1 = "sub-OAS30001_ses-d0129_run-01_T1w.nii.gz"


def save_freesurfer(folder):
    """Cortex as parcels; the brain mask, an image, lacks a ball around `PLACE`."""
    parcels = 1 + np.indices(head_labels().shape)[1] % 35
    anatomy = head_segmentation()
    anatomy = np.where(np.isin(anatomy, (3, 42)), np.where(anatomy == 3, 1000, 2000) + parcels, anatomy)
    save(folder / "aparc+aseg.mgz", anatomy.astype(np.int32), POSE, "LIA")
    brain = head_image("T1", skull_stripped=True)
    save(folder / "brainmask.mgz", np.where(ball(PLACE, RADIUS), 0, brain), POSE, "LIA")
    junk(folder, "aseg.mgz", "orig.mgz")


@pytest.fixture(
    scope="module",
    params=zip(OASIS3_FOLDERS, cycle(OASIS3_FREESURFER_FOLDERS), strict=False),
    ids=lambda folders: folders[0],
)
def oasis3(request, tmp_path_factory):
    """Two sessions of a person with FreeSurfer's files, and one of another person without."""
    raw = tmp_path_factory.mktemp("oasis")
    folder, freesurfer = request.param
    save(raw / folder / OASIS3_T1, head_image("T1"), POSE, "PSR")
    junk(raw, f"{folder}/{OASIS3_T1.replace('.nii.gz', '.json')}", "0AS_data_files/OASIS3_data_files/table.csv")
    save_freesurfer(raw / freesurfer)
    again(raw, "d0129", "d2430")
    save_segmentation(save(raw / f"{folder}/{OASIS3_T1}".replace("OAS30001", "OAS30003"), head_image("T1"), POSE), POSE)
    return prepare("oasis3", raw)


class TestOasis3:
    def test_sessions(self, oasis3):
        store, dropped = oasis3
        assert sorted(store.subjects()) == ["OAS30001_d0129", "OAS30001_d2430", "OAS30003_d0129"]
        assert dropped == {}

    def test_sessions_of_a_person_stay_together(self, oasis3):
        split = {entry["subject"]: entry["split"] for entry in oasis3[0].index}
        assert split["OAS30001_d0129"] == split["OAS30001_d2430"] != split["OAS30003_d0129"]

    @pytest.mark.parametrize("session", ["OAS30001_d0129", "OAS30001_d2430"])
    def test_freesurfer_files(self, oasis3, session):
        record = oasis3[0].read(session)
        assert (record.person, record.modalities) == ("OAS30001", ("T1",))
        assert sources(record) == {"freesurfer": "published"}
        assert (record.mask_source, record.alignment) == ("published", "centroids")
        assert_left_is_left(record)

    def test_parcels_are_cortex(self, oasis3):
        """As in the segmentation that the other person has of the same head."""
        folded, segmented = (labels(oasis3[0].read(s), "freesurfer") for s in ("OAS30001_d0129", "OAS30003_d0129"))
        np.testing.assert_array_equal(folded, segmented)
        assert {3, 42} < set(np.unique(folded)) < set(range(100))

    def test_brain_mask(self, oasis3):
        """FreeSurfer's, with the hole that it has, and not that of the segmentation."""
        record, other = (oasis3[0].read(session) for session in ("OAS30001_d0129", "OAS30003_d0129"))
        assert (record.mask_source, other.mask_source) == ("published", "segmentation")
        assert_hole_in_mask(record)

    def test_other_modalities(self, tmp_path):
        """FLAIR in another pose than T1; a session that has T2w only, under the other spelling."""
        session = tmp_path / "OAS30001_MR_d0129"
        save_segmentation(save(session / "anat2" / OASIS3_T1, with_lesion("T1"), POSE), POSE)
        save(session / "anat1/sub-OAS30001_ses-d0129_FLAIR.nii.gz", with_lesion("FLAIR"), OTHER_POSE, "LPS")
        junk(session, "swi1/sub-OAS30001_ses-d0129_run-01_swi.nii.gz", f"anat3/{OASIS3_T1.replace('run-01', 'run-02')}")
        only = tmp_path / "OAS30002_MR_d2340/anat1/sub-OAS30002_sess-d2340_T2w.nii.gz"
        save_segmentation(save(only, with_lesion("T2"), OTHER_POSE), OTHER_POSE)
        store, dropped = prepare("oasis3", tmp_path)
        assert dropped == {}
        record = store.read("OAS30001_d0129")
        assert record.modalities == ("T1", "FLAIR")
        assert overlap(bright(record, "T1"), bright(record, "FLAIR")) > 0.85
        assert place_of(bright(record, "FLAIR")) == pytest.approx((PLACE[0], PLACE[2]), abs=3)
        assert store.read("OAS30002_d2340").modalities == ("T2",)
        assert place_of(bright(store.read("OAS30002_d2340"), "T2")) == pytest.approx((PLACE[0], PLACE[2]), abs=3)


@pytest.fixture(scope="module")
def multiatlas2012(tmp_path_factory):
    raw = tmp_path_factory.mktemp("multiatlas")
    far = posed((4, 6, -5), (120, -90, 110))  # the origin far from the AC
    image = head_image("T1", skull_stripped=True)
    save(raw / "1000_SS.nii.gz", image, far, "LIA")
    regions, gyrus = inverse(NEUROMORPHOMETRICS_TO_FREESURFER), 2 * (np.indices(image.shape)[1] % 54)
    regions = np.select([regions == 206, regions == 207], [100 + gyrus, 101 + gyrus], regions).astype(np.uint16)
    save(raw / "1000_glm.nii.gz", regions, far, "LIA")
    save(raw / "1000_mask.nii.gz", ((image > 0) & ~ball(PLACE, RADIUS)).astype(np.uint8), far, "LIA")
    for number in ("1001", "1002"):
        again(raw, "1000", number)
    return prepare("multiatlas2012", raw)


class TestMultiatlas2012:
    def test_record(self, multiatlas2012):
        store, dropped = multiatlas2012
        assert sorted(store.subjects()) == ["1000", "1001", "1002"]
        assert dropped == {}
        record = store.read("1000")
        assert record.modalities == ("T1",)
        assert sources(record) == {"neuromorphometrics": "published", "freesurfer": "mapped"}
        assert (record.mask_source, record.alignment, record.skull_stripped) == ("published", "centroids", True)
        assert record.residual_mm < 4
        assert_left_is_left(record)

    def test_both_numberings(self, multiatlas2012):
        record = multiatlas2012[0].read("1000")
        own, freesurfer = (labels(record, protocol) for protocol in ("neuromorphometrics", "freesurfer"))
        assert set(np.unique(own)) <= {0, *NEUROMORPHOMETRICS_TO_FREESURFER}
        for number, other in {48: 17, 47: 53, 60: 10, 59: 49, 52: 4, 51: 43, 35: 16, 45: 2, 44: 41}.items():
            assert (own == number).any()
            np.testing.assert_array_equal(own == number, freesurfer == other)
        left, right = (set(np.unique(own[freesurfer == cortex])) for cortex in (3, 42))
        assert left <= set(range(101, 208, 2))  # gyri: odd on the left
        assert right <= set(range(100, 208, 2))
        assert min(len(left), len(right)) > 1

    def test_mask(self, multiatlas2012):
        assert_hole_in_mask(multiatlas2012[0].read("1000"))


@pytest.fixture(scope="module")
def bids(tmp_path_factory):
    raw = tmp_path_factory.mktemp("bids")
    for number in ("01", "02"):
        name = raw / f"sub-{number}/anat/sub-{number}"
        save(name.with_name(f"{name.name}_T1w.nii.gz"), with_lesion("T1"), POSE)
        save(name.with_name(f"{name.name}_FLAIR.nii.gz"), with_lesion("FLAIR"), POSE, "LPS")
        save(name.with_name(f"{name.name}_dseg.nii.gz"), head_segmentation(), POSE)
    brain = head_image("T1", skull_stripped=True)
    save(raw / "sub-03_desc-brain_T1w.nii.gz", brain, POSE)
    save(raw / "sub-03_dseg.nii.gz", head_segmentation(), POSE)
    save(raw / "sub-03_desc-brain_mask.nii.gz", ((brain > 0) & ~ball(PLACE, RADIUS)).astype(np.uint8), POSE)
    # A program's results beside it: label maps in another space, and of tissue classes.
    derived = raw / "derivatives/fmriprep/sub-04/anat"
    save(raw / "sub-04/anat/sub-04_acq-MPRAGE+PROMO_T1w.nii.gz", head_image("T1"), POSE)
    save(derived / "sub-04_dseg.nii.gz", np.minimum(head_segmentation(), 3), POSE)
    save(derived / "sub-04_desc-aseg_dseg.nii.gz", head_segmentation(), POSE)
    save(derived / "sub-04_space-MNI152NLin6Asym_desc-aseg_dseg.nii.gz", head_segmentation())
    # The hippocampi alone.
    save(raw / "sub-05_T1w.nii.gz", head_image("T1"), POSE)
    few = np.where(np.isin(head_segmentation(), (17, 53)), head_segmentation(), 0)
    save(raw / "sub-05_dseg.nii.gz", few, POSE)
    return prepare("bids", raw)


class TestBids:
    def test_record(self, bids):
        store, dropped = bids
        assert sorted(store.subjects()) == ["01", "02", "03", "04", "05"]
        folder = "derivatives/fmriprep/sub-04/anat"
        assert dropped.keys() == {
            (f"{folder}/sub-04_{name}dseg.nii.gz", "") for name in ("", "space-MNI152NLin6Asym_desc-aseg_")
        }
        record = store.read("01")
        assert record.modalities == ("T1", "FLAIR")
        assert sources(record) == {"freesurfer": "published"}
        assert (record.alignment, record.skull_stripped) == ("centroids", False)
        assert place_of(bright(record, "T1")) == pytest.approx((PLACE[0], PLACE[2]), abs=3)
        assert overlap(bright(record, "T1"), bright(record, "FLAIR")) > 0.85
        assert_left_is_left(record)

    def test_without_skull(self, bids):
        record = bids[0].read("03")
        assert (record.mask_source, record.skull_stripped) == ("published", True)
        assert_hole_in_mask(record)

    def test_the_label_map_that_is_meant(self, bids):
        store, _ = bids
        record = store.read("04")
        assert (record.alignment, sources(record)) == ("centroids", {"freesurfer": "published"})
        np.testing.assert_array_equal(labels(record, "freesurfer"), labels(store.read("01"), "freesurfer"))
        page = (store.folder / "quality/index.html").read_text(encoding="utf-8")
        assert "sub-04_desc-aseg_dseg.nii.gz, FreeSurfer&#39;s numbers by its name" in page

    def test_labels_of_a_few_structures(self, bids):
        record, whole = (bids[0].read(subject) for subject in ("05", "04"))
        assert (record.alignment, sources(record)) == ("intensity", {"freesurfer": "partial"})
        found = labels(record, "freesurfer")
        assert set(np.unique(found)) == {0, 17, 53}
        for label in (17, 53):
            assert overlap(found == label, labels(whole, "freesurfer") == label) > 0.5

    def test_training_asks_for_these_structures_alone(self, bids):
        collection = open_collection([bids[0].folder], "train+val+test")
        few = [entry["subject"] == "05" for entry in collection.entries]
        np.testing.assert_array_equal(collection.with_tissue, ~np.array(few))
        names, pixels = collection.class_pixels["freesurfer"]
        shown = {label for label, count in zip(names, pixels[few][0], strict=True) if count}
        assert shown == {17, 53}
