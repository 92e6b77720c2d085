"""Experiment files are read, and values changed on the command line are of the right kind or refused in one line."""

import pytest
from ml_collections import ConfigDict

from neuralizer_jax.errors import InputError
from neuralizer_jax.experiment_config import change_config, load_config


def configured():
    values = {"rate": 0.5, "steps": 3, "name": "x", "range": (0.1, 0.2), "names": (), "crops": ((1, 2.0),), "on": True}
    return ConfigDict({"a": values})


@pytest.mark.parametrize(
    ("argument", "key", "value"),
    [
        ("--config.a.rate=0.25", "rate", 0.25),
        ("--config.a.rate=2", "rate", 2.0),
        ("--config.a.steps=7", "steps", 7),
        ("--config.a.name=0.5", "name", "0.5"),
        ("--config.a.name=a=b", "name", "a=b"),
        ("--config.a.range=(0.3, 0.4)", "range", (0.3, 0.4)),
        ("--config.a.range=0.3,0.4", "range", (0.3, 0.4)),
        ("--config.a.names=one", "names", ("one",)),
        ("--config.a.names=one,two", "names", ("one", "two")),
        ("--config.a.names=('one', 'two')", "names", ("one", "two")),
        ("--config.a.names=", "names", ()),
        ("--config.a.crops=()", "crops", ()),
        ("--config.a.crops=((8, 2.0),)", "crops", ((8, 2.0),)),
        ("--config.a.on=False", "on", False),
    ],
)
def test_values(argument, key, value):
    config = configured().lock()
    change_config(config, [argument])
    assert config.a[key] == value
    assert type(config.a[key]) is type(value)


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("--config.a.rat=1", "--config.a.rat: unknown, did you mean --config.a.rate"),
        ("--config.zzz=1", "--config.zzz: unknown"),
        ("--config.a=1", "--config.a: unknown"),
        ("--config.a.steps", "--config.a.steps: unknown, expected --config.KEY=VALUE"),
        ("--steps=1", "--steps=1: unknown, expected --config.KEY=VALUE"),
        ("--config.a.steps=many", "expected a value of type int, as 3"),
        ("--config.a.steps=0.5", "expected a value of type int, as 3"),
        ("--config.a.range=0.3", "expected a value of type tuple, as (0.1, 0.2)"),
        ("--config.a.range=(0.3,)", "expected a value of type tuple, as (0.1, 0.2)"),
        ("--config.a.steps=__import__('os')", "expected a value of type int, as 3"),
    ],
)
def test_wrong_values(argument, expected):
    config = configured()
    with pytest.raises(InputError) as error:
        change_config(config, [argument])
    assert expected in str(error.value)
    assert "\n" not in str(error.value)
    assert config == configured()


def test_an_experiment_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from ml_collections import ConfigDict\n\n\ndef get_config():\n    return ConfigDict({'seed': 3})\n"
    )
    assert load_config(path).seed == 3


def test_a_key_of_an_earlier_version():
    with pytest.raises(
        InputError, match=r"^--config\.train\.average: unknown, did you mean --config\.train\.ema_decay$"
    ):
        change_config(ConfigDict({"train": {"ema_decay": 0.0}}), ["--config.train.average=0.9"])


@pytest.mark.parametrize(("name", "content"), [("none.py", None), ("empty.py", ""), ("config.txt", "x")])
def test_no_experiment_file(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=name):
        load_config(tmp_path / name)
