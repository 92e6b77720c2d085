"""A picture of one image with contexts of several tasks; a part of `pretrained.py`.

The images are phantoms (`neuralizer prepare phantom`): warped copies of the MNI152 template, no data of a subject.
"""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from input_pipeline.episodes.config import default_config
from input_pipeline.episodes.evaluation import EvaluationCases
from input_pipeline.space.structure_names import FREESURFER_CLASSES
from neuralizer_jax import load_weights
from neuralizer_jax.evaluation.examples import add_prediction
from neuralizer_jax.evaluation.predictor import network
from neuralizer_jax.report.qualitative import draw_examples

MEMBERS = 4
# Task, modality and class. The target's input is its T1 image in all of them.
TASKS = (
    ("skull_stripping", "T1", ""),
    ("segmentation", "T1", "freesurfer:2"),
    ("segmentation", "T1", "freesurfer:42"),
    ("segmentation", "T1", "freesurfer:10"),
    ("modality_transfer", "T1>T2", ""),
    ("modality_transfer", "T1>FLAIR", ""),
)


def draw_tasks(path, weights, phantom):
    """Draws to a PNG file the first phantom that can show all tasks."""
    config = default_config()
    config.datasets = (str(phantom),)
    config.only.tasks = tuple(dict.fromkeys(task for task, *_ in TASKS))
    config.only.classes = tuple(name for *_, name in TASKS if name)
    cases = EvaluationCases(config, (MEMBERS,), 1, split="train+val+test")
    by_subject = {}
    for case in cases.cases:
        by_subject.setdefault(case.subject, {})[case.task, case.modality, case.class_name] = case
    able = next(of for of in by_subject.values() if of.keys() >= set(TASKS))
    model = network("prediction", *load_weights(weights))
    with tempfile.TemporaryDirectory() as folder:
        for task in TASKS:
            episodes = cases.episodes([able[task]], MEMBERS)
            episode = {name: values[0] for name, values in episodes.items()}
            # Dataset and subject are the same in all titles.
            shown = replace(able[task], dataset="", subject="")
            add_prediction(Path(folder), "tasks", shown, episode, (model.name, ""), model.predict(episodes)[0])
        names = {f"freesurfer:{label}": name for label, name in FREESURFER_CLASSES.items()}
        (picture,) = draw_examples(sorted(Path(folder).glob("*.npz")), Path(folder), names)
        shutil.copyfile(picture, path)
