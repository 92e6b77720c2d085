"""The folder of a training that ended, made up."""

import json


def write_training(folder, seconds, **config):
    """A run of so many seconds; `config` changes settings of `train`."""
    folder.mkdir(parents=True)
    data = {"size": 96, "extent": 144, "datasets": ["a"], "only": {"tasks": []}}
    train = {"learning_rate": 0.5, "decay": "cosine", "init_from": "", "batch_size": 3, "steps": 9}
    (folder / "config.json").write_text(json.dumps({"seed": 7, "data": data, "train": train | config}))
    summary = {"step": 12345, "ended": "steps", "seconds": seconds, "versions": {"jax": "1.2.3"}}
    summary |= {"devices": {"A CPU": seconds - 60, "A GPU": 60.0}}
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "training_subjects.csv").write_text("dataset,subject,person\nmaps,s1,p1\nmaps,s2,p1\n")
    (folder / "training_data.json").write_text(json.dumps({"maps": "0123456789abcdef" * 4}))
    (folder / "metrics.csv").write_text("step,name,value\n50,train/loss,0.5\n100,train/loss,0.25\n")
    return folder
