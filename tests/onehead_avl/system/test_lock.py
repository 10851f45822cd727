import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from onehead_avl.errors import OutputError
from onehead_avl.system.lock import exclusive, wait_until_free

HOLDER = """
import sys, time
from pathlib import Path
from onehead_avl.system.lock import exclusive, wait_until_free
with exclusive(Path(sys.argv[1]), Path(sys.argv[1]) / "work", "being written", "--output"):
    print("held", flush=True)
    time.sleep(60)
"""


def held(folder):
    return exclusive(folder, folder / "work", "being written", "--output")


@pytest.fixture
def other(tmp_path):
    """Another process that holds the folder."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_folder_is_held_and_let_go(tmp_path):
    for _ in range(2):
        with held(tmp_path):
            assert (tmp_path / "work" / "holder").read_text().startswith(f"process {os.getpid()} on ")
        assert list(tmp_path.iterdir()) == []


def test_what_is_not_finished_is_left(tmp_path):
    with held(tmp_path):
        (tmp_path / "work" / "part").touch()
    assert [entry.name for entry in (tmp_path / "work").iterdir()] == ["part"]


def test_an_error_lets_go(tmp_path):
    with pytest.raises(ZeroDivisionError), held(tmp_path):
        1 / 0  # noqa: B018
    with held(tmp_path):
        pass


def test_the_second_process_says_who_is_there(tmp_path, other):
    with pytest.raises(OutputError) as caught, held(tmp_path):
        pass
    assert str(caught.value) == (
        f"{tmp_path} is being written by process {other.pid} on {os.uname().nodename}; "
        "wait until it has ended or choose another --output"
    )
    assert other.poll() is None


def test_a_dead_process_keeps_nobody_out(tmp_path, other):
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert (tmp_path / "work" / "lock").exists()
    with held(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_end_of_another_process_is_waited_for(tmp_path):
    with held(tmp_path):
        assert not wait_until_free(tmp_path / "work", 0.1)
    assert wait_until_free(tmp_path / "work", 0.1)


def test_a_folder_that_is_removed_meanwhile_is_free(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.setattr("onehead_avl.system.lock.FileLock", lambda path: FileLock(tmp_path / "gone" / "lock"))
    assert wait_until_free(tmp_path / "work", 0.1)
