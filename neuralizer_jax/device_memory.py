"""How much memory is free on a device: on a CPU that of the machine, or of the container or job that we run in."""

import os
from pathlib import Path

import jax

_CGROUP = Path("/sys/fs/cgroup")


def free_bytes(device: jax.Device) -> int:
    """Bytes that can still be allocated on a device, roughly; half of the machine's memory where nobody tells."""
    if stats := device.memory_stats():
        return stats["bytes_limit"] - stats["bytes_in_use"]
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(_free_of_machine() or total // 2, _free_of_cgroup() or total)


def _free_of_machine():
    """Linux only, else None."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _free_of_cgroup():
    """Linux only, where a limit is set, else None."""
    try:
        group = Path("/proc/self/cgroup").read_text().strip().rpartition(":")[2].lstrip("/")
        folder = next(path for path in (_CGROUP / group, _CGROUP) if (path / "memory.max").is_file())
        limit, used = ((folder / name).read_text().strip() for name in ("memory.max", "memory.current"))
        # Files that are only cached count as used, but are dropped when memory is asked for.
        cached = next(
            int(line.split()[1])
            for line in (folder / "memory.stat").read_text().splitlines()
            if line.startswith("inactive_file ")
        )
    except (OSError, StopIteration, ValueError):
        return None
    return None if limit == "max" else max(0, int(limit) - int(used) + cached)
