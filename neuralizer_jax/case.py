"""What models are evaluated on, and where each score of it stands in the table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """A test subject's image, and other subjects in a random order: a context of n are the first n of them.

    Attributes:
        task: name.
        dataset: name.
        modality: of the input; where another is the output `T1>T2`, where two are the input `T1+T2>FLAIR`.
        class_name: as `freesurfer:17`; empty where the task has none.
        subject: name in the dataset.
        draw: number of the random order.
        sizes: of the context, ascending.
        is_segmentation: whether the output is a mask.
    """

    task: str
    dataset: str
    modality: str
    class_name: str
    subject: str
    draw: int
    sizes: tuple[int, ...]
    is_segmentation: bool

    def key(self, experiment: str, model: str, n: int, draw: int, metric: str) -> tuple[str | int, ...]:
        """What a score of it is found by, the values of `scores.KEYS`."""
        return experiment, model, self.task, self.dataset, self.modality, self.class_name, n, self.subject, draw, metric

    def __str__(self) -> str:
        """For messages."""
        shown = " ".join(part for part in (self.task, self.dataset, self.modality, self.class_name) if part)
        return f"{shown}, subject {self.subject}, draw {self.draw}"
