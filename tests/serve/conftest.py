"""A workbench with made-up scans, and a test client that has its token."""

import pytest
from starlette.testclient import TestClient
from workbench_files import PORT, TOKEN, WORKER, boxes, picture, save_volume

from neuralizer_jax.serve.app import make_app
from neuralizer_jax.serve.folders import Folders
from neuralizer_jax.serve.jobs import Jobs
from neuralizer_jax.serve.workbench import Workbench


@pytest.fixture
def folders(tmp_path):
    """Two scans, and two examples with the labels 17 and 53."""
    for name in ("a", "b"):
        save_volume(tmp_path / f"files/scans/{name}.nii.gz", picture(ord(name)))
    for number in (1, 2):
        save_volume(tmp_path / f"files/examples/images/e{number}.nii.gz", picture(number))
        save_volume(tmp_path / f"files/examples/labels/e{number}.nii.gz", boxes(17, 53))
    (tmp_path / "files/examples/labels.tsv").write_text("index\tname\n17\tleft thing\n53\tright thing\n")
    return Folders(*(tmp_path / "files" / name for name in ("scans", "examples", "predictions")))


@pytest.fixture
def jobs():
    queue = Jobs(WORKER)
    yield queue
    queue.close()


@pytest.fixture
def bench(folders, jobs, tmp_path):
    (tmp_path / "scratch").mkdir()
    return Workbench(folders, jobs, tmp_path / "scratch")


@pytest.fixture
def client(bench):
    app = make_app(bench, token=TOKEN, port=PORT, max_body=2**22)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with TestClient(app, f"http://127.0.0.1:{PORT}", raise_server_exceptions=False, headers=headers) as client:
        yield client
