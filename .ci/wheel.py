"""Builds the wheel from the tracked files, checks what it holds, installs it elsewhere, and predicts with it.

The environment has the dependencies of this one, but not its copy of the packages. Called by `make wheel`.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]
PACKAGES = ("neuralizer_jax/", "input_pipeline/", "experiments/")
MOST_BYTES = 30 * 2**20

IMAGES = """
import numpy as np
from pathlib import Path
from PIL import Image

Path("pairs").mkdir()
for name in ("target", "pairs/a_in", "pairs/b_in", "pairs/a_out", "pairs/b_out"):
    y, x = np.indices((64, 64)) - 32
    inside = x**2 + (y + len(name) % 7) ** 2 < 300
    Image.fromarray(np.uint8(255 * inside if "out" in name else 40 + 150 * inside + abs(x))).save(f"{name}.png")
"""


def run(*command: str | Path, **options) -> str:
    """Runs a command and returns what it printed; ends this program if it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    if done.returncode:
        sys.exit(f"wheel: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def build(work: Path) -> Path:
    """Builds the wheel from a copy of the tracked files, so that nothing else can get into it; into dist/."""
    for name in run("git", "ls-files", "-z", cwd=ROOT).split("\0"):
        if name and (ROOT / name).is_file():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, work / name)
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--disable-pip-version-check", "-w", work / "dist", work)
    (built,) = (work / "dist").glob("*.whl")
    (ROOT / "dist").mkdir(exist_ok=True)
    return Path(shutil.copy(built, ROOT / "dist"))


def check_contents(wheel: Path) -> None:
    """The wheel holds the tracked files of the packages, the licences, and nothing else."""
    with ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not name.endswith("/")}
    tracked = {name for name in run("git", "ls-files", cwd=ROOT).splitlines() if name.startswith(PACKAGES)}
    about = {name for name in held if name.split("/")[0].endswith(".dist-info")}
    if lacking := sorted(tracked - held):
        sys.exit(f"wheel: {len(lacking)} files of the packages are not in it, such as {lacking[0]}")
    if more := sorted(held - tracked - about):
        sys.exit(f"wheel: holds {len(more)} files that are no part of the packages, such as {more[0]}")
    licences = [name for name in about if "/licenses/" in name]
    if len(licences) < 2:
        sys.exit(f"wheel: has {len(licences)} licences, expected that of the package and that of niivue")
    if (size := wheel.stat().st_size) > MOST_BYTES:
        sys.exit(f"wheel: has {size} bytes, expected at most {MOST_BYTES}")
    print(f"{wheel.relative_to(ROOT)}: {len(held)} files, {size / 2**20:.1f} MB")


def install(wheel: Path, folder: Path) -> Path:
    """Installs the wheel into an environment of its own; returns the folder of its programs."""
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    paths = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", paths))
    python = Path(sysconfig.get_path("scripts", "venv", paths)) / "python"
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    run(sys.executable, "-m", "pip", f"--python={python}", "install", "--no-deps", "--no-index", "--quiet",
        "--disable-pip-version-check", "--force-reinstall", wheel)  # fmt: skip
    return python.parent


def predict(programs: Path, folder: Path) -> None:
    """Predicts with the installed command, outside of the repository."""
    folder.mkdir()
    environment = {"HOME": str(folder), "PATH": os.defpath, "JAX_PLATFORMS": "cpu"}
    where = {"cwd": folder, "env": environment}
    found = run(programs / "python", "-c", "import neuralizer_jax; print(neuralizer_jax.__file__)", **where).strip()
    if not Path(found).is_relative_to(programs.parent):
        sys.exit(f"wheel: {found} is imported, expected the installed package")
    for command in ((), ("predict",), ("bids",)):
        run(programs / "neuralizer", *command, "--help", **where)
    run(programs / "python", "-c", IMAGES, **where)
    print(run(programs / "neuralizer", "predict", "-i", "target.png", "--context", "pairs", "-o", "out.png", **where))
    if not (folder / "out.png").is_file():
        sys.exit("wheel: no prediction was written")


with tempfile.TemporaryDirectory() as work:
    wheel = build(Path(work, "source"))
    check_contents(wheel)
    predict(install(wheel, Path(work, "environment")), Path(work, "elsewhere"))
