"""Calls for examples: which there are with which structures, and a corrected scan that becomes one."""

import shutil
import tempfile
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from neuralizer_jax.files.endings import volume_ending
from neuralizer_jax.serve.examples import names_of, save_example, structures_of, values_of
from neuralizer_jax.serve.folders import ScanFile
from neuralizer_jax.serve.forms import file_form, read_form
from neuralizer_jax.serve.views import labels_from
from neuralizer_jax.serve.workbench import Workbench


class LookedFor(BaseModel):
    """A label that an example was annotated for, whether it occurs or not."""

    value: int = Field(ge=1, le=2**31 - 1)
    name: str = Field("", max_length=100)


_STRUCTURES = TypeAdapter(list[LookedFor])


def router(bench: Workbench) -> APIRouter:
    """The calls."""
    calls = APIRouter(tags=["examples"])

    @calls.get("/examples")
    def examples() -> dict:
        """The examples: id, name and labels of each, all their structures, and what was passed over."""
        found = bench.files()[0]
        values = {name: values_of(pair.output) for name, pair in found.pairs.items()}
        every = {value for own in values.values() for value in own or ()}
        names = names_of(bench.folders.context, found)
        return {
            "folder": str(bench.folders.context.absolute()),
            "volumes": found.volumes,
            "images": any(own is None for own in values.values()),
            "examples": [
                {"id": name, "name": pair.image.relative_to(bench.folders.context).as_posix(), "labels": values[name]}
                for name, pair in found.pairs.items()
            ],
            "structures": [vars(x) for x in structures_of(sorted(every), names)],
            "notes": list(found.notes),
        }

    @calls.post(
        "/scans/{scan}/example",
        status_code=201,
        openapi_extra=file_form(
            labels="file: a label map on the voxels of the scan, NIfTI or MGH",
            structures='the labels that were looked for, as JSON: [{"value": 17, "name": "Left-Hippocampus"}]; '
            "default: those that occur, or that the example was annotated for before",
        ),
    )
    async def save(scan: str, request: Request) -> dict:
        """Stores a scan with its labels as an example. Labels that it had before are kept in `.replaced`."""
        own = await run_in_threadpool(bench.scan, scan)
        async with read_form(request) as form:
            labels, structures = form.get("labels"), form.get("structures", "[]")
            if not isinstance(labels, UploadFile) or isinstance(structures, UploadFile):
                raise HTTPException(400, "expected a file in the field `labels`, and a text in `structures`")
            try:
                looked_for = _STRUCTURES.validate_json(structures)
            except ValidationError as error:
                raise HTTPException(422, f"structures: {error.errors()[0]['msg']}") from None
            return await run_in_threadpool(_save, bench, own, labels, looked_for)

    return calls


def _save(bench: Workbench, scan: ScanFile, labels: UploadFile, structures: list[LookedFor]) -> dict:
    ending = volume_ending(Path(labels.filename or "")) or ".nii"
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / f"labels{ending}"
        with path.open("wb") as stream:
            shutil.copyfileobj(labels.file, stream)
        try:
            drawn = labels_from(path, scan)
        except ValueError as error:
            raise HTTPException(400, str(error).replace(str(path), "labels")) from None
    with bench.lock:
        pair, notes = save_example(bench.folders, scan, drawn, {x.value: x.name for x in structures})
    return {"image": str(pair.image.absolute()), "labels": str(pair.output.absolute()), "notes": notes}
