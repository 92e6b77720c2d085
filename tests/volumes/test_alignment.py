"""Alignments are kept by content; a damaged entry is computed again; what is no head is refused."""

import json

import numpy as np
import pytest

from neuralizer_jax.errors import InputError
from neuralizer_jax.volumes import alignment
from neuralizer_jax.volumes.alignment import Alignment, align
from neuralizer_jax.volumes.scan import Scan

FOUND = Alignment(np.diag([1.1, 0.9, 1, 1]), 0.7)


@pytest.fixture
def registrations(monkeypatch):
    """Counts registrations, which take seconds."""
    calls = []

    def register(scan):
        calls.append(scan)
        return FOUND

    monkeypatch.setattr(alignment, "_register", register)
    return calls


def scan(gain=1.0, affine=None, storage=(0, 1, 2)):
    values = (gain * np.arange(60).reshape(3, 4, 5)).transpose(storage)
    affine = np.diag([1.0, 2, 3, 1]) if affine is None else affine
    return Scan(values, affine[:, [*storage, 3]])


def test_is_registered_once(tmp_path, registrations):
    for storage in ((0, 1, 2), (2, 0, 1)):
        found = align(scan(storage=storage), cache=tmp_path)
        np.testing.assert_array_equal(found.to_mni, FOUND.to_mni)
        assert found.mutual_information == FOUND.mutual_information
    assert len(registrations) == 1


def test_other_content_is_registered_again(tmp_path, registrations):
    moved = np.diag([1.0, 2, 3, 1])
    moved[0, 3] = 0.5
    for one in (scan(), scan(gain=1.001), scan(affine=moved)):
        align(one, cache=tmp_path)
    assert len(registrations) == 3


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"to_mni": [[1]], "mutual_information": 0.7}',
        json.dumps({"to_mni": np.zeros((4, 4)).tolist(), "mutual_information": 0.7}),
        json.dumps({"to_mni": np.eye(4).tolist(), "mutual_information": None}),
        json.dumps({"to_mni": np.full((4, 4), np.nan).tolist(), "mutual_information": 0.7}),
    ],
)
def test_a_damaged_entry_is_computed_again(tmp_path, registrations, content):
    align(scan(), cache=tmp_path)
    (entry,) = tmp_path.iterdir()
    entry.write_text(content)
    np.testing.assert_array_equal(align(scan(), cache=tmp_path).to_mni, FOUND.to_mni)
    assert len(registrations) == 2
    assert json.loads(entry.read_text())["mutual_information"] == FOUND.mutual_information


def test_works_without_a_place_to_keep_it(tmp_path, registrations):
    (tmp_path / "file").write_text("")
    np.testing.assert_array_equal(align(scan(), cache=tmp_path / "file" / "cache").to_mni, FOUND.to_mni)


def test_a_known_alignment_is_taken(tmp_path, registrations):
    known = Scan(scan().values, np.eye(4), to_mni=np.diag([2.0, 2, 2, 1]))
    np.testing.assert_array_equal(align(known, cache=tmp_path).to_mni, np.diag([2, 2, 2, 1]))
    assert not registrations


def test_refuses_what_is_no_head(tmp_path, monkeypatch):
    monkeypatch.setattr(alignment, "_register", lambda scan: Alignment(np.eye(4), 0.05))
    with pytest.raises(InputError, match=r"knee: .*0\.05.*0\.1"):
        align(Scan(scan().values, np.eye(4), "knee"), cache=tmp_path)
