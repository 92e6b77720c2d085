"""Names of labels from the tables that people have."""

import pytest

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.label_names import read_label_names


@pytest.mark.parametrize(
    "text",
    [
        "index\tname\tcolor\n17\tLeft-Hippocampus\t#ff0000\n53\tRight-Hippocampus\t#00ff00\n",
        "# FreeSurfer\n\n0   Unknown  0 0 0 0\n 17  Left-Hippocampus  220 216 20 0\n53 Right-Hippocampus 1 2 3 0\n",
        "17, Left-Hippocampus\n53,Right-Hippocampus\n2,white matter\n",
    ],
    ids=["BIDS", "FreeSurfer", "CSV"],
)
def test_tables(tmp_path, text):
    path = tmp_path / "names.txt"
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
