import os
import signal
import subprocess
import sys
import threading

import dask
import distributed  # noqa: F401  whose settings are then known
import pytest
from filelock import FileLock

from onehead_avl.runs.task import Task, do

UNTIL_STOPPED = "import sys; sys.stdin.read(); sys.exit(143)"


@pytest.fixture
def task(tmp_path):
    def task(script, directory=tmp_path):
        folder = tmp_path / "naive_seed0"
        folder.mkdir(exist_ok=True)
        return Task(("-c", script), folder, folder / "results.json", directory, 3)

    return task


def never():
    return False


def test_a_run_is_a_process_with_its_own_log_threads_and_directory(task, tmp_path):
    directory = tmp_path / "somewhere"
    directory.mkdir()
    made = task("import os; print(os.getpid(), os.getcwd(), os.environ['OMP_NUM_THREADS'])", directory)
    assert do(made, never) is None
    pid, cwd, threads = made.log.read_text().split()
    assert int(pid) != os.getpid()
    assert (cwd, threads) == (str(directory), "3")
    assert made.log == tmp_path / "naive_seed0.log"


def test_a_run_has_the_environment_that_it_has_without_a_cluster(task, monkeypatch):
    """A nanny of Dask adds to that of its process what glibc goes by, which makes a training take twice the time."""
    environment = "import os; print([os.environ.get(name) for name in ('MALLOC_TRIM_THRESHOLD_', 'MKL_NUM_THREADS')])"
    added = dask.config.get("distributed.nanny.pre-spawn-environ")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", str(added["MALLOC_TRIM_THRESHOLD_"]))
    monkeypatch.setenv("MKL_NUM_THREADS", "5")  # which is the user's
    made = task(environment)
    assert do(made, never) is None
    assert made.log.read_text() == "[None, '5']\n"


def test_a_run_that_ended_before_is_not_done_again(task):
    made = task("print('again')")
    made.results.write_text("{}")
    assert do(made, never) is None
    assert not made.log.exists()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (
            "import sys; print('error: the disk is full; free it'); print('bye'); sys.exit(1)",
            "the disk is full; free it",
        ),
        ("print('10%\\r20%'); 1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(2)", "the run said nothing"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ended by SIGKILL"),
    ],
)
def test_why_a_run_failed_is_told(task, script, reason):
    made = task(script)
    assert do(made, never) == f"{reason} (see {made.log})"


def test_the_reason_is_that_of_the_last_attempt(task):
    assert "once" in do(task("import sys; print('error: once'); sys.exit(1)"), never)
    assert "twice" in do(task("import sys; print('twice'); sys.exit(1)"), never)


def test_a_run_that_is_asked_to_stop_is_no_failure(task):
    made = task(f"print('begun', flush=True); {UNTIL_STOPPED}")
    assert do(made, lambda: made.log.exists() and "begun" in made.log.read_text()) is None


def test_a_run_that_begins_after_the_stop_is_not_done(task):
    made = task("print('begun')")
    assert do(made, lambda: True) is None
    assert not made.log.exists()


def test_a_machine_without_the_folders_says_so(task, tmp_path):
    reason = do(task("print('begun')", tmp_path / "elsewhere"), never)
    assert f"has no folder {tmp_path / 'elsewhere'}" in reason


def test_ctrl_c_in_the_terminal_is_not_for_the_run(task):
    """A terminal sends it to the whole group of processes."""
    made = task("import os; print(os.getpgid(0), os.getsid(0))")
    assert do(made, never) is None
    assert str(os.getpgid(0)) not in made.log.read_text().split()


def test_what_another_process_is_still_writing_is_waited_for(task):
    made = task("print('begun')")
    (made.folder / ".running").mkdir()
    holding = (
        f"from filelock import FileLock; import sys; l = FileLock(sys.argv[1]); l.acquire(); print(); {UNTIL_STOPPED}"
    )
    lock = str(made.folder / ".running" / "lock")
    other = subprocess.Popen([sys.executable, "-c", holding, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    other.stdout.readline()
    reasons = []
    thread = threading.Thread(target=lambda: reasons.append(do(made, never)))
    thread.start()
    thread.join(1.5)
    assert thread.is_alive()
    assert not made.log.exists()
    other.send_signal(signal.SIGKILL)
    other.wait()
    thread.join(30)
    assert reasons == [None]
    assert made.log.read_text() == "begun\n"


def test_waiting_for_another_process_ends_with_the_stop(task):
    made = task("print('begun')")
    (made.folder / ".running").mkdir()
    with FileLock(made.folder / ".running" / "lock"):
        assert do(made, lambda: True) is None
    assert not made.log.exists()
