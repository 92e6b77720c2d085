"""Correlation of spread and error of predictions from resampled contexts; a part of `pretrained.py`.

A case is a real scan and a task. It is predicted eight times. Each time eight pairs are drawn with replacement from the
eight pairs of the context and moved by small random affine maps (paper, section 3.5).

- An image: the spread is the root of the mean variance over pixels, the error is that of the mean prediction (RMSE).
- A mask: the spread is the sum of the pixels' standard deviations as a share of the mask's size, the error 1 - Dice.

Spearman's correlation is computed over the cases of a task. Within each case it is computed between standard deviation
and absolute error, over the pixels of the true or predicted mask, or of the brain.
"""

import numpy as np
from scipy.stats import spearmanr

from input_pipeline.episodes.config import default_config
from input_pipeline.episodes.evaluation import EvaluationCases
from neuralizer_jax import load_weights, predict
from neuralizer_jax.metrics import dice

DRAWS = MEMBERS = 8
IMAGE_TASKS = ("super_resolution", "motion_correction", "undersampled_reconstruction", "denoising", "inpainting")
SUBJECTS = {"segmentation": 4, "image": 10}  # of each class; of each task


def measure(weights, data, classes):
    """Predicts all cases of a dataset: segmentation of `classes` and image tasks. Returns records, `correlations`."""
    model, params = load_weights(weights)
    config = default_config()
    config.datasets = (str(data),)
    records = []
    for kind, tasks in (("segmentation", ("segmentation",)), ("image", IMAGE_TASKS)):
        config.only.tasks, config.only.classes = tasks, classes
        cases = EvaluationCases(config, (MEMBERS,), 1, split="train+val+test", subjects=SUBJECTS[kind])
        for case in cases.cases:
            episode = {name: values[0] for name, values in cases.episodes([case], MEMBERS).items()}
            names = {"task": case.task, "class": case.class_name, "subject": case.subject}
            records.append(names | record(model, params, episode))
    return {"correlations": correlations(records), "records": records}


def record(model, params, episode):
    """Spread and error of an episode's prediction, and their correlation over pixels."""
    arrays = (episode[name] for name in ("target_in", "context_in", "context_out"))
    is_mask, truth = episode["is_segmentation"], episode["target_out"][..., 0]
    task = {"task": "segmentation", "label_values": (1,)} if is_mask else {"task": "image"}
    options = {"normalize": "none", "bootstrap": DRAWS, "bootstrap_size": MEMBERS, "augment": True}
    prediction = predict(model, params, *arrays, **task, **options)
    # Elsewhere there is nothing to be unsure of.
    inside = (truth > 0) | (prediction.mean > 0.5 if is_mask else False)
    pixels = rank_correlation(prediction.std[inside], np.abs(prediction.mean - truth)[inside])
    spread, error = spread_and_error(prediction.mean, prediction.std, truth, is_mask)
    return {"spread": spread, "error": error, "pixels": pixels}


def spread_and_error(mean, std, truth, is_mask):
    """Spread and error of a prediction `[H, W]`, comparable between the cases of a task."""
    if is_mask:
        overlap = dice(mean[None, ..., None], truth[None, ..., None])[0]
        return float(std.sum() / max(mean.sum(), 1)), 1 - float(overlap)
    return float(np.sqrt((std**2).mean())), float(np.sqrt(((mean - truth) ** 2).mean()))


def rank_correlation(one, other):
    """Spearman's correlation; NaN if one of them is constant."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(spearmanr(one, other).statistic)


def correlations(records):
    """For each task: the correlation over cases, the mean correlation over pixels, and the number of cases."""
    found = {}
    for task in dict.fromkeys(one["task"] for one in records):
        own = [one for one in records if one["task"] == task]
        spread, error, pixels = ([one[name] for one in own] for name in ("spread", "error", "pixels"))
        found[task] = {
            "cases": rank_correlation(spread, error),
            "pixels": float(np.nanmean(pixels)),
            "number": len(own),
        }
    return found
