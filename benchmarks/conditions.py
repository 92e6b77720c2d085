"""What the results of every benchmark say: command, hardware, versions and date, then tables."""

import datetime
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

from write_tables import table, update

from neuralizer_jax.hardware import cpu_model

__all__ = ["available_cores", "conditions", "cpu_model", "heading", "table", "typed", "write_results"]


def available_cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def typed(script):
    """The command that runs a script of this folder; paths of this machine are shown by their last part."""
    arguments = [Path(part).name if Path(part).is_absolute() else part for part in sys.argv[1:]]
    return " ".join(["python", f"benchmarks/{script}", *arguments])


def conditions(command, packages):
    """For the results: as they are before the benchmark starts."""
    return {
        "command": command,
        "date": datetime.date.today().isoformat(),
        "hardware": {
            "cpu": cpu_model(),
            "cores": available_cores(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "load_average_before": round(os.getloadavg()[0], 2),
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in packages},
    }


def heading(title, script, results):
    """The first lines of the results in Markdown."""
    hardware = results["hardware"]
    return f"""# {title}

Written by `benchmarks/{script}`, {results["date"]}:

    {results["command"]}

- {hardware["cpu"]}, {hardware["cores"]} cores, {hardware["memory_bytes"] / 2**30:.0f} GiB memory, {hardware["system"]};
  load average before the run {results["load_average_before"]}
- {", ".join(f"{name} {version}" for name, version in results["versions"].items())}
"""


def write_results(name, results, text):
    """Writes `NAME.json`, `NAME.md` and the tables of README and documentation that show them; prints the text."""
    folder = Path(__file__).parent / "results"
    (folder / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / f"{name}.md").write_text(text)
    update()
    print(text)
