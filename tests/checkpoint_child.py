"""Saves checkpoints in a loop and is killed, again and again: `python checkpoint_child.py FOLDER ROUNDS`.

Each round is a process of its own, killed (SIGKILL) while it saves. It first restores what the one before left, and
says on stdout what it found, which outlives it: "restored STEP" and, for each checkpoint that is whole, "saved STEP".
The parent adds "torn" where the kill hit the middle of a save.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

from neuralizer_jax.training.checkpoints import Checkpoints


def state_of(step):
    rng = np.random.default_rng(step)
    return {"params": {str(n): rng.random((4, 4)) for n in range(20)}, "step": np.int32(step)}


def say(line):
    os.write(1, f"{line}\n".encode())


def save_until_killed(folder):
    with Checkpoints(folder, keep=2) as checkpoints:
        restored = checkpoints.restore(state_of(0))
        step = restored.step if restored else 0
        if restored:
            expected = state_of(step)
            assert restored.state["step"] == step == restored.meta["steps"]
            for name, value in restored.state["params"].items():
                np.testing.assert_array_equal(value, expected["params"][name], strict=True)
        say(f"restored {step}")
        while True:
            step += 1
            checkpoints.save(step, state_of(step), {"steps": step}, validation_loss=abs(step % 7 - 3))
            checkpoints.wait()
            say(f"saved {step}")


def being_written(folder):
    return any(path.name.endswith("-tmp") for path in folder.iterdir())


def newest(folder):
    return max((int(path.name) for path in folder.iterdir() if path.name.isdigit()), default=0)


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        pass


def main(folder, rounds):
    # Forks have imported everything: many kills take little time. This process itself starts no thread.
    delays = random.Random(0)
    for number in range(rounds):
        before = newest(folder)
        child = os.fork()
        if child == 0:
            try:
                save_until_killed(folder)
            finally:
                os._exit(1)  # only by an error, which is on stderr
        wait_until(lambda: not being_written(folder))  # what the round before left is tidied up
        wait_until(lambda: being_written(folder))
        if number % 2:
            wait_until(lambda before=before: newest(folder) > before)
        # A save takes some 50 ms: the kill hits writing, renaming, removing an older one, or the time after.
        time.sleep(delays.uniform(0, 0.05))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            say("failed")
        if being_written(folder):
            say("torn")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
