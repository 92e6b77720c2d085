"""Pictures of episodes: what each task and task augmentation does, with its sampled parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from input_pipeline.episodes.apply import episode_keys, shared_augmentation_parameters, shared_task_parameters
from input_pipeline.episodes.batches import EpisodeStream
from input_pipeline.episodes.plan import PROTOCOLS
from input_pipeline.ops.registry import TASK_AUGMENTATIONS, TASKS
from neuralizer_jax.files.atomic_file import written_whole

_MEMBERS = 3
_EPISODES_OF_A_PLANE = 5
_INCHES = 1.6
_TITLE = 0.25
_DPI = 110

# Colour of an image that has only its first, second or third channel.
_TINTS = np.array([(1, 1, 1), (0.45, 1, 0.45), (0.45, 0.65, 1)])


@dataclass(frozen=True, eq=False)
class EpisodePicture:
    """One row of a picture.

    Attributes:
        title: name of the task, and of the augmentation if there is one.
        parameters: the sampled parameters as text.
        inputs: `[1 + N, H, W, 3]`, target first.
        outputs: `[1 + N, H, W, 1]`.
    """

    title: str
    parameters: str
    inputs: np.ndarray
    outputs: np.ndarray


def episode_picture(
    stream: EpisodeStream, task: str, number: int, augmentation: str | None = None, plane: str = ""
) -> EpisodePicture:
    """An episode of a task, with one task augmentation or none.

    Args:
        stream: makes the episode. The augmentation needs a probability above 0 in its configuration.
        task: name of the task.
        number: number of the episode; each gives another one.
        augmentation: name of the task augmentation; None: none.
        plane: one of `stream.planner.planes.names`; empty: any.
    """
    rng = np.random.default_rng([stream.config.seed, number])
    plan = stream.planner.episode(rng, task, _MEMBERS, plane)
    on = np.array([[name == augmentation for name in TASK_AUGMENTATIONS]])
    episode = stream.apply_on_host(stream.gather(plan._replace(augmentations=on), number))
    key = episode_keys(stream.config.seed, number, np.array([stream.rows.start]))[0]
    if augmentation:
        sampled = shared_augmentation_parameters(stream.config, augmentation, key)
    else:
        sampled = shared_task_parameters(stream.config, task, key)
    classes = [str(label) for label in plan.classes[0] if label]
    about = [f"{PROTOCOLS[plan.protocol[0]]} {'+'.join(classes)}"] if classes else []
    row = stream.collection.first_row[plan.subject[0, 0]] + plan.slice[0, 0]
    where = f"{'xyz'[stream.collection.plane_of[row]]} = {stream.collection.y[row]} mm"
    return EpisodePicture(
        title=f"{augmentation} ({task})" if augmentation else task,
        parameters=", ".join([where, *about, *_as_text(sampled)]),
        inputs=np.concatenate([episode["target_in"], episode["context_in"][0, : plan.members]]),
        outputs=np.concatenate([episode["target_out"], episode["context_out"][0, : plan.members]]),
    )


def draw_episodes(path: Path, pictures: Sequence[EpisodePicture]) -> Path:
    """Writes a picture with one episode in each row: target and context pairs, each input beside its output."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = 2 * len(pictures[0].inputs)
    height = (_INCHES + _TITLE) * len(pictures) + _TITLE
    figure = Figure(figsize=(_INCHES * columns, height), dpi=_DPI, facecolor="black")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(pictures), columns, squeeze=False)
    figure.subplots_adjust(0.004, _TITLE / height, 0.996, 1 - _TITLE / height, 0.03, _TITLE / _INCHES)
    for row, picture in zip(axes, pictures, strict=True):
        for place, axis in enumerate(row):
            number, is_output = divmod(place, 2)
            axis.set_axis_off()
            axis.imshow(
                _shown(picture.outputs[number] if is_output else picture.inputs[number]), "gray", vmin=0, vmax=1
            )
        title = f"{picture.title}: {picture.parameters}" if picture.parameters else picture.title
        row[0].set_title(title, loc="left", color="white", fontsize=8).set_in_layout(False)
    for place, axis in enumerate(axes[-1]):
        number, is_output = divmod(place, 2)
        name = f"context {number}" if number else "target"
        axis.text(0.5, -0.04, f"{name} {'out' if is_output else 'in'}", color="white", fontsize=8,
                  ha="center", va="top", transform=axis.transAxes)  # fmt: skip
    with written_whole(path) as temporary:
        figure.savefig(temporary, facecolor="black")
    return path


def draw_tasks(stream: EpisodeStream, folder: Path) -> list[Path]:
    """Writes `tasks.png`, an episode of every task, and of volumes `planes.png`, episodes of a task in each plane."""
    tasks = list(stream.planner.sources)
    written = [draw_episodes(folder / "tasks.png", [episode_picture(stream, task, 0) for task in tasks])]
    if len(stream.planner.planes.names) > 1:
        task = next((name for name in tasks if TASKS[name].is_segmentation), tasks[0])
        rows = [
            episode_picture(stream, task, number, plane=plane)
            for plane in stream.planner.planes.names
            for number in range(_EPISODES_OF_A_PLANE)
        ]
        written.append(draw_episodes(folder / "planes.png", rows))
    return written


def draw_all(stream: EpisodeStream, folder: Path, episodes: int = 3) -> list[Path]:
    """Writes what `draw_tasks` does, `task_NAME.png` with `episodes` of each task, and `augmentation_NAME.png` with
    twice as many of each task augmentation, on the tasks that it fits.
    """
    written = draw_tasks(stream, folder)
    for task in stream.planner.sources:
        rows = [episode_picture(stream, task, number) for number in range(episodes)]
        written.append(draw_episodes(folder / f"task_{task}.png", rows))
    for name, augmentation in TASK_AUGMENTATIONS.items():
        fitting = [task for task in stream.planner.sources if augmentation.fits(TASKS[task])]
        if fitting and stream.config.task_augmentations[name].probability > 0:
            rows = [episode_picture(stream, fitting[n % len(fitting)], n, name) for n in range(2 * episodes)]
            written.append(draw_episodes(folder / f"augmentation_{name}.png", rows))
    return written


def _shown(image: np.ndarray) -> np.ndarray:
    """The image as RGB: the first channel alone is grey, another one alone is tinted, several are colours."""
    used = [channel for channel in range(image.shape[-1]) if image[..., channel].any()]
    if len(used) > 1:
        return image
    channel = used[0] if used else 0
    return image[..., channel, None] * _TINTS[channel]


def _as_text(parameters: object) -> list[str]:
    """The names and first three numbers of each array of a pytree."""
    texts = []
    for path, value in jax.tree_util.tree_leaves_with_path(parameters):
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        numbers = np.asarray(value).ravel()
        shown = " ".join(f"{number:.3g}" for number in numbers[:3])
        texts.append(f"{name} {shown}{' ...' if len(numbers) > 3 else ''}".strip())
    return texts
