"""What `predict_volume` returns: a label map on the target's grid; size and probabilities of each structure."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neuralizer_jax.files.label_table import LEAST_DICE
from neuralizer_jax.volumes.alignment import Alignment
from neuralizer_jax.volumes.compete import on_grid
from neuralizer_jax.volumes.deformation import Deformation
from neuralizer_jax.volumes.evidence import Evidence
from neuralizer_jax.volumes.scan import Scan, to_ras
from neuralizer_jax.volumes.structure import WHOLE, StructurePrediction
from neuralizer_jax.volumes.trust import scan_warnings

# So many structures are named in the notes on a scan.
_MOST_NAMED = 5


@dataclass(frozen=True, eq=False)
class Structure:
    """What was found of a structure.

    Attributes:
        label: its value.
        voxels: of the target that have the label.
        mm3: their volume.
        confidence: the Dice with the truth that is expected (`trust.expected_dice`); 0 if there are no voxels.
        evidence: what this is expected from.
        prediction: probabilities in each plane, and the examples used.
    """

    label: int
    voxels: int
    mm3: float
    confidence: float
    evidence: Evidence
    prediction: StructurePrediction

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd: the structure lies outside of the scan, was not found, is cut off, or hardly to be trusted."""
        if not self.prediction.in_view:
            return ("lies outside of the scan",)
        if not self.voxels:
            return ("was not found",)
        odd = []
        if self.prediction.in_view < WHOLE:
            odd.append(f"is cut off, about {self.prediction.in_view:.0%} of it lies inside of the scan")
        if self.confidence < LEAST_DICE:
            odd.append(f"has an expected Dice of {self.confidence:.2f}, look at it")
        return tuple(odd)


@dataclass(frozen=True, eq=False)
class VolumePrediction:
    """The prediction for one scan.

    Attributes:
        labels: `[X, Y, Z]` int32 on the target's own voxels, 0 or one of the examples' labels.
        structures: {label: what was found of it}, in ascending order.
        target: the scan.
        alignment: of the target to MNI152.
        deformation: of the target that the alignment leaves, if it was found.
    """

    labels: np.ndarray
    structures: dict[int, Structure]
    target: Scan
    alignment: Alignment
    deformation: Deformation | None = None

    def probability(self, label: int) -> np.ndarray:
        """The probability of a structure on the target's own voxels, float32 `[X, Y, Z]`. It is computed when asked.

        Example:
            >>> prediction.probability(17).shape == prediction.labels.shape  # doctest: +SKIP
            True
        """
        found = self.structures[label].prediction
        return self._on_voxels(found.probability, found)

    def spread(self, label: int) -> np.ndarray:
        """How much the probability of a structure varies over resampled sets of examples: its standard deviation.

        Returns:
            float32 `[X, Y, Z]` on the target's own voxels, 0 without resampled sets.
        """
        found = self.structures[label].prediction
        return self._on_voxels(np.zeros(found.box.shape) if found.spread is None else found.spread, found)

    def _on_voxels(self, values: np.ndarray, found: StructurePrediction) -> np.ndarray:
        result = np.zeros(self.labels.shape, np.float32)
        in_ras, affine = to_ras(result, self.target.affine)  # a view
        to_mni = self.alignment.to_mni @ affine
        part, there = on_grid(values, found.box, to_mni, in_ras.shape, self.deformation)
        in_ras[part] = there
        return result

    def _repr_html_(self) -> str:
        """A picture and a table of structures, in a notebook."""
        from neuralizer_jax.pictures.notebook_html import scan_html

        rows = {
            label: [f"{x.mm3:,.0f}", f"{x.voxels:,}", f"{x.confidence:.2f}" if x.voxels else "", "; ".join(x.warnings)]
            for label, x in self.structures.items()
        }
        title = "; ".join([self.target.name, *self.warnings])
        target = self.target
        return scan_html(
            target.values, target.affine, self.labels, rows, ("mm³", "voxels", "confidence", "check"), title
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd about the scan as a whole: no size of a head, a part of one, or unlike the examples."""
        likeness = [x.evidence.likeness for x in self.structures.values() if x.prediction.in_view]
        return scan_warnings(self.target, self.alignment, float(np.median(likeness)) if likeness else None)

    def notes(self, names: Mapping[int, str] | None = None) -> list[str]:
        """The warnings of the scan and of its least trusted structures, in lines.

        Args:
            names: how notes call labels; their number otherwise.
        """
        odd = [x for x in sorted(self.structures.values(), key=lambda x: x.confidence) if x.warnings]
        lines = [*self.warnings]
        for x in odd[:_MOST_NAMED]:
            lines.append(f"{(names or {}).get(x.label, f'label {x.label}')} {'; '.join(x.warnings)}")
        if len(odd) > _MOST_NAMED:
            lines.append(f"{len(odd) - _MOST_NAMED} more structures are odd, or hardly to be trusted")
        return [f"{self.target.name}: {line}" for line in lines]
