"""A measurement in a process of its own: what it prints, how much memory it took, what else ran on the machine."""

import json
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

MIB = 2**20
# What would change a child's speed or memory behind our back.
UNSET = ("JAX_", "XLA_", "TORCH_", "OMP_", "MKL_", "KMP_", "GOMP_", "ONEDNN_", "DNNL_", "MALLOC_", "LD_PRELOAD")


def printed_by(script, child, threads):
    """What a script prints last, JSON, in a fresh process that is given `--child` and these arguments."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(UNSET)}
    environment |= {"JAX_PLATFORMS": "cpu", "JAX_ENABLE_COMPILATION_CACHE": "false"}
    threads_of = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # NPROC: of XLA
    environment |= dict.fromkeys(threads_of, str(threads))
    command = [sys.executable, script, "--child", *map(str, child)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with exit code {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def peak_rss():
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def current_rss():
    if sys.platform == "linux":
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(os.getpid())])) * 1024


def machine_cpu_seconds():
    """Processor time of all processes, and what a hypervisor took away; Linux only, else 0."""
    if sys.platform != "linux":
        return 0.0
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def spread(values):
    values = list(values)
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}
