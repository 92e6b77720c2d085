"""`neuralizer serve` starts, answers those who know the token, and ends; what it cannot do is one line."""

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from neuralizer_jax.cli.main import main


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--context", "missing"], "--context: missing does not exist"),
        (["--targets", "file"], "--targets: file is no folder"),
        (["--port", "70000"], "--port: is 70000"),
        (["--weights", "missing.safetensors"], "missing.safetensors"),
    ],
)
def test_wrong_options(tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert main(["serve", "--no-browser", *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_starts_and_ends(tmp_path):
    command = [sys.executable, "-m", "neuralizer_jax", "serve", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        try:
            lines = iter(process.stdout.readline, "")
            address = next(
                found for line in lines if (found := re.search(r"(http://127\.0\.0\.1:\d+)/#token=(\S+)", line))
            )
            url, token = address[1], address[2]
            request = urllib.request.Request(f"{url}/api/scans", headers={"Authorization": f"Bearer {token}"})
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert json.load(answer)["scans"] == []
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(f"{url}/api/scans", timeout=30)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) in (0, 130)
        finally:
            process.kill()
    assert list(tmp_path.iterdir()) == []  # nothing is made before something is stored
