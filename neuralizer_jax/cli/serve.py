"""`neuralizer serve`: the workbench, a local page to predict scans, correct the results and go on."""

import argparse
import os
import secrets
import socket
import sys
import tempfile
import threading
import webbrowser
from pathlib import Path

from neuralizer_jax.errors import InputError, one_line

_HOST = "127.0.0.1"
_PORT = 8765

_DESCRIPTION = """\
Opens a page in the browser: drop a scan, predict it, correct the labels with a
brush, save them as an example, go on with the next scan. Scans are NIfTI,
DICOM or PNG files. It works offline. Only this machine can reach the page, and
only with the address that is printed: it holds a random token.

Corrections are stored in the folder of examples as `neuralizer predict
--context` reads it. Labels that are replaced are kept there in `.replaced`.
End the command with Ctrl+C.
"""

_EPILOG = """examples:
  neuralizer serve
  neuralizer serve --context annotated/ --targets new/
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "serve",
        help="open the workbench: predict scans in the browser, correct them, go on",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--context",
        metavar="DIR",
        type=Path,
        default=Path("examples"),
        help="folder of annotated scans, in any layout of `neuralizer predict --context`; corrections are stored in it "
        "(default: examples)",
    )
    parser.add_argument(
        "--targets",
        metavar="DIR",
        type=Path,
        default=Path("scans"),
        help="folder of scans to annotate; dropped scans are stored in it (default: scans)",
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("predictions"), help="folder of results (default: predictions)"
    )
    parser.add_argument("--weights", metavar="FILE", help="weights file, or the name of weights in the package")
    parser.add_argument("--port", metavar="N", type=int, help=f"of the page (default: {_PORT}, or a free one)")
    parser.add_argument("--no-browser", action="store_true", help="print the address only")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Runs the command until it is interrupted. Raises InputError if it cannot start."""
    try:
        import uvicorn

        from neuralizer_jax.serve.app import make_app
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is not installed, expected pip install 'neuralizer-jax[serve]'") from None
    from neuralizer_jax.cli.predict_checks import weights_to_use
    from neuralizer_jax.serve.folders import Folders
    from neuralizer_jax.serve.jobs import Jobs
    from neuralizer_jax.serve.workbench import Workbench

    _check_folders(options)
    weights = weights_to_use(options.weights)
    if not weights.exists():
        raise InputError(f"--weights: {one_line(weights)} does not exist")
    listening = _listen(options.port)
    port, token = listening.getsockname()[1], secrets.token_urlsafe(24)
    jobs = Jobs()
    address = f"http://{_HOST}:{port}/#token={token}"
    with listening, tempfile.TemporaryDirectory(prefix="neuralizer-serve-") as scratch:
        folders = Folders(options.targets, options.context, options.out)
        app = make_app(Workbench(folders, jobs, Path(scratch), options.weights), token=token, port=port)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=2))
        for what, folder in (("scans", options.targets), ("examples", options.context), ("results", options.out)):
            print(f"{what}: {one_line(folder.absolute())}")
        print(f"The workbench: {address}\nEnd it with Ctrl+C.", flush=True)
        jobs.start()
        if not options.no_browser:
            threading.Timer(0.5, webbrowser.open, [address]).start()
        try:
            server.run(sockets=[listening])
        finally:
            jobs.close()


def _check_folders(options: argparse.Namespace) -> None:
    """Raises InputError for a folder that was given and is missing, or cannot be written."""
    for name, default in (("context", "examples"), ("targets", "scans"), ("out", "predictions")):
        folder: Path = getattr(options, name)
        if folder.exists() and not folder.is_dir():
            raise InputError(f"--{name}: {one_line(folder)} is no folder")
        if name != "out" and not folder.exists() and folder != Path(default):
            raise InputError(f"--{name}: {one_line(folder)} does not exist, expected a folder")
        existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        if not os.access(existing, os.W_OK | os.X_OK):
            print(
                f"neuralizer: note: {one_line(existing)} cannot be written, so nothing is stored in it", file=sys.stderr
            )


def _listen(port: int | None) -> socket.socket:
    """A socket on this machine alone, at the port or, if none is asked for, at a free one."""
    if port is not None and not 0 <= port < 2**16:
        raise InputError(f"--port: is {port}, expected 0 to {2**16 - 1}")
    for number in (_PORT, 0) if port is None else (port,):
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((_HOST, number))
            listening.listen()  # who opens the address at once waits for the server, and is not refused
            return listening
        except OSError as error:
            listening.close()
            reason = error.strerror or str(error)
    raise InputError(f"--port: {port} cannot be used ({reason}), expected a free port")
