"""The hash by which weights are recognised, whatever their name."""

import hashlib
from pathlib import Path


def weights_sha256(path: Path) -> str:
    """SHA-256 of a weights file, or of all files in the folder of a checkpoint.

    Example:
        >>> from neuralizer_jax.weights.pretrained import pretrained_path
        >>> len(weights_sha256(pretrained_path("small")))
        64
    """
    files = sorted(inside for inside in path.rglob("*") if inside.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()
