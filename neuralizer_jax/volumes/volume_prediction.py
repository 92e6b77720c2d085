"""What `predict_volume` returns: a label map on the target's grid; size and probabilities of each structure."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neuralizer_jax.volumes.alignment import Alignment
from neuralizer_jax.volumes.compete import on_grid
from neuralizer_jax.volumes.scan import Scan, to_ras
from neuralizer_jax.volumes.structure import WHOLE, StructurePrediction


@dataclass(frozen=True, eq=False)
class Structure:
    """What was found of a structure.

    Attributes:
        label: its value.
        voxels: of the target that have the label.
        mm3: their volume.
        confidence: mean probability of these voxels; 0 if there are none.
        prediction: probabilities in each plane, and the examples used.
    """

    label: int
    voxels: int
    mm3: float
    confidence: float
    prediction: StructurePrediction

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd: the structure lies outside of the scan, partly or all of it, or was not found."""
        if not self.prediction.in_view:
            return ("lies outside of the scan",)
        if not self.voxels:
            return ("was not found",)
        if self.prediction.in_view < WHOLE:
            return (f"is cut off, about {self.prediction.in_view:.0%} of it lies inside of the scan",)
        return ()


@dataclass(frozen=True, eq=False)
class VolumePrediction:
    """The prediction for one scan.

    Attributes:
        labels: `[X, Y, Z]` int32 on the target's own voxels, 0 or one of the examples' labels.
        structures: {label: what was found of it}, in ascending order.
        target: the scan.
        alignment: of the target to MNI152.
    """

    labels: np.ndarray
    structures: dict[int, Structure]
    target: Scan
    alignment: Alignment

    def probability(self, label: int) -> np.ndarray:
        """The probability of a structure on the target's own voxels, float32 `[X, Y, Z]`. It is computed when asked.

        Example:
            >>> prediction.probability(17).shape == prediction.labels.shape  # doctest: +SKIP
            True
        """
        found = self.structures[label].prediction
        values = np.zeros(self.labels.shape, np.float32)
        in_ras, affine = to_ras(values, self.target.affine)  # a view
        part, probability = on_grid(found.probability, found.box, self.alignment.to_mni @ affine, in_ras.shape)
        in_ras[part] = probability
        return values

    def notes(self, names: Mapping[int, str] | None = None) -> list[str]:
        """The warnings of all structures, each in one line.

        Args:
            names: how notes call labels; their number otherwise.
        """
        names = names or {}
        return [
            f"{self.target.name}: {names.get(label, f'label {label}')} {line}"
            for label, structure in self.structures.items()
            for line in structure.warnings
        ]
