"""Calls for predictions: which tasks there are, to ask for one, to watch and to cancel it."""

from dataclasses import asdict

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from input_pipeline.space.structure_names import FREESURFER_CLASSES
from neuralizer_jax.serve.examples import structures_of
from neuralizer_jax.serve.jobs import Job
from neuralizer_jax.serve.predictions import TASKS, arguments, check_task
from neuralizer_jax.serve.workbench import Workbench
from neuralizer_jax.volumes.built_in_labels import LABELS, MORE_LABELS


class Wanted(BaseModel):
    """A prediction to make."""

    scan: str = Field(description="id of the scan", max_length=64)
    task: str = Field(description=f"one of {', '.join(TASKS)}", max_length=64)
    examples: list[str] | None = Field(None, description="ids of examples; null: all", max_length=10_000)
    labels: list[int] = Field([], description="labels to segment; none: all", max_length=1000)


def router(bench: Workbench) -> APIRouter:
    """The calls."""
    calls = APIRouter(tags=["predictions"])

    @calls.get("/tasks")
    def tasks() -> list[dict]:
        """The tasks: name, title, whether the result is labels, whether it needs your own examples, its structures.

        Those with `usual` are segmented if no labels are asked for. Of your own examples, `/api/examples` has them.
        """
        built_in = [
            vars(x) | {"usual": x.value in LABELS} for x in structures_of([*LABELS, *MORE_LABELS], FREESURFER_CLASSES)
        ]
        return [
            {"task": name, "title": its.title, "labels": its.labels, "own_examples": its.own}
            | {"structures": built_in if name == "built-in" else []}
            for name, its in TASKS.items()
        ]

    @calls.post("/jobs", status_code=201)
    def predict(wanted: Wanted) -> dict:
        """Asks for a prediction. It is made when those before it have ended."""
        scan = bench.scan(wanted.scan)
        examples = bench.files()[0]
        chosen = tuple(examples.pairs) if wanted.examples is None else tuple(wanted.examples)
        check_task(scan, wanted.task, examples, chosen, wanted.labels)

        def now() -> list[str]:
            """The arguments when its turn has come, with the examples that are there then."""
            there = bench.files()[0]
            used = tuple(there.pairs) if wanted.examples is None else tuple(x for x in chosen if x in there.pairs)
            own = bench.scan(wanted.scan)
            with bench.lock:
                return arguments(
                    bench.folders,
                    own,
                    wanted.task,
                    there,
                    used,
                    wanted.labels,
                    scratch=bench.scratch,
                    weights=bench.weights,
                )

        return asdict(bench.jobs.add(scan.id, wanted.task, now))

    @calls.get("/jobs")
    def jobs() -> list[dict]:
        """All predictions that were asked for, the first one first."""
        return [asdict(job) for job in bench.jobs.all()]

    @calls.get("/jobs/{number}")
    def job(number: int) -> dict:
        """A prediction: its state (waiting, running, done, failed, cancelled), progress and notes."""
        return asdict(_job(number))

    @calls.delete("/jobs/{number}")
    def cancel(number: int) -> dict:
        """Cancels a prediction. A result that was there before stays."""
        own = _job(number)
        bench.jobs.cancel(own)
        return asdict(own)

    def _job(number: int) -> Job:
        found = bench.jobs.get(number)
        if found is None:
            raise HTTPException(404, f"{number}: is no prediction, expected an id from /api/jobs")
        return found

    return calls
