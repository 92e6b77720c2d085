"""Weights on the Hugging Face hub: `hf://OWNER/NAME` or `hf://OWNER/NAME@REVISION` in, a file of the local cache out.

The hub is asked only for these addresses, through its own client (`huggingface_hub`), which reads its usual
environment: HF_HUB_OFFLINE, HF_HOME, HF_TOKEN, HF_ENDPOINT. Two files are read, both of bounded size: `config.json`,
which must say that the weights are for this package, then `model.safetensors`.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from neuralizer_jax.errors import InputError, one_line
from neuralizer_jax.weights.weights_hash import weights_sha256

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"

# What `config.json` and the card call this package.
LIBRARY = "neuralizer_jax"

_MOST_BYTES = {CONFIG_FILE: 2**20, WEIGHTS_FILE: 2**31}

# A path has one slash where the address has two.
_ADDRESS = re.compile(r"hf:/{1,2}(?P<repository>[\w.-]{1,96}/[\w.-]{1,96})(?:@(?P<revision>[\w./-]{1,200}))?", re.ASCII)

_CACHED = re.compile(r"models--(?P<owner>[\w.-]+?)--(?P<name>[\w.-]+)/snapshots/(?P<commit>\w{12})\w*/[\w.-]+$")


@dataclass(frozen=True)
class HubAddress:
    """A repository on the hub, and a branch, tag or commit; None: the default branch.

    Example:
        >>> address = hub_address("hf://someone/small@v2")
        >>> address.repository, address.revision, str(address)
        ('someone/small', 'v2', 'hf://someone/small@v2')
    """

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        """As on the command line."""
        return f"hf://{self.repository}" + (f"@{self.revision}" if self.revision else "")


def hub_address(weights: str | os.PathLike) -> HubAddress | None:
    """The address that weights are given by; None if they are given in another way.

    Raises:
        InputError: it begins as an address and is none.
    """
    text = os.fspath(weights)
    if not text.startswith("hf:/"):
        return None
    found = _ADDRESS.fullmatch(text)
    if not found or ".." in text:
        raise InputError(f"{text}: is no address on the hub, expected hf://OWNER/NAME or hf://OWNER/NAME@REVISION")
    return HubAddress(found["repository"], found["revision"])


def hub_file(address: HubAddress) -> Path:
    """The weights file of an address: from the hub, or from its local cache if the hub cannot be reached.

    Raises:
        InputError: `huggingface_hub` is not installed; the repository, revision or a file is missing, too large, or of
            another library; or the hub cannot be reached and the cache does not have them.
    """
    config, commit = _fetched(address, CONFIG_FILE, address.revision)
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        content = None
    library = content.get("library_name") if isinstance(content, dict) else None
    if library != LIBRARY:
        raise InputError(
            f"{address}: {CONFIG_FILE} has library_name {one_line(repr(library))[:80]}, expected {LIBRARY}: "
            "the files that `neuralizer push-ready` makes"
        )
    path, _ = _fetched(address, WEIGHTS_FILE, commit)
    if content.get("sha256") != weights_sha256(path):
        raise InputError(
            f"{address}: {WEIGHTS_FILE} is not the file that {CONFIG_FILE} describes (SHA-256), expected a whole "
            f"download of what `neuralizer push-ready` makes; delete {path.parent.parent.parent} and try again"
        )
    return path


def shown_name(path: Path) -> str:
    """How results call a weights file: by its name, or one of the hub's cache by its repository and commit.

    Example:
        >>> shown_name(Path("runs/best.safetensors"))
        'best.safetensors'
        >>> shown_name(Path(f"/cache/models--someone--small/snapshots/{'0123456789' * 4}/model.safetensors"))
        'hf://someone/small@012345678901'
    """
    cached = _CACHED.search(path.as_posix())
    return f"hf://{cached['owner']}/{cached['name']}@{cached['commit']}" if cached else path.name


def _fetched(address: HubAddress, file: str, revision: str | None) -> tuple[Path, str]:
    """A file in the cache, and its commit."""
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import (
            EntryNotFoundError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
    except ImportError:
        raise InputError(f"{address}: needs the hub's client, expected pip install 'neuralizer-jax[hub]'") from None
    try:
        with _quiet():
            found = hf_hub_download(address.repository, file, revision=revision, dry_run=True)
            _check_size(address, file, found.file_size)
            path = Path(hf_hub_download(address.repository, file, revision=revision))
        _check_size(address, file, path.stat().st_size)
        return path, found.commit_hash
    except InputError:
        raise
    except LocalEntryNotFoundError:
        raise InputError(
            f"{address}: the hub cannot be reached and its local cache has no {file}, expected a network, or weights "
            "that were loaded before"
        ) from None
    except EntryNotFoundError:
        raise InputError(f"{address}: has no {file}, expected the files that `neuralizer push-ready` makes") from None
    except RevisionNotFoundError:
        raise InputError(f"{address}: has no such revision, expected a branch, tag or commit") from None
    except RepositoryNotFoundError:
        raise InputError(
            f"{address}: is not on the hub, or not public, expected another name, or HF_TOKEN or `hf auth login`"
        ) from None
    except Exception as error:  # of the HTTP library, which differs between versions of the client
        reason = one_line(error)[:200] or type(error).__name__
        raise InputError(f"{address}: {file} cannot be loaded from the hub ({reason}), try again") from None


def _check_size(address: HubAddress, file: str, size: int | None) -> None:
    most = _MOST_BYTES[file]
    if size is None or size > most:
        shown = "an unknown number of" if size is None else f"{size:,}"
        raise InputError(f"{address}: {file} has {shown} bytes, expected at most {most:,}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the client's lines on every attempt to reach the hub."""
    from huggingface_hub.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
