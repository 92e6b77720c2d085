"""Early stopping: training ends after `patience` validations without a lower loss (paper, section 4.3)."""

import math
from dataclasses import dataclass


@dataclass
class EarlyStopping:
    """The validation losses so far.

    Not flax's: it takes a first NaN for the best loss, never improves on that, and does not know the best step.

    Attributes:
        patience: validations without a lower loss after which training stops.
        best_loss: the lowest so far; None before the first validation.
        best_step: its training step.
        rounds: validations since then.

    Example:
        >>> stopping = EarlyStopping(patience=2)
        >>> [stopping.add(step, loss) for step, loss in ((10, 0.5), (20, 0.4), (30, float("nan")), (40, 0.6))]
        [True, True, False, False]
        >>> stopping.stopped, stopping.best_step
        (True, 20)
    """

    patience: int
    best_loss: float | None = None
    best_step: int = 0
    rounds: int = 0

    def add(self, step: int, loss: float) -> bool:
        """Adds a validation. Returns whether its loss is the lowest; a loss that is not finite never is."""
        best = math.isfinite(loss) and (self.best_loss is None or loss < self.best_loss)
        if best:
            self.best_loss, self.best_step, self.rounds = loss, step, 0
        else:
            self.rounds += 1
        return best

    @property
    def stopped(self) -> bool:
        """Whether training has to stop."""
        return self.rounds >= self.patience
