"""Size and time of models: counted as by hand, measured where the memory suffices, in a file that is always whole."""

import json
import re
from pathlib import Path

import jax
import pytest
from conftest import draw_params

from neuralizer_jax.cli.main import main
from neuralizer_jax.cli.named_weights import parse, parse_all
from neuralizer_jax.errors import InputError
from neuralizer_jax.evaluation import runtime
from neuralizer_jax.evaluation.runtime import KEYS, measure, read_runtime, record_runtime, training_time
from neuralizer_jax.model import Neuralizer
from neuralizer_jax.unet import UNet
from neuralizer_jax.weights.pretrained import PRETRAINED

SIZE, WIDTH = 16, 32


def residual_unit(size, width=WIDTH):
    """Operations of two 3x3 convolutions: of an axis all pixels see themselves, all but one each neighbour."""
    return 2 * 2 * (3 * size - 2) ** 2 * width**2


def pointwise(size, channels, width=WIDTH):
    """Of a 1x1 convolution."""
    return 2 * size**2 * channels * width


def counted_unet(size=SIZE):
    """Convolutions of two stages, three units and the output's, by hand."""
    half = size // 2
    units = 3 * residual_unit(size) + residual_unit(half)
    merge = pointwise(half, WIDTH) + pointwise(size, WIDTH)
    return units + merge + pointwise(size, 3) + pointwise(size, WIDTH, 1)


def counted_neuralizer(members, size=SIZE):
    """What the target and each member cost, once for both in each block, less the last block's unread context."""
    half = size // 2
    member = pointwise(size, 3 + 1) + 2 * residual_unit(size) + residual_unit(half)
    member += pointwise(half, WIDTH) + pointwise(size, WIDTH)  # merging
    member += pointwise(size, WIDTH) + pointwise(half, WIDTH)  # what target and context tell it, its own part
    both = 2 * (2 * pointwise(size, WIDTH) + pointwise(half, WIDTH)) + pointwise(size, WIDTH) + pointwise(half, WIDTH)
    return counted_unet(size) + members * member + both


def record(model="A", n=8, device="cpu, 2 cores", **values):
    return dict.fromkeys(KEYS) | {"model": model, "context_size": n, "device": device} | values


class TestMeasure:
    @pytest.mark.parametrize("members", [1, 3])
    def test_operations_of_a_neuralizer(self, members):
        model = Neuralizer(features=WIDTH, stages=2)
        flops = measure("A", model, draw_params(model), members, size=SIZE, repeats=1)["flops"]
        assert 1 < flops / counted_neuralizer(members) < 1.05

    def test_a_unet(self):
        model = UNet(features=WIDTH, stages=2)
        found = measure("B", model, draw_params(model), 0, size=SIZE, repeats=1, training=(90.5, 400))
        assert list(found) == list(KEYS)
        assert 1 < found["flops"] / counted_unet() < 1.05
        parameters = 4 * 2 * (9 * WIDTH**2 + WIDTH) + (3 + 1) * WIDTH + (2 * WIDTH + 1) * WIDTH + WIDTH + 1
        assert found["parameters"] == parameters
        expected = {"model": "B", "context_size": 0, "training_seconds": 90.5, "training_steps": 400}
        assert expected.items() <= found.items()
        assert found["seconds"] > 0
        assert re.fullmatch(r".+, \d+ cores?", found["device"])
        # Parameters, image and prediction, and at least one feature map of it.
        assert found["peak_bytes"] > 4 * (parameters + (3 + 1 + WIDTH) * SIZE**2)

    def test_memory_grows_with_the_context(self, tiny_model, tiny_params):
        small, large = (measure("A", tiny_model, tiny_params, n, size=SIZE, repeats=1) for n in (1, 8))
        assert large["peak_bytes"] - small["peak_bytes"] >= 7 * 4 * 4 * SIZE**2

    def test_the_median_after_a_first_one(self, tiny_model, tiny_params, monkeypatch):
        times = iter([0, 50, 100, 101, 200, 203, 300, 302])
        monkeypatch.setattr(runtime.time, "perf_counter", lambda: next(times))
        assert measure("A", tiny_model, tiny_params, 1, size=SIZE, repeats=3)["seconds"] == 2

    @pytest.mark.parametrize(("peaks", "expected"), [((500, 9000), 9000 - 4000), ((10**9, 10**9), None)])
    def test_memory_as_the_device_tells(self, tiny_model, tiny_params, monkeypatch, peaks, expected):
        """Unless what was in use before was more; parameters count, what else is on the device does not."""
        own = sum(leaf.nbytes for leaf in jax.tree.leaves(tiny_params))
        statistics = iter([{"peak_bytes_in_use": peak, "bytes_in_use": 4000 + own} for peak in peaks])
        analysed = measure("A", tiny_model, tiny_params, 1, size=SIZE, repeats=1)["peak_bytes"]
        monkeypatch.setattr(runtime, "_statistics", lambda device: next(statistics))
        found = measure("A", tiny_model, tiny_params, 1, size=SIZE, repeats=1)["peak_bytes"]
        assert found == (analysed if expected is None else expected)


class TestTooLittleMemory:
    def test_a_cpu_is_not_asked_for_what_it_does_not_have(self, tiny_model, tiny_params, monkeypatch):
        monkeypatch.setattr(runtime, "free_bytes", lambda device: 10_000)
        found = measure("A", tiny_model, tiny_params, 2, size=SIZE, repeats=1)
        assert (found["seconds"], found["peak_bytes"]) == (None, None)
        assert found["flops"] > 0
        assert (found["model"], found["context_size"]) == ("A", 2)

    def test_a_device_that_has_no_room(self, tiny_model, tiny_params, monkeypatch):
        def full(*arguments):
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 123 bytes")

        monkeypatch.setattr(runtime, "_time_and_memory", full)
        found = measure("A", tiny_model, tiny_params, 2, size=SIZE)
        assert (found["seconds"], found["peak_bytes"], found["context_size"]) == (None, None, 2)

    def test_another_failure_is_one(self, tiny_model, tiny_params, monkeypatch):
        def broken(*arguments):
            raise RuntimeError("INTERNAL: broken")

        monkeypatch.setattr(runtime, "_time_and_memory", broken)
        with pytest.raises(RuntimeError, match="broken"):
            measure("A", tiny_model, tiny_params, 2, size=SIZE)


class TestFile:
    def test_replaced_and_kept(self, tmp_path):
        folder = tmp_path / "new"
        record_runtime(folder, [record(seconds=1.0), record(n=0), record("B", seconds=2.0), record(device="gpu")])
        record_runtime(folder, [record(seconds=3.0), record(n=4)])
        records = json.loads((folder / "runtime.json").read_text())
        assert records == read_runtime(folder)
        assert [(its["model"], its["context_size"], its["device"], its["seconds"]) for its in records] == [
            ("A", 8, "cpu, 2 cores", 3.0),
            ("A", 0, "cpu, 2 cores", None),
            ("B", 8, "cpu, 2 cores", 2.0),
            ("A", 8, "gpu", None),
            ("A", 4, "cpu, 2 cores", None),
        ]
        assert [path.name for path in folder.iterdir()] == ["runtime.json"]

    def test_whole_or_not_at_all(self, tmp_path, monkeypatch):
        record_runtime(tmp_path, [record()])
        before = (tmp_path / "runtime.json").read_bytes()

        def full(*arguments):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.replace", full)
        with pytest.raises(InputError, match="cannot be written"):
            record_runtime(tmp_path, [record("B")])
        assert [path.name for path in tmp_path.iterdir()] == ["runtime.json"]
        assert (tmp_path / "runtime.json").read_bytes() == before

    @pytest.mark.parametrize("content", ["", "[1]", "{}x", '[{"model": "A"}]', "\xff"])
    def test_a_damaged_file_stays(self, tmp_path, content):
        (tmp_path / "runtime.json").write_text(content, encoding="latin-1")
        with pytest.raises(InputError, match=r"runtime.json: damaged.*, expected a list of records"):
            record_runtime(tmp_path, [record()])
        assert (tmp_path / "runtime.json").read_text(encoding="latin-1") == content


class TestTrainingTime:
    @pytest.mark.parametrize(
        ("summary", "expected"),
        [
            ({"step": 400, "seconds": 180.5}, (180.5, 400)),
            ({"step": 400, "seconds": None}, (None, None)),
            ({"seconds": 400}, (None, None)),
            ([], (None, None)),
        ],
    )
    def test_summary(self, tmp_path, summary, expected):
        (tmp_path / "summary.json").write_text(json.dumps(summary))
        assert training_time(tmp_path / "best.safetensors") == expected

    def test_none(self, tmp_path):
        assert training_time(tmp_path / "best.safetensors") == (None, None)


class TestNames:
    @pytest.mark.parametrize(
        ("argument", "expected"),
        [
            ("a/best.safetensors", ("a", "", 0, "a/best.safetensors")),
            ("a/tiny.safetensors", ("tiny", "", 0, "a/tiny.safetensors")),
            ("Seen, old=x=1/best.safetensors", ("Seen, old", "", 0, "x=1/best.safetensors")),
            ("a/x=1/w.safetensors", ("w", "", 0, "a/x=1/w.safetensors")),
            ("Baseline@32=a/b", ("Baseline", "32", 0, "a/b")),
            ("Baseline@1#2=a/b", ("Baseline", "1", 2, "a/b")),
            ("U-Net@all=a/b", ("U-Net", "all", 0, "a/b")),
        ],
    )
    def test_names_of_weights(self, argument, expected):
        *names, path = parse(argument)
        assert (*names, str(path)) == expected

    def test_weights_that_come_along(self, monkeypatch):
        monkeypatch.setitem(PRETRAINED, "little", Path("somewhere/little.safetensors"))
        assert parse("Seen=little") == ("Seen", "", 0, Path("somewhere/little.safetensors"))
        assert parse("little").name == "little"

    @pytest.mark.parametrize("arguments", [["A=x", "A=y"], ["B@2=x", "B@2#0=y"], [""]])
    def test_wrong(self, arguments):
        with pytest.raises(InputError, match="--weights"):
            parse_all(arguments)


class TestCommand:
    def run(self, folder, *arguments):
        return main(["runtime", "--out", str(folder), "--size", str(SIZE), "--repeats", "1", *map(str, arguments)])

    def test_records_and_table(self, tmp_path, tiny_weights, unet_weights, capsys):
        out = tmp_path / "out"
        record_runtime(out, [record("Other", seconds=5.0)])
        weights = f"Seen={tiny_weights}", f"Baseline-seen@8={unet_weights}", f"Baseline-seen@32={unet_weights}"
        for _ in range(2):
            assert self.run(out, "--weights", *weights, "--sizes", 2, 1, 2) == 0
        records = read_runtime(out)
        keys = [("Other", 8), ("Seen", 1), ("Seen", 2), ("Baseline-seen", 0)]
        assert [(its["model"], its["context_size"]) for its in records] == keys
        assert all(list(its) == list(KEYS) and its["seconds"] > 0 for its in records)
        head, *rows, device = capsys.readouterr().out.splitlines()[-5:]
        assert head.split() == ["Model", "Parameters", "N", "GFLOP", "Prediction", "(s)", "Memory", "(MiB)"]
        assert [row.split()[:2] for row in rows[:2]] == [["Baseline-seen", "1,241"], ["Seen", "2,401"]]
        assert rows[2].split()[0] == "2"
        assert device == f"Device: {records[1]['device']}."

    def test_training_beside_the_weights(self, tmp_path, tiny_weights):
        (tmp_path / "best.safetensors").write_bytes(tiny_weights.read_bytes())
        summary = {"step": 40, "seconds": 7.5}
        (tmp_path / "summary.json").write_text(json.dumps(summary))
        assert self.run(tmp_path, "--weights", tmp_path / "best.safetensors", "--sizes", 1) == 0
        (its,) = read_runtime(tmp_path)
        assert (its["model"], its["training_seconds"], its["training_steps"]) == (tmp_path.name, 7.5, 40)

    def test_a_size_without_memory_does_not_end_it(self, tmp_path, tiny_weights, monkeypatch, capsys):
        need = runtime._need
        monkeypatch.setattr(runtime, "_need", lambda compiled: 10**18 if need(compiled) > 100_000 else 1)
        assert self.run(tmp_path, "--weights", f"A={tiny_weights}", "--sizes", 1, 8) == 0
        measured = [(its["context_size"], its["seconds"] is None) for its in read_runtime(tmp_path)]
        assert measured == [(1, False), (8, True)]
        assert "A, N = 8: not enough memory for a prediction, recorded without its time\n" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["--weights", "A@8=TINY"], "A: a network with a context, expected NAME=FILE without @8"),
            (["--weights", "A=TINY", "A=TINY"], "A is there twice"),
            (["--weights", "A=TINY", "--size", "15"], "--size: 15, expected a multiple of 2 for the 2 stages of"),
            (["--weights", "A=TINY", "--sizes", "1", "0"], "--sizes: 0, expected 1 or more"),
            (["--weights", "A=TINY", "--repeats", "0"], "--repeats: 0, expected 1 or more"),
            (["--weights", "A=none.safetensors"], "none.safetensors: no such file"),
        ],
    )
    def test_wrong_input(self, tmp_path, tiny_weights, capsys, arguments, expected):
        arguments = [argument.replace("TINY", str(tiny_weights)) for argument in arguments]
        assert self.run(tmp_path / "out", *arguments) == 2
        error = capsys.readouterr().err
        assert expected in error
        assert len(error.splitlines()) == 1
        assert not (tmp_path / "out").exists()
