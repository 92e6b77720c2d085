"""Predicts in a process of its own, for test_chunks.py and test_slice_predictions.py.

memory_child.py memory HOW MEMBERS     prints by how many MiB predicting raised the process's peak memory
memory_child.py devices                prints how many devices shared the context, and what that changed
memory_child.py slices                 prints how many devices shared the slices of a volume, and what that changed
"""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
from conftest import draw_params

from neuralizer_jax import Neuralizer, predict
from neuralizer_jax.volumes.slice_predictions import predict_planes

MODEL = Neuralizer(features=32, stages=3)


def child(*arguments, devices=1):
    """What this file prints in a process of its own with so many devices."""
    environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def peak_mib():
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    # Not of getrusage: there Linux counts the peak of the process that started this one too.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**10


def arrays(members, size=(32, 32)):
    rng = np.random.default_rng(0)
    return [rng.random(shape, np.float32) for shape in (size, (members, *size), (members, *size))]


def memory(how, members):
    params, episode = draw_params(MODEL), arrays(int(members))
    chunks = {"streamed": 8, "together": len(episode[1])}
    before = peak_mib()
    predict(MODEL, params, *episode, context_chunk=chunks[how])
    return peak_mib() - before


def devices():
    params, episode = draw_params(MODEL), arrays(5)
    both = jax.local_devices()
    alone = predict(MODEL, params, *episode).mean
    differences = [
        np.abs(predict(MODEL, params, *episode, devices=both, **chunks).mean - alone).max()
        for chunks in ({}, {"context_chunk": 3}, {"context_chunk": 3, "keep_activations": True})
    ]
    return {"devices": len(both), "difference": float(max(differences) / alone.std())}


def slices():
    params, both = draw_params(MODEL), jax.local_devices()
    target, images, masks = arrays(3, (32, 32, 32))
    inside = (slice(3, 14), slice(0, 32), slice(0, 32))
    alone, shared = (
        predict_planes(MODEL, params, target, images, masks, inside, ("sagittal",), 2, devices)
        for devices in (None, both)
    )
    return {"devices": len(both), "difference": float(np.abs(shared - alone).max() / alone.std())}


if __name__ == "__main__":
    print(json.dumps({"memory": memory, "devices": devices, "slices": slices}[sys.argv[1]](*sys.argv[2:])))
