"""Names of labels from the tables that people have."""

import pytest

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.label_names import find_label_names, read_label_names


@pytest.mark.parametrize(
    "text",
    [
        "index\tname\tcolor\n17\tLeft-Hippocampus\t#ff0000\n53\tRight-Hippocampus\t#00ff00\n",
        "# FreeSurfer\n\n0   Unknown  0 0 0 0\n 17  Left-Hippocampus  220 216 20 0\n53 Right-Hippocampus 1 2 3 0\n",
        "17, Left-Hippocampus\n53,Right-Hippocampus\n2,white matter\n",
        "name\tindex\nLeft-Hippocampus\t17\nRight-Hippocampus\t53\nwhite matter\t2\n",
        '# ITK-SNAP\n   17  255    0    0   1  1  1  "Left-Hippocampus"\n53 0 255 0 0.5 1 1 "Right-Hippocampus"\n',
        '{"labels": {"background": 0, "Left-Hippocampus": 17, "Right-Hippocampus": 53, "both": [17, 53]}}',
        '{"labels": {"0": "background", "17": "Left-Hippocampus", "53": "Right-Hippocampus"}}',
    ],
    ids=["BIDS", "FreeSurfer", "CSV", "columns", "ITK-SNAP", "nnU-Net 2", "nnU-Net 1"],
)
def test_tables(tmp_path, text):
    path = tmp_path / ("names.json" if text.startswith("{") else "names.txt")
    path.write_text(text)
    names = read_label_names(path)
    assert (names[17], names[53]) == ("Left-Hippocampus", "Right-Hippocampus")
    assert names.get(2, "white matter") == "white matter"


@pytest.mark.parametrize("content", [b"", b"name\n", b"\xff\xfe\x00"])
def test_files_without_names_end_in_one_line(tmp_path, content):
    path = tmp_path / "names.tsv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_label_names(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ["dseg.tsv", "FreeSurferColorLUT.txt", "a/sub-1/sub-1_dseg.tsv", "a/dseg.tsv"])
def test_tables_beside_examples(tmp_path, place):
    labels = tmp_path / "a/sub-1/sub-1_dseg.nii.gz"
    labels.parent.mkdir(parents=True)
    assert find_label_names(tmp_path, [labels]) == ({}, [])
    (tmp_path / place).write_text("17\tLeft-Hippocampus\n")
    assert find_label_names(tmp_path, [labels]) == ({17: "Left-Hippocampus"}, [])


def test_the_table_of_the_labels_goes_before_others(tmp_path):
    for name, structure in {"atlas-x_dseg.tsv": "Area", "sub-1_dseg.tsv": "Thalamus", "dataset.json": ""}.items():
        (tmp_path / name).write_text(f"17\t{structure}\n" if structure else '{"labels": {"x": 1}}')
    names, notes = find_label_names(tmp_path, [tmp_path / "sub-1_dseg.nii.gz"])
    assert names == {17: "Thalamus"}
    assert notes == [f"{tmp_path}/sub-1_dseg.tsv: names of labels are taken from it, not from dataset.json"]


def test_a_predicted_table_goes_after_others_and_its_unknown_names_are_none(tmp_path):
    (tmp_path / "a_dseg.tsv").write_text("index\tname\n17\tThalamus\n53\tn/a\n")
    (tmp_path / "a_dseg.json").write_text('{"GeneratedBy": [{"Name": "neuralizer_jax"}]}')
    assert find_label_names(tmp_path, []) == ({17: "Thalamus"}, [])
    (tmp_path / "labels.txt").write_text("17 Hippocampus\n")
    assert find_label_names(tmp_path, []) == ({17: "Hippocampus"}, [])


def test_a_table_without_names_is_passed_over_with_a_note(tmp_path):
    (tmp_path / "dataset.json").write_text("{")
    names, notes = find_label_names(tmp_path, [])
    assert names == {}
    assert len(notes) == 1
    assert notes[0].startswith(f"{tmp_path / 'dataset.json'}: ")
