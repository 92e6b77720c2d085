"""Rows of a long measurement, kept in a file as they are computed: a run that was stopped goes on.

A row has the case it is of, and a hash of the code and the weights that computed it. Rows of other code are not used.
"""

import hashlib
import json
import multiprocessing
import os
import resource
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from pathlib import Path

import jax
import numpy as np

from neuralizer_jax import load_weights, use_compilation_cache

ROOT = Path(__file__).resolve().parent.parent
# A prediction depends on these files. The expected Dice is computed from the rows.
CODE = ("neuralizer_jax/*.py", "neuralizer_jax/inference/*.py", "neuralizer_jax/volumes/*.py", "input_pipeline/align/*")
NO_CODE = ("trust.py", "trust_coefficients.py", "volume_prediction.py")


@cache
def network(weights):
    """Model and parameters; loaded once in a process."""
    use_compilation_cache()
    return load_weights(weights)


def rows_of(cases, measure, path, processes=1, only_kept=False):
    """The rows of cases as they are there: those kept in a file, then new ones, each kept at once.

    Args:
        cases: dictionaries; each has the name or path of its `weights`.
        measure: function of a module, from a case to what it found, a dictionary.
        path: the file, a row a line.
        processes: that compute, each on a core of its own; 1: this one, on all cores.
        only_kept: nothing is computed.

    Yields:
        Rows: a case with what was found, `code`, and `memory_gib`, the largest memory of the process so far.
    """
    before, missing = kept_rows(path), []
    for case in cases:
        wanted = case | {"code": of_code(case["weights"])}
        row = next((row for row in before if wanted.items() <= row.items()), None)
        if row:
            yield row
        else:
            missing.append(wanted)
    if only_kept:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    for row in _measured(missing, measure, processes):
        with path.open("a") as file:
            file.write("\n" * _torn(path) + json.dumps(row) + "\n")
        yield row


def add_options(parser):
    """The options that all of these measurements have."""
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps the rows")
    parser.add_argument("--weights", default="small")
    parser.add_argument("--processes", type=int, default=1, help="each on a core of its own; default: 1, on all cores")
    parser.add_argument("--only-kept", action="store_true", help="report what is there, compute nothing")


def kept_rows(path):
    """All rows of a file; a line that was not written whole is left out."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


@cache
def of_code(weights):
    """The hash of what computes rows."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(network(weights)[1]):
        digest.update(np.asarray(leaf).tobytes())
    for path in sorted(path for pattern in CODE for path in ROOT.glob(pattern)):
        if path.suffix == ".py" and path.name not in NO_CODE:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _measured(cases, measure, processes):
    if processes == 1 or len(cases) < 2:
        for case in cases:
            yield _row(measure, case)
        return
    context = multiprocessing.get_context("spawn")
    available, cores = sorted(os.sched_getaffinity(0)), context.Queue()
    for index in range(processes):
        cores.put(available[index % len(available)])
    with ProcessPoolExecutor(processes, context, _on_one_core, (cores,)) as pool:
        for done in as_completed([pool.submit(_row, measure, case) for case in cases]):
            yield done.result()


def _on_one_core(cores):
    os.sched_setaffinity(0, {cores.get()})


def _row(measure, case):
    found = measure(case)
    return case | found | {"memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def _torn(path):
    """Whether the last line was not written whole."""
    return path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
