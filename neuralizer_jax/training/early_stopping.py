"""When to stop: after so many validations without a lower loss (Czolbe and Dalca, CVPR 2023, section 4.3)."""

import math
from dataclasses import dataclass


@dataclass
class EarlyStopping:
    """What has been seen of the validation loss. Its attributes but `patience` are saved with a checkpoint.

    Attributes:
        patience: rounds without a lower loss after which training stops.
        best_loss: the lowest so far; None before the first round.
        best_step: its step.
        rounds: since then.
    """

    patience: int
    best_loss: float | None = None
    best_step: int = 0
    rounds: int = 0

    def add(self, step: int, loss: float) -> bool:
        """Adds a round; whether it is the best. One that is not finite never is."""
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

    def saved(self) -> dict[str, float | int | None]:
        """What a checkpoint holds: `EarlyStopping(patience, **saved)` goes on."""
        return {"best_loss": self.best_loss, "best_step": self.best_step, "rounds": self.rounds}
