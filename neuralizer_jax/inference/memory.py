"""Free memory of a device. For a CPU: of the machine, or of the container or job (cgroup) if it has a limit."""

import os
from pathlib import Path

import jax

_CGROUP = Path("/sys/fs/cgroup")
# Memory of a small machine.
_UNKNOWN = 2**33

_OWN_GROUP = Path("/proc/self/cgroup")


def free_bytes(device: jax.Device) -> int:
    """Returns roughly how many bytes can be allocated on a device; if unknown, half of the machine's memory."""
    if stats := device.memory_stats():
        return stats["bytes_limit"] - stats["bytes_in_use"]
    # Windows does not tell.
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else _UNKNOWN
    found = [bytes_ for bytes_ in (_free_of_machine(), _free_of_cgroup()) if bytes_ is not None]
    return min(found, default=total // 2)


def _free_of_machine() -> int | None:
    """Reads /proc/meminfo (Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _free_of_cgroup() -> int | None:
    """Returns the smallest free memory of this process's cgroup and its parents (Linux), None without a limit."""
    try:
        group = _OWN_GROUP.read_text().strip().rpartition(":")[2].lstrip("/")
    except OSError:
        return None
    folders = [_CGROUP / group, *(_CGROUP / group).parents]
    free = [_free_of_group(folder) for folder in folders if folder.is_relative_to(_CGROUP)]
    return min((value for value in free if value is not None), default=None)


def _free_of_group(folder: Path) -> int | None:
    try:
        limit, used = (int((folder / name).read_text()) for name in ("memory.max", "memory.current"))
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        # Cached files count as used, but are dropped when memory is needed.
        return max(0, limit - used + int(statistics["inactive_file"]))
    except (OSError, ValueError, KeyError):  # no such group, or "max": no limit
        return None
