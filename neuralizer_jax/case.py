"""A test case: what every model predicts. The data makes cases, the evaluation scores them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """An image of a test subject, a task for it, and a random order of other subjects.

    A context of size N is the first N subjects of that order, so a larger context contains the smaller ones.

    >>> case = Case("segmentation", "ixi", "T1", "freesurfer:17", "coronal", -17, "IXI012", 0, (1, 8), True)
    >>> print(case)
    segmentation ixi T1 freesurfer:17, coronal -17 mm, subject IXI012, draw 0

    Attributes:
        task: name.
        dataset: name.
        modality: of the input; `T1>T2` if the output has another one, `T1+T2>FLAIR` for two inputs.
        class_name: for example `freesurfer:17`; empty for tasks without classes.
        plane: of the slices: `sagittal`, `coronal` or `axial`.
        position: where the slices are, mm in MNI152 along the normal of the plane.
        subject: name in the dataset.
        draw: number of the random order.
        sizes: context sizes to evaluate, ascending.
        is_segmentation: whether the output is a mask.
    """

    task: str
    dataset: str
    modality: str
    class_name: str
    plane: str
    position: int
    subject: str
    draw: int
    sizes: tuple[int, ...]
    is_segmentation: bool

    @property
    def columns(self) -> tuple[str | int, ...]:
        """Its columns in the table of scores, `scores.CASE_KEYS`: its cell (all but subject and draw) comes first."""
        return *self.cell, self.subject, self.draw

    @property
    def cell(self) -> tuple[str, str, str, str, str, int]:
        """What it has in common with other subjects: task, dataset, modality, class, plane and position."""
        return self.task, self.dataset, self.modality, self.class_name, self.plane, self.position

    def __str__(self) -> str:
        """For messages."""
        shown = " ".join(part for part in (self.task, self.dataset, self.modality, self.class_name) if part)
        return f"{shown}, {self.plane} {self.position} mm, subject {self.subject}, draw {self.draw}"
