"""Test cases and their episodes: the same for every model and every run.

A case is a task, a source (dataset, modalities, protocol), a class, a plane with a position, a subject and a draw. All
of them but the plane decide the order of its context and the artefacts in its images; other cases and the size of the
context do not matter.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from input_pipeline.episodes.batches import Arrays, EpisodeStream
from input_pipeline.episodes.config import default_config
from input_pipeline.episodes.plan import MAX_CLASSES, PROTOCOLS, Plan
from input_pipeline.episodes.sources import Source, select
from input_pipeline.episodes.validation import validation_config
from input_pipeline.ops.registry import CHANNELS, TASK_AUGMENTATIONS, TASKS
from input_pipeline.space.grid import SLICE_Y
from input_pipeline.store.table import open_collection
from neuralizer_jax.case import Case
from neuralizer_jax.errors import InputError


@dataclass(frozen=True, eq=False)
class _Cell:
    """The subjects of a task, a source and a class in one plane.

    Attributes:
        task: name of the task.
        source: dataset, modalities and protocol.
        label: the class; 0: none.
        plane: one of `PLANE_NAMES`.
        rows: `[G]` the row that each subject of the collection shows.
        subjects: `[k]` possible targets.
        context: `[c]` possible context members.
    """

    task: str
    source: Source
    label: int
    plane: str
    rows: np.ndarray
    subjects: np.ndarray
    context: np.ndarray


def evaluation_config(config: ConfigDict, splits: str) -> ConfigDict:
    """The configuration of an evaluation on `splits`: as in validation, with held-out tasks and a seed of its own.

    Slices of volumes are cut as they are, without deformation, displacement or lesions, in any plane.
    """
    config = validation_config(config)
    with config.unlocked():
        config.split, config.seed = splits, 0
        config.context.min, config.context.max, config.context.pad_to = 0, 0, 1
        for kind in config.hold_out:
            config.hold_out[kind] = ()
        volumes = config.volumes
        volumes.deformation.probability = volumes.lesions.disturb_probability = 0.0
        for ranges in (volumes.shared, volumes.misalignment):
            ranges.update({name: (1.0, 1.0) if name == "scale" else (0.0, 0.0) for name in ranges})
        volumes.misalignment.scale = (0.0, 0.0)
        volumes.planes = default_config().volumes.planes
    return config


class EvaluationCases:
    """The cases of a configuration.

    Attributes:
        stream: makes the episodes.
        cases: ordered by task, dataset, modality, class, plane, subject and draw.
        left_out: number of context sizes, over all cases, for which there are too few subjects.
    """

    def __init__(
        self,
        config: ConfigDict,
        sizes: Sequence[int],
        draws: int,
        *,
        split: str = "test",
        context_split: str = "",
        context_datasets: Sequence[str] = (),
        subjects: int = 0,
        modalities: int = 0,
        other_modality: bool = False,
        planes: Sequence[tuple[str, int]] = (),
    ):
        """Lists the cases.

        Args:
            config: configuration of the stream. Tasks with a weight are evaluated, within `config.only`.
            sizes: context sizes.
            draws: number of random contexts for each subject.
            split: split of the targets, or several joined by `+`.
            context_split: split of the context members, likewise; empty: that of the targets.
            context_datasets: folders of datasets for the context members; empty: the target's own dataset.
            subjects: most targets for a task, source and class, chosen at random; 0: all.
            modalities: most modalities (for a transfer: pairs or triples) for a task, dataset and protocol, chosen at
                random; 0: all. DTI counts as one modality and shows its first direction.
            other_modality: each context member shows a random modality other than the target's. Tasks for which that
                makes no sense have no cases.
            planes: planes and positions, mm in MNI152; empty: the coronal slice at or nearest to `SLICE_Y`. A class is
                segmented where a plane shows enough of it.

        Raises:
            InputError: for a wrong configuration, or one without a case in one of the planes.
        """
        of_targets, of_contexts = split.split("+"), (context_split or split).split("+")
        shown = "+".join(dict.fromkeys([*of_targets, *of_contexts]))
        config = evaluation_config(config, shown)
        targets_in, contexts_in = (_different(folders) for folders in (config.datasets, context_datasets))
        config.datasets = _different([*targets_in, *contexts_in])
        self.stream = EpisodeStream(config, open_collection(config.datasets, config.split))
        self._other_modality = other_modality
        self._contexts_in = {config.datasets.index(folder) for folder in contexts_in}
        collection = self.stream.collection
        split_of = np.array([entry["split"] for entry in collection.entries])
        self._is_target = np.isin(split_of, of_targets) & (collection.dataset_of < len(targets_in))
        self._is_context = np.isin(split_of, of_contexts)
        self._subjects = {
            (collection.names[dataset], entry["subject"]): subject
            for subject, (dataset, entry) in enumerate(zip(collection.dataset_of, collection.entries, strict=True))
        }
        places = {place: self._rows_at(*place) for place in planes} or {
            ("coronal", SLICE_Y): collection.rows_at("coronal", SLICE_Y)
        }
        self._cells = {self._names(cell): cell for cell in self._found_cells(modalities, places)}
        sizes = sorted(set(sizes))
        self.cases = [case for names in self._cells for case in self._cases_of(names, sizes, draws, subjects)]
        self.left_out = sum(len(sizes) - len(case.sizes) for case in self.cases)
        if not self.cases:
            names = ", ".join(collection.names)
            raise InputError(f"no case in split {split} of {names}, expected two persons that show one of the tasks")
        shown_planes = {(case.plane, case.position) for case in self.cases}
        if missing := next((place for place in planes if place not in shown_planes), None):
            raise InputError(f"no case in the {missing[0]} plane at {missing[1]} mm, expected one that shows the tasks")

    def targets(self) -> list[tuple[str, str, str]]:
        """Dataset, subject and person of every possible target."""
        return [row for row in self.stream.subjects() if self._is_target[self._subjects[row[:2]]]]

    def episodes(self, cases: Sequence[Case], members: int) -> Arrays:
        """The episodes of some cases, with the first `members` of each context, or all if it has fewer.

        Returns:
            As `EpisodeStream.apply_on_host`; shorter contexts are padded to the longest.
        """
        plans = [self._plan(case, min(members, max(case.sizes))) for case in cases]
        longest = max(plan.members for plan in plans)
        made = [
            _with_members(self.stream.apply_on_host(self.stream.gather(plan, _number(*_own_names(case)))), longest)
            for case, plan in zip(cases, plans, strict=True)
        ]
        return {name: np.concatenate([episode[name] for episode in made]) for name in made[0]}

    def context(self, case: Case) -> list[tuple[int, tuple[str, ...]]]:
        """The subjects of the largest context, all different persons, each with the modalities it shows."""
        collection, cell = self.stream.collection, self._cells[case.cell]
        rng = np.random.default_rng(_number("context", *_own_names(case)))
        order = rng.permutation(cell.context).tolist()
        which = rng.random(len(order))
        persons = {int(collection.person_of[self._subjects[case.dataset, case.subject]])}
        members = []
        for subject, fraction in zip(order, which, strict=True):
            person = int(collection.person_of[subject])
            if person not in persons:
                persons.add(person)
                others = self._other_modalities(subject, cell.source)
                shown = (others[int(fraction * len(others))],) if self._other_modality else cell.source.modalities
                members.append((subject, shown))
        return members[: max(case.sizes)]

    def _plan(self, case: Case, members: int) -> Plan:
        collection, cell = self.stream.collection, self._cells[case.cell]
        query = self._subjects[case.dataset, case.subject], cell.source.modalities
        shown = [query, *self.context(case)[:members]]
        subjects = np.array([subject for subject, _ in shown])
        images = np.full((1, len(shown), 3), -1, np.int64)
        for number, (subject, modalities) in enumerate(shown):
            for channel, modality in enumerate(modalities):
                images[0, number, channel] = collection.series[subject][modality][0]
        return Plan(
            task=np.array([list(TASKS).index(case.task)], np.int32),
            augmentations=np.zeros((1, len(TASK_AUGMENTATIONS)), bool),
            subject=subjects[None],
            slice=(cell.rows[subjects] - collection.first_row[subjects])[None],
            centre=np.zeros((1, 2), np.int64),
            pivot=np.zeros((1, 2), np.int64),
            images=images,
            protocol=np.array([PROTOCOLS.index(cell.source.protocol)], np.int32),
            classes=np.pad([[cell.label]], ((0, 0), (0, MAX_CLASSES - 1))),
            flip=np.zeros((1, len(shown)), bool),
            reused=np.array([0]),
        )

    def _rows_at(self, plane: str, position: int) -> np.ndarray:
        """The row of each subject in a plane. Raises InputError if some have no slice there."""
        rows = self.stream.collection.rows_at(plane, position)
        if (self.stream.collection.y[rows] != position).any():
            names = ", ".join(self.stream.collection.names)
            raise InputError(f"{names}: not every subject has a {plane} slice at {position} mm, expected another one")
        return rows

    def _found_cells(self, most: int, places: Mapping[tuple[str, int], np.ndarray]) -> Iterator[_Cell]:
        planner, collection = self.stream.planner, self.stream.collection
        selection = select(self.stream.config, collection)
        for name, sources in planner.sources.items():
            one_image = CHANNELS[TASKS[name].needs] == 1
            if self._other_modality and not one_image:
                continue
            for source in _drawn([its for its in sources if self._is_target[its.subjects].any()], most):
                members = self._members(source, sources)
                for label in selection.classes[source.protocol] if source.protocol else (0,):
                    for (plane, _), rows in places.items():
                        targets, context = (
                            self._showing(subjects, rows, source.protocol, label)
                            for subjects in (source.subjects, members)
                        )
                        yield _Cell(name, source, label, plane, rows, targets[self._is_target[targets]], context)

    def _members(self, source: Source, sources: Sequence[Source]) -> np.ndarray:
        """Possible context members for the targets of a source, whatever classes they show."""
        among = [
            its.subjects
            for its in sources
            if its.dataset in (self._contexts_in or {source.dataset})
            and its.protocol == source.protocol
            and (its.modalities == source.modalities or self._other_modality)
        ]
        subjects = np.unique(np.concatenate([np.zeros(0, int), *among]))
        able = [bool(self._other_modalities(subject, source)) or not self._other_modality for subject in subjects]
        return subjects[np.array(able, bool) & self._is_context[subjects]]

    def _showing(self, subjects: np.ndarray, rows: np.ndarray, protocol: str, label: int) -> np.ndarray:
        """The subjects whose rows show at least `classes.min_pixels` of a class; for class 0 enough of the brain."""
        if not label:
            return subjects[self.stream.collection.in_brain[rows[subjects]]]
        labels, pixels = self.stream.collection.class_pixels[protocol]
        return subjects[pixels[rows[subjects], labels.index(label)] >= self.stream.config.classes.min_pixels]

    def _other_modalities(self, subject: int, source: Source) -> list[str]:
        return sorted(self.stream.collection.series[subject].keys() - set(source.modalities))

    def _names(self, cell: _Cell) -> tuple[str, str, str, str, str, int]:
        """A cell as in the table of scores, see `Case.cell`."""
        *inputs, last = cell.source.modalities
        modality = f"{'+'.join(inputs)}>{last}" if inputs else last
        class_name = f"{cell.source.protocol}:{cell.label}" if cell.label else ""
        collection = self.stream.collection
        position = int(collection.y[cell.rows[cell.source.subjects[0]]])
        return cell.task, collection.names[cell.source.dataset], modality, class_name, cell.plane, position

    def _cases_of(
        self, names: tuple[str, str, str, str, str, int], sizes: Sequence[int], draws: int, most: int
    ) -> Iterator[Case]:
        cell, collection = self._cells[names], self.stream.collection
        subjects = {collection.entries[subject]["subject"]: subject for subject in cell.subjects.tolist()}
        # In the same order for all cells of a dataset, so that they show the same subjects.
        drawn = sorted(subjects, key=lambda subject: _number("subject", names[1], subject))[: most or None]
        persons = set(collection.person_of[cell.context].tolist())
        for subject in sorted(drawn):
            there = len(persons - {int(collection.person_of[subjects[subject]])})
            if able := tuple(size for size in sizes if size <= there):
                for draw in range(draws):
                    yield Case(*names, subject, draw, able, TASKS[cell.task].is_segmentation)


def _different(folders: Sequence[str]) -> tuple[str, ...]:
    """The folders, each once."""
    return tuple(dict.fromkeys(str(Path(folder)) for folder in folders))


def _drawn(sources: Sequence[Source], most: int) -> list[Source]:
    """At most `most` sources for each dataset and protocol. The order of two inputs does not matter."""
    sources = [source for source in sources if list(source.modalities[:-1]) == sorted(source.modalities[:-1])]
    groups: dict[tuple[int, str], list[Source]] = {}
    for source in sources:
        groups.setdefault((source.dataset, source.protocol), []).append(source)
    drawn = []
    for group in groups.values():
        # In the same order for all tasks, so that they show the same modalities.
        chosen = sorted(group, key=lambda source: _number("modality", *source.modalities))[: most or None]
        drawn += [source for source in group if source in chosen]
    return drawn


def _with_members(episode: Arrays, members: int) -> Arrays:
    """An episode with its context cut or padded to `members`."""
    resized = dict(episode)
    for name in ("context_in", "context_out", "context_mask"):
        array = episode[name][:, :members]
        resized[name] = np.pad(array, [(0, members - n if axis == 1 else 0) for axis, n in enumerate(array.shape)])
    return resized


def _own_names(case: Case) -> tuple[str, ...]:
    """What decides the random numbers of a case: in another plane its subjects have the same order and artefacts."""
    return case.task, case.dataset, case.modality, case.class_name, case.subject, str(case.draw)


def _number(*names: str) -> int:
    """A 32-bit number made of names, the same in every process."""
    return int.from_bytes(hashlib.sha256("\n".join(names).encode()).digest()[:4], "little")
