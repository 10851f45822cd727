import signal
import subprocess
import sys

import pytest

MODULE = """
import signal, sys, time
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(__name__, sys.argv[1:], flush=True)
if "long" in sys.argv:
    time.sleep(60)
"""
QUICK = "import onehead_avl.system.leashed as leashed; leashed.GRACE = 0.2; leashed.main()"


@pytest.fixture
def started(tmp_path):
    (tmp_path / "some_module.py").write_text(MODULE)

    def start(*arguments):
        command = [sys.executable, "-c", QUICK, "some_module", *arguments]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path, text=True)

    return start


def test_a_module_runs_as_it_does_by_itself(started):
    process = started("one", "--two")
    assert process.stdout.read() == "__main__ ['one', '--two']\n"
    assert process.wait() == 0


def test_it_is_asked_to_stop_when_its_input_ends(started):
    process = started("long")
    process.stdout.readline()
    process.stdin.close()
    assert process.wait(30) == -signal.SIGTERM


def test_it_ends_even_if_it_does_not_listen(started):
    process = started("long", "stubborn")
    process.stdout.readline()
    process.stdin.close()
    assert process.wait(30) == 1


def test_it_ends_with_a_process_that_is_killed(started, tmp_path):
    parent = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {QUICK!r}, 'some_module', 'long'], stdin=subprocess.PIPE)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, cwd=tmp_path, text=True)
    said = {process.stdout.readline().split()[0] for _ in range(2)}  # by whichever is first
    assert "__main__" in said
    process.kill()
    assert process.stdout.read() == ""  # which ends when the last of both has ended
