"""What a computation runs on, for records of trainings and measurements."""

import os
import platform
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jax


def device_name(device: "jax.Device") -> str:
    """The device's model; of a CPU also how many cores this process may use."""
    if device.platform != "cpu":
        return device.device_kind
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cpu_model()}, {cores} core{'s' * (cores != 1)}"


def device_names() -> str:
    """All devices of JAX, as `2 x NVIDIA H200`."""
    import jax

    counts = Counter(map(device_name, jax.devices()))
    return ", ".join(f"{count} x {name}" if count > 1 else name for name, count in counts.items())


def cpu_model() -> str:
    """The CPU's model; its architecture where the system does not tell."""
    if sys.platform == "darwin":
        return subprocess.check_output(["sysctl", "-n", "machdep.cpu.brand_string"], text=True).strip()
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8", errors="replace").splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
