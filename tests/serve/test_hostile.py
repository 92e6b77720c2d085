"""Hostile requests are answered with 4xx and change nothing."""

import gzip
import json
import struct

import nibabel as nib
import numpy as np
import pytest
from workbench_files import AFFINE, PORT, SHAPE, boxes, save_volume, tree

PATHS = (
    *("../secret", "..%2fsecret", "%2e%2e/secret", "/etc/passwd", "%2fetc%2fpasswd", "....//secret", "..\\secret"),
    *("a.nii.gz", "%00", "%0d%0aX: y", "a" * 5000, "\u0416", "<script>", "null", "-1", "{scan}", "*", "~", "$(id)"),
)


def nifti(values=None, affine=AFFINE):
    image = nib.Nifti1Image(boxes(17).astype(np.int32) if values is None else values, affine)
    image.set_sform(affine, 1)
    return bytearray(image.to_bytes())


def damaged():
    """NIfTI files that are none, or are no label map of the scan."""
    good = nifti()
    yield "empty", b""
    yield "text", b"hello"
    yield "html", b"<html>" + b" " * 400
    yield "header alone", bytes(good[:348])
    yield "cut", bytes(good[:-7])
    yield "gzip bomb", gzip.compress(bytes(2**24), 9)
    yield "cut gzip", gzip.compress(bytes(good))[:-40]
    yield "elsewhere", bytes(nifti(affine=AFFINE + np.outer([1, 0, 0, 0], [0, 0, 0, 9])))
    yield "other shape", bytes(nifti(np.ones((4, 4, 4), np.int32)))
    yield "4-D", bytes(nifti(np.ones((*SHAPE, 2), np.int32)))
    yield "negative", bytes(nifti(-boxes(17).astype(np.int32)))
    yield "empty map", bytes(nifti(np.zeros(SHAPE, np.int32)))
    yield "fractions", bytes(nifti(boxes(17) / 3.0))
    yield "NaN", bytes(nifti(np.full(SHAPE, np.nan)))
    yield "huge values", bytes(nifti(boxes(17) * 1e30))
    for name, place, form, value in (
        ("dims", 40, "<8h", (3, 32767, 32767, 32767, 1, 1, 1, 1)),
        ("negative dims", 40, "<8h", (3, -5, 12, 11, 1, 1, 1, 1)),
        ("no dims", 40, "<8h", (0, 0, 0, 0, 0, 0, 0, 0)),
        ("type", 70, "<h", (9999,)),
        ("rgb", 70, "<h", (128,)),
        ("offset", 108, "<f", (1e20,)),
        ("nan offset", 108, "<f", (float("nan"),)),
        ("magic", 344, "<4s", (b"evil",)),
        ("affine", 280, "<12f", (float("nan"),) * 12),
        ("flat affine", 280, "<12f", (0.0,) * 12),
        ("no orientation", 252, "<2h", (0, 0)),
    ):
        bad = bytearray(good)
        struct.pack_into(form, bad, place, *value)
        yield name, bytes(bad)


@pytest.fixture
def unchanged(folders):
    before = tree(folders.targets.parent)
    yield
    assert tree(folders.targets.parent) == before


def refused(answer):
    assert 400 <= answer.status_code < 500, (answer.request.method, str(answer.request.url)[:200], answer.status_code)
    if answer.headers.get("content-type") == "application/json":
        assert "\n" not in answer.json()["error"]
        assert "Traceback" not in answer.text


def scan_id(client):
    return client.get("/api/scans").json()["scans"][0]["id"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_paths_lead_nowhere(client, unchanged, method):
    for path in PATHS:
        for place in (f"/api/scans/{path}", f"/page/{path}", f"/api/jobs/{path}", f"/api/scans/{path}/labels"):
            refused(client.request(method, place))


def test_other_hosts_origins_and_tokens(client, unchanged):
    for host in ("evil.example", "127.0.0.1", f"127.0.0.1.evil.example:{PORT}", f"127.0.0.1:{PORT + 1}", "", "[::1]"):
        for path in ("/", "/api/scans", "/page/niivue.js"):
            refused(client.get(path, headers={"Host": host}))
    for origin in (
        "http://evil.example",
        "null",
        f"https://127.0.0.1:{PORT}",
        f"http://127.0.0.1:{PORT}.evil.example",
        "",
    ):
        refused(client.get("/api/scans", headers={"Origin": origin}))
        refused(client.post("/api/jobs", headers={"Origin": origin}, json={}))
    for given in (
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Basic right-token",
        "right-toke",
        "Bearer right-token2",
        "é",
    ):
        answer = client.get("/api/scans", headers={"Authorization": given.encode("latin-1")})
        assert answer.status_code == (200 if given == "right-token" else 401)


def test_websocket_is_refused(client):
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/api/scans"):
        pass


def test_large_bodies(client, unchanged):
    large = bytes(2**22 + 1)
    assert client.post("/api/scans", files={"files": ("a.nii", large)}).status_code == 413
    own = scan_id(client)
    assert client.post(f"/api/scans/{own}/example", files={"labels": ("a.nii", large)}).status_code == 413

    def unannounced():
        boundary = b"--x\r\nContent-Disposition: form-data; name=files; filename=a.nii\r\n\r\n"
        yield boundary
        for _ in range(6):
            yield bytes(2**20)

    form = {"Content-Type": "multipart/form-data; boundary=x"}
    assert client.post("/api/scans", content=unannounced(), headers=form).status_code == 413
    for length in ("-1", "1e9", "99999999999999999999999999", "abc"):
        refused(client.post("/api/scans", content=b"", headers={"Content-Length": length}))


def test_forms_that_are_none(client, unchanged):
    own = scan_id(client)
    for path in ("/api/scans", f"/api/scans/{own}/example"):
        for content, kind in (
            (b"{}", "application/json"),
            (b"x", "multipart/form-data"),
            (b"x", "multipart/form-data; boundary="),
            (b"--x\r\n\r\n", "multipart/form-data; boundary=x"),
            (b"--x", "multipart/form-data; boundary=x"),
            (b"files=1", "application/x-www-form-urlencoded"),
            (b"", "text/plain"),
        ):
            refused(client.post(path, content=content, headers={"Content-Type": kind}))
        refused(client.post(path, files={"wrong": ("a.nii", b"x")}))
        refused(client.post(path, data={"files": "text", "labels": "text"}))


@pytest.mark.parametrize("name", [name for name, _ in damaged()])
def test_damaged_labels_and_scans(client, unchanged, name):
    content = dict(damaged())[name]
    ending = ".nii.gz" if content[:2] == b"\x1f\x8b" else ".nii"
    refused(client.post(f"/api/scans/{scan_id(client)}/example", files={"labels": (f"l{ending}", content)}))
    if name not in ("elsewhere", "other shape", "negative", "fractions", "huge values"):  # these are scans
        refused(client.post("/api/scans", files={"files": (f"s{ending}", content)}))


@pytest.mark.parametrize(
    "name", ["a.exe", "", "..", "a", "a.nii.gz.html", "a.dcm", "T1_seg.nii", "x.pkl", ".nii", "a\0.nii.exe", "/"]
)
def test_names_that_are_none(client, unchanged, name):
    refused(client.post("/api/scans", files={"files": (name, b"cos\nsystem\n(S'true'\ntR.")}))


def test_stored_name_stays_in_the_folder(client, folders, tmp_path):
    content = save_volume(tmp_path / "s.nii.gz", boxes(900) + 3).read_bytes()
    for name in ("../../out.nii.gz", "/tmp/out.nii.gz", "..\\out.nii.gz", "x" * 400 + ".nii.gz"):
        answer = client.post("/api/scans", files={"files": (name, content)})
        assert answer.status_code == 201, answer.text
    stored = sorted(path.name for path in folders.targets.iterdir())
    assert stored == ["a.nii.gz", "b.nii.gz", "out.nii.gz", "x" * 100 + ".nii.gz"]
    assert not (tmp_path / "out.nii.gz").exists()


@pytest.mark.parametrize(
    "wanted",
    [
        {}, [], None, 3, "x", {"scan": 1, "task": "segmentation"}, {"scan": "x", "task": "segmentation"},
        {"scan": "ID", "task": "rm -rf"}, {"scan": "ID", "task": "segmentation", "examples": ["../x"]},
        {"scan": "ID", "task": "segmentation", "examples": []}, {"scan": "ID", "task": "segmentation", "labels": [99]},
        {"scan": "ID", "task": "segmentation", "labels": [-1]},
        {"scan": "ID", "task": "segmentation", "labels": [1e99]},
        {"scan": "ID", "task": "segmentation", "labels": ["--out"]},
        {"scan": "ID", "task": ["segmentation"]}, {"scan": "ID" * 1000, "task": "segmentation"},
        {"scan": "ID", "task": "segmentation", "examples": "all"}, {"scan": None, "task": None},
    ],
)  # fmt: skip
def test_predictions_that_cannot_be_made(client, unchanged, jobs, wanted):
    text = json.dumps(wanted).replace('"ID"', json.dumps(scan_id(client)))
    refused(client.post("/api/jobs", content=text, headers={"Content-Type": "application/json"}))
    assert jobs.all() == []


@pytest.mark.parametrize(
    "structures",
    [
        *("x", "{}", "[1]", '[{"value": 0}]', '[{"value": -1}]', '[{"value": 1e99}]', '[{"name": "a"}]', "[" * 10_000),
        *(json.dumps([{"value": 1, "name": "n" * 101}]), json.dumps([{"value": "../x", "name": None}])),
    ],
)
def test_structures_that_are_none(client, unchanged, structures):
    refused(
        client.post(
            f"/api/scans/{scan_id(client)}/example",
            files={"labels": ("l.nii", bytes(nifti()))},
            data={"structures": structures},
        )
    )


def test_names_are_stored_as_text(client, folders):
    """Of a formula, of HTML, and of a line break nothing is left that a program would run."""
    names = ["=1+1", "<img src=x onerror=alert(1)>", "two\nlines\t3"]
    structures = [{"value": value, "name": name} for value, name in zip((17, 60, 61), names, strict=True)]
    answer = client.post(
        f"/api/scans/{scan_id(client)}/example",
        files={"labels": ("l.nii", bytes(nifti()))},
        data={"structures": json.dumps(structures)},
    )
    assert answer.status_code == 201
    lines = (folders.context / "labels.tsv").read_text().splitlines()
    assert "17\t'=1+1" in lines
    assert len(lines) == 5
