"""Training on several devices and processes is training on one; nothing travels or compiles that need not."""

import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from conftest import draw_params
from ml_collections import ConfigDict
from training_examples import blend_state, episodes, state_of

from neuralizer_jax import InputError, UNet
from neuralizer_jax.training.parallel import compile_steps, initialize_processes
from neuralizer_jax.training.step import eval_step, train_step

# Differences are those of float32 sums in another order: 5e-7 of the largest number of an array is usual. A gradient
# that is summed instead of averaged, or a row that is counted twice, changes the numbers themselves.
TOLERANCE = 5e-6

CHILD = Path(__file__).parents[1].joinpath("parallel_child.py")
ONE_DEVICE = ("neuralizer:jit:1:1", "blend:jit:1:1")
ONE_PROCESS = ("neuralizer:pmap:1:1", "neuralizer:mesh:1:1", "neuralizer:mesh:2:2")
TWO_PROCESSES = ("blend:pmap:1:1", "blend:mesh:2:1")


def train_in_children(folder, processes, devices, runs):
    """What the runs left, by run and process."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        coordinator = f"localhost:{free.getsockname()[1]}"
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-W", "error", str(CHILD), str(folder), coordinator, str(processes)]
    children = [
        subprocess.Popen([*command, str(process), *runs], env=environment, stderr=subprocess.PIPE, text=True)
        for process in range(processes)
    ]
    try:
        for child in children:
            _, errors = child.communicate(timeout=300)
            assert child.returncode == 0, errors[-3000:]
    finally:
        for child in children:
            child.kill()
    found = {}
    for run in runs:
        for process in range(processes):
            with np.load(folder / f"{run}.{process}.npz") as stored:
                found[run, process] = dict(stored)
    return found


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    return train_in_children(tmp_path_factory.mktemp("one"), 1, 4, (*ONE_DEVICE, *ONE_PROCESS))


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    return train_in_children(tmp_path_factory.mktemp("two"), 2, 2, TWO_PROCESSES)


@pytest.fixture(params=[*((run, None) for run in ONE_PROCESS), *((run, p) for run in TWO_PROCESSES for p in (0, 1))])
def pair(request, one_process):
    """What many devices left, and what one left of the same network."""
    run, process = request.param
    one = one_process[ONE_DEVICE[run.startswith("blend")], 0]
    left = one_process[run, 0] if process is None else request.getfixturevalue("two_processes")[run, process]
    return left, one


def assert_close(left, expected, names):
    for name in names:
        assert left[name].shape == expected[name].shape, name
        assert left[name].dtype == expected[name].dtype, name
        difference = np.abs(left[name].astype(float) - expected[name].astype(float)).max()
        assert difference <= TOLERANCE * np.abs(expected[name]).max(), name


def named(left, start):
    names = [name for name in left if name.startswith(start)]
    assert names
    return names


class TestManyDevicesAreAsOne:
    def test_state_after_five_steps(self, pair):
        # Adam's means are linear in the gradients: they show a wrong scale, which Adam's updates do not.
        left, one = pair
        assert any(".mu" in name for name in named(left, "state"))
        assert_close(left, one, named(one, "state"))
        assert left["state/.step"] == 5

    def test_metrics_of_each_step(self, pair):
        left, one = pair
        assert_close(left, one, named(one, "step"))
        np.testing.assert_array_equal(left["step0/['task']"], [0, 1, 2, 0])

    def test_evaluation_of_any_number_of_rows(self, pair):
        left, one = pair
        assert_close(left, one, named(one, "evaluated"))
        assert left["evaluated/['prediction']"].shape == (5, 8, 8, 1)

    def test_a_bad_row_of_one_device_stops_all(self, pair):
        left, _ = pair
        assert left["bad/['failed']"]
        assert np.isnan(left["bad/['losses']"]).tolist() == [False, False, False, True]
        for name in named(left, "state"):
            if name != "state/.failed":
                np.testing.assert_array_equal(left["after" + name.removeprefix("state")], left[name])
        assert left["after/.failed"]
        assert not left["state/.failed"]


def test_rows_that_devices_cannot_share_alike(one_process, two_processes):
    expected = "expected a multiple of {}, the devices that share the batch"
    assert one_process["neuralizer:pmap:1:1", 0]["refused"] == f"batch_size: 3, {expected.format(4)}"
    assert one_process["neuralizer:mesh:2:2", 0]["refused"] == f"batch_size: 3, {expected.format(2)}"
    assert two_processes["blend:pmap:1:1", 1]["refused"] == f"batch_size: 6, {expected.format(4)}"


class TestOneDevice:
    def test_steps_are_the_pure_functions(self):
        steps = compile_steps(ConfigDict({"mode": "jit", "context": 1}))
        state, metrics = steps.train(steps.put_state(blend_state()), steps.put_batch(episodes()))
        expected = jax.jit(train_step)(blend_state(), episodes())
        compare = partial(np.testing.assert_allclose, rtol=1e-5)
        jax.tree.map(compare, (steps.to_host(state), steps.to_host(metrics)), expected)
        its = steps.evaluate(steps.put_state(blend_state()), episodes(rows=5))
        jax.tree.map(compare, its, jax.jit(eval_step)(blend_state(), episodes(rows=5)))

    def test_one_program_a_context_size(self):
        traced = []

        def finish(batch):
            traced.append(batch["context_mask"].shape[1])
            return batch

        steps = compile_steps(ConfigDict({"mode": "jit", "context": 1}), finish)
        state = steps.put_state(blend_state())
        for seed, members in enumerate((1, 3, 3, 1, 1, 3)):
            state, _ = steps.train(state, steps.put_batch(episodes(members=members, seed=seed)))
        assert sorted(traced) == [1, 3]

    def test_stored_arrays_are_there_for_every_batch(self):
        def finish(batch):
            return {name: batch[name] for name in episodes()} | {"target_out": batch["target_out"] * batch["factor"]}

        def two_losses(steps, batch):
            state, first = steps.train(steps.put_state(blend_state()), steps.put_batch(batch))
            return float(first["loss"]), float(steps.train(state, steps.put_batch(batch))[1]["loss"])

        mode = ConfigDict({"mode": "jit", "context": 1})
        halved = episodes() | {"target_out": episodes()["target_out"] / 2}
        found = two_losses(compile_steps(mode, finish, {"factor": np.full(1, 0.5, np.float32)}), episodes())
        np.testing.assert_allclose(found, two_losses(compile_steps(mode), halved), rtol=1e-5)

    def test_what_is_on_the_host_is_left_alone(self):
        steps = compile_steps(ConfigDict({"mode": "jit", "context": 1}))
        first, batch = blend_state(), steps.put_batch(episodes())
        state = steps.put_state(first)
        placed_again = steps.put_state(state)
        before = steps.to_host(state)
        used, (state, _) = state, steps.train(state, batch)
        state, _ = steps.train(state, batch)
        assert used.params["weights"].is_deleted()  # its memory is the new state's
        np.testing.assert_array_equal(first.params["weights"], 0.5)
        np.testing.assert_array_equal(before.params["weights"], 0.5)
        np.testing.assert_array_equal(placed_again.params["weights"], 0.5)
        after = steps.to_host(state)
        assert (after.params["weights"] != 0.5).all()
        assert after.step == 2
        assert {type(leaf) for leaf in jax.tree.leaves(after)} <= {np.ndarray}

    @pytest.mark.parametrize("mode", ["jit", "pmap", "mesh"])
    def test_a_baseline_without_context(self, mode):
        batch = episodes()
        batch |= {name: batch[name][:, :0] for name in ("context_in", "context_out", "context_mask")}
        model = UNet(features=2, stages=1, convs=1)
        state = state_of(model, draw_params(model))
        steps = compile_steps(ConfigDict({"mode": mode, "context": 1}))
        its = steps.evaluate(steps.put_state(state), batch)
        np.testing.assert_allclose(its["losses"], eval_step(state, batch)["losses"], rtol=1e-5)
        assert steps.put_batch(batch)["context_in"].size == 0

    def test_a_state_goes_on_where_it_was(self):
        steps = compile_steps(ConfigDict({"mode": "jit", "context": 1}))
        batch = steps.put_batch(episodes())
        state, _ = steps.train(steps.put_state(blend_state()), batch)
        restored = steps.put_state(steps.to_host(state))
        (one, _), (other, _) = steps.train(state, batch), steps.train(restored, batch)
        jax.tree.map(np.testing.assert_array_equal, steps.to_host(one), steps.to_host(other))


class TestWrongInput:
    @pytest.mark.parametrize(
        ("mode", "context", "message"),
        [
            ("ddp", 1, "parallel.mode: 'ddp', expected jit, pmap, mesh"),
            ("pmap", 2, "parallel.context: 2 with mode pmap, expected 1, or mode mesh"),
            ("mesh", 3, r"parallel.context: 3, expected a divisor of the \d+ devices of a process"),
            ("mesh", 0, r"parallel.context: 0, expected a divisor of the \d+ devices of a process"),
        ],
    )
    def test_modes(self, mode, context, message):
        with pytest.raises(InputError, match=f"^{message}$"):
            compile_steps(ConfigDict({"mode": mode, "context": context}))

    def test_processes(self):
        with pytest.raises(InputError, match=r"^process 2 of 2: expected 0 to 1$"):
            initialize_processes("localhost:1", 2, 2)

    def test_one_process_needs_no_coordinator(self):
        initialize_processes("", 1, 0)
        assert jax.process_count() == 1
