"""Which subjects are for training, validation and test: drawn once for all by a hash of dataset and person.

Every person has a position in [0, 1) (`split_position`). With `m = min(15, half the number of persons)`, rounded down:

* test: position below 0.2, and the `m` persons of lowest position wherever they lie;
* val: of the others, position at least 0.92 (a tenth of what is not test);
* train: the rest.

What holds when subjects are added to a dataset:

* a person below 0.2 is in test, always;
* all others change side only through the minimum: into test while `m` grows, out of test when persons of lower position
  join. Once 15 persons lie below 0.2, of 75 on average, no one changes side again;
* no one moves between train and val.

Test has at least `m` persons. In a dataset of a few persons train or val may be empty.
"""

import hashlib
from collections.abc import Mapping

_TEST_BELOW = 0.2
_VAL_FROM = 0.92
_MIN_TEST_PERSONS = 15


def split_position(dataset: str, person: str) -> float:
    """Position in [0, 1) by which a person is assigned to a split; uniform, the same in every run and version."""
    digest = hashlib.sha256(f"{dataset}/{person}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def split_subjects(dataset: str, people: Mapping[str, str]) -> dict[str, str]:
    """Split (`train`, `val` or `test`) of each subject of a dataset; all subjects of a person share theirs.

    Args:
        dataset: its name.
        people: person of each subject id.
    """
    positions = {person: split_position(dataset, person) for person in people.values()}
    ranked = sorted(positions, key=lambda person: (positions[person], person))
    forced = set(ranked[: min(_MIN_TEST_PERSONS, len(ranked) // 2)])

    def split(person: str) -> str:
        if positions[person] < _TEST_BELOW or person in forced:
            return "test"
        return "val" if positions[person] >= _VAL_FROM else "train"

    return {subject: split(person) for subject, person in people.items()}
