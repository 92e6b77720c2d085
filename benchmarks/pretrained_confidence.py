"""Whether the spread of predictions from resampled contexts tells their error; a part of `pretrained.py`.

Each case, a real scan and a task, is predicted eight times, from eight pairs drawn with replacement of eight that there
are, moved by small random affine maps (paper, section 3.5). Spread of an image: the root of the mean variance over
pixels; its error: the root mean squared error of the mean prediction. Spread of a mask: the sum of the pixels' standard
deviations as a share of the mask's size; its error: 1 - Dice. Spearman's correlation of the two is taken over the
cases of a task, and, between standard deviation and absolute error, over the pixels of the true or predicted mask, or
of the brain, in each case.
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
    """Records of all cases of a dataset, segmentation of some classes and tasks of images; and their `correlations`."""
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
    """Of one prediction `[H, W]`, each such that the cases of a task can be compared."""
    if is_mask:
        overlap = dice(mean[None, ..., None], truth[None, ..., None])[0]
        return float(std.sum() / max(mean.sum(), 1)), 1 - float(overlap)
    return float(np.sqrt((std**2).mean())), float(np.sqrt(((mean - truth) ** 2).mean()))


def rank_correlation(one, other):
    """Spearman's; NaN where one of them is constant."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(spearmanr(one, other).statistic)


def correlations(records):
    """Of each task: over its cases; over pixels, the mean of its cases; how many these are."""
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
