"""Splits of a dataset into training, validation and test persons, fixed by a hash of dataset and person.

Every person has a position in [0, 1) (`split_position`). With `m = min(15, half the number of persons)`, rounded down:

* test: persons with a position below 0.2, and always the `m` persons of lowest position;
* val: the other persons with a position of at least 0.92 (a tenth of them on average), and always the `v` persons of
  highest position, `v = min(5, a third of the others)`, rounded down;
* train: all others.

When subjects are added to a dataset:

* a person below 0.2 stays in test;
* other persons can only change their split because of the minima `m` and `v`: into test or val while `m` or `v` grows,
  out of it when persons of lower or higher position join. With 15 persons below 0.2 and 5 from 0.92 on (in 75 persons
  on average) no one changes any more.
"""

import hashlib
from collections.abc import Mapping

_TEST_BELOW = 0.2
_VAL_FROM = 0.92
_MIN_TEST_PERSONS = 15
_MIN_VAL_PERSONS = 5


def split_position(dataset: str, person: str) -> float:
    """A person's position in [0, 1), uniform, the same in every run and version."""
    digest = hashlib.sha256(f"{dataset}/{person}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def split_subjects(dataset: str, people: Mapping[str, str]) -> dict[str, str]:
    """The split of each subject, one of `SPLITS`; all subjects of a person share one.

    Args:
        dataset: its name.
        people: person of each subject id.
    """
    positions = {person: split_position(dataset, person) for person in people.values()}
    ranked = sorted(positions, key=lambda person: (positions[person], person))
    least = min(_MIN_TEST_PERSONS, len(ranked) // 2)
    test = {person for place, person in enumerate(ranked) if place < least or positions[person] < _TEST_BELOW}
    others = ranked[len(test) :]
    least = min(_MIN_VAL_PERSONS, len(others) // 3)
    val = {p for place, p in enumerate(others) if place >= len(others) - least or positions[p] >= _VAL_FROM}
    return {
        subject: "test" if person in test else "val" if person in val else "train" for subject, person in people.items()
    }
