"""A few hundred made-up cases of all kinds; `make fuzz` runs thousands. Planted faults show that they find some."""

import sys

import numpy as np
import pytest
from fuzz import predict_cases, predict_oracle, stand_in
from fuzz.anatomy import GRIDS, TARGET_SEED, heads
from fuzz.kinds import run_case
from fuzz.nifti_storage import Storage
from fuzz.outcome import FAULT
from fuzz.picture_storage import Picture

from neuralizer_jax.files import nifti
from neuralizer_jax.files.planes import Plane
from neuralizer_jax.files.volumes import OpenVolume


@pytest.fixture(autouse=True)
def predictor():
    with stand_in.in_place():
        yield


def faults(kind, seeds):
    """What is wrong in the cases of a kind, and how to run them again."""
    again = "python benchmarks/fuzz_files.py --kind {} --seed {} --cases 1\n{}"
    return [again.format(kind, n, v.detail) for n in seeds for v in run_case(n, kind)[1] if v.name == FAULT]


@pytest.mark.parametrize(
    ("kind", "seeds"),
    [
        ("stored", range(100)),
        ("stored", range(100, 160)),
        ("spoilt", range(40)),
        ("damaged", range(40)),
        ("weights", range(10)),
        ("names", range(10)),
        ("scores", range(2)),
        ("labelmaps", range(1)),
    ],
)
def test_no_faults(kind, seeds):
    assert not (found := faults(kind, seeds)), "\n\n".join(found)


@pytest.mark.parametrize("grid", range(len(GRIDS)))
@pytest.mark.parametrize("axis", range(3))
def test_the_labels_of_plain_files_are_those_of_the_head(grid, axis):
    index = GRIDS[grid][0][axis] // 2 + 2
    truth = heads(grid)[TARGET_SEED][1].take(index, axis=axis)
    labels = predict_oracle.expected_output(grid, axis, index)
    assert len(np.unique(truth)) >= 3
    assert (labels == truth).mean() > 0.95
    # No plane is like its mirror image or its neighbour in the next case, so a mixed-up one is seen.
    for other in (labels[::-1], labels[:, ::-1], predict_oracle.expected_output(grid, axis, index - 3)):
        assert (other != labels).mean() > predict_oracle.MOST_PIXELS


def test_a_case_depends_on_its_seed_alone():
    one, again, other = (str(predict_cases.draw(np.random.default_rng(seed))) for seed in (3, 3, 4))
    assert one == again != other


def test_cases_cover_what_they_are_for():
    cases = [predict_cases.draw(np.random.default_rng(seed)) for seed in range(600)]
    volumes = [file.storage for case in cases for file in case.files if isinstance(file.storage, Storage)]
    pictures = [file.storage for case in cases for file in case.files if isinstance(file.storage, Picture)]
    assert len({storage.orientation for storage in volumes}) == 48
    assert {storage.codes for storage in volumes} == {"both", "sform", "qform", "differ", "none"}
    assert {storage.dtype for storage in volumes} == {"i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"}
    assert {storage.suffix for storage in pictures} == {".png", ".tif", ".npy", ".npz"}
    assert sum(not case.may for case in cases) > 300  # these must be right


class TestPlantedFaults:
    """A fault in the code is found within a hundred cases."""

    def found(self, kind="stored", seeds=range(100)):
        return any(v.name == FAULT for seed in seeds for v in run_case(seed, kind)[1])

    def test_scaling_of_the_header_ignored(self, monkeypatch):
        monkeypatch.setattr(OpenVolume, "scaled", lambda volume, voxels: voxels)
        assert self.found()

    def test_columns_not_flipped(self, monkeypatch):
        flipped = Plane.to_image
        monkeypatch.setattr(
            Plane, "to_image", lambda plane, cut: flipped(plane, cut)[:, :: -1 if plane.flip_columns else 1]
        )
        assert self.found()

    def test_plane_written_elsewhere(self, monkeypatch):
        monkeypatch.setattr(nifti, "_move_to_plane", lambda header, plane: None)
        assert self.found()

    def test_traceback(self, monkeypatch):
        def broken(*_):
            raise KeyError("a bug")

        monkeypatch.setattr("neuralizer_jax.cli.predict_planes._write", broken)
        assert self.found()

    def test_error_of_two_lines(self, monkeypatch):
        def failed(message):
            print(f"neuralizer: error: {message}\nand another line", file=sys.stderr)
            return 2

        monkeypatch.setattr("neuralizer_jax.cli.main._failed", failed)
        assert self.found("spoilt")
