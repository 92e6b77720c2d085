"""Golden cases that need no stored weights: parameters and inputs are drawn from a name and a seed, with NumPy alone.

Comes in: the name of a case of `CASES`. Goes out: its inputs, its published state dict and the output PyTorch gave for
them, which `make_golden.py` stored in `forward.npz`.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
COARSE = 8  # pixels of one flat patch of an input


@dataclass(frozen=True)
class Case:
    """One network on one input. `every`: 1 keeps the whole output, k every k-th pixel of its first channel."""

    size: tuple[int, ...]
    members: int = 1  # context members; the U-Net has none and ignores it
    batch: int = 1
    inner_channels: tuple[int, ...] = (8,)
    stages: int = 4
    in_channels: int = 3
    out_channels: int = 3
    conv_layers: int = 2
    network: str = "neuralizer"  # or "unet"
    seed: int = 0
    every: int = 1


CASES = {
    "published_n1": Case((192, 192), members=1, inner_channels=(64,), seed=1, every=4),
    "published_n5": Case((192, 192), members=5, inner_channels=(64,), seed=2, every=4),
    "published_n32": Case((192, 192), members=32, inner_channels=(64,), seed=3, every=4),
    "small_n1": Case((32, 24), members=1, batch=2, seed=4),
    "small_n5": Case((32, 24), members=5, batch=2, seed=5),
    "unequal_widths": Case((16, 24), members=3, inner_channels=(8, 12, 16), stages=3, seed=6),
    "partly_unequal_widths": Case((16, 24), members=2, inner_channels=(6, 6, 10), stages=3, seed=7),
    "volume": Case((16, 16, 8), members=2, inner_channels=(6,), stages=3, seed=8),
    "three_convs": Case((16, 16), members=2, inner_channels=(6,), conv_layers=3, seed=9),
    "one_output": Case((16, 16), members=3, out_channels=1, seed=10),
    "unet": Case((32, 24), batch=2, network="unet", seed=11),
    "unet_unequal_volume": Case((16, 8, 8), inner_channels=(4, 6, 8), stages=3, network="unet", seed=12),
    "tiny": Case((8, 8), members=2, inner_channels=(4,), stages=2, seed=13),
}


def hyper_parameters(case: Case) -> dict[str, object]:
    """What a Lightning checkpoint of a case says about its network, and more that no network depends on."""
    return {
        "data_slice_only": len(case.size) == 2,
        "nb_levels": case.stages,
        "nb_inner_channels": list(case.inner_channels),
        "nb_conv_layers_per_stage": case.conv_layers,
        "lr": 1e-4,
        "run_name": "golden",
        "max_context_size": 32,
    }


def golden_state_dict(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    """Draw weights from U(+-sqrt(3 / fan_in)) and their biases from U(+-1 / sqrt(fan_in)).

    The biases are those of PyTorch's initialisation. Its weights are smaller by sqrt(3), and then the output is nearly
    constant: a network with a wrong activation would give the same numbers to five digits.
    `shapes` maps published tensor names, weights and their biases, to shapes. A tensor depends on its own name, its
    shape and the seed alone, so the order of the names does not matter. Returns float32 arrays in PyTorch's layout.
    """
    state = {}
    for name, shape in shapes.items():
        weight_shape = shapes[name.removesuffix("bias") + "weight"] if name.endswith("bias") else shape
        bound = np.sqrt((1 if name.endswith("bias") else 3) / np.prod(weight_shape[1:]))
        digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
        uniform = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little"))).random(shape)
        state[name] = (bound * (2 * uniform - 1)).astype(np.float32)
    return state


def golden_inputs(seed: int, batch: int, members: int, size: tuple[int, ...], in_channels: int, out_channels: int):
    """Draw target_in [B, *S, Cin], context_in [B, N, *S, Cin] and context_out [B, N, *S, Cout], float32 in [0, 1].

    Flat patches plus noise: additions and one multiplication, so that every NumPy draws the same bits.
    """
    rng = np.random.Generator(np.random.Philox(key=seed))

    def image(leading, channels):
        patches = rng.random((*leading, *(-(-length // COARSE) for length in size), channels), dtype=np.float32)
        for axis, length in enumerate(size, start=len(leading)):
            patches = np.repeat(patches, COARSE, axis=axis).take(range(length), axis=axis)
        noise = rng.random(patches.shape, dtype=np.float32)
        return np.float32(0.75) * patches + np.float32(0.25) * noise

    return image((batch,), in_channels), image((batch, members), in_channels), image((batch, members), out_channels)


def case_inputs(case: Case):
    """`golden_inputs` of a case: (target_in, context_in, context_out), channels last."""
    return golden_inputs(case.seed, case.batch, case.members, case.size, case.in_channels, case.out_channels)


def case_state_dict(name: str) -> dict[str, np.ndarray]:
    """The published state dict of a case: PyTorch names and layouts, float32."""
    with np.load(FOLDER / "forward.npz") as stored:
        shapes = json.loads(str(stored[f"{name}/shapes"]))
    return golden_state_dict({key: tuple(shape) for key, shape in shapes.items()}, CASES[name].seed)


def case_expected(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What PyTorch computed in float64: output, mean and standard deviation.

    The output is float32 [B, *S, Cout], thinned as `thinned` does; mean and deviation are float64 [Cout], over all
    pixels of the whole output. The deviation is the yardstick for a difference.
    """
    with np.load(FOLDER / "forward.npz") as stored:
        return stored[f"{name}/output"], stored[f"{name}/mean"], stored[f"{name}/std"]


def thinned(output, case: Case):
    """Keep of an output [B, *S, Cout] what the golden file keeps: the first channel of every `case.every`-th pixel."""
    if case.every == 1:
        return output
    return output[(slice(None), *(slice(None, None, case.every) for _ in case.size), slice(0, 1))]
