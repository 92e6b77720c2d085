"""Under which conditions a benchmark ran: what its results say about command, hardware, versions and date."""

import datetime
import json
import os
import platform
from importlib import metadata
from pathlib import Path

from predict_cpu import available_cores, cpu_model


def conditions(command, packages):
    """For the results: as they are before the benchmark starts."""
    return {
        "command": command,
        "date": datetime.date.today().isoformat(),
        "hardware": {
            "cpu": cpu_model(),
            "cores": available_cores(),
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

- {hardware["cpu"]}, {hardware["cores"]} cores, {hardware["system"]}; load average before the run
  {results["load_average_before"]}
- {", ".join(f"{name} {version}" for name, version in results["versions"].items())}
"""


def write_results(name, results, text):
    """Writes `NAME.json` and `NAME.md` to `benchmarks/results`, and prints the text."""
    folder = Path(__file__).parent / "results"
    (folder / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / f"{name}.md").write_text(text)
    print(text)
