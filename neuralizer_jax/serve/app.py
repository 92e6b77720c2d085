"""The workbench as an ASGI app: the page, the HTTP calls, and how mistakes are answered.

`/api/openapi.json` describes the calls. Every mistake is answered by `{"error": "one line"}` and a status from 400 on.
"""

from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from starlette.exceptions import HTTPException

from neuralizer_jax.errors import InputError, OutputError, one_line
from neuralizer_jax.serve import example_calls, job_calls, scan_calls
from neuralizer_jax.serve.security import MAX_BODY, Guard
from neuralizer_jax.serve.workbench import Workbench

_PAGE = Path(__file__).parent / "page"
_NIIVUE = Path(__file__).parents[1] / "niivue/niivue.js"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def make_app(bench: Workbench, *, token: str, port: int, max_body: int = MAX_BODY) -> Guard:
    """The workbench as an app.

    Args:
        bench: folders and queue.
        token: what every call below `/api/` sends, as `Authorization: Bearer TOKEN`.
        port: at which it is reached, on 127.0.0.1.
        max_body: a request has at most so many bytes.
    """
    app = FastAPI(
        title="neuralizer workbench",
        version=version("neuralizer-jax"),
        description="Predict, correct, go on. Scans and labels are NIfTI files.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
    )
    _add_errors(app)
    _add_page(app)
    for calls in (scan_calls, example_calls, job_calls):
        app.include_router(calls.router(bench), prefix="/api")
    return Guard(app, token=token, port=port, max_body=max_body)


def _add_page(app: FastAPI) -> None:
    files = {path.name: path for path in [*_PAGE.iterdir(), _NIIVUE]}

    @app.get("/", include_in_schema=False)
    def index() -> FileResponse:
        return FileResponse(files["index.html"], media_type="text/html")

    @app.get("/page/{name}", include_in_schema=False)
    def asset(name: str) -> FileResponse:
        if name not in files:
            raise HTTPException(404, "no such file")
        return FileResponse(files[name], media_type=_TYPES[files[name].suffix])


def _add_errors(app: FastAPI) -> None:
    def answer(status: int, text: object) -> JSONResponse:
        return JSONResponse({"error": one_line(text)}, status)

    @app.exception_handler(InputError)
    def wrong_input(request: Request, error: InputError) -> JSONResponse:
        return answer(507 if isinstance(error, OutputError) else 400, error)

    @app.exception_handler(OSError)
    def wrong_file(request: Request, error: OSError) -> JSONResponse:
        return answer(507, f"{error.filename or 'the disk'}: {error.strerror or error}")

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> JSONResponse:
        return answer(error.status_code, error.detail)

    @app.exception_handler(RequestValidationError)
    def not_as_described(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return answer(422, f"{'.'.join(map(str, first['loc'][1:])) or 'request'}: {first['msg']}")
