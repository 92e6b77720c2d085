"""Segments whole scans, one after another, from the annotated scans of a command or from built-in heads."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from input_pipeline.space.structure_names import FREESURFER_CLASSES
from neuralizer_jax.cli import predict_checks as checks
from neuralizer_jax.cli.volume_examples import Context
from neuralizer_jax.cli.volume_progress import Progress
from neuralizer_jax.cli.volume_results import key_of, network_key
from neuralizer_jax.errors import InputError
from neuralizer_jax.intensity import normalize
from neuralizer_jax.volumes.aligned import AlignedExample, align_example
from neuralizer_jax.volumes.scan import Scan
from neuralizer_jax.volumes.volume_prediction import VolumePrediction
from neuralizer_jax.weights.hub import shown_name
from neuralizer_jax.weights.weights_hash import weights_sha256

# Scaled images that differ by less are one image, in another unit or datatype.
_SAME_IMAGE = 0.003


class Segmenter:
    """Segments scans with the options of a command.

    Attributes:
        model, params: the network.
        weights: its name and hash.
        names: of the labels, as far as known.
        labels: to segment; None: the usual ones of the built-in heads.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        weights: Path,
        context: Context | None,
        predict: Callable[..., VolumePrediction] | None = None,
    ) -> None:
        """Loads the network.

        Args:
            options: of the command.
            weights: file of the network.
            context: annotated scans; None: the built-in heads.
            predict: predicts from annotated scans, as `predict_volume` does; None: that.

        Raises:
            InputError: the weights cannot be read, or do not predict from a context.
        """
        import jax

        from neuralizer_jax.cli.start_jax import start_jax
        from neuralizer_jax.volumes.built_in_segmentation import segment
        from neuralizer_jax.volumes.predict import predict_volume
        from neuralizer_jax.weights import load_weights

        start_jax()
        self.model, self.params = load_weights(weights)
        checks.check_weights(self.model, None, weights)
        self.weights = f"{shown_name(weights)}, SHA-256 {weights_sha256(weights)}"
        self.names: Mapping[int, str] = context.names if context else FREESURFER_CLASSES
        self.labels: Sequence[int] | None = context.labels if context else options.labels
        self._settings = {
            "label_values": self.labels,
            "examples_per_target": options.examples_per_target,
            "aligned": options.aligned,
            "deformable": not options.affine,
            "planes": options.planes,
            "bootstrap": options.bootstrap,
            "seed": options.seed,
        }
        self._devices = jax.local_devices() if options.all_devices else None
        self._unread = context.examples if context else []
        self._predict = (predict or predict_volume) if context else segment
        self._examples: list[AlignedExample] = []
        keys = [example.key for example in self._unread]
        names = [self.names.get(label) for label in self.labels or ()]
        self._key = key_of(network_key(self.model, self.params), keys, names, sorted(self._settings.items()))

    def key(self, target: Path, *more: object) -> str:
        """Hash of all that the segmentation of a scan depends on, and of `more`. Raises OSError."""
        return key_of(self._key, target.read_bytes(), *more)

    def align_examples(self, progress: Progress) -> None:
        """Reads and aligns the examples, one at a time to save memory. Raises InputError if one cannot be aligned."""
        options = {name: self._settings[name] for name in ("aligned", "deformable")}
        for number, example in enumerate(self._unread):
            progress("aligning", number, len(self._unread))
            self._examples.append(align_example(example.read(), **options))

    def segment(self, scan: Scan, progress: Progress) -> VolumePrediction:
        """Segments a scan. Raises InputError as `predict_volume`, or if the scan is one of the examples."""
        _refuse_same(scan, self._examples)
        examples = [self._examples] if self._unread else []
        return self._predict(
            self.model, self.params, scan, *examples, **self._settings, devices=self._devices, on_progress=progress
        )


def _refuse_same(target: Scan, examples: Sequence[AlignedExample]) -> None:
    """Raises InputError if an example holds the target, stored differently or not."""
    canonical = target.canonical()
    alike = [example.scan for example in examples if example.scan.values.shape == canonical.values.shape]
    scaled = normalize(canonical.values) if alike else canonical.values
    for other in alike:
        if np.allclose(other.values, scaled, rtol=0, atol=_SAME_IMAGE):
            raise InputError(f"{target.name}: is the example {other.name}, expected other scans as examples")
