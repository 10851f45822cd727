import subprocess
import sys

import pytest

from onehead_avl.errors import Stopped, TrainingError
from onehead_avl.system import launched
from onehead_avl.system.launched import is_first, processes, silent


@pytest.mark.parametrize(("environment", "expected"), [({}, (True, 1)), ({"RANK": "0", "WORLD_SIZE": "3"}, (True, 3))])
def test_a_process_that_nobody_started_with_others_is_the_first_and_only_one(monkeypatch, environment, expected):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (is_first(), processes()) == expected


def test_others_are_not_the_first(monkeypatch):
    monkeypatch.setenv("RANK", "2")
    assert not is_first()


def test_a_silent_process_says_nothing_and_leaves_nothing(capsys):
    with silent() as folder:
        print("said")
        print("said", file=sys.stderr)
        (folder / "results.json").touch()
    assert capsys.readouterr() == ("", "")
    assert not folder.exists()


def test_what_fails_in_it_is_said_after_the_first_one_had_its_say(monkeypatch):
    waited = []
    monkeypatch.setattr(launched.time, "sleep", waited.append)
    with pytest.raises(TrainingError, match="no memory"), silent():
        raise TrainingError("no memory")
    assert waited == [5.0]


def test_that_it_was_stopped_is_not_said():
    with pytest.raises(SystemExit) as caught, silent():
        raise Stopped("stopped by SIGTERM", 143)
    assert caught.value.code == 143


def test_that_it_was_ended_is_not_said(monkeypatch):
    def ended(seconds):
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as caught, silent():
        raise KeyboardInterrupt
    assert caught.value.code == 143
    monkeypatch.setattr(launched.time, "sleep", ended)
    with pytest.raises(SystemExit) as caught, silent():
        raise TrainingError("as the first process says")
    assert caught.value.code == 143


def test_importing_it_is_cheap():
    program = "import sys, onehead_avl.system.launched; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
