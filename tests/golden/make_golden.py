"""Writes the golden files of this folder with PyTorch. Run from the repository root, where torch is installed:

    PYTHONPATH=tests python -m golden.make_golden

`forward.npz` holds, for every case of `CASES`, the names and shapes of the state dict as JSON, the output computed in
float64, mean and standard deviation of each channel, and, under `versions`, what computed them. The checkpoint files
are what `torch.save` writes for a Lightning run and for bare state dicts; their values follow from `golden_state_dict`.
"""

import argparse
import json
import pathlib
import sys
import types
from collections import OrderedDict

import numpy as np
import torch
from golden.golden_weights import (
    CASES,
    FOLDER,
    case_inputs,
    case_state_dict,
    golden_state_dict,
    hyper_parameters,
    thinned,
)
from torch import nn
from torch_twin import NeuralizerTwin, UNetTwin

NETWORKS = {"neuralizer": NeuralizerTwin, "unet": UNetTwin}


def build(case):
    """The twin of a case and its state dict, which the twin has loaded."""
    twin = NETWORKS[case.network](
        dim=len(case.size),
        stages=case.stages,
        in_channels=case.in_channels,
        out_channels=case.out_channels,
        inner_channels=list(case.inner_channels),
        conv_layers=case.conv_layers,
    )
    shapes = {name: tuple(tensor.shape) for name, tensor in twin.state_dict().items()}
    state = golden_state_dict(shapes, case.seed)
    twin.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
    return twin, shapes


@torch.no_grad()
def forward(twin, case):
    """The output [B, *S, Cout] of a case in float64."""
    target_in, context_in, context_out = (
        torch.from_numpy(array).double().movedim(-1, -1 - len(case.size)) for array in case_inputs(case)
    )
    twin = twin.double()
    output = twin(target_in) if case.network == "unet" else twin(context_in, context_out, target_in)
    return output.movedim(1, -1).numpy()


def write_forward():
    """Write forward.npz."""
    versions = {"torch": torch.__version__, "numpy": np.__version__, "python": sys.version.split()[0]}
    arrays = {"versions": np.array(json.dumps(versions))}
    for name, case in CASES.items():
        twin, shapes = build(case)
        output = forward(twin, case)
        arrays[f"{name}/shapes"] = np.array(json.dumps(shapes))
        arrays[f"{name}/output"] = thinned(output, case).astype(np.float32)
        pixels = output.reshape(-1, case.out_channels)
        arrays[f"{name}/mean"], arrays[f"{name}/std"] = pixels.mean(axis=0), pixels.std(axis=0)
        print(f"{name}: {output.shape}, mean {pixels.mean(axis=0)}, standard deviation {pixels.std(axis=0)}")
    np.savez_compressed(FOLDER / "forward.npz", **arrays)


class LightningLike(nn.Module):
    """What the published training wrapper adds to a state dict: a prefix, and a zero-size tensor of a loss."""

    def __init__(self, net):
        super().__init__()
        self.net = net
        self.losses = nn.ModuleList([nn.Module()])
        self.losses[0].register_buffer("dummy_param", torch.empty(0))


def lightning_checkpoint(case, holder, with_optimizer):
    """The dictionary a Lightning ModelCheckpoint hands to torch.save."""
    module = LightningLike(build(case)[0])
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-4)
    if with_optimizer:
        for parameter in module.parameters():
            parameter.grad = torch.zeros_like(parameter)  # a step without gradient: an Adam state, the same weights
        optimizer.step()
    return {
        "epoch": 3,
        "global_step": 1200,
        "pytorch-lightning_version": "1.9.0",
        "state_dict": module.state_dict(),
        "loops": {},
        "callbacks": {"ModelCheckpoint{'monitor': 'val/loss'}": {"best_model_score": torch.tensor(0.25)}},
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [],
        "hparams_name": "hparams",
        "hyper_parameters": holder,
    }


def attribute_dict(values):
    """A dictionary of a class from a package that the reader will not find."""
    module = types.ModuleType("lightning_utilities_missing.core")
    sys.modules["lightning_utilities_missing"] = types.ModuleType("lightning_utilities_missing")
    sys.modules[module.__name__] = module
    module.AttributeDict = type("AttributeDict", (dict,), {"__module__": module.__name__})
    return module.AttributeDict(values)


def write_checkpoints():
    """Write the files that the checkpoint reader is tested with."""
    small, tiny = CASES["small_n1"], CASES["tiny"]
    namespace = argparse.Namespace(
        **hyper_parameters(tiny), data_dir=pathlib.PurePosixPath("/data/oasis"), lam=np.float64(0.1), seed=np.int64(7)
    )
    torch.save(lightning_checkpoint(small, hyper_parameters(small), with_optimizer=True), FOLDER / "lightning.ckpt")
    torch.save(lightning_checkpoint(tiny, namespace, with_optimizer=False), FOLDER / "lightning_namespace.ckpt")
    torch.save(
        lightning_checkpoint(tiny, attribute_dict(hyper_parameters(tiny)), with_optimizer=False),
        FOLDER / "lightning_attributedict.ckpt",
    )

    state = {name: torch.from_numpy(array) for name, array in case_state_dict("tiny").items()}
    for name, dtype in {"half": torch.float16, "bfloat16": torch.bfloat16, "double": torch.float64}.items():
        torch.save({key: tensor.to(dtype) for key, tensor in state.items()}, FOLDER / f"{name}.pt")
    torch.save(state, FOLDER / "legacy.pt", _use_new_zipfile_serialization=False)

    counted = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    strided = OrderedDict(
        whole=counted,
        transposed=counted.t(),
        every_other=counted[1::2, ::3],
        repeated=counted[0, 1].expand(3),
        scalar=torch.tensor(7),
        parameter=nn.Parameter(counted[:2].clone()),
        flags=torch.tensor([True, False]),
        wide_counter=torch.tensor([1, 65535], dtype=torch.uint16),
        complex=torch.tensor([1 + 2j]),
    )
    torch.save(strided, FOLDER / "strided.pt")


if __name__ == "__main__":
    write_forward()
    write_checkpoints()
