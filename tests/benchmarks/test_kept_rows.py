import json

import pytest

CASES = [{"weights": "small", "subject": name} for name in "abc"]


def test_a_run_that_was_stopped_goes_on(script, tmp_path):
    rows_of = script("kept_rows").rows_of
    asked = []

    def measure(case):
        asked.append(case["subject"])
        if asked == ["a", "b"]:
            raise KeyboardInterrupt
        return {"dice": ord(case["subject"])}

    path = tmp_path / "rows.jsonl"
    with pytest.raises(KeyboardInterrupt):
        list(rows_of(CASES, measure, path))
    with path.open("a") as file:
        file.write('{"weights": "small", "subj')  # killed while it wrote
    rows = list(rows_of(CASES, measure, path))
    assert asked == ["a", "b", "b", "c"]
    assert {row["subject"]: row["dice"] for row in rows} == {"a": 97, "b": 98, "c": 99}
    assert list(rows_of(CASES, measure, path)) == rows


def test_rows_of_other_code_are_not_used(script, tmp_path):
    rows_of = script("kept_rows").rows_of
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(CASES[0] | {"code": "another", "dice": 0}) + "\n")
    assert [row["dice"] for row in rows_of(CASES[:1], lambda case: {"dice": 1}, path)] == [1]
