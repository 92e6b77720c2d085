"""One run at a time, as long as its process lives."""

import errno
import fcntl
import subprocess
import sys
import threading

import pytest

from neuralizer_jax.errors import InputError, OutputError
from neuralizer_jax.files.folder_lock import locked


def test_one_at_a_time(tmp_path):
    with locked(tmp_path / "lock"):
        for shared in (False, True):
            with pytest.raises(InputError, match="another run is using it"), locked(tmp_path / "lock", shared=shared):
                pass
    with locked(tmp_path / "lock") as held:
        assert held


def test_shared(tmp_path):
    with locked(tmp_path / "lock", shared=True), locked(tmp_path / "lock", shared=True) as held:
        assert held
        with pytest.raises(InputError, match="another run is using it"), locked(tmp_path / "lock"):
            pass


def test_waits(tmp_path):
    order = []

    def second():
        with locked(tmp_path / "lock", wait=True):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked(tmp_path / "lock"):
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_ends_with_its_process(tmp_path):
    code = "import sys, fcntl; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    other.stdout.readline()
    with pytest.raises(InputError, match="another run is using it"), locked(tmp_path / "lock"):
        pass
    other.kill()
    other.communicate()
    with locked(tmp_path / "lock") as held:
        assert held


def test_a_disk_without_locks(tmp_path, monkeypatch, capsys):
    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with locked(tmp_path / "lock") as held:
        assert not held
    note = capsys.readouterr().err
    assert note.startswith("neuralizer: note: ")
    assert "cannot be locked (No locks available)" in note
    assert note.count("\n") == 1


def test_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"), locked(tmp_path / "file/lock"):
        pass
