"""The checkpoint reader: exact values of files PyTorch wrote, and nothing but one-line errors for everything else."""

import importlib
import io
import os
import pickle
import pickletools
import subprocess
import zipfile

import ml_dtypes
import numpy as np
import pytest
from golden.golden_weights import CASES, FOLDER, case_state_dict, hyper_parameters
from hypothesis import given, settings
from hypothesis import strategies as st

from neuralizer_jax.errors import InputError
from neuralizer_jax.weights.torch_checkpoint import read_torch_checkpoint


def assert_same(arrays, expected):
    assert arrays.keys() == expected.keys()
    for name, array in arrays.items():
        assert array.dtype == expected[name].dtype, name
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def refused(path, *words):
    """Read a file that must be refused in one line with these words, the file's name first."""
    with pytest.raises(InputError) as caught:
        read_torch_checkpoint(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    assert len(message) < 600
    for word in words:
        assert word in message
    return message


# Files that PyTorch wrote


@pytest.mark.parametrize(
    ("name", "case", "more"),
    [
        ("lightning.ckpt", "small_n1", {}),
        ("lightning_namespace.ckpt", "tiny", {"data_dir": "/data/oasis", "lam": 0.1, "seed": 7}),
        ("lightning_attributedict.ckpt", "tiny", {}),
    ],
)
def test_lightning_checkpoint(name, case, more):
    checkpoint = read_torch_checkpoint(FOLDER / name)
    expected = {f"net.{key}": array for key, array in case_state_dict(case).items()}
    assert_same(checkpoint.state_dict, {**expected, "losses.0.dummy_param": np.empty(0, np.float32)})
    assert checkpoint.hyper_parameters == hyper_parameters(CASES[case]) | more
    assert all(type(value) in (bool, int, float, str, list) for value in checkpoint.hyper_parameters.values())


@pytest.mark.parametrize(
    ("name", "dtype"), [("half.pt", np.float16), ("bfloat16.pt", ml_dtypes.bfloat16), ("double.pt", np.float64)]
)
def test_bare_state_dict(name, dtype):
    checkpoint = read_torch_checkpoint(FOLDER / name)
    assert_same(checkpoint.state_dict, {key: array.astype(dtype) for key, array in case_state_dict("tiny").items()})
    assert checkpoint.hyper_parameters == {}


def test_views_types_and_parameters():
    counted = np.arange(24, dtype=np.float32).reshape(4, 6)
    arrays = read_torch_checkpoint(FOLDER / "strided.pt").state_dict
    expected = {
        "whole": counted,
        "transposed": counted.T,
        "every_other": counted[1::2, ::3],
        "repeated": np.ones(3, np.float32),
        "scalar": np.array(7),
        "parameter": counted[:2],
        "flags": np.array([True, False]),
        "wide_counter": np.array([1, 65535], np.uint16),
        "complex": np.array([1 + 2j], np.complex64),
    }
    assert_same(arrays, expected)
    arrays["whole"][:] = 0  # of its own memory: the views of the same storage do not follow
    np.testing.assert_array_equal(arrays["transposed"], counted.T)


def test_legacy_format():
    refused(FOLDER / "legacy.pt", "not a zip file of torch.save", "PyTorch 1.6")


# Checkpoints made here, to the letter: names that need not exist, calls that no library makes


class Storage:
    """What a pickled tensor refers to: an entry `data/<key>` of `count` elements."""

    def __init__(self, key="0", count=4, kind="FloatStorage"):
        self.pid = ("storage", Named("torch", kind), key, "cpu", count)


class Named:
    """A class or function by name, which need not exist."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Call:
    """A call of `module.name` with arguments, then a state."""

    def __init__(self, module, name, *args, state=None):
        self.called, self.args, self.state = Named(module, name), args, state

    def __reduce__(self):
        return placeholder, (self.called, *self.args), self.state


def placeholder(*_):
    """Stands for the function of a `Call` while it is pickled."""


class Pickler(pickle._Pickler):
    """Python's pickler, but names come from `Named` and are neither imported nor looked up."""

    def persistent_id(self, value):
        return value.pid if isinstance(value, Storage) else None

    def save_reduce(self, func, args, state=None, *rest, obj=None):
        if func is placeholder:
            func, args = args[0], args[1:]
            self.save(func)
            self.save(args)
            self.write(pickle.REDUCE)
            self.memoize(obj)
            if state is not None:
                self.save(state)
                self.write(pickle.BUILD)
        else:
            super().save_reduce(func, args, state, *rest, obj=obj)

    def save_named(self, value):
        self.save(value.module)
        self.save(value.name)
        self.write(pickle.STACK_GLOBAL)

    dispatch = {**pickle._Pickler.dispatch, Named: save_named}  # noqa: RUF012  (the base class's own table)


def pickled(value, protocol=2):
    out = io.BytesIO()
    Pickler(out, protocol).dump(value)
    return out.getvalue()


def tensor(storage=None, offset=0, size=(2, 2), stride=(2, 1), name="_rebuild_tensor_v2"):
    return Call("torch._utils", name, storage or Storage(), offset, size, stride, False, {})


DATA = np.arange(4, dtype="<f4").tobytes()


def write(path, program, **entries):
    """A checkpoint file with this pickle; `entries` replace or, where None, remove the usual ones."""
    names = {"data.pkl": program, "byteorder": b"little", "data/0": DATA, "version": b"3\n"}
    names.update({name.replace("__", "/"): content for name, content in entries.items()})
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in names.items():
            if content is not None:
                archive.writestr(f"archive/{name}", content)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.ckpt"


def test_made_checkpoint_reads(path):
    write(path, pickled({"w": tensor()}))
    assert_same(read_torch_checkpoint(path).state_dict, {"w": np.arange(4, dtype=np.float32).reshape(2, 2)})


@pytest.mark.parametrize("protocol", [2, 4])
def test_hyper_parameters_keep_what_is_plain(protocol, path):
    nested = Call("argparse", "Namespace", state={"lr": 0.5, "gone": Named("torch", "float32"), "kept": (1, [2])})
    settings_ = {
        "nested": nested,
        "counts": Call("collections", "defaultdict", Named("builtins", "list")),
        "names": Call("__builtin__", "set", ["a", "b"]),
        "size": Call("torch", "Size", (2, 3)),
        "here": Call("pathlib", "PosixPath"),
        "folder": Call("pathlib", "WindowsPath", "C:\\", "data"),
        "steps": Call("numpy.core.multiarray", "scalar", *numpy_number("i4", "<", "\x07\x00\x00\x00")),
        "object": Call("numpy.core.multiarray", "scalar", *numpy_number("O8", "|", "\x00" * 8)),
        "sets": [{1}, frozenset("c"), set()],
        "device": Call("torch", "device", "cpu"),
        "empty_bytes": Call("__builtin__", "bytes"),
        "tensor": tensor(),
        "holds_tensor": [1, tensor()],
        7: "a key that is no name",
    }
    write(path, pickled({"state_dict": {"w": tensor()}, "hyper_parameters": settings_}, protocol))
    checkpoint = read_torch_checkpoint(path)
    assert checkpoint.hyper_parameters == {
        "nested": {"lr": 0.5, "kept": (1, [2])},
        "counts": {},
        "names": {"a", "b"},
        "size": (2, 3),
        "here": ".",
        "folder": "C:\\data",
        "steps": 7,
        "sets": [{1}, {"c"}, set()],
    }


def numpy_number(kind, order, text):
    dtype = Call("numpy", "dtype", kind, False, True, state=(3, order, None, None, None, -1, -1, 0))
    return dtype, Call("_codecs", "encode", text, "latin1")


# Pickles that would run something


class Harmful:
    """Pickles as the call of a real function."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


HARMFUL = {
    "posix.system": lambda marker: Harmful(os.system, f"touch {marker}"),
    "builtins.eval": lambda marker: Harmful(eval, f"open({str(marker)!r}, 'w')"),
    "builtins.exec": lambda marker: Harmful(exec, f"open({str(marker)!r}, 'w')"),
    "builtins.getattr": lambda marker: Harmful(getattr, marker, "touch"),
    "builtins.__import__": lambda marker: Harmful(__import__, "antigravity"),
    "io.open": lambda marker: Call("io", "open", str(marker), "w"),
    "subprocess.Popen": lambda marker: Harmful(subprocess.Popen, ["touch", str(marker)]),
    "importlib.import_module": lambda marker: Harmful(importlib.import_module, "antigravity"),
    "os.system": lambda marker: Call("os", "system", f"touch {marker}"),
    "torch.os.system": lambda marker: Call("torch", "os.system", f"touch {marker}"),
    "operator.attrgetter": lambda marker: Call("operator", "attrgetter", "system"),
    "operator.methodcaller": lambda marker: Call("operator", "methodcaller", "touch"),
    "functools.partial": lambda marker: Call("functools", "partial", Named("os", "system"), f"touch {marker}"),
    "copyreg._reconstructor": lambda marker: Call("copy_reg", "_reconstructor", Named("subprocess", "Popen"), ()),
    "torch.load": lambda marker: Call("torch", "load", str(marker)),
    "torch.jit._script.unpackage_script_module": lambda marker: Call(
        "torch.jit._script", "unpackage_script_module", None, "0"
    ),
    "numpy.load": lambda marker: Call("numpy", "load", str(marker), None, True),
    "numpy.core._multiarray_umath.frombuffer": lambda marker: Call("numpy.core._multiarray_umath", "frombuffer", b""),
    "neuralizer_jax.weights.torch_checkpoint.read_torch_checkpoint": lambda marker: Harmful(
        read_torch_checkpoint, str(marker)
    ),
    "os.remove": lambda marker: Call(
        "numpy.core.multiarray", "_reconstruct", "b", state=object_array_state(Call("os", "remove", str(marker)))
    ),
    "os.system\\nINJECTED": lambda marker: Call("os", "system\nINJECTED", f"touch {marker}"),
}


@pytest.mark.parametrize("place", ["top", "state_dict", "hyper_parameters", "optimizer_states"])
@pytest.mark.parametrize("name", HARMFUL)
def test_calls_are_refused_by_name(name, place, path, tmp_path):
    marker = tmp_path / "marker"
    harmful = HARMFUL[name](marker)
    value = harmful if place == "top" else {"state_dict": {"w": tensor()}, place: {"w": tensor(), "x": harmful}}
    refused(write(path, pickled(value)), f"refused to build {name};")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("program", "name"),
    [
        (b"cos\nsystem\n(S'touch marker'\ntR.", None),  # protocol 0
        (b"(X\x0c\x00\x00\x00touch markerios\nsystem\n.", None),  # INST
        (b"(cos\nsystem\nX\x0c\x00\x00\x00touch markero.", None),  # OBJ
        (b"\x80\x02cos\nsystem\nX\x0c\x00\x00\x00touch marker\x85R.", "os.system"),
        (b"\x80\x02\x82\x01.", None),  # the copyreg extension registry
    ],
)
def test_calls_in_any_notation(program, name, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(write(path, program), f"refused to build {name};" if name else "instruction")
    assert not (tmp_path / "marker").exists()


def test_foreign_objects_are_never_built(path):
    """Names, states that reach for attributes of a class, and an array of objects stay data."""
    walk = {"__class__": "os", "__dict__": {"__setstate__": "x"}, "__reduce__": "x", "__init__": "y"}
    attributes = Call("argparse", "Namespace", state=walk)
    slots = Call("argparse", "Namespace", state=(None, {"__class__": Named("subprocess", "Popen")}))
    array = Call(
        "numpy.core.multiarray", "_reconstruct", Named("numpy", "ndarray"), (0,), b"b", state=object_array_state()
    )
    values = {"attributes": attributes, "slots": slots, "array": array, "function": Named("os", "system")}
    write(path, pickled({"state_dict": {"w": tensor()}, "hyper_parameters": values}))
    checkpoint = read_torch_checkpoint(path)
    assert checkpoint.hyper_parameters == {"attributes": walk}


def object_array_state(*elements):
    dtype = Call("numpy", "dtype", "O8", False, True, state=(3, "|", None, None, None, -1, -1, 63))
    return (1, (len(elements),), dtype, False, list(elements))


@pytest.mark.parametrize("target", [Named("collections", "OrderedDict"), [], {}, tensor, ()])
def test_a_state_for_what_has_none(target, path):
    """BUILD sets attributes in a real unpickler, those of a class or function among them."""
    program = pickled(target() if callable(target) else target)[:-1]
    program += b"}X\x0c\x00\x00\x00__defaults__K\x01sb."
    refused(write(path, program))


# Wrong files, damaged and hostile ones


def test_what_is_no_checkpoint_file(tmp_path):
    refused(tmp_path / "none.ckpt", "no such file")
    refused(tmp_path, "a folder")
    for content in (b"", b"PK", b"PK\x05\x06", DATA * 100, pickle.dumps({}), b"PK\x03\x04" + bytes(100)):
        path = tmp_path / "other.ckpt"
        path.write_bytes(content)
        refused(path, "not a zip file of torch.save")


WRONG_TENSORS = {
    "beyond the storage": (tensor(offset=1), "does not fit its storage of 4 elements"),
    "offset beyond the storage": (tensor(offset=5, size=(), stride=()), "does not fit"),
    "stride beyond the storage": (tensor(stride=(3, 1)), "does not fit"),
    "huge stride": (tensor(size=(1, 2), stride=(1, 2**61)), "does not fit"),
    "expanded without bound": (tensor(size=(2**17,), stride=(0,)), "does not fit"),
    "more elements than addresses": (tensor(size=(2**61,) * 8, stride=(0,) * 8), "does not fit"),
    "negative offset": (tensor(offset=-1), "not described"),
    "negative stride": (tensor(size=(2,), stride=(-1,)), "not described"),
    "negative size": (tensor(size=(-1, 2)), "not described"),
    "size and stride disagree": (tensor(stride=(1,)), "not described"),
    "size of floats": (tensor(size=(2.0, 2)), "not described"),
    "size of nothing": (tensor(size=None), "not described"),
    "too many axes": (tensor(size=(1,) * 33, stride=(1,) * 33), "not described"),
    "number beyond 64 bits": (tensor(size=(2**9000,), stride=(1,)), "not described"),
    "declared storage longer than stored": (tensor(Storage(count=5)), "storage of 16 bytes; expected 20"),
    "declared storage huge": (tensor(Storage(count=2**61)), "expected"),
    "declared storage negative": (tensor(Storage(count=-4)), "not described"),
    "quantised": (tensor(Storage(kind="QInt8Storage")), "not described"),
    "no such storage": (tensor(Storage(key="1")), "'data/1' is missing"),
    "storage elsewhere": (tensor(Storage(key="../../../etc/passwd")), "is missing"),
    "storage is no text": (tensor(Storage(key=7)), "not described"),
    "storage is no storage": (tensor("0"), "not described"),
    "no arguments": (Call("torch._utils", "_rebuild_tensor_v2"), "not described"),
    "parameter of nothing": (Call("torch._utils", "_rebuild_parameter"), "not described"),
    "parameter of a number": (Call("torch._utils", "_rebuild_parameter", 1, True, {}), "not described"),
    "untyped without a type": (tensor(name="_rebuild_tensor_v3"), "not described"),
    "sparse": (tensor(name="_rebuild_sparse_tensor"), "refused to build torch._utils._rebuild_sparse_tensor"),
}


@pytest.mark.parametrize("name", WRONG_TENSORS)
def test_wrong_tensors(name, path):
    wrong, words = WRONG_TENSORS[name]
    refused(write(path, pickled({"w": wrong})), words)


def deep_tuple(depth):
    return b"\x80\x02)" + b"\x85" * depth


def explosion():
    """A list of ten references to a list of ten references to ..., nine deep: a billion values in 500 bytes."""
    value = []
    for _ in range(9):
        value = [value] * 10
    return {"state_dict": {"w": tensor()}, "hyper_parameters": {"value": value}}


GOOD = pickled({"w": tensor()})
WRONG_FILES = {
    "no pickle": (None, {}, "not a zip file of torch.save"),
    "empty pickle": (b"", {}, "damaged"),
    "pickle cut": (GOOD[:-1], {}, "damaged"),
    "no value": (b"\x80\x02.", {}, "damaged"),
    "no mark": (b"\x80\x02t.", {}, "damaged"),
    "memo not set": (b"\x80\x02h\x00.", {}, "damaged"),
    "text that is no text": (b"\x80\x02X\x01\x00\x00\x00\xff.", {}, "damaged"),
    "only numbers": (pickled({"lr": 1}), {}, "holds no tensors"),
    "a number": (pickled(3), {}, "holds no tensors"),
    "tensors without names": (pickled({0: tensor()}), {}, "holds no tensors"),
    "empty state dict": (pickled({"state_dict": {}, "w": tensor()}), {}, "holds no tensors"),
    "unhashable key": (b"\x80\x02}]K\x01s.", {}, "in the key of a dictionary"),
    "key nested too deep to hash": (b"\x80\x02}" + deep_tuple(100_000)[2:] + b"K\x01s.", {}, "in the key"),
    "nested too deep to walk": (deep_tuple(100_000) + b".", {}, "holds no tensors"),
    "more instructions than any checkpoint": (b"\x80\x02" + b"N" * 1_000_001 + b".", {}, "1,000,000 instructions"),
    "values without end": (pickled(explosion()), {}, "more than 100,000 values"),
    "larger pickle than any checkpoint": (GOOD + bytes(8 << 20), {}, "larger than 8,388,608 bytes"),
    "big-endian": (GOOD, {"byteorder": b"big"}, "little-endian"),
    "unknown byte order": (GOOD, {"byteorder": b"middle"}, "little-endian"),
    "storage cut": (GOOD, {"data__0": DATA[:8]}, "storage of 8 bytes; expected 16"),
    "storage missing": (GOOD, {"data__0": None}, "'data/0' is missing"),
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_wrong_files(name, path):
    program, entries, words = WRONG_FILES[name]
    write(path, program, **entries)
    refused(path, words)


def zip_of(path, *entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def test_exactly_one_pickle(path):
    for entries in (
        [("a/data.pkl", GOOD), ("b/data.pkl", GOOD), ("a/data/0", DATA)],
        [("data.pkl", GOOD), ("data/0", DATA)],
        [("a/b/data.pkl", GOOD), ("a/b/data/0", DATA)],
        [("a/data.pkl/", b"")],
        [],
    ):
        refused(zip_of(path, *entries), "not a zip file of torch.save")
    with pytest.warns(UserWarning, match="Duplicate name"):
        zip_of(path, ("a/data.pkl", GOOD), ("a/data.pkl", pickled({})), ("a/data/0", DATA))
    refused(path, "not a zip file of torch.save")


def test_nothing_is_extracted(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    path = write(inner / "weights.ckpt", GOOD)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../escaped", b"x")
        archive.writestr(str(tmp_path / "absolute"), b"x")
    assert list(read_torch_checkpoint(path).state_dict) == ["w"]
    assert sorted(tmp_path.rglob("*")) == [inner, path]


def test_zip_bombs(path):
    bomb = ("a/data/0", bytes(1 << 22))
    zip_of(path, ("a/data.pkl", GOOD), bomb, compression=zipfile.ZIP_DEFLATED)
    refused(path, "entries of 4,194,", "expected at most")
    zip_of(path, ("a/data.pkl", GOOD), ("a/data/0", os.urandom(16)), compression=zipfile.ZIP_LZMA)
    refused(path, "is compressed")


CENTRAL = b"PK\x01\x02"  # a record of the zip's directory: flags at 8, method at 10, sizes at 20 and 24


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (24, b"\xff\xff\xff\x7f", "expected at most"),  # declares 2 GiB
        (8, b"\x01\x00", "damaged"),  # encrypted
        (10, b"\x63\x00", "compressed"),  # a method nobody knows
        (42, b"\xff\xff\xff\x7f", ""),  # the entry starts beyond the file
        (16, b"\x00\x00\x00\x00", "damaged"),  # another checksum
    ],
)
def test_wrong_directory_of_the_zip(at, value, words, path):
    content = bytearray(write(path, GOOD).read_bytes())
    start = content.index(CENTRAL) + at
    content[start : start + len(value)] = value
    path.write_bytes(content)
    refused(path, words)


def reads_or_is_refused(path):
    message = f"{path}: read"
    try:
        read_torch_checkpoint(path)
    except InputError as error:
        message = str(error)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()


def test_truncated_anywhere(path):
    whole = (FOLDER / "strided.pt").read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        refused(path)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "weights.ckpt"


CHANGES = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6)


def changed(content, changes):
    content = bytearray(content)
    for position, value in changes:
        content[position % len(content)] = value
    return bytes(content)


@settings(max_examples=200, derandomize=True)
@given(CHANGES)
def test_changed_bytes_of_the_file(fuzzed, changes):
    fuzzed.write_bytes(changed((FOLDER / "strided.pt").read_bytes(), changes))
    reads_or_is_refused(fuzzed)


def program_of(stem, suffix):
    with zipfile.ZipFile(FOLDER / f"{stem}{suffix}") as archive:
        return archive.read(f"{stem}/data.pkl")


PROGRAMS = [program_of("strided", ".pt"), program_of("lightning_namespace", ".ckpt"), GOOD]


@settings(max_examples=300, derandomize=True)
@given(st.sampled_from(PROGRAMS), CHANGES)
def test_changed_bytes_of_the_pickle(fuzzed, program, changes):
    """With the checksum right, so that the change reaches the reader."""
    reads_or_is_refused(write(fuzzed, changed(program, changes)))


INSTRUCTIONS = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes if opcode.arg is None]
INSTRUCTIONS += [b"K\x01", b"X\x01\x00\x00\x00a", b"q\x00", b"h\x00", b"ctorch\nSize\n", b"ccollections\nOrderedDict\n"]


@settings(max_examples=300, derandomize=True)
@given(st.lists(st.sampled_from(INSTRUCTIONS), max_size=30))
def test_any_program(fuzzed, instructions):
    """Programs that no pickler writes, run on top of a good state dict."""
    reads_or_is_refused(write(fuzzed, GOOD[:-1] + b"".join(instructions) + b"."))
