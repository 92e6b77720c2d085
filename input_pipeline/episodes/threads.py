"""Batches one after another, made ahead in threads: what `stream` does, without TensorFlow."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from input_pipeline.episodes.batches import Arrays, EpisodeStream


def episode_iterator(stream: EpisodeStream, start: int = 0, *, threads: int | None = None) -> Iterator[Arrays]:
    """The batches from step `start` on, in order: the same whatever the number of threads.

    Args:
        stream: makes the batches.
        start: the first step.
        threads: that make them; None: one a core, up to 8. Two more batches than that are made in advance.
    """
    threads = threads or min(8, os.cpu_count() or 1)
    ahead = threads + 2
    make = stream.episodes if stream.config.apply == "host" else stream.gathered
    pool = ThreadPoolExecutor(threads)
    try:
        waiting = deque(pool.submit(make, start + step) for step in range(ahead))
        step = start + ahead
        while True:
            batch = waiting.popleft().result()
            waiting.append(pool.submit(make, step))
            step += 1
            yield batch
    finally:
        pool.shutdown(cancel_futures=True)
