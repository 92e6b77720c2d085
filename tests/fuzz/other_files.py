"""Cases of the other files that a user gives: weights, names of labels, scores. Each damaged one is refused or read."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from flax.traverse_util import unflatten_dict
from fuzz.damage import mutate
from fuzz.outcome import CHANGED, FAULT, REFUSED, RIGHT, Verdict, run
from fuzz.predict_oracle import plain_case, write
from made_up_scores import CLASSES, MODELS, made_up_rows, write_results
from safetensors import safe_open
from safetensors.numpy import save

from neuralizer_jax.model import Neuralizer
from neuralizer_jax.weights import param_shapes, save_weights

_NAMES = "index\tname\n2\tLeft-White-Matter\n41 Right-White-Matter 245 245 245 0\n53, hippocampus\n"
_EXTREMES = (
    -1,
    0,
    1,
    3,
    10**6,
    10**12,
    1.5,
    float("nan"),
    float("inf"),
    "4",
    "gelu",
    None,
    True,
    [],
    [4, 4],
    [4] * 99,
    {},
    {"a": 1},
)
_TENSORS = ("missing", "NaN", "infinite", "whole numbers", "longer", "without axes")


def judge_weights(folder: Path, rng: np.random.Generator) -> Verdict:
    """Predicts with a weights file whose bytes, description or tensors are wrong."""
    content, tensors, metadata = _weights()
    how, must_refuse = str(rng.choice(["bytes", "description", "tensors"])), False
    if how == "bytes":
        content = mutate(content, rng)
    elif how == "description":
        config = json.loads(metadata["neuralizer_jax"])
        key = str(rng.choice([*config, "unknown"]))
        config[key] = _EXTREMES[rng.integers(len(_EXTREMES))]
        how = f"{key} is {config[key]!r}"
        content = save(tensors, {"neuralizer_jax": json.dumps(config)})
    else:
        key, change = str(rng.choice(list(tensors))), str(rng.choice(_TENSORS))
        how, must_refuse = f"{key} is {change}", True
        content = save(_changed(tensors, key, change), metadata)
    path = folder / "weights.safetensors"
    path.write_bytes(content)
    ran = run([*write(plain_case(), folder), "--weights", str(path)])
    if ran.fault or (must_refuse and ran.status != 2):
        return Verdict(FAULT, f"weights, {how}: {ran.fault or 'accepted'}")
    return Verdict(REFUSED, ran.errors[0]) if ran.status == 2 else Verdict(CHANGED, how)


def judge_label_names(folder: Path, rng: np.random.Generator) -> Verdict:
    """Predicts with a damaged table of names."""
    path = folder / "names.tsv"
    path.write_bytes(mutate(_NAMES.encode(), rng))
    ran = run([*write(plain_case(), folder), "--label-names", str(path)])
    if ran.fault:
        return Verdict(FAULT, f"{path.read_bytes()!r}: {ran.fault}")
    return Verdict(REFUSED, ran.errors[0]) if ran.status == 2 else Verdict(RIGHT, "")


def judge_scores(folder: Path, rng: np.random.Generator) -> Verdict:
    """Makes a report from damaged results."""
    write_results(folder, _rows(), examples=1, size=8)
    path = folder / str(rng.choice(["scores.csv", "models.json", "runtime.json", "examples/00.npz"]))
    path.write_bytes(mutate(path.read_bytes(), rng))
    ran = run(["report", str(folder)])
    if ran.fault:
        return Verdict(FAULT, f"{path.name}: {path.read_bytes()[:900]!r}: {ran.fault}")
    return Verdict(REFUSED, ran.errors[0]) if ran.status == 2 else Verdict(CHANGED, path.name)


@cache
def _weights() -> tuple[bytes, dict[str, np.ndarray], dict[str, str]]:
    """A weights file of a small network: its bytes, tensors and description."""
    model, rng = Neuralizer(features=4, stages=2), np.random.default_rng(0)
    params = {key: rng.standard_normal(shape).astype(np.float32) for key, shape in param_shapes(model).items()}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.safetensors"
        save_weights(path, model, unflatten_dict(params))
        with safe_open(path, framework="numpy") as file:
            return path.read_bytes(), {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118


def _changed(tensors: dict[str, np.ndarray], key: str, change: str) -> dict[str, np.ndarray]:
    value = tensors[key].copy()
    if change in ("NaN", "infinite"):
        value.flat[value.size // 2] = np.nan if change == "NaN" else np.inf
    others = {
        "missing": None,
        "whole numbers": np.zeros(value.shape, np.int32),
        "longer": np.concatenate([value, value]),
        "without axes": np.ones((), np.float32),
    }
    changed = others.get(change, value)
    return {name: tensor for name, tensor in (tensors | {key: changed}).items() if tensor is not None}


@cache
def _rows() -> tuple:
    few = {"models": MODELS[:2], "tasks": ("segmentation", "denoising"), "sizes": (1, 8), "subjects": 2, "draws": 2}
    return tuple(made_up_rows(**few, modalities=("T1", "T2"), classes=CLASSES[:1]))
