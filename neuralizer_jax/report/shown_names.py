"""How models, tasks and metrics are called and ordered in figures and tables."""

from collections.abc import Iterable, Mapping

SEEN, UNSEEN, BASELINE = PAPER_MODELS = ("Neuralizer-seen", "Neuralizer-unseen", "Baseline-seen")

# Metrics in the order in which they are shown: of masks, of images.
METRICS = {"dice": "Dice", "hd95": "HD95 (mm)", "psnr": "PSNR (dB)", "ssim": "SSIM"}


def models_in_order(models: Iterable[str]) -> list[str]:
    """The paper's models first, then the others by name."""
    models = set(models)
    return [model for model in PAPER_MODELS if model in models] + sorted(models - set(PAPER_MODELS))


def tasks_in_order(metrics: Mapping[str, str]) -> list[str]:
    """Tasks by their metric, masks first, then by name."""
    return sorted(metrics, key=lambda task: (list(METRICS).index(metrics[task]), task))


def shown_task(task: str) -> str:
    """A task's name as a person writes it."""
    return task.replace("_", " ").capitalize()
