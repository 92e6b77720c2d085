"""Names and order of models, tasks, sizes and metrics in figures and tables."""

import math
from collections.abc import Iterable, Mapping

SEEN, UNSEEN, BASELINE = PAPER_MODELS = ("Neuralizer-seen", "Neuralizer-unseen", "Baseline-seen")

# Metrics in their order: of masks, of images.
METRICS = {"dice": "Dice", "hd95": "HD95 (mm)", "volume_error": "volume error (%)", "psnr": "PSNR (dB)", "ssim": "SSIM"}


def models_in_order(models: Iterable[str]) -> list[str]:
    """The paper's models first, then the others by name.

    >>> models_in_order(["B", "A", "Neuralizer-seen"])
    ['Neuralizer-seen', 'A', 'B']
    """
    models = set(models)
    return [model for model in PAPER_MODELS if model in models] + sorted(models - set(PAPER_MODELS))


def tasks_in_order(metrics: Mapping[str, str]) -> list[str]:
    """Tasks by their metric, masks first, then by name."""
    return sorted(metrics, key=lambda task: (list(METRICS).index(metrics[task]), task))


def shown_task(task: str) -> str:
    """A task's name for readers.

    >>> shown_task("motion_correction")
    'Motion correction'
    """
    return task.replace("_", " ").capitalize()


def shown_size(size: float) -> str:
    """A context size, or a number of training subjects.

    >>> shown_size(8.0), shown_size(math.inf)
    ('8', 'all')
    """
    return "all" if math.isinf(size) else f"{size:.0f}"
