"""Plans episodes: which task, subjects, slices and classes each shows. The first of three steps: plan, gather, apply.

Integers in NumPy; no image is read. The plan of a batch is a pure function of configuration, seed and step: its random
numbers come from Philox streams whose counter is (row of the batch, step).
"""

from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from input_pipeline.episodes.planes import Planes, middles
from input_pipeline.episodes.sources import Source, select, task_sources, with_random_contrasts, with_subjects
from input_pipeline.ops.registry import TASK_AUGMENTATIONS, TASKS, Task
from input_pipeline.space.protocols import SEGMENTATION_CLASSES
from input_pipeline.store.table import SliceCollection
from input_pipeline.store.volume_table import VolumeCollection
from neuralizer_jax.errors import InputError

# A union has at most this many classes; shorter ones are padded with 0.
MAX_CLASSES = 4

# `Plan.protocol` indexes them; 0: no class is segmented.
PROTOCOLS = ("", *SEGMENTATION_CLASSES)

# Tasks whose context may show another modality or dataset than the target: those that are not about the modality.
_OTHER_SOURCES = ("image", "class", "brain mask")

# Counter of the random numbers that a whole batch shares; each episode's counter is its row.
_WHOLE_BATCH = 2**32


class Plan(NamedTuple):
    """A batch of B episodes with N context members; image 0 of an episode is the target.

    Attributes:
        task: `[B]` int32, index into `registry.TASKS`.
        augmentations: `[B, A]` bool, which of `registry.TASK_AUGMENTATIONS` are on.
        subject: `[B, 1 + N]` int64, index into the collection.
        slice: `[B, 1 + N]` int64, slice of the subject: row of the collection from the subject's first one.
        centre: `[B, 2]` int64, middle of the images along rows and columns, mm from that of the slice; volumes only.
        pivot: `[B, 2]` int64, where the class lies, likewise: tilted planes go through it.
        images: `[B, 1 + N, 3]` int64, the subject's image in each channel; -1: none; below: the contrast of an image
            that is synthesised (`volume_table.FIRST_CONTRAST`).
        protocol: `[B]` int32, index into `PROTOCOLS`.
        classes: `[B, MAX_CLASSES]` int64, labels whose union is the mask; 0: none.
        flip: `[B, 1 + N]` bool, left and right exchanged.
        reused: `[B]` int64, context members that are there twice because there are too few subjects.
    """

    task: np.ndarray
    augmentations: np.ndarray
    subject: np.ndarray
    slice: np.ndarray
    centre: np.ndarray
    pivot: np.ndarray
    images: np.ndarray
    protocol: np.ndarray
    classes: np.ndarray
    flip: np.ndarray
    reused: np.ndarray

    @property
    def members(self) -> int:
        """The number of context members, N."""
        return self.subject.shape[1] - 1


# The dtypes of a plan's arrays.
DTYPES = (np.int32, np.bool_, np.int64, np.int64, np.int64, np.int64, np.int64, np.int32, np.int64, np.bool_, np.int64)


class EpisodePlanner:
    """Plans batches for a configuration and the data that is there.

    Attributes:
        sources: by task, for tasks with a weight above 0 that the data can show.
        left_out: tasks with a weight above 0 that the data cannot show.
        planes: the planes and positions that are shown.
    """

    def __init__(self, config: ConfigDict, collection: SliceCollection):
        """Lists the sources of each task.

        Raises:
            InputError: for names that the data does not have, or where no task is left.
        """
        self._config = config
        self._collection = collection
        self._selection = select(config, collection)
        self.planes = Planes(config, collection, self._selection.planes)
        weighted = [name for name in self._selection.tasks if config.tasks[name].weight > 0]
        pixels = config.classes.min_pixels
        found = {
            name: list(task_sources(TASKS[name], collection, self._selection, self.planes.rows, pixels))
            for name in weighted
        }
        subjects = self._drawn_subjects(found)
        # A target and a member of its context.
        least = 2 if config.context.max else 1
        found = {name: with_subjects(sources, subjects, least) for name, sources in found.items()}
        self.sources = {name: sources for name, sources in found.items() if sources}
        self.left_out = tuple(name for name in weighted if name not in self.sources)
        if not self.sources:
            shown = ", ".join(weighted) or "none has a weight above 0"
            there = f"{len(collection.entries)} subjects of split {config.split} of {', '.join(collection.names)}"
            raise InputError(f"no task can be drawn from {there}, expected {least} that show one of: {shown}")
        weights = np.array([config.tasks[name].weight for name in self.sources], float)
        self._shown_by_source: dict[tuple, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        self._by_dataset = {name: _by_dataset(sources) for name, sources in self.sources.items()}
        self._cumulative = (weights / weights.sum()).cumsum()
        self._probabilities = np.array([config.task_augmentations[name].probability for name in TASK_AUGMENTATIONS])

    def _drawn_subjects(self, sources: dict[str, list[Source]]) -> np.ndarray:
        """The subjects that are shown: `subjects.number` of all."""
        settings = self._config.subjects
        subjects = sorted({int(subject) for own in sources.values() for source in own for subject in source.subjects})
        # A larger number contains the subjects of a smaller one.
        return np.random.default_rng(settings.draw).permutation(subjects)[: settings.number or None]

    def plan(self, step: int, rows: range) -> Plan:
        """Plans some rows of a step's batch. A row's plan does not depend on the other rows."""
        config = self._config
        members = int(self._generator(step, _WHOLE_BATCH).integers(config.context.min, config.context.max + 1))
        episodes = []
        for row in rows:
            rng = self._generator(step, row)
            place = np.searchsorted(self._cumulative[:-1], rng.random(), side="right")
            episodes.append(self.episode(rng, list(self.sources)[place], members))
        return join(episodes)

    def _generator(self, step: int, row: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=self._config.seed, counter=[0, 0, row, step]))

    def episode(self, rng: np.random.Generator, name: str, members: int, plane: str = "") -> Plan:
        """Plans one episode of the task `name` with `members` context members: a batch of one.

        Args:
            rng: source of the random numbers.
            name: of the task.
            members: of the context.
            plane: one of `planes.names`; empty: any.
        """
        task, collection = TASKS[name], self._collection
        sources = self._by_dataset[name][rng.integers(len(self._by_dataset[name]))]
        source = self._source(rng, sources)
        flip = self._flips(rng, 1 + members)
        of_plane = self.planes.draw(rng, plane)
        if task.needs == "class":
            # With the classes of one side of the brain only, a flipped slice may show none.
            flip = flip ^ (not len(self._shown(source, bool(flip[0]), of_plane)[0]))
            row, classes = self._row_and_classes(rng, source, bool(flip[0]), of_plane)
        else:
            subject = rng.choice(source.subjects)
            rows_there = self.planes.rows_of(subject, of_plane)
            row = rows_there[rng.integers(len(rows_there))]
            classes = np.zeros(MAX_CLASSES, np.int64)
        rows = collection.rows_beside(row).copy()
        query = collection.subject_of[row]
        rows[query] = row
        others = self.sources[name] if task.needs in _OTHER_SOURCES else []
        context = self._context(rng, source, others, rows, query, int(classes[0]), flip)
        subjects = np.array([query, *(subject for subject, _ in context)])
        shown = [source.modalities, *(modalities for _, modalities in context)]
        augmentations = self._augmentations(rng, task, subjects)
        images = self._images(subjects, shown, int(rng.integers(2**31)))
        centre = pivot = np.zeros(2, np.int64)
        if isinstance(collection, VolumeCollection):
            images = with_random_contrasts(rng, images, self._config.volumes.scans.random_contrast_probability)
            centre, pivot = middles(rng, self._config.extent, collection, row, classes, source.protocol, bool(flip[0]))
        return Plan(
            task=np.array([list(TASKS).index(name)], np.int32),
            augmentations=augmentations[None],
            subject=subjects[None],
            slice=(rows[subjects] - collection.first_row[subjects])[None],
            centre=centre[None],
            pivot=pivot[None],
            images=images[None],
            protocol=np.array([PROTOCOLS.index(source.protocol)], np.int32),
            classes=classes[None],
            flip=flip[None],
            reused=np.array([1 + members - len(np.unique(subjects))]),
        )

    def _source(self, rng: np.random.Generator, sources: list[Source]) -> Source:
        """Samples a source; one of made-up lesions with a probability of its own."""
        made_up = [
            source.protocol == "lesion" and self._collection.synthetic[source.subjects].all() for source in sources
        ]
        if any(made_up) and not all(made_up):
            chosen = rng.random() < self._config.volumes.lesions.segment_probability
            sources = [source for source, its in zip(sources, made_up, strict=True) if its == chosen]
        return sources[rng.integers(len(sources))]

    def _row_and_classes(
        self, rng: np.random.Generator, source: Source, flipped: bool, plane: int
    ) -> tuple[int, np.ndarray]:
        """Samples a row (a slice of a subject) and a class that it shows, perhaps in union with others of that row."""
        config = self._config.classes
        labels, _ = self._collection.class_pixels[source.protocol]
        rows, shown, drawn = self._shown(source, flipped, plane)
        column = drawn[rng.integers(len(drawn))]
        places = np.flatnonzero(shown[:, column])
        place = places[rng.integers(len(places))]
        classes = np.zeros(MAX_CLASSES, np.int64)
        classes[0] = labels[column]
        more = rng.permutation(np.setdiff1d(np.flatnonzero(shown[place]), [column]))
        count = rng.integers(1, MAX_CLASSES) if rng.random() < config.union_probability else 0
        chosen = [labels[place] for place in more[:count]]
        classes[1 : 1 + len(chosen)] = chosen
        return int(rows[place]), classes

    def _shown(self, source: Source, flipped: bool, plane: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The rows of a plane that show enough of a class of the source, or of any plane if none of this plane does.

        Returns:
            The rows `[r]`, which classes each shows `[r, labels]` bool, and the columns to sample from.
        """
        key = source.subjects.tobytes(), source.protocol, flipped, plane
        if key not in self._shown_by_source:
            collection = self._collection
            labels, _ = collection.class_pixels[source.protocol]
            shown = collection.pixels(source.protocol, flipped) >= self._config.classes.min_pixels
            shown[:, [label not in self._selection.classes[source.protocol] for label in labels]] = False
            there = shown.any(1) & np.isin(collection.subject_of, source.subjects) & self.planes.rows
            of_plane = there & (collection.plane_of == plane)
            rows = np.flatnonzero(of_plane if of_plane.any() else there)
            shown = shown[rows]
            subjects_with = [len(np.unique(collection.subject_of[rows[column]])) for column in shown.T]
            # A class of one subject only cannot be shown in a context; it is used only if every class is like that.
            drawn = np.flatnonzero(np.array(subjects_with) >= max(1, min(2, max(subjects_with))))
            self._shown_by_source[key] = rows, shown, drawn
        return self._shown_by_source[key]

    def _context(
        self,
        rng: np.random.Generator,
        source: Source,
        others: list[Source],
        rows: np.ndarray,
        query: int,
        label: int,
        flip: np.ndarray,
    ) -> list[tuple[int, tuple[str, ...]]]:
        """Samples the context: subject and modalities of each member, from the query's source or another of the task.

        Subjects are distinct where there are enough. Other sessions of the query's person serve only if there is no
        other person.
        """
        others = [other for other in others if other.protocol == source.protocol]
        from_others = rng.random(len(flip) - 1) < (self._config.context.other_source_probability if others else 0)
        own = rng.permutation(self._candidates(source, rows, query, label, bool(flip[0])))
        used: set[int] = set()
        unused = (subject for subject in own if subject not in used)
        context: list[tuple[int, tuple[str, ...]]] = []
        for elsewhere, flipped in zip(from_others, flip[1:], strict=True):
            chosen, able = source, np.zeros(0, int)
            if elsewhere:
                chosen = others[rng.integers(len(others))]
                able = self._candidates(chosen, rows, query, label, bool(flipped))
                able = able[~np.isin(able, list(used))]
            if len(able):
                subject = int(able[rng.integers(len(able))])
            else:
                chosen = source
                # In the shuffled order; when all are used, from its start again.
                subject = int(next(unused, own[len(context) % len(own)]))
            used.add(subject)
            context.append((subject, chosen.modalities))
        return context

    def _candidates(self, source: Source, rows: np.ndarray, query: int, label: int, flipped: bool) -> np.ndarray:
        """Subjects of a source that may be context of the query: those that show the label, or all if none does."""
        collection = self._collection
        subjects = source.subjects[source.subjects != query]
        foreign = subjects[collection.person_of[subjects] != collection.person_of[query]]
        subjects = foreign if len(foreign) else subjects
        if label:
            labels, _ = collection.class_pixels[source.protocol]
            pixels = collection.pixels(source.protocol, flipped)
            showing = pixels[rows[subjects], labels.index(label)] >= self._config.classes.min_pixels
            subjects = subjects[showing] if showing.any() else subjects
        return subjects

    def _images(self, subjects: np.ndarray, shown: list[tuple[str, ...]], direction: int) -> np.ndarray:
        """The subjects' images of the modalities `[1 + N, 3]`; of a diffusion series the direction of the episode."""
        images = np.full((len(subjects), 3), -1, np.int64)
        for number, (subject, modalities) in enumerate(zip(subjects, shown, strict=True)):
            for channel, modality in enumerate(modalities):
                series = self._collection.series[subject][modality]
                images[number, channel] = series[direction % len(series)]
        return images

    def _augmentations(self, rng: np.random.Generator, task: Task, subjects: np.ndarray) -> np.ndarray:
        """Samples which task augmentations are on for the episode `[A]` bool."""
        collection = self._collection
        # An image synthesised from brain labels alone has no skull to strip.
        labelled = (collection.with_head if task.needs == "brain mask" else collection.with_tissue)[subjects].all()
        drawn = rng.random(len(TASK_AUGMENTATIONS)) < self._probabilities
        possible = [(a.touches != "images" or labelled) and a.fits(task) for a in TASK_AUGMENTATIONS.values()]
        return drawn & np.array(possible, bool)

    def _flips(self, rng: np.random.Generator, count: int) -> np.ndarray:
        config = self._config.flip
        return (rng.random() < config.shared_probability) ^ (rng.random(count) < config.own_probability)


def _by_dataset(sources: list[Source]) -> list[list[Source]]:
    """Groups sources by dataset."""
    return [[s for s in sources if s.dataset == dataset] for dataset in sorted({s.dataset for s in sources})]


def join(plans: list[Plan]) -> Plan:
    """Joins plans of the same N to one batch."""
    return Plan(*map(np.concatenate, zip(*plans, strict=True)))
