"""Checkpoints: what is kept, what comes back, and what damage, kills and a full disk do to it."""

import math
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import checkpoint_child
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import struct
from hypothesis import given, settings
from hypothesis import strategies as st
from training_examples import train_config

from neuralizer_jax import InputError, load_weights
from neuralizer_jax.training.checkpoints import Checkpoints
from neuralizer_jax.training.optimizer import make_optimizer
from neuralizer_jax.weights import architecture
from neuralizer_jax.weights.checkpoint_format import read_checkpoint


class State(struct.PyTreeNode):
    """As a training state: arrays of several types and depths, and a part that is no array."""

    step: jax.Array
    params: dict
    opt_state: optax.OptState
    failed: jax.Array
    name: str = struct.field(pytree_node=False)


def state_of(step, features=3):
    rng = np.random.default_rng(step)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    params = {"conv": {"kernel": draw(3, 3, 1, features), "bias": draw(features)}, "half": draw(5).astype(jnp.bfloat16)}
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
    updates, opt_state = optimizer.update(params, optimizer.init(params), params)
    params = jax.tree.map(lambda p, u: np.asarray(p + u), params, updates)
    return State(np.int32(step), params, jax.tree.map(np.asarray, opt_state), np.bool_(step % 2), "a state")


def meta_of(step):
    return {"model": {"features": 3}, "config": {"train": {"learning_rate": 1e-4 / 3}}, "rounds": [step, None, "é"]}


STATES = {step: state_of(step) for step in range(6)}
LIKE = STATES[0]


def assert_restored(restored, step):
    assert restored.step == step
    assert restored.meta == meta_of(step)
    assert jax.tree.structure(restored.state) == jax.tree.structure(STATES[step])
    for got, expected in zip(jax.tree.leaves(restored.state), jax.tree.leaves(STATES[step]), strict=True):
        assert isinstance(got, np.ndarray)
        np.testing.assert_array_equal(got, np.asarray(expected), strict=True)


def save(folder, *steps, keep=10, **loss):
    with Checkpoints(folder, keep) as checkpoints:
        for step in steps:
            checkpoints.save(step, STATES[step], meta_of(step), **loss)
    return folder


def folders(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two checkpoints, of steps 1 and 2; do not write to it."""
    return save(tmp_path_factory.mktemp("two") / "checkpoints", 1, 2, validation_loss=0.5)


class TestRoundTrip:
    def test_of_muon_which_has_parts_of_its_state_for_some_parameters_only(self, tmp_path):
        params = {"kernel": np.ones((3, 3, 2, 4), np.float32), "bias": np.arange(4, dtype=np.float32)}
        optimizer = make_optimizer(train_config(optimizer="muon"))
        _, opt_state = optimizer.update(params, optimizer.init(params), params)
        state = State(np.int32(1), params, jax.tree.map(np.asarray, opt_state), np.bool_(False), "a state")
        with Checkpoints(tmp_path / "checkpoints", 1) as checkpoints:
            checkpoints.save(1, state, meta_of(1))
            restored = checkpoints.restore(jax.tree.map(np.zeros_like, state)).state
        assert jax.tree.structure(restored) == jax.tree.structure(state)
        jax.tree.map(np.testing.assert_array_equal, restored, state)

    def test_bit_for_bit(self, two):
        with Checkpoints(two, 10) as checkpoints:
            assert_restored(checkpoints.restore(LIKE), 2)

    def test_like_may_be_shapes(self, two):
        with Checkpoints(two, 10) as checkpoints:
            assert_restored(checkpoints.restore(jax.eval_shape(lambda: LIKE)), 2)

    def test_arrays_may_change_after_save(self, tmp_path):
        state = jax.tree.map(np.array, STATES[1])
        on_device = jax.device_put(STATES[2])
        with Checkpoints(tmp_path / "new" / "folder", 2) as checkpoints:
            checkpoints.save(1, state, meta_of(1))
            for leaf in jax.tree.leaves(state):
                leaf.fill(7)
            assert_restored(checkpoints.restore(LIKE), 1)
            checkpoints.save(2, on_device, meta_of(2))
            jax.tree.map(lambda leaf: leaf.delete(), on_device)
            assert_restored(checkpoints.restore(LIKE), 2)

    def test_written_though_the_block_fails(self, tmp_path, monkeypatch):
        def interrupted():
            with Checkpoints("here", 2) as checkpoints:
                checkpoints.save(1, STATES[1], meta_of(1))
                raise KeyboardInterrupt

        monkeypatch.chdir(tmp_path)
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        with Checkpoints("here", 2) as checkpoints:
            assert_restored(checkpoints.restore(LIKE), 1)

    def test_nothing_there(self, tmp_path):
        with Checkpoints(tmp_path, 2) as checkpoints:
            assert checkpoints.restore(LIKE) is None

    def test_the_same_step_again(self, tmp_path):
        save(tmp_path, 1, 2)
        with Checkpoints(tmp_path, 2) as checkpoints:
            checkpoints.restore(LIKE)
            checkpoints.save(2, STATES[2], meta_of(2))
            checkpoints.save(3, STATES[3], meta_of(3))
            checkpoints.save(3, STATES[3], meta_of(3))
            with pytest.raises(ValueError, match="step 0 comes before 3"):
                checkpoints.save(0, STATES[0], meta_of(0))
            assert_restored(checkpoints.restore(LIKE), 3)

    def test_load_weights_reads_the_folder(self, tiny_model, tiny_params, tmp_path):
        state = {"params": tiny_params, "opt_state": optax.adam(1e-3).init(tiny_params), "step": np.int32(4)}
        with Checkpoints(tmp_path, 2) as checkpoints:
            checkpoints.save(4, state, {"model": architecture.describe(tiny_model)})
        model, params = load_weights(tmp_path)
        assert model == tiny_model
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b, strict=True), params, tiny_params)

    def test_load_weights_takes_the_average_where_there_is_one(self, tiny_model, tiny_params, tmp_path):
        state = {"params": jax.tree.map(np.zeros_like, tiny_params), "average": tiny_params, "step": np.int32(4)}
        meta = {"model": architecture.describe(tiny_model), "config": {"train": {"ema_decay": 0.9}}}
        with Checkpoints(tmp_path, 2) as checkpoints:
            checkpoints.save(4, state, meta)
        _, params = load_weights(tmp_path)
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b, strict=True), params, tiny_params)


class TestKept:
    @pytest.mark.parametrize(
        ("keep", "losses"),
        [
            (2, [5.0, 1.0, 3.0, 4.0, None, 2.0]),  # the best is old
            (2, [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]),  # the newest is the best
            (1, [2.0, 2.0, math.nan, 1.0, 1.5, -math.inf]),  # equals; what is not finite is never the best
            (2, [None] * 6),
        ],
    )
    def test_the_last_and_the_best(self, tmp_path, keep, losses):
        finite = {}
        for step, loss in enumerate(losses):
            with Checkpoints(tmp_path, keep) as checkpoints:  # opened anew: losses come from the files
                checkpoints.save(step, STATES[step], meta_of(step), validation_loss=loss)
                finite |= {step: loss} if loss is not None and math.isfinite(loss) else {}
            best = {min(finite, key=finite.get)} if finite else set()
            expected = {*range(max(0, step - keep + 1), step + 1)} | best
            assert folders(tmp_path) == [str(step) for step in sorted(expected)]

    def test_at_least_one(self, tmp_path):
        with pytest.raises(InputError, match=r"checkpoint.keep: 0, expected at least 1"):
            Checkpoints(tmp_path, 0)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES = {
    "flipped": flip,
    "cut": cut,
    "emptied": lambda path: path.write_bytes(b""),
    "removed": lambda path: path.unlink(),
}


def files(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


class TestDamage:
    @pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
    def test_of_any_file(self, two, tmp_path, damage, capfd, caplog):
        """The same values or the checkpoint before, and the run goes on; nothing is said but the report."""
        found = set()
        for number, file in enumerate(files(two / "2")):
            folder = tmp_path / str(number)
            shutil.copytree(two, folder)
            damage(folder / "2" / file)
            reports = []
            with Checkpoints(folder, 2, reports.append) as checkpoints:
                restored = checkpoints.restore(LIKE)
                assert_restored(restored, 1 if reports else 2)
                assert len(reports) == (restored.step == 1)
                assert all(
                    line.startswith(f"{folder}/2: damaged checkpoint (")
                    and line.endswith("), renamed to damaged_2; step 1 is used")
                    and "\n" not in line
                    for line in reports
                )
                checkpoints.save(2, STATES[2], meta_of(2))
                assert_restored(checkpoints.restore(LIKE), 2)
                checkpoints.save(3, STATES[3], meta_of(3))
            assert folders(folder) == ["1", "2", "3", "damaged_2"][: 3 + len(reports)]
            found.add(bool(reports))
        assert found == {True, False}
        assert capfd.readouterr().err == ""
        # On a busy machine Orbax says that a save took long.
        assert not [record for record in caplog.records if not record.msg.startswith("Waiting for previous save")]

    @settings(max_examples=150)
    @given(data=st.data())
    def test_of_any_bit(self, two, data):
        """A law of reading: the values that were saved, or an error."""
        file = two / "2" / data.draw(st.sampled_from(files(two / "2")))
        content = file.read_bytes()
        damaged = bytearray(content)
        damaged[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        whole = read_checkpoint(two / "2", 2)
        try:
            file.write_bytes(damaged)
            arrays, meta = read_checkpoint(two / "2", 2)
        except Exception:
            return
        finally:
            file.write_bytes(content)
        assert meta == whole[1]
        assert arrays.keys() == whole[0].keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, whole[0][name], strict=True)

    @pytest.mark.parametrize("inside", ["", "state", "meta"])
    def test_of_a_folder(self, two, tmp_path, inside):
        shutil.copytree(two, tmp_path / "run")
        shutil.rmtree(tmp_path / "run" / "2" / inside)
        (tmp_path / "run" / "2").mkdir(exist_ok=True)
        reports = []
        with Checkpoints(tmp_path / "run", 2, reports.append) as checkpoints:
            assert_restored(checkpoints.restore(LIKE), 1)
        assert len(reports) == 1

    def test_of_several_and_again(self, tmp_path, capsys):
        save(tmp_path, 1, 2, 3)
        for step in (2, 3):
            flip(tmp_path / str(step) / "meta" / "metadata")
        with Checkpoints(tmp_path, 10) as checkpoints:
            assert_restored(checkpoints.restore(LIKE), 1)
            checkpoints.save(2, STATES[2], meta_of(2))
        assert len(capsys.readouterr().err.splitlines()) == 2
        flip(tmp_path / "2" / "meta" / "metadata")
        with Checkpoints(tmp_path, 10) as checkpoints:
            assert_restored(checkpoints.restore(LIKE), 1)
        assert folders(tmp_path) == ["1", "damaged_2", "damaged_2_2", "damaged_3"]

    def test_of_all(self, two, tmp_path):
        """Every start says so, and nothing is touched: it may be the wrong disk."""
        shutil.copytree(two, tmp_path / "run")
        for step in (1, 2):
            (tmp_path / "run" / str(step) / "meta" / "metadata").write_text("")
        for _ in range(2):
            with Checkpoints(tmp_path / "run", 2) as checkpoints:
                with pytest.raises(InputError, match="none of 2 checkpoints is intact, expected at least one") as error:
                    checkpoints.restore(LIKE)
                assert "\n" not in str(error.value)
        assert folders(tmp_path / "run") == ["1", "2"]

    def test_a_checkpoint_in_place_of_another(self, two, tmp_path):
        shutil.copytree(two / "1", tmp_path / "1")
        shutil.copytree(two / "1", tmp_path / "9")
        with Checkpoints(tmp_path, 2, lambda line: None) as checkpoints:
            assert_restored(checkpoints.restore(LIKE), 1)


class TestRefusals:
    @pytest.mark.parametrize(
        ("like", "expected"),
        [
            (state_of(0, features=4), "params.conv.bias is float32 [3], expected float32 [4]"),
            (LIKE.replace(params=LIKE.params | {"new": np.zeros(2)}), "params.new is missing, expected float64 [2]"),
            (LIKE.replace(opt_state=()), "opt_state.1.0.count is int32 [], expected no such array"),
        ],
    )
    def test_another_structure_is_no_damage(self, two, like, expected):
        with Checkpoints(two, 10) as checkpoints, pytest.raises(InputError) as error:
            checkpoints.restore(like)
        assert f"{two}/2: " in str(error.value)
        assert expected in str(error.value)
        assert "\n" not in str(error.value)
        assert folders(two) == ["1", "2"]

    def test_a_folder_that_is_a_file(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="cannot be made"):
            Checkpoints(tmp_path / "file", 2)

    def test_a_full_disk(self, tmp_path):
        """A limit on the size of files stands for it. The checkpoint before stays, the folder goes on."""
        state = {"params": np.random.default_rng(0).random(50_000)}
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)

        def fill_up():
            with Checkpoints(tmp_path, 1) as checkpoints:
                checkpoints.save(1, state, {})
                checkpoints.wait()
                resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limit[1]))
                checkpoints.save(2, state, {})

        try:
            with pytest.raises(InputError, match="a checkpoint cannot be written") as error:
                fill_up()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        assert "\n" not in str(error.value)
        with Checkpoints(tmp_path, 1) as checkpoints:
            assert checkpoints.restore(state).step == 1
            checkpoints.save(2, state, {})
            assert checkpoints.restore(state).step == 2


class TestKills:
    def test_nothing_that_was_saved_is_lost(self, tmp_path):
        child = Path(__file__).parents[1] / "checkpoint_child.py"
        command = [sys.executable, str(child), str(tmp_path), "12"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        saved, torn, restored = 0, 0, 0
        for line in done.stdout.splitlines():
            word, *number = line.split()
            assert word != "failed", done.stderr
            if word == "restored":
                restored = int(number[0])
                # The kill may have come after a save was whole and before it was told.
                assert saved <= restored <= saved + 1, done.stdout
                saved = restored
            elif word == "saved":
                saved = int(number[0])
            torn += word == "torn"
        assert torn, "no kill hit a save"
        assert restored >= 5, done.stdout
        with Checkpoints(tmp_path, 2) as checkpoints:
            assert checkpoints.restore(checkpoint_child.state_of(0)).step in (saved, saved + 1)
        assert "3" in folders(tmp_path)  # the lowest validation loss
