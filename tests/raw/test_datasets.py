"""What `discover` finds in miniature copies of the datasets: every layout, and every trap in them. Files are empty."""

import json
from pathlib import Path

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

from input_pipeline.raw import datasets
from input_pipeline.raw.datasets import (
    atlas2,
    bids,
    brats2021,
    hammers,
    isles2022,
    ixi,
    labelmaps,
    multiatlas2012,
    oasis3,
    wmh2017,
)
from input_pipeline.raw.found_files import together
from input_pipeline.raw.subject import RawLabels
from input_pipeline.space.modalities import MODALITIES
from input_pipeline.space.protocols import PROTOCOLS
from neuralizer_jax.errors import InputError
from neuralizer_jax.files.folder_tree import files_under

DATASETS = {name: dataset for name, dataset in datasets.DATASETS.items() if dataset.discover}


def tree(root: Path, *names: str) -> Path:
    """Empty files of these names under `root`."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def by_id(found) -> dict:
    return {subject.subject: subject for subject in found.subjects}


def only(found):
    (subject,) = found.subjects
    return subject


def files_of(subject) -> list[Path]:
    return [*subject.images.values(), *(labels.path for labels in subject.labels)]


# One file of each dataset that suffices for a subject.
SMALLEST = {
    "oasis3": "OAS30001_MR_d0129/anat1/sub-OAS30001_ses-d0129_run-01_T1w.nii.gz",
    "brats2021": "BraTS2021_00000/BraTS2021_00000_t1.nii.gz",
    "ixi": "IXI002-Guys-0828-T1.nii.gz",
    "atlas2": "R001/sub-r001s001/ses-1/anat/sub-r001s001_ses-1_space-MNI152NLin2009aSym_T1w.nii.gz",
    "hammers": "a01.nii.gz",
    "isles2022": "sub-strokecase0001_ses-0001_dwi.nii.gz",
    "wmh2017": "Utrecht/0/pre/FLAIR.nii.gz",
    "multiatlas2012": "1000_SS.nii.gz",
    "bids": "sub-01/anat/sub-01_T1w.nii.gz",
    "labelmaps": "subject_01.nii.gz",
}

# Names of files that are those of any dataset.
ANY = ("labelmaps", "bids")


class TestAllDatasets:
    @pytest.mark.parametrize("name", DATASETS)
    def test_smallest(self, name, tmp_path):
        subject = only(DATASETS[name].discover(tree(tmp_path, SMALLEST[name])))
        assert subject.dataset == name == DATASETS[name].name
        assert set(subject.images) <= set(MODALITIES)
        assert all(labels.protocol in PROTOCOLS for labels in subject.labels)
        assert files_of(subject) == [tmp_path / SMALLEST[name]]

    @pytest.mark.parametrize("name", DATASETS)
    def test_found_at_any_depth(self, name, tmp_path):
        found = DATASETS[name].discover(tree(tmp_path, f"a/b/c/{SMALLEST[name]}"))
        assert files_of(only(found)) == [tmp_path / "a/b/c" / SMALLEST[name]]
        assert found.dropped == {}

    @pytest.mark.parametrize("name", DATASETS)
    def test_second_copy_is_reported(self, name, tmp_path):
        first, second, third = (f"{folder}/{SMALLEST[name]}" for folder in ("a/b/c", "m", "z"))
        subject = only(DATASETS[name].discover(tree(tmp_path, first)))
        found = DATASETS[name].discover(tree(tmp_path, second, third))
        assert only(found) == subject
        what = {"oasis3": "T1w", "brats2021": "t1", "isles2022": "DWI", "wmh2017": "FLAIR", "multiatlas2012": "SS"}
        whose = "the name subject_01" if name == "labelmaps" else f"{subject.subject}'s {what.get(name, 'T1')}"
        assert found.dropped == dict.fromkeys((second, third), f"second file of {whose}, {first} is taken")

    @pytest.mark.parametrize("name", DATASETS)
    def test_hidden_files_are_ignored(self, name, tmp_path):
        real = tree(tmp_path / "set", SMALLEST[name])
        subject = only(DATASETS[name].discover(real))
        folder, _, file = SMALLEST[name].rpartition("/")
        tree(real, f"{folder}/._{file}", f"__MACOSX/{folder}/._{file}", f".git/annex/{SMALLEST[name]}")
        assert only(DATASETS[name].discover(real)) == subject

    @pytest.mark.parametrize("name", DATASETS)
    def test_relative_root(self, name, tmp_path, monkeypatch):
        tree(tmp_path, SMALLEST[name])
        monkeypatch.chdir(tmp_path)
        assert len(DATASETS[name].discover(Path(".")).subjects) == 1

    @pytest.mark.parametrize("name", DATASETS)
    @pytest.mark.parametrize("there", [(), ("readme.txt", "archive.tar.gz"), ("._a01.nii.gz",)])
    def test_nothing_found(self, name, there, tmp_path):
        with pytest.raises(InputError) as error:
            DATASETS[name].discover(tree(tmp_path, *there))
        message = str(error.value)
        assert message.startswith(f"{tmp_path}: no subjects found, expected ")
        assert "\n" not in message

    @pytest.mark.parametrize("name", [name for name in DATASETS if name not in ANY])
    @pytest.mark.parametrize("other", DATASETS)
    def test_folder_of_another_dataset(self, name, other, tmp_path):
        tree(tmp_path, SMALLEST[other])
        if name == other:
            assert DATASETS[name].discover(tmp_path).subjects
        else:
            with pytest.raises(InputError, match="no subjects found, expected"):
                DATASETS[name].discover(tmp_path)

    @pytest.mark.parametrize("name", DATASETS)
    def test_not_a_folder(self, name, tmp_path):
        with pytest.raises(InputError, match="does not exist, expected a dataset's folder"):
            DATASETS[name].discover(tmp_path / "missing")
        with pytest.raises(InputError, match="not a folder, expected a dataset's folder"):
            DATASETS[name].discover(tree(tmp_path, "file.txt") / "file.txt")

    @pytest.mark.parametrize("name", DATASETS)
    def test_says_how_to_get_it(self, name):
        assert "https://" in DATASETS[name].how_to_get


class TestFoundFiles:
    def test_sorted_numerically(self, tmp_path):
        tree(tmp_path, "10/x", "9/x", "9/y10", "9/y9")
        assert [path.relative_to(tmp_path).as_posix() for path in files_under(tmp_path)] == [
            "9/x", "9/y9", "9/y10", "10/x"
        ]  # fmt: skip

    def test_loops_and_dead_links(self, tmp_path):
        root = tree(tmp_path / "root", "a/x")
        tree(tmp_path, "outside/y", "sibling")
        (root / "a" / "up").symlink_to(root)
        (root / "above").symlink_to(tmp_path)
        (root / "all").symlink_to("/")
        (root / "self").symlink_to(root / "self")
        (root / "dead").symlink_to(root / "not there")
        (root / "linked").symlink_to(tmp_path / "outside")
        (root / "file").symlink_to(tmp_path / "sibling")
        assert files_under(root) == [root / "a" / "x", root / "file", root / "linked" / "y"]

    def test_own_path_before_links(self, tmp_path):
        tree(tmp_path, "b/c/x")
        (tmp_path / "a").symlink_to(tmp_path / "b")
        (tmp_path / "d").symlink_to(tmp_path / "b" / "c")
        assert files_under(tmp_path) == [tmp_path / "b" / "c" / "x"]

    def test_links_to_each_other(self, tmp_path):
        for folder, other in (("a", "b"), ("b", "a")):
            tree(tmp_path, f"{folder}/x")
            (tmp_path / folder / "other").symlink_to(tmp_path / other)
        assert files_under(tmp_path) == [tmp_path / "a" / "x", tmp_path / "b" / "x"]

    def test_folder_that_cannot_be_read(self, tmp_path, monkeypatch):
        def refuse(folder):
            raise PermissionError(13, "Permission denied", str(folder))

        monkeypatch.setattr("os.scandir", refuse)
        with pytest.raises(InputError, match="Permission denied, expected a folder that can be read"):
            files_under(tmp_path)

    def test_root_is_a_link(self, tmp_path):
        tree(tmp_path, "there/x")
        (tmp_path / "here").symlink_to(tmp_path / "there")
        assert files_under(tmp_path / "here") == [tmp_path / "here" / "x"]

    def test_hidden_root(self, tmp_path):
        assert files_under(tree(tmp_path / ".data", "x")) == [tmp_path / ".data" / "x"]

    def test_together(self):
        images = dict.fromkeys(("T1", "T2", "PD"), Path())
        assert together(images, "T2", "PD") == (("T2", "PD"),)
        assert together(images, "T2", "FLAIR") == ()
        assert together(images) == ()


class TestOasis3:
    T1 = "sub-OAS30001_ses-d0129_run-01_T1w.nii.gz"

    @pytest.mark.parametrize("folder", OASIS3_FOLDERS)
    def test_layouts(self, folder, tmp_path):
        tree(tmp_path, f"{folder}/{self.T1}", f"{folder}/{self.T1.replace('.nii.gz', '.json')}")
        subject = only(oasis3.discover(tmp_path))
        assert (subject.subject, subject.person) == ("OAS30001_d0129", "OAS30001")
        assert subject.images == {"T1": tmp_path / folder / self.T1}
        assert not subject.skull_stripped
        assert subject.aligned == subject.labels == ()

    def test_sess_spelling(self, tmp_path):
        tree(tmp_path, "OAS30001_MR_d0061/anat1/sub-OAS30001_sess-d0061_T1w.nii.gz")
        assert only(oasis3.discover(tmp_path)).subject == "OAS30001_d0061"

    def test_modalities(self, tmp_path):
        suffixes = ("T1w", "T2w", "FLAIR", "angio", "T2star", "swi", "minIP")
        tree(
            tmp_path, *(f"OAS30001_MR_d0129/anat{i}/sub-OAS30001_ses-d0129_{s}.nii.gz" for i, s in enumerate(suffixes))
        )
        images = only(oasis3.discover(tmp_path)).images
        assert {modality: path.name.split("_")[-1] for modality, path in images.items()} == {
            "T1": "T1w.nii.gz", "T2": "T2w.nii.gz", "FLAIR": "FLAIR.nii.gz", "MRA": "angio.nii.gz"
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("there", "taken"),
        [
            (("anat1/{}_run-02_T1w", "anat3/{}_run-01_T1w", "anat2/{}_run-10_T1w"), "anat3/{}_run-01_T1w"),
            (("anat1/{}_run-01_T1w", "anat2/{}_T1w"), "anat2/{}_T1w"),
            (("anat1/{}_acq-TSE_T2w", "anat2/{}_T2w"), "anat2/{}_T2w"),
            (("anat1/{}_acq-TSE_run-01_T2w", "anat2/{}_run-02_T2w"), "anat2/{}_run-02_T2w"),
            (("anat1/{}_acq-TSE_run-02_T2w", "anat2/{}_acq-TSE_run-01_T2w"), "anat2/{}_acq-TSE_run-01_T2w"),
            (("anat1/{}_echo-2_T2w", "anat2/{}_echo-1_T2w"), "anat2/{}_echo-1_T2w"),
        ],
    )
    def test_which_of_several(self, there, taken, tmp_path):
        session = "OAS30001_MR_d0129/{}.nii.gz"
        tree(tmp_path, *(session.format(name.format("sub-OAS30001_ses-d0129")) for name in there))
        (path,) = only(oasis3.discover(tmp_path)).images.values()
        assert path == tmp_path / session.format(taken.format("sub-OAS30001_ses-d0129"))

    def test_several_runs_are_no_duplicates(self, tmp_path):
        names = ("run-01_T1w", "run-02_T1w", "T2w", "acq-TSE_T2w", "acq-TSE_run-02_T2w", "FLAIR", "angio")
        scans = [f"OAS30001_MR_d0129/anat{i}/sub-OAS30001_ses-d0129_{name}.nii.gz" for i, name in enumerate(names)]
        assert oasis3.discover(tree(tmp_path, *scans)).dropped == {}
        tree(tmp_path, f"old/{scans[1]}")
        found = oasis3.discover(tmp_path)
        assert only(found).images["T1"] == tmp_path / scans[0]
        assert found.dropped == {f"old/{scans[1]}": f"second file of OAS30001_d0129's T1w, {scans[1]} is taken"}

    def test_sessions_of_one_person(self, tmp_path):
        tree(
            tmp_path,
            "OAS30001_MR_d2430/anat1/sub-OAS30001_ses-d2430_T1w.nii.gz",
            "OAS30001_MR_d0129/anat1/sub-OAS30001_ses-d0129_T1w.nii.gz",
            "OAS30001_MR_d10129/anat1/sub-OAS30001_ses-d10129_T1w.nii.gz",
            "OAS30002_MR_d2340/anat1/sub-OAS30002_ses-d2340_FLAIR.nii.gz",
        )
        found = oasis3.discover(tmp_path)
        assert [(s.subject, s.person) for s in found.subjects] == [
            ("OAS30001_d0129", "OAS30001"), ("OAS30001_d2430", "OAS30001"), ("OAS30001_d10129", "OAS30001"),
            ("OAS30002_d2340", "OAS30002"),
        ]  # fmt: skip
        assert set(found.subjects[-1].images) == {"FLAIR"}  # this one has no T1w

    @pytest.mark.parametrize("layout", ["OAS3{0}_MR_d{1}/anat1", "sub-OAS3{0}/ses-d{1}/anat"])
    def test_withdrawn(self, layout, tmp_path):
        for person, day in (("0552", "1893"), ("1159", "1893"), ("0872", "1277"), ("0552", "1894")):
            tree(tmp_path, f"{layout.format(person, day)}/sub-OAS3{person}_ses-d{day}_T1w.nii.gz")
        found = oasis3.discover(tmp_path)
        assert only(found).subject == "OAS30552_d1894"
        assert found.dropped == dict.fromkeys(
            ("OAS30552_d1893", "OAS31159_d1893", "OAS30872_d1277"), "withdrawn by OASIS"
        )

    def test_only_withdrawn(self, tmp_path):
        tree(tmp_path, "OAS30552_MR_d1893/anat1/sub-OAS30552_ses-d1893_T1w.nii.gz")
        with pytest.raises(InputError, match=r"no subjects found \(1 passed over, withdrawn by OASIS\), expected"):
            oasis3.discover(tmp_path)

    @pytest.mark.parametrize(
        "folder",
        [
            *(f"OAS30001_{kind}_d0129" for kind in ("AV45", "PIB", "FDG", "AV1451", "CT", "AV45_PUPTIMECOURSE")),
            "0AS_data_files/OASIS3_data_files",
            "0AS_data_files",
            "OASIS3_data_files/scans",
        ],
    )
    def test_other_sessions_are_skipped(self, folder, tmp_path):
        tree(
            tmp_path,
            f"{folder}/anat1/{self.T1}",
            "OAS30003_MR_d0001/anat1/sub-OAS30003_ses-d0001_T1w.nii.gz",
        )
        found = oasis3.discover(tmp_path)
        assert only(found).subject == "OAS30003_d0001"
        assert found.dropped == {}

    def test_file_of_another_session(self, tmp_path):
        stray = "OAS31006_MR_d0120/anat1/sub-OAS30001_ses-d0129_T1w.nii.gz"
        tree(tmp_path, stray, "OAS31006_MR_d0120/anat2/sub-OAS31006_ses-d0120_T1w.nii.gz")
        found = oasis3.discover(tmp_path)
        assert only(found).subject == "OAS31006_d0120"
        assert found.dropped == {stray: "lies in the folder of another session"}

    def test_no_usable_modality(self, tmp_path):
        tree(tmp_path, f"OAS30001_MR_d0129/anat1/{self.T1}", "OAS30003_MR_d0001/swi1/sub-OAS30003_ses-d0001_swi.nii.gz")
        found = oasis3.discover(tmp_path)
        assert only(found).subject == "OAS30001_d0129"
        assert found.dropped == {"OAS30003_d0001": "no T1w, T2w, FLAIR or angio scan"}

    @pytest.mark.parametrize("folder", OASIS3_FREESURFER_FOLDERS)
    def test_freesurfer_labels(self, folder, tmp_path):
        scans = tree(tmp_path, f"scans/OAS30001_MR_d0129/anat1/{self.T1}")
        tree(scans, f"{folder}/aseg.mgz", f"{folder}/orig.mgz", f"{folder}/T1.mgz")
        subject = only(oasis3.discover(scans))
        assert subject.labels == (RawLabels(scans / folder / "aseg.mgz", "freesurfer"),)
        assert subject.brain_mask is None

        tree(scans, f"{folder}/aparc+aseg.mgz", f"{folder}/aparc.a2009s+aseg.mgz", f"{folder}/brainmask.mgz")
        subject = only(oasis3.discover(scans))
        assert subject.labels == (RawLabels(scans / folder / "aparc+aseg.mgz", "freesurfer"),)
        assert subject.brain_mask == scans / folder / "brainmask.mgz"

    def test_latest_freesurfer(self, tmp_path):
        versions = ("OAS30001_Freesurfer50_d0129", "OAS30001_Freesurfer53_d0129", "OAS30001_Freesurfer51_d0129")
        tree(tmp_path, f"x/{self.T1}", *(f"{version}/mri/aseg.mgz" for version in versions))
        found = oasis3.discover(tmp_path)
        assert "Freesurfer53" in only(found).labels[0].path.as_posix()
        assert found.dropped == {}

    def test_freesurfer_twice(self, tmp_path):
        tree(tmp_path, f"x/{self.T1}", *(f"{copy}/OAS30001_Freesurfer53_d0129/mri/aseg.mgz" for copy in "ab"))
        found = oasis3.discover(tmp_path)
        first, second = (f"{copy}/OAS30001_Freesurfer53_d0129/mri/aseg.mgz" for copy in "ab")
        assert only(found).labels[0].path == tmp_path / first
        assert found.dropped == {second: f"second file of OAS30001_d0129's aseg.mgz, {first} is taken"}

    def test_freesurfer_without_scans(self, tmp_path):
        tree(tmp_path, f"x/{self.T1}", "OAS30002_Freesurfer53_d0653/mri/aseg.mgz")
        found = oasis3.discover(tmp_path)
        assert only(found).labels == ()
        assert found.dropped == {"OAS30002_d0653": "FreeSurfer labels without scans"}


class TestBrats2021:
    @pytest.mark.parametrize("folder", BRATS2021_FOLDERS)
    def test_layouts(self, folder, tmp_path):
        tree(tmp_path, *brats_case("01666", folder=folder), *brats_case("00000", folder=folder))
        found = brats2021.discover(tmp_path)
        assert [subject.subject for subject in found.subjects] == ["BraTS2021_00000", "BraTS2021_01666"]
        subject, path = found.subjects[0], f"{folder}BraTS2021_00000/BraTS2021_00000_{{}}.nii.gz"
        # T1 with contrast agent (t1ce) is not among the modalities
        assert subject.images == {m: tmp_path / path.format(m.lower()) for m in ("T1", "T2", "FLAIR")}
        assert subject.labels == (RawLabels(tmp_path / path.format("seg"), "tumour", grid_of="T1"),)
        assert subject.aligned == (("T1", "T2", "FLAIR"),)
        assert subject.skull_stripped

    def test_validation_case(self, tmp_path):
        tree(tmp_path, *brats_case("00001", "t1", "t1ce", "t2", "flair"))
        assert only(brats2021.discover(tmp_path)).labels == ()

    def test_sample_archives_repeat_cases(self, tmp_path):
        tree(tmp_path, *brats_case("00495"), *brats_case("00495", folder="BraTS2021_00495/"), *brats_case("00621"))
        tree(tmp_path, *brats_case("00621", folder="training/"))
        found = brats2021.discover(tmp_path)
        assert list(by_id(found)) == ["BraTS2021_00495", "BraTS2021_00621"]
        seg = "BraTS2021_00621/BraTS2021_00621_seg.nii.gz"
        assert found.dropped[f"training/{seg}"] == f"second file of BraTS2021_00621's seg, {seg} is taken"
        # not of t1ce, which is not taken at all
        assert set(found.dropped) == {
            f"{folder}BraTS2021_{number}/BraTS2021_{number}_{suffix}.nii.gz"
            for folder, number in (("", "00495"), ("training/", "00621"))
            for suffix in ("t1", "t2", "flair", "seg")
        }

    def test_same_patient_twice(self, tmp_path):
        for number in ("00557", "00639", "00758", "00626", "00000"):
            tree(tmp_path, *brats_case(number))
        person = {key[-5:]: subject.person for key, subject in by_id(brats2021.discover(tmp_path)).items()}
        assert person["00557"] == person["00639"]
        assert person["00758"] == person["00626"]
        assert len(set(person.values())) == 3

    def test_brats_2023_is_refused(self, tmp_path):
        newer = [f"BraTS-GLI-00000-000/BraTS-GLI-00000-000-{s}.nii.gz" for s in ("t1n", "t1c", "t2w", "t2f", "seg")]
        tree(tmp_path, *newer)
        with pytest.raises(InputError, match=r"5 passed over, BraTS 2023's naming.*expected BraTS 2021"):
            brats2021.discover(tmp_path)
        found = brats2021.discover(tree(tmp_path, *brats_case("00000")))
        assert only(found).subject == "BraTS2021_00000"
        assert set(found.dropped) == set(newer)

    def test_labels_alone(self, tmp_path):
        tree(tmp_path, *brats_case("00000"), *brats_case("00002", "t1ce", "seg"))
        found = brats2021.discover(tmp_path)
        assert only(found).subject == "BraTS2021_00000"
        assert found.dropped == {"BraTS2021_00002": "no t1, t2 or flair image"}


class TestIxi:
    @pytest.mark.parametrize("folder", IXI_FOLDERS)
    def test_layouts(self, folder, tmp_path):
        modalities = ("T1", "T2", "PD", "MRA", *(f"DTI-{i:02d}" for i in range(17)))
        names = {m: f"{folder.format(m.split('-')[0])}IXI012-HH-1211-{m}.nii.gz" for m in modalities}
        tree(tmp_path, *names.values(), "bvals.txt", "bvecs.txt", "IXI.xls")
        subject = only(ixi.discover(tmp_path))
        assert (subject.subject, subject.person) == ("IXI012-HH-1211", "IXI012")
        assert subject.images == {modality: tmp_path / name for modality, name in names.items()}
        assert subject.aligned == (("T2", "PD"), modalities[4:])
        assert subject.labels == ()
        assert not subject.skull_stripped
        assert subject.age is subject.sex is None

    def test_modalities_may_lack(self, tmp_path):
        tree(tmp_path, "IXI580-IOP-1157-T2.nii.gz", "IXI580-IOP-1157-PD.nii.gz", "IXI116-Guys-0739-T1.nii.gz")
        found = by_id(ixi.discover(tmp_path))
        assert set(found["IXI580-IOP-1157"].images) == {"T2", "PD"}
        assert set(found["IXI116-Guys-0739"].images) == {"T1"}
        assert found["IXI116-Guys-0739"].aligned == ()

    def test_few_slices(self, tmp_path):
        tree(tmp_path, *(f"IXI014-HH-1236-{modality}.nii.gz" for modality in ("T1", "T2", "PD", "MRA")))
        found = ixi.discover(tmp_path)
        assert set(only(found).images) == {"T1", "MRA"}
        assert found.dropped == dict.fromkeys(("IXI014-HH-1236 T2", "IXI014-HH-1236 PD"), "28 thick slices")

    @pytest.mark.parametrize("name", ["IXI002-Guys-0828-DTI.nii.gz", "IXI002-Guys-0828-DTI-17.nii.gz", "IXI002-T1.nii"])
    def test_other_names(self, name, tmp_path):
        with pytest.raises(InputError, match="no subjects found"):
            ixi.discover(tree(tmp_path, name))

    COMMAS = (
        '\ufeffIXI_ID,"SEX_ID (1=m, 2=f)",HEIGHT,AGE\r\n2,2,164,35.8\r\n12,1,175,38.78\r\n13,2,,\r\n'
        "219,1,,40.1\r\n219,2,,40.1\r\n328,1,,30\r\n328,1,,31\r\n14,1,,27\r\n14,1,,27\r\n,,,\r\n15,0,,nan\r\n16,1\r\n"
    )
    PEOPLE: dict = {  # noqa: RUF012
        "IXI002": (35.8, "F"),
        "IXI012": (38.78, "M"),
        "IXI013": (None, "F"),
        "IXI219": (40.1, None),  # two rows that disagree
        "IXI328": (None, "M"),
        "IXI014": (27, "M"),  # two rows that agree
        "IXI015": (None, None),
        "IXI016": (None, "M"),  # a row cut short
        "IXI017": (None, None),  # not in the table
    }

    @pytest.mark.parametrize("name", ["IXI.csv", "tables/ixi.CSV"])
    @pytest.mark.parametrize("semicolons", [False, True])
    def test_age_and_sex(self, name, semicolons, tmp_path):
        tree(tmp_path, name, *(f"{person}-Guys-0001-T1.nii.gz" for person in self.PEOPLE))
        table = self.COMMAS
        if semicolons:
            table = table.replace('"SEX_ID (1=m, 2=f)"', "SEX_ID").replace(",", ";").replace(".", ",")
            table = table.replace("SEX_ID", "SEX_ID (1=m, 2=f)", 1)
        (tmp_path / name).write_text(table, encoding="utf-8", newline="")
        assert {s.person: (s.age, s.sex) for s in ixi.discover(tmp_path).subjects} == self.PEOPLE

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            (b"", "no column 'IXI_ID'"),
            (b"IXI_ID,AGE\n2,35\n", "no column 'SEX_ID"),
            (b'IXI_ID,"SEX_ID (1=m, 2=f)",AGE\n2,2,old\n', "cannot be read"),
            (b'IXI_ID,"SEX_ID (1=m, 2=f)",AGE\nIXI002,2,35\n', "cannot be read"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "cannot be read"),
        ],
    )
    def test_unreadable_table(self, table, message, tmp_path):
        tree(tmp_path, "IXI002-Guys-0828-T1.nii.gz")
        (tmp_path / "IXI.csv").write_bytes(table)
        with pytest.raises(InputError, match=message) as error:
            ixi.discover(tmp_path)
        assert str(error.value).startswith(f"{tmp_path / 'IXI.csv'}: ")
        assert str(error.value).endswith("expected IXI.xls saved as CSV")


class TestAtlas2:
    @pytest.mark.parametrize("folder", ATLAS2_FOLDERS)
    def test_layouts(self, folder, tmp_path):
        image, mask = (folder + ATLAS2_NAME.format("r009s001", kind) for kind in ("T1w", ATLAS2_MASK))
        tree(tmp_path, image, mask, "ATLAS_2/Training/R009/dataset_description.json")
        tree(tmp_path, "ATLAS_2/MNI152NLin2009aSym.nii.gz", "ATLAS_2/20220425_ATLAS_2.0_MetaData.xlsx")
        subject = only(atlas2.discover(tmp_path))
        assert (subject.subject, subject.person) == ("sub-r009s001_ses-1", "sub-r009s001")
        assert subject.images == {"T1": tmp_path / image}
        # one mask of both hemispheres; any value above 0 is lesion
        assert subject.labels == (RawLabels(tmp_path / mask, "lesion", grid_of="T1"),)
        assert not subject.skull_stripped

    def test_testing_has_no_masks(self, tmp_path):
        tree(tmp_path, "ATLAS_2/Testing/R002/" + ATLAS2_NAME.format("r002s001", "T1w"))
        assert only(atlas2.discover(tmp_path)).labels == ()

    def test_template_alone(self, tmp_path):
        with pytest.raises(InputError, match="no subjects found"):
            atlas2.discover(tree(tmp_path, "MNI152NLin2009aSym.nii.gz"))

    def test_raw_release_is_not_taken(self, tmp_path):
        raw = "Training_Raw/R001/sub-r001s001/ses-1/anat/sub-r001s001_ses-1_space-orig_{}.nii.gz"
        tree(tmp_path, raw.format("desc-brain_T1w"), raw.format("label-lesion_mask"))
        with pytest.raises(InputError, match=r"no subjects found, expected ATLAS R2\.0"):
            atlas2.discover(tmp_path)

    def test_mask_without_image(self, tmp_path):
        tree(tmp_path, ATLAS2_NAME.format("r001s001", "T1w"), ATLAS2_NAME.format("r001s002", ATLAS2_MASK))
        found = atlas2.discover(tmp_path)
        assert only(found).subject == "sub-r001s001_ses-1"
        assert found.dropped == {"sub-r001s002_ses-1": "lesion mask without T1w image"}

    def test_numeric_order(self, tmp_path):
        tree(tmp_path, *(ATLAS2_NAME.format(s, "T1w") for s in ("r010s001", "r009s010", "r009s002")))
        assert [s.person for s in atlas2.discover(tmp_path).subjects] == [
            "sub-r009s002",
            "sub-r009s010",
            "sub-r010s001",
        ]


class TestHammers:
    @pytest.mark.parametrize(("image", "labels"), HAMMERS_FILES)
    def test_layouts(self, image, labels, tmp_path):
        subject = only(hammers.discover(tree(tmp_path, image, labels)))
        assert (subject.subject, subject.person) == ("a01", "a01")
        assert subject.images == {"T1": tmp_path / image}
        # the header of the label map is shifted: the T1's grid holds
        assert subject.labels == (RawLabels(tmp_path / labels, "hammers", grid_of="T1"),)
        assert not subject.skull_stripped

    def test_thirty_subjects(self, tmp_path):
        tree(tmp_path, *(f"a{i:02d}.nii.gz" for i in range(32)), "a1.nii.gz", "a001.nii.gz", "ba01.nii.gz")
        assert [subject.subject for subject in hammers.discover(tmp_path).subjects] == [
            f"a{i:02d}" for i in range(1, 31)
        ]

    @pytest.mark.parametrize(
        "names",
        [
            ("Hammers-n30r120/sub-01/anat/sub-01_space-orig_dseg.nii.gz",),
            ("sub-01/anat/sub-01_space-orig_dseg.nii.gz",),
            ("Hammers_mith-n30r83/a01.nii.gz", "Hammers_mith-n30r83/a01-seg.nii.gz"),
        ],
    )
    def test_other_releases_are_refused(self, names, tmp_path):
        tree(tmp_path, *names)
        with pytest.raises(InputError, match=r"passed over, of a release other than n30r95\), expected Hammers n30r95"):
            hammers.discover(tmp_path)
        tree(tmp_path, "Hammers_mith-n30r95/a02.nii.gz")
        found = hammers.discover(tmp_path)
        assert only(found).subject == "a02"
        assert set(found.dropped) == set(names)

    def test_root_of_another_release(self, tmp_path):
        with pytest.raises(InputError, match="release other than n30r95"):
            hammers.discover(tree(tmp_path / "Hammers_mith-n30r83", "a01.nii.gz"))

    def test_two_label_sets(self, tmp_path):
        found = hammers.discover(tree(tmp_path, "a01.nii.gz", "a01-seg.nii.gz", "labels/a01_IFHW_r95_zy.nii.gz"))
        assert only(found).labels[0].path == tmp_path / "a01-seg.nii.gz"
        assert found.dropped == {
            "labels/a01_IFHW_r95_zy.nii.gz": "second file of a01's labels, a01-seg.nii.gz is taken"
        }

    def test_labels_alone(self, tmp_path):
        found = hammers.discover(tree(tmp_path, "a01.nii.gz", "a02_IFHW_r95_zy.nii.gz"))
        assert only(found).labels == ()
        assert found.dropped == {"a02": "label map without T1 image"}


class TestIsles2022:
    @pytest.mark.parametrize("layout", [ISLES2022_ZENODO, ISLES2022_CHALLENGE], ids=["zenodo", "challenge"])
    def test_layouts(self, layout, tmp_path):
        dwi, adc, flair, mask = (name.format("0009") for name in layout)
        tree(tmp_path, dwi, adc, flair, mask, mask.replace("msk.nii.gz", "snp.png"), dwi.replace("nii.gz", "json"))
        subject = only(isles2022.discover(tmp_path))
        assert (subject.subject, subject.person) == ("sub-strokecase0009_ses-0001", "sub-strokecase0009")
        assert subject.images == {"DWI": tmp_path / dwi, "ADC": tmp_path / adc, "FLAIR": tmp_path / flair}
        assert subject.labels == (RawLabels(tmp_path / mask, "lesion", grid_of="DWI"),)
        assert subject.aligned == (("DWI", "ADC"),)  # FLAIR has its own pose
        assert subject.skull_stripped

    @pytest.mark.parametrize("case", ["0150", "0151", "0170"])
    def test_cases_without_lesion_are_kept(self, case, tmp_path):
        assert only(isles2022.discover(tree(tmp_path, *(name.format(case) for name in ISLES2022_ZENODO)))).labels

    def test_mask_needs_its_grid(self, tmp_path):
        dwi, adc, flair, mask = (name.format("0001") for name in ISLES2022_ZENODO)
        found = isles2022.discover(tree(tmp_path, flair, mask))
        assert only(found).labels == ()
        assert found.dropped == {"sub-strokecase0001_ses-0001 mask": "neither DWI nor ADC, whose grid the mask is on"}
        found = isles2022.discover(tree(tmp_path, adc))
        assert only(found).labels[0].grid_of == "ADC"
        assert found.dropped == {}
        assert only(isles2022.discover(tree(tmp_path, dwi))).labels[0].grid_of == "DWI"

    def test_mask_alone(self, tmp_path):
        tree(tmp_path, ISLES2022_ZENODO[0].format("0001"), ISLES2022_ZENODO[3].format("0002"))
        found = isles2022.discover(tmp_path)
        assert only(found).person == "sub-strokecase0001"
        assert found.dropped == {"sub-strokecase0002_ses-0001": "lesion mask without image"}


class TestWmh2017:
    @pytest.mark.parametrize("folder", [f"{folder}/137".lstrip("/") for folder in WMH2017_FOLDERS])
    @pytest.mark.parametrize("ending", [".nii.gz", ".nii"])
    def test_layouts(self, folder, ending, tmp_path):
        tree(tmp_path, *wmh_subject(folder, ending), f"{folder}/orig/reg_3DT1_to_FLAIR.txt")
        subject = only(wmh2017.discover(tmp_path))
        assert (subject.subject, subject.person) == ("137", "137")
        assert subject.images == {m: tmp_path / folder / f"pre/{m}{ending}" for m in ("FLAIR", "T1")}
        # 2 is other pathology
        assert subject.labels == (RawLabels(tmp_path / folder / f"wmh{ending}", "lesion", "FLAIR", keep=(1,)),)
        assert subject.aligned == (("FLAIR", "T1"),)
        assert not subject.skull_stripped
        assert subject.brain_mask is None

    def test_root_is_a_subject(self, tmp_path):
        assert only(wmh2017.discover(tree(tmp_path, *wmh_subject("0")) / "0")).subject == "0"

    def test_observers_are_excluded(self, tmp_path):
        for observer in ("o3", "o4"):
            tree(tmp_path, f"additional_annotations/observer_{observer}/training/Utrecht/0/result.nii.gz")
        tree(tmp_path, *wmh_subject("training/Utrecht/0"))
        assert only(wmh2017.discover(tmp_path)).labels[0].path == tmp_path / "training/Utrecht/0/wmh.nii.gz"

    def test_ids_over_sites(self, tmp_path):
        for folder in (
            "test/Amsterdam/GE1T5/150",
            "training/Utrecht/2",
            "training/Singapore/50",
            "training/Utrecht/11",
        ):
            tree(tmp_path, *wmh_subject(folder))
        tree(tmp_path, *wmh_subject("Utrecht/2"))  # an older copy of the same
        found = wmh2017.discover(tmp_path)
        assert [subject.subject for subject in found.subjects] == ["2", "11", "50", "150"]
        assert found.dropped == {
            f"training/Utrecht/2/{name}.nii.gz": f"second file of 2's {what}, Utrecht/2/{name}.nii.gz is taken"
            for name, what in (("pre/FLAIR", "FLAIR"), ("pre/T1", "T1"), ("wmh", "wmh"))
        }

    def test_needs_flair(self, tmp_path):
        tree(tmp_path, *wmh_subject("Utrecht/2"), "Utrecht/4/pre/T1.nii.gz", "Utrecht/4/wmh.nii.gz")
        found = wmh2017.discover(tmp_path)
        assert only(found).subject == "2"
        assert found.dropped == {"4": "no pre/FLAIR image"}


class TestMultiatlas2012:
    def test_layout(self, tmp_path):
        tree(tmp_path, "1000_SS.nii.gz", "1000_glm.nii.gz", "1000_mask.nii.gz", "labels.csv")
        subject = only(multiatlas2012.discover(tmp_path))
        assert (subject.subject, subject.person) == ("1000", "1000")
        assert subject.images == {"T1": tmp_path / "1000_SS.nii.gz"}
        assert subject.labels == (RawLabels(tmp_path / "1000_glm.nii.gz", "neuromorphometrics", grid_of="T1"),)
        assert subject.brain_mask == tmp_path / "1000_mask.nii.gz"
        assert subject.skull_stripped

    def test_parts_may_lack(self, tmp_path):
        found = multiatlas2012.discover(tree(tmp_path, "1036_SS.nii.gz", "1002_glm.nii.gz"))
        assert (only(found).labels, only(found).brain_mask) == ((), None)
        assert found.dropped == {"1002": "no image NNNN_SS"}


class TestBids:
    def test_parts_of_a_subject(self, tmp_path):
        names = ("T1w", "T2w", "PDw", "FLAIR", "angio", "dseg", "desc-brain_mask")
        folder = tmp_path / "sub-01/anat"
        tree(folder, *(f"sub-01_{name}.nii.gz" for name in names), "sub-01_T1w.json", "sub-01_bold.nii.gz")
        tree(tmp_path, "participants.tsv", "sub-01/dwi/sub-01_dwi.nii.gz")
        found = bids.discover(tmp_path)
        subject = only(found)
        assert (subject.subject, subject.person, subject.skull_stripped) == ("01", "01", False)
        assert {modality: path.name for modality, path in subject.images.items()} == {
            "T1": "sub-01_T1w.nii.gz", "T2": "sub-01_T2w.nii.gz", "PD": "sub-01_PDw.nii.gz",
            "FLAIR": "sub-01_FLAIR.nii.gz", "MRA": "sub-01_angio.nii.gz",
        }  # fmt: skip
        assert subject.labels == (RawLabels(folder / "sub-01_dseg.nii.gz", "freesurfer"),)
        assert subject.brain_mask == folder / "sub-01_desc-brain_mask.nii.gz"
        assert found.dropped.keys() == {"sub-01/anat/sub-01_bold.nii.gz", "sub-01/dwi/sub-01_dwi.nii.gz"}

    @pytest.mark.parametrize(
        ("name", "subject", "modality"),
        [
            ("sub-01_acq-MPRAGE+PROMO_T1w.nii.gz", "01", "T1"),
            ("sub-01_T1W.NII.GZ", "01", "T1"),
            ("sub-01_flair.mgz", "01", "FLAIR"),
            ("rec-norm_ses-2_sub-01_part-mag_T2w.nii", "01_2", "T2"),
            ("sub-01/ses-2/anat/sub-01_T1w.nii.gz", "01_2", "T1"),
            ("sub-01/ses-2/T1w.nii.gz", "01_2", "T1"),
            ("sub-01_xyz-unknown_run-01_PDw.nii.gz", "01", "PD"),
            ("sub-cafe\u0301_T1w.nii.gz", "caf\u00e9", "T1"),
        ],
    )
    def test_names_that_are_taken(self, name, subject, modality, tmp_path):
        found = bids.discover(tree(tmp_path, name))
        assert (only(found).subject, only(found).images) == (subject, {modality: tmp_path / name})
        assert found.dropped == {}

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("sub-02_part-phase_T1w.nii.gz", "part-phase"),
            ("sub-02_bold.nii.gz", "suffix bold"),
            ("sub-02_mod-T1w_defacemask.nii.gz", "suffix defacemask"),
            ("sub-02 copy_T1w.nii.gz", "'02 copy'"),
            ("sub-02_T1w_brain.nii.gz", "'T1w'"),
            ("sub-02.nii.gz", "does not end in a suffix"),
            ("T1w.nii.gz", "no sub-"),
            ("sub-02/sub-03_T1w.nii.gz", "sub-03, its folder sub-02"),
            ("sub-02_ses-1_ses-2_T1w.nii.gz", "two entities ses-"),
            ("sub-02_hemi-L_dseg.nii.gz", "hemi-L"),
            ("sub-02_label-lesion_mask.nii.gz", "not a brain mask"),
            ("sub-02_seg-Schaefer_dseg.nii.gz", "of an atlas"),
            ("sub-02_T1w.nrrd", "format"),
            ("sub-02_T1w.nii.bz2", "format"),
            ("sub-02_T1w\n.png", "format"),
            ("sub-caf\udce9_T1w.nii.gz", "label"),
        ],
    )
    def test_names_that_are_listed(self, name, reason, tmp_path):
        found = bids.discover(tree(tmp_path, "sub-01_T1w.nii.gz", name))
        assert only(found).subject == "01"
        assert found.dropped.keys() == {name}
        assert reason in found.dropped[name]

    def test_segmentations_beside_an_image_are_used(self, tmp_path):
        names = ("T1w.nii.gz", "T1w_synthseg.nii.gz", "T1w_brainmask.mgz", "T1w_aseg.mgz", "T2w_synthseg.nii.gz")
        found = bids.discover(tree(tmp_path, *(f"a/sub-01_{name}" for name in names)))
        assert found.dropped.keys() == {"a/sub-01_T1w_aseg.mgz", "a/sub-01_T2w_synthseg.nii.gz"}

    def test_a_series_of_pictures_is_one_line(self, tmp_path):
        tree(tmp_path, "sub-01_T1w.nii.gz", *(f"sourcedata/sub-01/{number}.dcm" for number in range(200)))
        assert list(bids.discover(tmp_path).dropped) == ["sourcedata/sub-01/*.dcm (200 files)"]

    def test_links(self, tmp_path):
        tree(tmp_path, "store/a/anat/T1w.nii.gz", "raw/sub-02/sub-02_T1w.nii.gz")
        (tmp_path / "raw/sub-01").symlink_to(tmp_path / "store/a")
        (tmp_path / "raw/sub-02/sub-02_T2w.nii.gz").symlink_to("not-fetched")
        (tmp_path / "raw/sub-03").symlink_to("sub-02")
        found = bids.discover(tmp_path / "raw")
        assert [(s.subject, list(s.images)) for s in found.subjects] == [("01", ["T1"]), ("02", ["T1"])]
        assert found.dropped == {
            "sub-02/sub-02_T2w.nii.gz": "link to a missing file (was it fetched?)",
            "sub-03": "link to a folder that is searched elsewhere",
        }

    def test_sessions_of_a_person(self, tmp_path):
        tree(tmp_path, "sub-a1_ses-10_T1w.nii", "sub-a1_ses-2_acq-x_run-1_T1w.nii.gz", "sub-a1_ses-2_FLAIR.nii.gz")
        found = bids.discover(tmp_path)
        assert [(s.subject, s.person, list(s.images)) for s in found.subjects] == [
            ("a1_2", "a1", ["T1", "FLAIR"]), ("a1_10", "a1", ["T1"])
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("there", "taken"),
        [
            (("sub-1_run-2_T1w.nii.gz", "sub-1_run-10_T1w.nii.gz"), "sub-1_run-2_T1w.nii.gz"),
            (("sub-1_acq-a_T1w.nii.gz", "z/sub-1_T1w.nii.gz"), "z/sub-1_T1w.nii.gz"),
            (("sub-1_desc-brain_T1w.nii.gz", "sub-1_space-T1w_desc-brain_T1w.nii.gz"), "sub-1_desc-brain_T1w.nii.gz"),
            (("z/sub-1_acq-a_T1w.nii.gz", "sourcedata/sub-1_T1w.nii.gz"), "z/sub-1_acq-a_T1w.nii.gz"),
            (("z/sub-1_acq-a_T1w.nii.gz", "derivatives/x/sub-1_T1w.nii.gz"), "z/sub-1_acq-a_T1w.nii.gz"),
            (("derivatives/x/sub-1_T1w.nii.gz", "a/sourcedata/sub-1_T1w.nii.gz"), "derivatives/x/sub-1_T1w.nii.gz"),
            (("sub-1_acq-a_part-mag_T1w.nii.gz", "sub-1_acq-a_rec-b_T1w.nii.gz"), "sub-1_acq-a_part-mag_T1w.nii.gz"),
        ],
    )
    def test_which_of_several(self, there, taken, tmp_path):
        found = bids.discover(tree(tmp_path, *there))
        assert only(found).images == {"T1": tmp_path / taken}
        (passed_over,) = set(there) - {taken}
        assert found.dropped == {passed_over: f"second file of 1's T1, {taken} is taken"}

    def test_without_skull_where_there_is_no_other(self, tmp_path):
        tree(tmp_path, "sub-1_desc-brain_T1w.nii.gz", "sub-1_desc-brain_T2w.nii.gz")
        tree(tmp_path, "sub-2_desc-brain_T1w.nii.gz", "sub-2_T2w.nii.gz")
        subjects = by_id(bids.discover(tmp_path))
        assert subjects["1"].skull_stripped
        assert list(subjects["1"].images) == ["T1", "T2"]
        assert not subjects["2"].skull_stripped
        assert subjects["2"].images == {"T2": tmp_path / "sub-2_T2w.nii.gz"}

    def test_labels_without_an_image(self, tmp_path):
        found = bids.discover(tree(tmp_path, "sub-1_T1w.nii.gz", "sub-2_dseg.nii.gz"))
        assert only(found).subject == "1"
        assert found.dropped == {"2": "no image, expected one of T1w, T2w, PDw, FLAIR, angio"}

    def test_other_masks_are_no_brain_masks(self, tmp_path):
        tree(tmp_path, "sub-1_T1w.nii.gz", "sub-1_label-lesion_mask.nii.gz", "sub-1_mask.nii.gz")
        assert only(bids.discover(tmp_path)).brain_mask is None


class TestBidsDerivatives:
    """Which label map and brain mask are those of an image."""

    def labels(self, folder, *names, root="raw"):
        found = bids.discover(tree(folder / root, *names))
        labels = only(found).labels
        return labels[0].path.relative_to(folder / root).as_posix() if labels else None

    @pytest.mark.parametrize(
        ("names", "taken"),
        [
            (("sub-1_T1w", "d/sub-1_dseg", "d/sub-1_desc-aseg_dseg"), "d/sub-1_desc-aseg_dseg"),
            (("sub-1_T1w", "sub-1_dseg", "derivatives/sub-1_dseg"), "sub-1_dseg"),
            (("sub-1_T1w", "sub-1_space-MNI152NLin6Asym_dseg"), None),
            (("sub-1_T1w", "sub-1_space-T2w_dseg"), None),
            (("sub-1_T1w", "sub-1_space-T1w_dseg"), "sub-1_space-T1w_dseg"),
            (("sub-1_T1w", "sub-1_space-orig_dseg"), "sub-1_space-orig_dseg"),
            (("sub-1_space-MNI_T1w", "sub-1_dseg", "sub-1_space-MNI_dseg"), "sub-1_space-MNI_dseg"),
            (("sub-1_run-1_T1w", "sub-1_run-01_dseg"), "sub-1_run-01_dseg"),
            (("sub-1_run-1_T1w", "sub-1_dseg"), "sub-1_dseg"),
            (("sub-1_acq-a_T1w", "sub-1_acq-b_dseg"), None),
            (("sub-1_ses-1_T1w", "d/sub-1_dseg"), "d/sub-1_dseg"),
        ],
    )
    def test_label_map_of_the_image(self, names, taken, tmp_path):
        files = [f"{name}.nii.gz" for name in names]
        assert self.labels(tmp_path, *files) == (f"{taken}.nii.gz" if taken else None)
        found = bids.discover(tmp_path / "raw")
        used = {path.relative_to(tmp_path / "raw").as_posix() for path in files_of(only(found))}
        assert used | found.dropped.keys() == set(files)

    def test_the_image_with_labels_is_taken(self, tmp_path):
        tree(tmp_path, "sub-1_run-1_T1w.nii.gz", "sub-1_run-2_T1w.nii.gz", "sub-1_run-2_dseg.nii.gz")
        subject = only(bids.discover(tmp_path))
        assert [path.name for path in files_of(subject)] == ["sub-1_run-2_T1w.nii.gz", "sub-1_run-2_dseg.nii.gz"]

    def test_images_of_one_space(self, tmp_path):
        tree(tmp_path, "sub-1_T1w.nii.gz", "derivatives/sub-1_space-MNI_FLAIR.nii.gz")
        found = bids.discover(tmp_path)
        assert list(only(found).images) == ["T1"]
        assert "the space MNI" in found.dropped["derivatives/sub-1_space-MNI_FLAIR.nii.gz"]

    @pytest.mark.parametrize(
        ("sources", "taken"), [(["bids::sub-1_run-1_T1w.nii.gz"], True), (["bids:raw:sub-1_run-2_T1w.nii.gz"], False),
                               (["sub-1_T2w.nii.gz"], False), (7, True), ([], True)]
    )  # fmt: skip
    def test_sources(self, sources, taken, tmp_path):
        tree(tmp_path, "sub-1_run-1_T1w.nii.gz", "sub-1_dseg.nii.gz")
        (tmp_path / "sub-1_dseg.json").write_text(json.dumps({"Sources": sources}))
        assert bool(only(bids.discover(tmp_path)).labels) == taken

    @pytest.mark.parametrize("table", ["sub-1_dseg.tsv", "dseg.tsv", "desc-x_dseg.tsv", "sub-1_desc-x_dseg.tsv"])
    def test_table_of_numbers(self, table, tmp_path):
        tree(tmp_path / "a", "sub-1_T1w.nii.gz", "sub-1/sub-1_desc-x_dseg.nii.gz")
        (tmp_path / "a" / table).write_text("index\tname\n0\tBackground\n1\tLeft-Hippocampus\n2\tRight-Hippocampus\n")
        assert only(bids.discover(tmp_path)).labels[0].numbers == {1: 17, 2: 53}

    @pytest.mark.parametrize(
        "rows", ["17\tLeft-Hippocampus", "1012\tctx-lh-lateralorbitofrontal", "10\tLeft-Thalamus-Proper*"]
    )
    def test_table_of_freesurfer(self, rows, tmp_path):
        tree(tmp_path, "sub-1_T1w.nii.gz", "sub-1_dseg.nii.gz")
        (tmp_path / "sub-1_dseg.tsv").write_text(f"index\tname\n{rows}\n77\tWM-hypointensities\n")
        assert only(bids.discover(tmp_path)).labels[0].numbers is None

    @pytest.mark.parametrize("table", ["index\tname\n1\tGray Matter\n2\tWhite Matter\n", "no table", "index\n1\n"])
    def test_table_of_no_use(self, table, tmp_path):
        tree(tmp_path, "sub-1_T1w.nii.gz", "sub-1_dseg.nii.gz")
        (tmp_path / "sub-1_dseg.tsv").write_text(table)
        found = bids.discover(tmp_path)
        assert only(found).labels == ()
        assert "sub-1_dseg.tsv" in found.dropped["sub-1_dseg.nii.gz"]

    def test_brain_mask_of_the_image(self, tmp_path):
        tree(tmp_path, "sub-1_T1w.nii.gz", "d/sub-1_space-MNI_desc-brain_mask.nii.gz", "d/sub-1_desc-brain_mask.nii.gz")
        found = bids.discover(tmp_path)
        assert only(found).brain_mask == tmp_path / "d/sub-1_desc-brain_mask.nii.gz"
        assert list(found.dropped) == ["d/sub-1_space-MNI_desc-brain_mask.nii.gz"]


class TestLabelmaps:
    def test_any_label_map(self, tmp_path):
        tree(tmp_path, "subject_10.nii.gz", "b/subject_2.nii", "seg.v2.mgz", "README.md", "labels.npy")
        found = labelmaps.discover(tmp_path)
        assert [(s.subject, s.labels[0].path.name) for s in found.subjects] == [
            ("seg.v2", "seg.v2.mgz"), ("subject_2", "subject_2.nii"), ("subject_10", "subject_10.nii.gz")
        ]  # fmt: skip
        for subject in found.subjects:
            assert subject.images == {}
            assert subject.person == subject.subject
            assert [labels.protocol for labels in subject.labels] == ["freesurfer"]

    def test_any_name(self, tmp_path):
        names = (
            "caf\udce9.nii.gz",
            "a b.NII.GZ",
            "two\nlines.nii",
            "cafe\u0301.mgh",
            "caf\u00e9.mgz",
            f"{'x' * 240}.nii",
        )
        found = labelmaps.discover(tree(tmp_path, *names, "picture.png"))
        assert {s.subject for s in found.subjects} == {"caf%E9", "a b", "two%0Alines", "caf\u00e9"}
        assert len(found.dropped) == 3
        assert "longer than" in found.dropped[names[-1]]

    def test_same_name_twice(self, tmp_path):
        tree(tmp_path, "s1/aseg.mgz", "s2/aseg.mgz")
        tree(tmp_path, "s2/aseg.nii.gz")
        found = labelmaps.discover(tmp_path)
        assert files_of(only(found)) == [tmp_path / "s1/aseg.mgz"]
        assert found.dropped == dict.fromkeys(
            ("s2/aseg.mgz", "s2/aseg.nii.gz"), "second file of the name aseg, s1/aseg.mgz is taken"
        )
