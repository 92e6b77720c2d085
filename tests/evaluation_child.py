"""Evaluates a plain predictor on made-up cases, slowly, in a process of its own that tests can kill.

python evaluation_child.py FOLDER SECONDS_A_BATCH
"""

import sys
import time
import zlib
from pathlib import Path

import numpy as np

from neuralizer_jax.case import Case
from neuralizer_jax.evaluation.evaluate import evaluate
from neuralizer_jax.evaluation.predictor import Predictor
from neuralizer_jax.evaluation.score_log import ScoresTable

SIZE = 16


def made_up_cases() -> list[Case]:
    """Twenty cases of three tasks; the last subject has too small a context for size 3."""
    cases = []
    for task, modality, is_segmentation in (
        ("segmentation", "T1", True), ("denoising", "T1", False), ("modality_transfer", "T1>T2", False)
    ):  # fmt: skip
        class_name = "freesurfer:17" if is_segmentation else ""
        for subject in range(4 if task == "segmentation" else 3):
            for draw in range(2):
                sizes = (1, 3) if subject < 3 else (1,)
                cell = task, "ixi", modality, class_name, "coronal", -17
                cases.append(Case(*cell, f"s{subject}", draw, sizes, is_segmentation))
    return cases


def made_up_episodes(cases, members):
    """Images that depend on the case alone."""
    episodes = []
    longest = min(members, max(max(case.sizes) for case in cases))
    for case in cases:
        rng = np.random.default_rng(zlib.crc32(str(case).encode()))
        inputs = rng.random((4, SIZE, SIZE, 3), np.float32)
        outputs = inputs[..., :1] ** 2
        if case.is_segmentation:
            outputs = (inputs[..., :1] > 0.7).astype(np.float32)
        mask = np.arange(longest) < max(case.sizes)
        context_in, context_out = (np.where(mask[:, None, None, None], x[1:][:longest], 0) for x in (inputs, outputs))
        episodes.append(
            {
                "target_in": inputs[0], "target_out": outputs[0], "context_in": context_in,
                "context_out": context_out, "context_mask": mask, "is_segmentation": np.array(case.is_segmentation),
            }
        )  # fmt: skip
    return {name: np.stack([episode[name] for episode in episodes]) for name in episodes[0]}


def mean_of_context(episodes):
    return episodes["context_out"].mean(1)[..., 0]


def run(folder: Path, seconds: float = 0.0) -> int:
    def slow_mean(episodes):
        time.sleep(seconds)
        return mean_of_context(episodes)

    with ScoresTable(folder / "scores.csv") as table:
        models = [Predictor("Mean", slow_mean), Predictor("Target", lambda episodes: episodes["target_in"][..., 0])]
        return evaluate(
            models, made_up_cases(), made_up_episodes, table, experiment="made-up", examples=folder / "examples"
        )


if __name__ == "__main__":
    run(Path(sys.argv[1]), float(sys.argv[2]))
