"""The table of what was left out is read back as it was written, and holds no formula."""

import csv

from hypothesis import given
from hypothesis import strategies as st

from input_pipeline.prepare.dropped import Dropped, write_dropped_table

texts = st.builds(
    str.__add__,
    st.sampled_from(["", "=", "+", "-", "@", "\t", "\r", "'", ",", '"', "\n"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
)


@given(st.lists(st.builds(Dropped, texts, texts, texts), max_size=5))
def test_dropped_table_is_read_back_and_holds_no_formula(tmp_path_factory, dropped):
    path = tmp_path_factory.getbasetemp() / "dropped.csv"
    write_dropped_table(path, dropped)
    with open(path, encoding="utf-8", newline="") as stream:
        head, *lines = csv.reader(stream)
    assert head == ["subject", "image", "reason"]
    cells = [cell for drop in dropped for cell in (drop.subject, drop.image, drop.reason)]
    for cell, written in zip(cells, [cell for line in lines for cell in line], strict=True):
        assert written[:1] not in set("=+-@\t\r")
        assert written == (f"'{cell}" if cell[:1] and cell[0] in "=+-@\t\r" else cell)


def test_dropped_table_takes_names_that_are_not_text(tmp_path):
    write_dropped_table(tmp_path / "dropped.csv", [Dropped("=1+1", "T1", "a\udcff")])
    assert (tmp_path / "dropped.csv").read_text("utf-8") == "subject,image,reason\n'=1+1,T1,a\\udcff\n"
