"""Makes batches ahead of the training in threads: the same batches as `tf_data`, without TensorFlow."""

import os
from collections import deque
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

from input_pipeline.episodes.batches import Arrays, EpisodeStream
from input_pipeline.episodes.mixed_sizes import MixedSizes


def episode_iterator(
    stream: EpisodeStream | MixedSizes, start: int = 0, *, threads: int | None = None
) -> Generator[Arrays, None, None]:
    """Yields the batches from step `start` on, in order. They do not depend on the number of threads.

    Args:
        stream: makes the batches.
        start: the first step.
        threads: number of threads; None: one a core, up to 8. They work `threads` + 2 batches ahead.
    """
    threads = threads or min(8, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(threads)
    try:
        waiting = deque(pool.submit(stream.batch, step) for step in range(start, start + threads + 2))
        step = start + len(waiting)
        while True:
            batch = waiting.popleft().result()
            waiting.append(pool.submit(stream.batch, step))
            step += 1
            yield batch
    finally:
        pool.shutdown(cancel_futures=True)
