"""The folders import one another in one direction: from the command line down to the grid."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What the modules of a folder may import besides their own folder. A name without a folder is a module of the package.
CORE = {"errors", "files"}
NETWORK = {"errors", "hardware", "convolution", "layers", "model", "unet", "forward", "losses", "metrics"}
ALLOWED = {
    "neuralizer_jax": NETWORK | {"files", "compilation_cache", "experiment_commands"},
    "neuralizer_jax/files": {"errors"},
    "neuralizer_jax/weights": NETWORK | CORE,
    "neuralizer_jax/pictures": CORE | {"space"},
    "neuralizer_jax/inference": NETWORK | CORE | {"preprocess", "intensity", "pictures"},
    "neuralizer_jax/volumes": NETWORK
    | CORE
    | {
        "compilation_cache",
        "pictures",
        "inference",
        "weights",
        "intensity",
        "preprocess",
        "align",
        "space",
        "synthesis",
    },
    "neuralizer_jax/training": NETWORK | CORE | {"weights", "experiment_config"},
    "neuralizer_jax/evaluation": NETWORK | CORE | {"weights", "inference", "volumes", "case", "align", "space"},
    "neuralizer_jax/report": CORE | {"metrics", "evaluation", "space", "pictures"},
    "neuralizer_jax/serve": CORE | {"pictures", "space", "volumes"},
    "input_pipeline": {"store"},
    "input_pipeline/space": CORE,
    "input_pipeline/raw": CORE | {"space"},
    "input_pipeline/align": CORE | {"space"},
    "input_pipeline/synthesis": CORE | {"space"},
    "input_pipeline/slices": CORE | {"intensity", "space", "raw", "align", "synthesis"},
    "input_pipeline/prepare": CORE | {"intensity", "space", "raw", "slices", "store"},
    "input_pipeline/store": CORE | {"compilation_cache", "space", "slices"},
    "input_pipeline/ops": CORE | {"space"},
    "input_pipeline/cut": CORE | {"space", "synthesis", "ops"},
    "input_pipeline/episodes": CORE | {"preprocess", "case", "space", "slices", "store", "ops", "cut"},
}


def folder(path: Path) -> str:
    """`input_pipeline/ops` for anything below it, `neuralizer_jax` for its own modules."""
    parts = path.relative_to(ROOT).parts[:-1]
    return "/".join(parts[:2])


def imports(path: Path) -> set[str]:
    """`package.part` of every import of ours in a file, those inside of functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module in ("input_pipeline", "neuralizer_jax"):
            found |= {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(".".join(node.module.split(".")[:2]))
        elif isinstance(node, ast.Import):
            found |= {".".join(name.name.split(".")[:2]) for name in node.names}
    return {name for name in found if name.split(".")[0] in ("input_pipeline", "neuralizer_jax")}


@pytest.mark.parametrize("place", ALLOWED)
def test_imports_point_downwards(place):
    package, _, own = place.partition("/")
    wrong = []
    for path in (ROOT / package).rglob("*.py"):
        if folder(path) != place or path.name == "__main__.py":
            continue
        for name in imports(path):
            part = name.partition(".")[2]
            if part != own and part not in ALLOWED[place]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, "\n".join(sorted(wrong))


def test_every_folder_has_its_rule():
    folders = {
        folder(path) for package in ("input_pipeline", "neuralizer_jax") for path in (ROOT / package).rglob("*.py")
    }
    assert folders - {"neuralizer_jax/cli"} == set(ALLOWED)
