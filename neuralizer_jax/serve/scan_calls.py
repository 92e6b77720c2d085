"""Calls for scans: which there are, a new one, what one of them looks like, its labels and results."""

from typing import Literal

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from neuralizer_jax.errors import InputError
from neuralizer_jax.files.image_files import image_suffix
from neuralizer_jax.serve.examples import annotated_labels, names_of, structures_of, values_of
from neuralizer_jax.serve.folders import ScanFile
from neuralizer_jax.serve.forms import file_form, read_form
from neuralizer_jax.serve.predictions import TASKS, found_structures, latest, result_names
from neuralizer_jax.serve.uploads import store, store_dicom
from neuralizer_jax.serve.views import grid_of, shown_labels, shown_scan
from neuralizer_jax.serve.workbench import Workbench

Source = Literal["example", "prediction"]

_NIFTI: dict = {200: {"content": {"application/octet-stream": {}}, "description": "a NIfTI file in RAS order"}}


def router(bench: Workbench) -> APIRouter:
    """The calls."""
    calls = APIRouter(tags=["scans"])

    @calls.get("/scans")
    def scans() -> dict:
        """The scans: id, name, and whether it is an example (`saved`), was predicted, or neither (`new`)."""
        found = bench.files()[1].values()
        return {
            "folder": str(bench.folders.targets.absolute()),
            "scans": [{"id": scan.id, "name": scan.place, "state": _state(scan)} for scan in found],
        }

    @calls.post("/scans", status_code=201, openapi_extra=file_form(files="file: a scan, or those of a DICOM folder"))
    async def add_scan(request: Request) -> dict:
        """Stores a scan (NIfTI, MGH, PNG, TIFF, NumPy) or the series of a DICOM folder; answers with the ids."""
        async with read_form(request) as form:
            files = [file for file in form.getlist("files") if isinstance(file, UploadFile)]
            if not files:
                raise HTTPException(400, "no files, expected at least one in the field `files`")
            return await run_in_threadpool(_store, bench, files)

    @calls.get("/scans/{scan}")
    def scan(scan: str) -> dict:
        """A scan: its size, what labels and images there are for it."""
        own = bench.scan(scan)
        grid = grid_of(own)
        labels = latest(own, labels=True)
        image = latest(own, labels=False)
        return {
            "id": own.id,
            "name": own.place,
            "state": _state(own),
            "volume": own.is_volume,
            "shape": grid.shape,
            "labels": (["example"] if _has_labels(own) else []) + (["prediction"] if labels else []),
            "image": image and {"task": image[0], "title": TASKS[image[0]].title, "path": str(image[1].absolute())},
        }

    @calls.get("/scans/{scan}/image", response_class=Response, responses=_NIFTI)
    def image(scan: str, result: bool = False) -> Response:
        """The scan in 8 bits; with `result=true` the latest image that was predicted from it."""
        own = bench.scan(scan)
        predicted = latest(own, labels=False) if result else None
        if result and predicted is None:
            raise HTTPException(404, f"{own.place}: no image was predicted")
        return _nifti(shown_scan(own, predicted[1] if predicted else None))

    @calls.get("/scans/{scan}/labels", response_class=Response, responses=_NIFTI)
    def labels(scan: str, source: Source) -> Response:
        """The labels of the example, or those that were predicted."""
        own = bench.scan(scan)
        return _nifti(shown_labels(own, _labels(own, source)[1]))

    @calls.get("/scans/{scan}/structures")
    def structures(scan: str, source: Source) -> list[dict]:
        """The structures of these labels: value, name, colour; of a prediction voxels, mm3 and confidence."""
        own = bench.scan(scan)
        task, path = _labels(own, source)
        examples = bench.files()[0]
        names = names_of(bench.folders.context, examples)
        values = set(values_of(path) or ())
        found = {}
        if source == "prediction":
            names |= result_names(task, path)
            found = {x.value: x for x in found_structures(path)}
            values |= set(found)
        elif own.pair and own.is_volume:
            values |= annotated_labels(bench.folders.context, [*examples.pairs.values()], names)[own.pair.image]
        return [vars(x) | (vars(found[x.value]) if x.value in found else {}) for x in structures_of(values, names)]

    return calls


def _state(scan: ScanFile) -> str:
    if scan.pair:
        return "saved"
    return "predicted" if latest(scan, labels=True) or latest(scan, labels=False) else "new"


def _has_labels(scan: ScanFile) -> bool:
    return scan.pair is not None and values_of(scan.pair.output) is not None


def _labels(scan: ScanFile, source: Source) -> tuple:
    """Task and file of labels."""
    if source == "example" and scan.pair and _has_labels(scan):
        return "", scan.pair.output
    if source == "prediction" and (found := latest(scan, labels=True)):
        return found
    raise HTTPException(404, f"{scan.place}: there are no labels of this source")


def _nifti(content: bytes) -> Response:
    return Response(content, media_type="application/octet-stream")


def _store(bench: Workbench, files: list[UploadFile]) -> dict:
    folder = bench.folders.targets
    with bench.lock:
        if len(files) == 1 and image_suffix(files[0].filename or ""):
            stored = [store(files[0].filename or "", files[0].file, folder)]
        else:
            stored = store_dicom([(file.filename or "", file.file) for file in files], folder)
    paths = {path.resolve() for path in stored}
    ids = [scan.id for scan in bench.files()[1].values() if scan.path.resolve() in paths]
    if not ids:
        raise InputError(f"{stored[0].name}: is an example, or lies in the folder of examples")
    return {"scans": ids}
