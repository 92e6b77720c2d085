"""The unit of work of preparing a dataset: one subject, made in any process, in any order."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from input_pipeline.slices.record import SubjectRecord


@dataclass(frozen=True, eq=False)
class MadeSubject:
    """What a job gives.

    Attributes:
        record: without split yet; images in float32 and their own units, or final, in uint16.
        quantiles: `[M, 1001]` of each image's volume (`intensity.foreground_quantiles`); None where the images
            are final.
        dropped: images that were left out, with the reason.
    """

    record: SubjectRecord
    quantiles: np.ndarray | None = None
    dropped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """A subject to make.

    Attributes:
        subject: id, unique in the dataset.
        person: subjects of the same person stay on one side of every split.
        make: makes it; can be pickled. Raises InputError with the reason where the subject is to be dropped.
    """

    subject: str
    person: str
    make: Callable[[], MadeSubject]
