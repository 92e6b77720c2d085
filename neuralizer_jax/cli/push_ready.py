"""`neuralizer push-ready DIR --weights FILE`: a folder that can be uploaded to the Hugging Face hub as it is.

DIR/model.safetensors   the weights; a release file byte for byte
DIR/config.json         network, version of the package, SHA-256 of the weights
DIR/README.md           the card with the hub's front matter, and the pictures that it shows
DIR/LICENSE             the text of the licence
"""

import argparse
import json
import re
import shutil
from pathlib import Path

from neuralizer_jax.weights.pretrained import DEFAULT, PRETRAINED, weights_path

_TAGS = ("neuroimaging", "mri", "medical-imaging", "in-context-learning", "image-segmentation", "jax", "flax")

_USE = """
## How to use it

```bash
pip install "neuralizer-jax[hub]"
```

```python
from neuralizer_jax import load_weights

model, params = load_weights("hf://OWNER/NAME")  # the name of this repository
```

On the command line it is `--weights hf://OWNER/NAME`.
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "push-ready",
        help="make a folder of weights that can be uploaded to the Hugging Face hub",
        description="Makes DIR with model.safetensors, config.json, README.md (the card with the hub's front matter, "
        "and its pictures) and LICENSE. Nothing is sent: `hf upload OWNER/NAME DIR` uploads it; then the weights are "
        "hf://OWNER/NAME everywhere.",
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder to make, new or empty")
    parser.add_argument(
        "--weights",
        metavar="FILE",
        default=DEFAULT,
        help=f"weights file or checkpoint, or the name of weights in the package (default: {DEFAULT})",
    )
    parser.add_argument(
        "--card",
        metavar="CARD.md",
        type=Path,
        help="text of the card, see `neuralizer card` (default: the file NAME.md beside the weights NAME.safetensors)",
    )
    parser.add_argument("--license", metavar="ID", help="of the weights, as the hub calls it: mit, cc-by-4.0, ...")
    parser.add_argument(
        "--license-file", metavar="FILE", type=Path, help="its text; weights in the package have theirs"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    from neuralizer_jax.errors import InputError, OutputError
    from neuralizer_jax.files.atomic_file import temporary_beside

    folder = options.folder.absolute()
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise InputError(f"{options.folder}: is there already, expected a new or empty folder")
    license_id, license_text = _license(options)
    temporary = temporary_beside(folder)
    try:
        temporary.mkdir(parents=True)
        _fill(temporary, options, license_id, license_text)
        temporary.replace(folder)
    except OSError as error:
        raise OutputError(f"{error.filename or options.folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for path in sorted(folder.iterdir()):
        print(options.folder / path.name)
    print(f"to upload it: hf upload OWNER/NAME {options.folder}")


def _fill(folder: Path, options: argparse.Namespace, license_id: str, license_text: str) -> None:
    from neuralizer_jax import __version__
    from neuralizer_jax.weights import read_weights, save_weights
    from neuralizer_jax.weights.architecture import describe
    from neuralizer_jax.weights.hub import CONFIG_FILE, LIBRARY, WEIGHTS_FILE
    from neuralizer_jax.weights.weights_hash import weights_sha256

    source = weights_path(options.weights)
    weights, path = read_weights(source), folder / WEIGHTS_FILE
    if source.suffix == path.suffix:
        shutil.copyfile(source, path)
    else:
        save_weights(path, weights.model, weights.params)
    sha256 = weights_sha256(path)
    config = {
        "library_name": LIBRARY,
        "library_version": __version__,
        "architectures": [type(weights.model).__name__],
        "model": describe(weights.model),
        "sha256": sha256,
    }
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / "LICENSE").write_text(license_text, encoding="utf-8")
    card = options.card or source.with_suffix(".md")
    if not options.card and not card.is_file():
        card = _card_of_facts(folder, path, source.stem)
    text = _text(card).replace(f"`{source.name}`", f"`{WEIGHTS_FILE}`")
    _write_readme(folder, card, text, sha256, license_id)


def _license(options: argparse.Namespace) -> tuple[str, str]:
    """The hub's name of the licence, and its text."""
    from importlib.metadata import distributions

    from neuralizer_jax.errors import InputError

    if not options.license and not options.license_file and options.weights in PRETRAINED:
        # A clone that is installed has two of them, one without the licence.
        copies = distributions(name="neuralizer-jax")
        text = next(filter(None, (copy.read_text("licenses/LICENSE") for copy in copies)), None)
        if text is None:
            raise InputError("the licence of this copy of neuralizer_jax is missing, expected --license-file")
        return "mit", text
    if not options.license or not options.license_file:
        raise InputError(
            f"{options.weights}: whose licence is not known, expected --license ID and --license-file FILE"
        )
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,63}", options.license):
        raise InputError(f"--license {options.license}: expected a licence as the hub calls it: mit, cc-by-4.0, ...")
    return options.license, _text(options.license_file)


def _card_of_facts(folder: Path, weights: Path, name: str) -> Path:
    """A card that says only what the file itself tells."""
    import sys

    from neuralizer_jax.cli.card import weights_facts
    from neuralizer_jax.report.card import write_card

    note = "no card beside the weights, so README.md names file and network alone, add data, scores and limits"
    print(f"neuralizer: note: {note}", file=sys.stderr)
    card = folder / "README.md"
    write_card(card, weights_facts(weights) | {"name": name}, {}, [])
    return card


def _write_readme(folder: Path, card: Path, text: str, sha256: str, license_id: str) -> None:
    """Writes README.md, and copies the pictures that the card shows."""
    from neuralizer_jax.errors import InputError
    from neuralizer_jax.weights.hub import LIBRARY

    hashes = set(re.findall(r"\b[0-9a-f]{64}\b", text))
    if hashes and sha256 not in hashes:
        raise InputError(f"{card}: is the card of other weights, expected SHA-256 {sha256[:16]}...")
    if text.startswith("---\n"):
        if f"\nlicense: {license_id}\n" not in text.partition("\n---\n")[0] + "\n":
            raise InputError(f"{card}: its front matter has another licence, expected license: {license_id}")
    else:
        tags = "".join(f"- {tag}\n" for tag in _TAGS)
        front = f"license: {license_id}\nlibrary_name: {LIBRARY}\npipeline_tag: image-segmentation\ntags:\n{tags}"
        text = f"---\n{front}---\n\n{text}"
    for name in dict.fromkeys(re.findall(r"!\[[^\]]*\]\(([^)\s:]+)\)", text)):
        picture = card.parent / name
        if Path(name).name != name or not picture.is_file():
            raise InputError(f"{card}: shows {name}, expected a picture beside the card")
        shutil.copyfile(picture, folder / name)
    (folder / "README.md").write_text(text.rstrip() + "\n" + _USE, encoding="utf-8")


def _text(path: Path) -> str:
    from neuralizer_jax.errors import InputError

    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is no text in UTF-8"
        raise InputError(f"{path}: {reason}, expected a text file") from None
