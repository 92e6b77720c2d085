"""A test case: what every model predicts. The data makes cases, the evaluation scores them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """An image of a test subject, a task for it, and a random order of other subjects.

    A context of size N is the first N subjects of that order, so a larger context contains the smaller ones.

    >>> case = Case("segmentation", "ixi", "T1", "freesurfer:17", "IXI012", 0, (1, 8), True)
    >>> print(case)
    segmentation ixi T1 freesurfer:17, subject IXI012, draw 0

    Attributes:
        task: name.
        dataset: name.
        modality: of the input; `T1>T2` if the output has another one, `T1+T2>FLAIR` for two inputs.
        class_name: for example `freesurfer:17`; empty for tasks without classes.
        subject: name in the dataset.
        draw: number of the random order.
        sizes: context sizes to evaluate, ascending.
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

    @property
    def columns(self) -> tuple[str | int, ...]:
        """Its columns in the table of scores: task, dataset, modality, class, subject, draw (`scores.CASE_KEYS`)."""
        return self.task, self.dataset, self.modality, self.class_name, self.subject, self.draw

    def __str__(self) -> str:
        """For messages."""
        shown = " ".join(part for part in (self.task, self.dataset, self.modality, self.class_name) if part)
        return f"{shown}, subject {self.subject}, draw {self.draw}"
