"""The unit of work when a dataset is prepared: one subject. Jobs run in any process and in any order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from input_pipeline.slices.record import SubjectRecord


@dataclass(frozen=True, eq=False)
class MadeSubject:
    """The result of a job.

    Attributes:
        record: without a split. Scans are float32 in the unit of the file; synthetic images are final, uint16.
        quantiles: `[M, 1001]`, foreground of each image's volume (`intensity.foreground_quantiles`); None if the images
            are final.
        dropped: images that were left out, with the reason.
    """

    record: SubjectRecord
    quantiles: np.ndarray | None = None
    dropped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """A subject to make, by its id and its person as in the record.

    `make` can be pickled. It raises InputError with the reason if the subject is dropped. `chosen` is that of the
    `RawSubject`.
    """

    subject: str
    person: str
    make: Callable[[], MadeSubject]
    chosen: Mapping[str, str] = field(default_factory=dict)
