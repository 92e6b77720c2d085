"""The table is never damaged: whatever is written is read, whenever the writing ends."""

import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuralizer_jax.errors import InputError
from neuralizer_jax.evaluation.leakage import check_no_test_subject, check_same_subjects, write_training_subjects
from neuralizer_jax.evaluation.score_log import ScoresTable
from neuralizer_jax.evaluation.scores import HEADER, read_scores


def row(number, value=0.5, metric="dice"):
    return (
        *("experiment1", "Neuralizer", "in-context", "", 0, 8),
        *("segmentation", "ixi", "T1", "freesurfer:17", "axial", 12, f"s{number}", 0),
        metric,
        value,
    )


def write(path, rows):
    with ScoresTable(path) as table:
        for one in rows:
            table.append([one])


class TestTable:
    def test_columns_and_values(self, tmp_path):
        path = tmp_path / "new" / "scores.csv"
        rows = [row(0, 1 / 3), row(0, math.nan, "hd95"), row(1, math.inf, "hd95"), row("1, or two", 12345.678, "psnr")]
        with ScoresTable(path) as table:
            table.append(rows[:2])
            on_disk = path.read_text()
            table.append(rows[2:])
        assert on_disk == (
            "experiment,model,kind,train_subjects,training,context_size,"
            "task,dataset,modality,class,plane,position,subject,draw,metric,value\n"
            "experiment1,Neuralizer,in-context,,0,8,segmentation,ixi,T1,freesurfer:17,axial,12,s0,0,dice,0.333333\n"
            "experiment1,Neuralizer,in-context,,0,8,segmentation,ixi,T1,freesurfer:17,axial,12,s0,0,hd95,nan\n"
        )
        scores = read_scores(path)
        assert [tuple(one[:-1]) for one in scores[HEADER].itertuples(index=False)] == [one[:-1] for one in rows]
        assert scores["value"].tolist() == pytest.approx([1 / 3, math.nan, math.nan, 12345.7], rel=1e-5, nan_ok=True)

    def test_what_is_known_is_not_added(self, tmp_path):
        path = tmp_path / "scores.csv"
        write(path, [row(0, 0.25), row(1)])
        with ScoresTable(path) as table:
            assert table.known == {row(0)[:-1], row(1)[:-1]}
            table.append([row(1, 0.75), row(2)])
            assert row(2)[:-1] in table.known
            table.append([row(2, 0.75)])
        assert read_scores(path)["value"].tolist() == [0.25, 0.5, 0.5]

    @settings(max_examples=60)
    @given(st.integers(0, 400))
    def test_cut_short_anywhere(self, tmp_path_factory, length):
        """Whole lines stay, a half one goes, and what is written again makes the table what it was."""
        path = tmp_path_factory.mktemp("cut") / "scores.csv"
        rows = [row("ä" * number, number / 7) for number in range(4)]
        write(path, rows)
        whole = path.read_bytes()
        path.write_bytes(whole[:length])
        with ScoresTable(path) as table:
            assert len(table.known) == max(0, whole[:length].count(b"\n") - 1)
            table.append(rows)
        assert path.read_bytes() == whole

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("experiment1,Neuralizer,segmentation", "line 3: 3 values, expected 16"),
            (
                "e,m,in-context,,0,eight,t,d,T1,,coronal,-17,s,0,dice,0.5",
                "line 3, context_size: 'eight', expected a whole number",
            ),
            ("e,m,in-context,,0,8,t,d,T1,,coronal,-17,s,0,dice,high", "line 3: score 'high', expected a number"),
            ("e,m,in-context,,0,8,t,d,T1,,coronal,-17,s,0,dice,nan", "line 3: dice is nan, expected a finite number"),
        ],
    )
    def test_damaged(self, tmp_path, line, expected):
        path = tmp_path / "scores.csv"
        write(path, [row(0)])
        before = f"{path.read_text()}{line}\n"
        path.write_text(before)
        with pytest.raises(InputError) as error:
            ScoresTable(path)
        assert str(error.value).startswith(f"{path}, {expected}")
        assert path.read_text() == before

    def test_another_file(self, tmp_path):
        path = tmp_path / "scores.csv"
        path.write_text("subject,age\ns0,42\n")
        with pytest.raises(InputError, match="its columns are subject,age, expected experiment,model"):
            ScoresTable(path)
        path.write_bytes(b"\x89PNG\xff\n")
        with pytest.raises(InputError, match="is no table of scores"):
            ScoresTable(path)
        with pytest.raises(InputError, match="cannot be written"):
            ScoresTable(path / "below" / "scores.csv")

    def test_one_process_at_a_time(self, tmp_path):
        path = tmp_path / "scores.csv"
        code = f"from neuralizer_jax.evaluation.score_log import *; ScoresTable(Path({str(path)!r}))"
        with ScoresTable(path):
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "another process is writing it" in done.stderr
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

    def test_names_that_would_break_a_line(self, tmp_path):
        with (
            ScoresTable(tmp_path / "scores.csv") as table,
            pytest.raises(InputError, match="expected a printable name"),
        ):
            table.append([row("a\nb")])
        with ScoresTable(tmp_path / "scores.csv") as table:
            assert not table.known


class TestTrainingSubjects:
    ROWS = (("ixi", "IXI012", "IXI012"), ("oasis3", "OAS1_d1", "OAS1"), ("a, b", "s", "p"))

    def test_disjoint(self, tmp_path):
        path = write_training_subjects(tmp_path, self.ROWS)
        assert path == tmp_path / "training_subjects.csv"
        assert path.read_text().splitlines()[:2] == ["dataset,subject,person", "ixi,IXI012,IXI012"]
        # The same name in another dataset is another person.
        check_no_test_subject(path, [("oasis3", "IXI012", "IXI012"), ("ixi", "OAS1_d1", "OAS1")])
        check_no_test_subject(write_training_subjects(tmp_path, []), self.ROWS)

    @pytest.mark.parametrize("test_row", [*ROWS, ("oasis3", "OAS1_d2", "OAS1")])
    def test_a_person_in_both_is_named(self, tmp_path, test_row):
        """Also where it is another scan of the person."""
        path = write_training_subjects(tmp_path, self.ROWS)
        with pytest.raises(InputError) as error:
            check_no_test_subject(path, [("ixi", "IXI013", "IXI013"), test_row])
        assert f"person {test_row[2]} of {test_row[0]} was trained on" in str(error.value)
        assert f"(subject {test_row[1]})" in str(error.value)

    def test_a_run_that_goes_on_has_the_same(self, tmp_path):
        path = write_training_subjects(tmp_path, self.ROWS)
        check_same_subjects(path, self.ROWS[::-1])
        for rows, said in ((self.ROWS[1:], "IXI012 of ixi is gone"), ((*self.ROWS, ("a", "b", "c")), "b of a is new")):
            with pytest.raises(InputError, match=said):
                check_same_subjects(path, rows)

    @pytest.mark.parametrize("text", ["", "subject\n", "dataset,subject,person\nixi,a\n", "\xff"])
    def test_damaged(self, tmp_path, text):
        path = tmp_path / "training_subjects.csv"
        path.write_bytes(text.encode("latin1"))
        with pytest.raises(InputError, match=r"training_subjects\.csv.*damaged, expected a table with columns dataset"):
            check_no_test_subject(path, [])
        with pytest.raises(InputError, match="cannot be read"):
            check_no_test_subject(tmp_path / "none.csv", [])
