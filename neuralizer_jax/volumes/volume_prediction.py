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
        """What is odd: structures that lie outside of the scan, partly or all of them, or were not found.

        Args:
            names: how notes call labels; their number otherwise.
        """
        found = []
        for label, structure in self.structures.items():
            name, in_view = (names or {}).get(label, f"label {label}"), structure.prediction.in_view
            if not in_view:
                found.append(f"{self.target.name}: {name} lies outside of the scan")
            elif not structure.voxels:
                found.append(f"{self.target.name}: {name} was not found")
            elif in_view < WHOLE:
                found.append(
                    f"{self.target.name}: {name} is cut off, about {in_view:.0%} of it lies inside of the scan"
                )
        return found
