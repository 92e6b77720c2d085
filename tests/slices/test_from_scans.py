"""From the files of a subject to its slices: independent of the storage order, aligned, and checked."""

import gzip

import nibabel as nib
import numpy as np
import pytest
from miniature_head import ORIENTATIONS, SPACING, ball, head_affine, head_image, head_labels, save
from scipy.spatial.transform import Rotation

from input_pipeline.raw.subject import RawLabels, RawSubject
from input_pipeline.slices.from_scans import scan_jobs
from input_pipeline.space.grid import coronal_image, coronal_index
from input_pipeline.space.protocols import fold_freesurfer
from input_pipeline.synthesis.phantom import phantom_label_map
from neuralizer_jax.errors import InputError

SLICE = (-17,)


def brain_labels():
    """The head's labels without those outside of the brain, as a segmentation program writes them."""
    return np.where(head_labels() < 500, head_labels(), 0).astype(np.int16)


def marked():
    """A lesion in the white matter of the left temporal lobe."""
    return ball((-40, -17, -10), 9).astype(np.uint8)


def moved(seed):
    """A random map world -> world: about 10 degrees, 25 mm and 10 % in size."""
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(np.deg2rad(rng.uniform(-12, 12, 3))).as_matrix() @ np.diag(
        rng.uniform(0.9, 1.1, 3)
    )
    matrix[:3, 3] = rng.uniform(-25, 25, 3)
    return matrix


def made(raw, y=SLICE, index=None, **settings):
    (job,) = scan_jobs([raw], y, index=index or {}, made=next(iter(raw.images.values())).parent / "made", **settings)
    return job.make()


def subject(folder, *, modalities=("T1",), affine=None, orientation="RAS", segmented=True, **changes):
    """A subject on disk: images of the head, and the segmentation of the first beside it."""
    images = {
        modality: save(folder / f"s_{modality}.nii.gz", head_image(modality), affine, orientation)
        for modality in modalities
    }
    if segmented:
        save(folder / f"s_{modalities[0]}_synthseg.nii.gz", brain_labels(), affine, orientation)
    return RawSubject(**({"dataset": "set", "subject": "s", "person": "s", "images": images} | changes))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return made(subject(tmp_path_factory.mktemp("plain"))).record


def overlap(one, other, label):
    return 2 * ((one == label) & (other == label)).sum() / ((one == label).sum() + (other == label).sum())


class TestPlace:
    @pytest.mark.parametrize("orientation", ORIENTATIONS)
    def test_the_order_of_axes_on_disk_does_not_matter(self, tmp_path, plain, orientation):
        lesion = RawLabels(save(tmp_path / "lesion.nii.gz", marked(), None, orientation), "lesion", "T1")
        record = made(subject(tmp_path, orientation=orientation, labels=(lesion,))).record
        np.testing.assert_allclose(record.images, plain.images, atol=0.01)
        np.testing.assert_array_equal(record.labels[record.protocols.index("freesurfer")], plain.labels[0])
        np.testing.assert_array_equal(record.brain_mask, plain.brain_mask)
        rows, columns = np.nonzero(record.labels[record.protocols.index("lesion"), 0])
        assert columns.mean() == pytest.approx(96 - 40, abs=3)  # left is on the left
        assert rows.mean() == pytest.approx(192 - (-10 + 77), abs=4)

    def test_left_and_right_structures(self, plain):
        for left, right in ((10, 49), (17, 53), (2, 41), (4, 43)):
            assert (
                np.nonzero(plain.labels[0, 0] == left)[1].mean()
                < 96
                < np.nonzero(plain.labels[0, 0] == right)[1].mean()
            )

    @pytest.mark.parametrize("seed", range(3))
    def test_where_the_head_lay_in_the_scanner_does_not_matter(self, tmp_path, plain, seed):
        record = made(subject(tmp_path, affine=moved(seed) @ head_affine())).record
        np.testing.assert_allclose(record.to_mni[0] @ moved(seed), plain.to_mni[0], atol=1e-4)
        np.testing.assert_allclose(record.images, plain.images, atol=1)  # of 1000
        assert np.mean(record.labels == plain.labels) > 0.999

    def test_it_is_the_plane_of_the_phantom(self, plain):
        """The head is the template itself: aligned by its structures it lies where it lay."""
        truth = fold_freesurfer(coronal_image(phantom_label_map(), coronal_index(-17)))
        assert plain.alignment == "centroids"
        assert plain.residual_mm < 4
        for label in (2, 41, 10, 49, 16):
            assert overlap(plain.labels[0, 0], truth, label) > 0.75

    def test_without_a_segmentation_intensities_align(self, tmp_path, plain):
        affine = moved(1) @ head_affine()
        record = made(subject(tmp_path, affine=affine, segmented=False)).record
        assert record.alignment == "intensity"
        assert record.mutual_information > 0.2
        assert record.label_sources == ("template",)
        assert record.mask_source == "template"
        inside = np.argwhere(brain_labels() > 0)[::50]
        world = inside @ head_affine()[:3, :3].T + head_affine()[:3, 3]
        back = (record.to_mni[0] @ moved(1)) @ np.vstack([world.T, np.ones(len(world))])
        assert np.linalg.norm(back[:3].T - world, axis=1).mean() < 4

    def test_labels_have_no_influence_on_alignment_by_intensities(self, tmp_path):
        affine = moved(1) @ head_affine()
        (tmp_path / "bare").mkdir()
        bare = made(subject(tmp_path / "bare", affine=affine, segmented=False)).record
        record = made(subject(tmp_path, affine=affine), align_by="intensities").record
        assert record.alignment == "intensity"
        assert record.residual_mm is None
        assert record.label_sources == ("found",)
        np.testing.assert_array_equal(record.to_mni, bare.to_mni)
        np.testing.assert_array_equal(record.images, bare.images)

    def test_several_slices(self, tmp_path, plain):
        record = made(subject(tmp_path), (-21, -17, -13)).record
        assert record.images.shape == (1, 3, 192, 192)
        np.testing.assert_array_equal(record.y, [-21, -17, -13])
        np.testing.assert_allclose(record.images[:, 1], plain.images[:, 0], atol=1e-3)
        np.testing.assert_array_equal(record.labels[:, 1], plain.labels[:, 0])
        assert (record.labels[0, 0] != record.labels[0, 2]).mean() > 0.05


class TestSeveralImages:
    def test_an_image_that_lies_elsewhere_is_aligned_to_the_reference(self, tmp_path, plain):
        turn = np.eye(4)
        turn[:3, :3] = Rotation.from_euler("xyz", (4, -5, 3), degrees=True).as_matrix()
        turn[:3, 3] = (4, -6, 5)
        raw = subject(tmp_path, modalities=("T1", "T2"))
        save(raw.images["T2"], head_image("T2"), turn @ head_affine())
        record = made(raw).record
        t1, t2 = record.to_mni
        points = np.vstack([np.random.default_rng(0).uniform(-60, 60, (3, 100)), np.ones(100)])
        assert np.linalg.norm((t2 @ turn @ points - t1 @ points)[:3], axis=0).mean() < 1.5

    def test_images_of_a_group_are_aligned_once(self, tmp_path):
        raw = subject(tmp_path, modalities=("T1", "T2", "FLAIR"), aligned=(("T1", "T2", "FLAIR"),))
        record = made(raw).record
        assert record.modalities == ("T1", "T2", "FLAIR")
        assert (record.to_mni == record.to_mni[0]).all()

    def test_a_slab_that_misses_the_brain_is_left_out(self, tmp_path):
        raw = subject(tmp_path, modalities=("T1", "MRA"), aligned=(("T1", "MRA"),))
        affine = head_affine()
        affine[2, 3] += 45 * SPACING
        save(raw.images["MRA"], head_image("MRA")[:, :, 45:], affine)
        result = made(raw)
        assert result.record.modalities == ("T1",)
        assert "shows" in result.dropped["MRA"]
        assert str(raw.images["MRA"]) in result.dropped["MRA"]

    def test_an_image_padded_with_zeros_where_the_brain_is_is_left_out(self, tmp_path):
        raw = subject(tmp_path, modalities=("T1", "MRA"), aligned=(("T1", "MRA"),))
        image = head_image("MRA").copy()
        image[:, :, :45] = 0
        save(raw.images["MRA"], image)
        result = made(raw)
        assert result.record.modalities == ("T1",)
        assert "has contrast in" in result.dropped["MRA"]

    def test_a_slab_that_shows_most_of_it_is_kept_with_its_coverage(self, tmp_path):
        raw = subject(tmp_path, modalities=("T1", "MRA"), aligned=(("T1", "MRA"),))
        affine = head_affine()
        affine[2, 3] += 18 * SPACING
        save(raw.images["MRA"], head_image("MRA")[:, :, 18:], affine)
        record = made(raw).record
        assert record.coverage[0, 0] == 1
        assert 0.5 < record.coverage[1, 0] < 0.95


class TestLabelsAndMask:
    def test_sources(self, tmp_path):
        raw = subject(tmp_path)
        save(tmp_path / "s_T1_brainmask.nii.gz", (brain_labels() > 0).astype(np.uint8))
        record = made(raw).record
        assert record.label_sources == ("found",)
        assert record.mask_source == "found"

    def test_a_mask_of_the_segmentation(self, plain):
        assert plain.mask_source == "segmentation"
        assert plain.brain_mask[0][np.isin(plain.labels[0, 0], (2, 3, 41, 42, 16, 4, 43))].all()

    def test_skull_stripped_images_are_their_own_mask(self, tmp_path):
        image = np.where(brain_labels() > 0, head_image(), 0)
        image[head_labels() == 4] = 0  # a hole inside of the brain
        raw = subject(tmp_path, skull_stripped=True)
        save(raw.images["T1"], image)
        record = made(raw).record
        assert record.mask_source == "nonzero"
        assert record.brain_mask[0][record.labels[0, 0] == 4].mean() > 0.9
        assert record.skull_stripped

    def test_only_the_values_that_count(self, tmp_path):
        values = np.where(marked() > 0, 1, 2).astype(np.float32)
        labels = RawLabels(save(tmp_path / "wmh.nii.gz", values), "lesion", "T1", keep=(1,))
        record = made(subject(tmp_path, labels=(labels,))).record
        lesion = record.labels[record.protocols.index("lesion"), 0]
        assert set(np.unique(lesion)) == {0, 1}
        assert 100 < lesion.sum() < 600

    def test_an_empty_lesion_map_is_one(self, tmp_path):
        labels = RawLabels(save(tmp_path / "lesion.nii.gz", np.zeros((64, 75, 64), np.uint8)), "lesion", "T1")
        record = made(subject(tmp_path, labels=(labels,))).record
        assert not record.labels[record.protocols.index("lesion")].any()

    def test_labels_take_the_place_of_their_image(self, tmp_path, plain):
        """Whatever the header of the label file says (Hammers)."""
        shifted = head_affine()
        shifted[:3, 3] += (5, -20, 16)
        labels = RawLabels(save(tmp_path / "a01-seg.nii.gz", marked(), shifted), "lesion", "T1")
        record = made(subject(tmp_path, labels=(labels,))).record
        columns = np.nonzero(record.labels[record.protocols.index("lesion"), 0])[1]
        assert columns.mean() == pytest.approx(96 - 40, abs=3)

    def test_one_file_for_two_subjects(self, tmp_path):
        (tmp_path / "all").mkdir()
        save(tmp_path / "all/s_T1_synthseg.nii.gz", brain_labels())
        index = {"s_T1_synthseg.nii.gz": [tmp_path / "all/s_T1_synthseg.nii.gz"]}
        raws = [subject(tmp_path / name, segmented=False, subject=name) for name in "ab"]
        with pytest.raises(InputError, match="right for a and b"):
            scan_jobs(raws, SLICE, index=index, made=tmp_path)


@pytest.fixture(scope="module")
def by_intensities(tmp_path_factory):
    return made(subject(tmp_path_factory.mktemp("bare"), segmented=False)).record


def test_a_segmentation_that_is_there_twice_costs_its_subject_alone(tmp_path):
    for folder in ("a", "b"):
        save(tmp_path / folder / "s_T1_synthseg.nii.gz", brain_labels())
    index = {"s_T1_synthseg.nii.gz": [tmp_path / "a/s_T1_synthseg.nii.gz", tmp_path / "b/s_T1_synthseg.nii.gz"]}
    raws = [RawSubject("set", name, name, {"T1": tmp_path / f"{name}_T1.nii.gz"}) for name in ("s", "t")]
    jobs = scan_jobs(raws, SLICE, index=index, made=tmp_path)
    assert [job.subject for job in jobs] == ["s", "t"]
    with pytest.raises(InputError, match="both are named"):
        jobs[0].make()


class TestFewStructures:
    """Labels that do not show the whole brain are labels of a subject aligned by its intensities."""

    def made_with(self, folder, values, **options):
        path = save(folder / "s_dseg.nii.gz", values.astype(np.int16))
        return made(subject(folder, segmented=False, labels=(RawLabels(path, "freesurfer", **options),)))

    def hippocampi(self):
        return np.where(np.isin(brain_labels(), (17, 53)), brain_labels(), 0)

    def test_labels_of_the_hippocampi(self, tmp_path, by_intensities, plain):
        record = self.made_with(tmp_path, self.hippocampi()).record
        assert (record.alignment, record.label_sources, record.mask_source) == ("intensity", ("partial",), "template")
        np.testing.assert_array_equal(record.images, by_intensities.images)
        np.testing.assert_array_equal(record.brain_mask, by_intensities.brain_mask)
        assert set(np.unique(record.labels)) == {0, 17, 53}
        for label in (17, 53):
            assert overlap(record.labels[0, 0], plain.labels[0, 0], label) > 0.6

    def test_other_numbers_with_a_table(self, tmp_path):
        values = self.hippocampi()
        other = np.where(values == 17, 1, np.where(values == 53, 200, 0)) + (brain_labels() == 16) * 7
        record = self.made_with(tmp_path, other, numbers={1: 17, 200: 53}).record
        assert set(np.unique(record.labels)) == {0, 17, 53}

    def test_tissue_classes_are_no_labels(self, tmp_path):
        classes = np.select([np.isin(brain_labels(), (2, 41)), brain_labels() > 0], [2, 1], 0)
        result = self.made_with(tmp_path, classes)
        assert result.record.label_sources == ("template",)
        assert "s_dseg.nii.gz: holds the values 1, 2, expected" in result.dropped["labels"]


class TestImageAndLabels:
    """An image lies on its labels, or is dropped."""

    def stripped(self, folder, affine=None, background=0.0, **changes):
        raw = subject(folder, skull_stripped=True, **changes)
        image = np.where(brain_labels() > 0, head_image() + background, background)
        save(raw.images["T1"], image.astype(np.float32), affine)
        return raw

    def test_blank_where_the_labels_are(self, tmp_path):
        far = head_affine()
        far[1, 3] += 500
        with pytest.raises(InputError, match="shows 0% of the brain"):
            made(self.stripped(tmp_path, far))

    def test_background_where_the_labels_are(self, tmp_path):
        """The field of view covers the labels, but the brain is elsewhere in it."""
        raw = self.stripped(tmp_path)
        image = np.zeros((64, 160, 64), np.float32)
        image[:, 80:155] = np.where(brain_labels() > 0, head_image(), 0)
        save(raw.images["T1"], image)
        with pytest.raises(InputError, match="has contrast in 0%"):
            made(raw)

    def test_flat_where_the_labels_are(self, tmp_path):
        """A header in micrometres that says mm: all labels lie in one voxel."""
        raw = subject(tmp_path)
        save(raw.images["T1"], head_image(), np.diag([1000, 1000, 1000, 1]) @ head_affine())
        with pytest.raises(InputError, match="has contrast in 0%"):
            made(raw)

    @pytest.mark.parametrize("background", [1e-7, 50.0])
    def test_any_background(self, tmp_path, plain, background):
        (tmp_path / "zero").mkdir()
        zero = made(self.stripped(tmp_path / "zero")).record
        record = made(self.stripped(tmp_path, background=background)).record
        np.testing.assert_array_equal(record.brain_mask, zero.brain_mask)

    def test_the_brain_lies_beside_the_labels(self, tmp_path):
        beside = head_affine()
        beside[:3, 3] += (0, 14, 40)
        with pytest.raises(InputError, match="the labels do not lie on the image"):
            made(self.stripped(tmp_path, beside))

    def test_labels_of_an_image_that_cannot_be_read(self, tmp_path):
        labels = RawLabels(save(tmp_path / "s_dseg.nii.gz", brain_labels()), "freesurfer")
        raw = subject(tmp_path, modalities=("T1", "FLAIR"), segmented=False, labels=(labels,))
        raw.images["T1"].write_bytes(raw.images["T1"].read_bytes()[:-2000])
        result = made(raw)
        assert result.record.modalities == ("FLAIR",)
        assert result.record.label_sources == ("template",)
        assert "lies on the image of T1" in result.dropped["labels"]

    def test_no_scan_of_a_head(self, tmp_path):
        raw = subject(tmp_path, segmented=False)
        save(raw.images["T1"], ball((0, -17, 10), 60) * np.float32(500))
        with pytest.raises(InputError, match=r"s_T1.nii.gz: its mutual information with the template is 0\."):
            made(raw)


class TestDropped:
    def reason(self, raw):
        with pytest.raises(InputError) as error:
            made(raw)
        return str(error.value)

    def test_no_image_can_be_read(self, tmp_path):
        raw = subject(tmp_path)
        raw.images["T1"].write_bytes(raw.images["T1"].read_bytes()[:-2000])
        assert str(raw.images["T1"]) in self.reason(raw)

    def test_one_of_two_images_can(self, tmp_path):
        raw = subject(tmp_path, modalities=("T1", "T2"), aligned=(("T1", "T2"),))
        raw.images["T2"].write_bytes(gzip.compress(gzip.decompress(raw.images["T2"].read_bytes())[:352]))
        result = made(raw)
        assert result.record.modalities == ("T1",)
        assert list(result.dropped) == ["T2"]

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_not_a_number(self, tmp_path, value):
        image = head_image().copy()
        image[30, 30, 30] = value
        raw = subject(tmp_path)
        save(raw.images["T1"], image)
        assert "1 of 307200 values are NaN or infinite" in self.reason(raw)

    def test_constant(self, tmp_path):
        raw = subject(tmp_path)
        save(raw.images["T1"], np.full((64, 75, 64), 7.0, np.float32))
        assert "is constant" in self.reason(raw)

    def test_a_series(self, tmp_path):
        raw = subject(tmp_path)
        nib.save(nib.Nifti1Image(np.stack([head_image()] * 3, -1), head_affine()), raw.images["T1"])
        assert "holds 3 volumes" in self.reason(raw)

    def test_labels_of_another_shape(self, tmp_path):
        labels = RawLabels(save(tmp_path / "lesion.nii.gz", marked()[1:]), "lesion", "T1")
        raw = subject(tmp_path, labels=(labels,))
        assert "63 x 75 x 64 voxels, expected 64 x 75 x 64" in self.reason(raw)

    def test_a_structure_is_missing_in_the_slice(self, tmp_path):
        raw = subject(tmp_path)
        values = brain_labels()
        values[np.isin(values, (17, 53))] = 0
        save(tmp_path / "s_T1_synthseg.nii.gz", values)
        assert self.reason(raw) == "no hippocampus in the slice at y = -17 mm, expected all of them"

    def test_brain_outside_of_the_grid(self, tmp_path):
        raw = subject(tmp_path)
        values = brain_labels()
        values[0, 0, 0] = 3
        affine = head_affine()
        affine[:3, 3] -= 4 * SPACING
        padded = np.pad(values, 4)
        padded[0, 0, 0] = 3
        save(tmp_path / "s_T1_synthseg.nii.gz", padded, affine)
        assert "lie outside of the MNI152 grid" in self.reason(raw)

    def test_left_and_right_exchanged_in_the_labels(self, tmp_path):
        raw = subject(tmp_path)
        save(tmp_path / "s_T1_synthseg.nii.gz", brain_labels()[::-1])
        assert "left and right are swapped" in self.reason(raw)

    def test_a_brain_mask_that_is_not_on_the_template_s(self, tmp_path):
        mask = save(tmp_path / "mask.nii.gz", ball((0, -17, 10), 40).astype(np.uint8))
        raw = subject(tmp_path, segmented=False, skull_stripped=True, brain_mask=mask)
        save(raw.images["T1"], np.where(brain_labels() > 0, head_image(), 0))
        with pytest.raises(InputError, match=r"Dice of 0.* with the template's"):
            made(raw, align_by="intensities")  # the image alone is aligned well
