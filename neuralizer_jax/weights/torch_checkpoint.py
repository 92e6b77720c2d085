"""Reads a PyTorch or Lightning checkpoint without PyTorch and without running the pickle in it.

A file of `torch.save` (PyTorch 1.6 or later) in, tensors as NumPy arrays and hyper-parameters as plain values out.
`inert_pickle` turns the pickle into data and refuses all calls except those named here. No name is ever imported.
Objects of unknown classes are not read.
"""

import struct
import zipfile
from dataclasses import dataclass
from math import prod
from pathlib import Path

import ml_dtypes
import numpy as np

from neuralizer_jax.errors import InputError
from neuralizer_jax.weights.inert_pickle import Made, Refused, read_pickle
from neuralizer_jax.weights.plain_values import PLAIN, entries_of, plain_dictionary

MAX_BYTES = 4 << 30  # of a file, and of all its tensors together
MAX_PICKLE_BYTES = 8 << 20  # of the pickle, which holds names and shapes but no weights
MAX_ENTRIES = 100_000
MAX_REPEATED = 1 << 16  # elements of a tensor that repeats its storage, as a small expanded buffer does

STORAGES = {
    f"torch.{name}Storage": np.dtype(dtype)
    for name, dtype in {
        "Float": np.float32,
        "Double": np.float64,
        "Half": np.float16,
        "BFloat16": ml_dtypes.bfloat16,
        "ComplexFloat": np.complex64,
        "Long": np.int64,
        "Int": np.int32,
        "Short": np.int16,
        "Char": np.int8,
        "Byte": np.uint8,
        "Bool": np.bool_,
    }.items()
}
# A dtype without a storage class is named itself; its storage counts bytes.
UNTYPED = {f"torch.uint{bits}": np.dtype(f"uint{bits}") for bits in (16, 32, 64)}
UNTYPED_STORAGE = "torch.storage.UntypedStorage"

TYPED_TENSOR, UNTYPED_TENSOR = "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3"
PARAMETERS = {"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"}
TENSORS = {TYPED_TENSOR, UNTYPED_TENSOR, *PARAMETERS}
# Calls found in checkpoints that are harmless to describe. Their values are not needed.
IGNORED = {
    "builtins.bytes",
    "builtins.bytearray",
    "builtins.complex",
    "torch.device",
    "datetime.timedelta",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
}
ALLOWED_CALLS = frozenset({*TENSORS, *STORAGES, *UNTYPED, UNTYPED_STORAGE, *PLAIN, *IGNORED})

NOT_A_CHECKPOINT = "not a zip file of torch.save; if an older PyTorch wrote it, save it again with PyTorch 1.6 or later"
# Raised by zipfile, pickletools, NumPy and the code below for damaged bytes.
DAMAGE: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    struct.error,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
    MemoryError,
)


@dataclass(frozen=True)
class TorchCheckpoint:
    """Content of a checkpoint.

    Attributes:
        state_dict: tensor name -> array in its own memory; entries that are not tensors are left out.
        hyper_parameters: name -> plain Python value; values without a plain form are left out.
    """

    state_dict: dict[str, np.ndarray]
    hyper_parameters: dict[str, object]


def read_torch_checkpoint(path: str | Path) -> TorchCheckpoint:
    """Reads a Lightning checkpoint ("state_dict" and "hyper_parameters") or a bare state dict.

    Raises:
        InputError: no such file, not a checkpoint, damaged, larger than `MAX_BYTES`, without tensors, or it asks for
            a call that makes neither a tensor nor a plain container.

    Example:
        >>> read_torch_checkpoint("neuralizer.ckpt").state_dict["net.target_embedding.bias"]  # doctest: +SKIP
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise Refused(f"{'a folder' if path.is_dir() else 'no such file'}; expected a PyTorch checkpoint file")
        if not zipfile.is_zipfile(path):
            raise Refused(NOT_A_CHECKPOINT)
        with zipfile.ZipFile(path) as archive:
            return _read(_Entries(archive, path.stat().st_size))
    except Refused as error:
        raise InputError(f"{path}: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or type(error).__name__})") from None
    except DAMAGE as error:
        reason = str(error).encode("unicode_escape").decode()[:200]
        raise InputError(f"{path}: damaged checkpoint ({type(error).__name__}: {reason})") from None


def _read(entries):
    top = read_pickle(entries.read("data.pkl", MAX_PICKLE_BYTES), ALLOWED_CALLS)
    checkpoint = entries_of(top) or {}
    state = entries_of(checkpoint.get("state_dict", checkpoint)) or {}
    tensors = {name: made for name, made in state.items() if isinstance(name, str) and _is_tensor(made)}
    if not tensors:
        raise Refused(
            "holds no tensors by name; expected a saved model.state_dict(), or a checkpoint with a 'state_dict'"
        )
    return TorchCheckpoint(
        state_dict=_arrays(tensors, entries),
        hyper_parameters=plain_dictionary(checkpoint.get("hyper_parameters")),
    )


class _Entries:
    """The entries of a checkpoint's zip file, read by name. Nothing is ever extracted to disk."""

    def __init__(self, archive, file_bytes):
        infos = archive.infolist()
        # torch.save compresses nothing: entries that declare more bytes than the file has are bombs or damaged.
        declared = sum(info.file_size for info in infos)
        if declared > min(file_bytes, MAX_BYTES) or len(infos) > MAX_ENTRIES:
            raise Refused(
                f"{len(infos):,} entries of {declared:,} bytes in a file of {file_bytes:,}; "
                f"expected at most {MAX_ENTRIES:,} uncompressed entries of {MAX_BYTES:,} bytes together"
            )
        self.archive = archive
        self.infos = {info.filename: info for info in infos}
        pickles = [info.filename for info in infos if info.filename.split("/")[1:] == ["data.pkl"]]
        if len(pickles) != 1 or len(self.infos) != len(infos):
            raise Refused(NOT_A_CHECKPOINT)
        self.prefix = pickles[0].removesuffix("data.pkl")
        if f"{self.prefix}byteorder" in self.infos and self.read("byteorder", 16) != b"little":
            raise Refused("not written on a little-endian machine; load and save it on one")

    def read(self, name, limit=MAX_BYTES):
        """All bytes of an entry; zipfile verifies its checksum."""
        info = self.infos.get(self.prefix + name)
        if info is None:
            raise Refused(f"the entry {name[:100]!a} is missing")
        if info.file_size > limit or info.compress_type != zipfile.ZIP_STORED:
            raise Refused(f"the entry {name[:100]!a} is compressed or larger than {limit:,} bytes")
        return self.archive.read(info)


def _is_tensor(value):
    return isinstance(value, Made) and value.origin in TENSORS


def _arrays(tensors, entries):
    """Arrays of all tensors by name. A shared storage is read once."""
    storages = {}
    arrays, total = {}, 0
    for name, made in tensors.items():
        shown = f"tensor {name[:100]!a}"
        try:
            key, dtype, count, offset, size, stride = _layout(made)
        except (ValueError, LookupError, TypeError, AttributeError):
            raise Refused(f"{shown} is not described as torch.save does it, or has an unsupported type") from None
        elements = prod(size)
        reach = 1 + offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
        reach = reach if elements else 0
        if reach > count or elements > max(count, MAX_REPEATED):
            raise Refused(f"{shown} of shape {size} and strides {stride} does not fit its storage of {count} elements")
        total += elements * dtype.itemsize
        if total > MAX_BYTES:
            raise Refused(f"tensors of more than {MAX_BYTES:,} bytes together")
        if key not in storages:
            storages[key] = entries.read(f"data/{key}")
        if len(storages[key]) < count * dtype.itemsize:
            raise Refused(f"{shown} has a storage of {len(storages[key])} bytes; expected {count * dtype.itemsize}")
        flat = np.frombuffer(storages[key], dtype, reach)[offset:]
        strides = [step * dtype.itemsize for step in stride] if elements else None
        arrays[name] = np.lib.stride_tricks.as_strided(flat, size, strides).copy()
    return arrays


def _layout(made):
    """(storage key, dtype, elements of the storage, offset, size, stride) of a tensor or parameter, types checked."""
    while made.origin in PARAMETERS:
        made = made.args[0]
    storage, offset, size, stride = made.args[:4]
    kind, storage_type, key, _, count = storage.value
    if made.origin == TYPED_TENSOR:
        dtype = STORAGES[storage_type.path]
    elif made.origin == UNTYPED_TENSOR and storage_type.path == UNTYPED_STORAGE:
        dtype = UNTYPED[made.args[6].path]
        count //= dtype.itemsize
    else:
        raise ValueError("not a tensor")
    if kind != "storage" or not isinstance(key, str) or len(size) != len(stride) or len(size) > 32:
        raise ValueError("not the layout of a tensor")
    if not all(type(number) is int and 0 <= number < 1 << 62 for number in (count, offset, *size, *stride)):
        raise ValueError("not counts")
    return key, dtype, count, offset, size, stride
