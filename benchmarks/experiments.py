"""The tables of the paper's experiments at smoke scale, and how long each command took.

From the repository root, on a machine that does nothing else:

    make experiments-smoke
    .venv/bin/python benchmarks/experiments.py results/smoke

Writes `experiments.json` and `experiments.md` to `benchmarks/results`, and the figure of the README to `docs`.
"""

import argparse
import json
import shutil
from pathlib import Path

from conditions import conditions, heading, write_results

ROOT = Path(__file__).resolve().parent.parent
TABLES = (
    "table4",
    "table_untrained",
    "table_seen_unseen",
    "table_baselines",
    "table3",
    "table_ablations",
    "table_runtime",
)


def short(command):
    """The command without its options but one that tells it from others."""
    words = command.split()[1:]
    names = [Path(word).name for word in words if "/runs/" in word and "=" not in word]
    experiments = [words[place + 1] for place, word in enumerate(words) if word == "--experiment"]
    return " ".join([words[0], *names, *experiments])


def markdown(results):
    found = results["results"]
    total = sum(found["seconds"].values())
    times: dict[str, float] = {}
    for command, seconds in found["seconds"].items():
        times[short(command)] = times.get(short(command), 0) + seconds
    tables = "\n".join(f"## {name}\n\n{text}" for name, text in found["tables"].items())
    rows = "\n".join(f"| {name} | {seconds:.0f} |" for name, seconds in times.items())
    return f"""{heading("The paper's experiments on phantoms, small", "experiments.py", results)}
All commands together took {total / 60:.1f} min. Models of 16 features, 150 steps at 64x64: the numbers show that
everything works, not how good it is.

{tables}
## Seconds of each command

| command | s |
| --- | --- |
{rows}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of the experiments")
    folder = parser.parse_args().folder
    results = conditions("make experiments-smoke", ("jax", "jaxlib", "flax", "optax", "numpy", "tensorflow-cpu"))
    commands = json.loads((folder / "commands.json").read_text())
    results["results"] = {
        "seconds": {command: done["seconds"] for command, done in commands.items()},
        "tables": {name: (folder / "report" / f"{name}.md").read_text() for name in TABLES},
    }
    write_results("experiments", results, markdown(results))
    shutil.copy(folder / "report/figure4.png", ROOT / "docs/experiments.png")


if __name__ == "__main__":
    main()
