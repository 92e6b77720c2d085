"""What the HTTP calls share: the folders, the queue of predictions, and a lock for what is written."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

from starlette.exceptions import HTTPException

from neuralizer_jax.errors import one_line
from neuralizer_jax.serve.folders import Examples, Folders, ScanFile, find_context, find_scans
from neuralizer_jax.serve.jobs import Jobs


@dataclass(frozen=True)
class Workbench:
    """The workbench.

    Attributes:
        folders: where it reads and writes.
        jobs: the queue.
        scratch: a folder for files that are not kept.
        weights: instead of those of the package; None: those.
        lock: is held while scans or examples are written.
    """

    folders: Folders
    jobs: Jobs
    scratch: Path
    weights: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def files(self) -> tuple[Examples, dict[str, ScanFile]]:
        """The examples and the scans that are there now."""
        examples = find_context(self.folders.context)
        return examples, find_scans(self.folders, examples)

    def scan(self, name: str) -> ScanFile:
        """A scan by its id. Raises HTTPException, 404, if there is none."""
        scans = self.files()[1]
        if name not in scans:
            raise HTTPException(404, f"{one_line(name)[:64]}: is no scan, expected an id from /api/scans")
        return scans[name]
