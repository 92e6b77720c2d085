"""Subjects are split by person, the same way in every run, and (nearly) the same way when a dataset grows."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from input_pipeline.prepare.splits import split_position, split_subjects
from input_pipeline.slices.record import SPLITS
from input_pipeline.store.records import SliceStore
from input_pipeline.store.table import open_collection


def subjects_of(persons, sessions=1):
    return {f"{p}_{s}": p for p in persons for s in range(sessions)}


def split_persons(persons):
    return {subject.rpartition("_")[0]: split for subject, split in split_subjects("set", subjects_of(persons)).items()}


def persons_in(split, persons):
    return {person for person, its in split_persons(persons).items() if its == split}


# Persons as datasets name them, of a random block of numbers.
people = st.builds(
    lambda start, count: [f"p{i:05d}" for i in range(start, start + count)], st.integers(0, 99999), st.integers(0, 200)
)


def test_positions_do_not_change():
    assert split_position("ixi", "IXI002") == 0.46087893287196746
    assert split_position("ixi", "IXI002") != split_position("oasis3", "IXI002")


def test_shares():
    splits = list(split_persons([f"p{i}" for i in range(20000)]).values())
    assert splits.count("test") / 20000 == pytest.approx(0.2, abs=0.01)
    assert splits.count("val") / 20000 == pytest.approx(0.08, abs=0.01)
    assert splits.count("train") / 20000 == pytest.approx(0.72, abs=0.01)


@given(people)
def test_position_is_in_range(persons):
    assert all(0 <= split_position("set", person) < 1 for person in persons)


@given(people, st.integers(1, 3))
def test_no_person_straddles(persons, sessions):
    splits = split_subjects("set", subjects_of(persons, sessions))
    assert set(splits) == {f"{p}_{s}" for p in persons for s in range(sessions)}
    assert set(splits.values()) <= {"train", "val", "test"}
    for person in persons:
        assert len({splits[f"{person}_{session}"] for session in range(sessions)}) == 1


@given(people, st.integers(0, 2**32))
def test_order_and_sessions_do_not_matter(persons, seed):
    shuffled = random.Random(seed).sample(persons, len(persons))
    assert split_persons(shuffled) == split_persons(persons)
    many = split_subjects("set", subjects_of(persons, sessions=3))
    assert {subject[:-2]: split for subject, split in many.items()} == split_persons(persons)


@given(people)
def test_minimum_of_test_persons(persons):
    low = {person for person in persons if split_position("set", person) < 0.2}
    test = persons_in("test", persons)
    minimum = min(15, len(persons) // 2)
    assert low <= test
    assert len(test) == max(minimum, len(low))


@given(people)
def test_minimum_of_val_persons(persons):
    test, val = persons_in("test", persons), persons_in("val", persons)
    high = {person for person in persons if split_position("set", person) >= 0.92} - test
    assert high <= val
    assert len(val) == max(min(5, (len(persons) - len(test)) // 3), len(high))
    assert len(persons) < 12 or len(val) >= 2


@given(people, st.integers(0, 2**32), st.integers(0, 200))
def test_stable_when_subjects_join(persons, seed, count):
    before_joining = random.Random(seed).sample(persons, min(count, len(persons)))
    before, after = split_persons(before_joining), split_persons(persons)
    positions = [split_position("set", person) for person in before_joining]
    enough = sum(position < 0.2 for position in positions) >= 15 and sum(p >= 0.92 for p in positions) >= 5
    for person, split in before.items():
        if split_position("set", person) < 0.2:
            assert split == after[person] == "test"
        elif enough:
            assert split == after[person]


@given(people, st.integers(0, 9999))
def test_one_person_joins(persons, new):
    """A side changes only where a minimum forces it: for one person at each border."""
    before, after = split_persons(persons), split_persons([*persons, f"new{new}"])
    changed = [person for person in persons if before[person] != after[person]]
    assert len(changed) <= 2
    assert len({frozenset((before[person], after[person])) for person in changed}) == len(changed)


def test_tiny_datasets():
    assert split_subjects("set", {}) == {}
    for count in (2, 15, 30, 31):
        assert len(persons_in("test", [f"p{i}" for i in range(count)])) >= min(15, count // 2)


class TestSeveralSplits:
    """What a configuration's `split` names, of ten and six persons."""

    @pytest.fixture(autouse=True)
    def _in_splits(self, split_datasets):
        self.folders = [split_datasets / name for name in ("heads", "regions")]

    def opened(self, split):
        collection = open_collection(self.folders, split)
        return [entry["subject"] for entry in collection.entries], collection

    def test_one_or_several(self):
        one = {split: self.opened(split)[0] for split in SPLITS}
        assert min(map(len, one.values())) > 0
        everyone = [entry["subject"] for folder in self.folders for entry in SliceStore(folder).index]
        assert sorted(one["train"] + one["val"] + one["test"]) == sorted(everyone)
        assert set(self.opened("train+val")[0]) == {*one["train"], *one["val"]}
        assert self.opened("val+train")[0] == self.opened("train+val")[0]
        assert self.opened("train+val+test")[0] == everyone

    def test_tables_are_of_the_same_subjects(self):
        subjects, collection = self.opened("train+val")
        for number, subject in enumerate(subjects):
            dataset = collection.datasets[collection.dataset_of[number]]
            assert dataset.index[collection.place_of[number]]["subject"] == subject
            rows = collection.y[collection.subject_of == number]
            assert rows.tolist() == collection.entries[number]["y"]
            assert collection.subject_of[collection.first_row[number]] == number
        assert len(set(collection.person_of.tolist())) == len(subjects)
