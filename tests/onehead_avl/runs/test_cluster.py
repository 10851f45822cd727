import json
import os
import signal
import threading
import time

import pytest
from distributed import LocalCluster

from onehead_avl.errors import Stopped, TrainingError, UsageError
from onehead_avl.runs import cluster
from onehead_avl.runs.cluster import do_all, local_cluster, remote_cluster
from onehead_avl.runs.task import Task

BEFORE = dict(os.environ)

SOON = "import time; time.sleep(0.5); print(time.time())"
LONG = "import sys; print('begun', flush=True); sys.stdin.read(); print('stopped', flush=True); sys.exit(143)"
SECOND_TIME = f"""
import os
if os.fstat(1).st_size:  # of the log
    print("done")
else:
    {LONG}
"""
ONCE_KILLED = """
import os, signal, sys
from pathlib import Path
mark = Path(sys.argv[1])
if not mark.exists():
    mark.touch()
    os.kill(os.getppid(), signal.SIGKILL)
    sys.stdin.read()  # ends with the process that was killed
    sys.exit(143)
print("done", os.environ.get("CUDA_VISIBLE_DEVICES"))
"""


@pytest.fixture
def tasks(tmp_path):
    def tasks(**commands):
        made = {}
        for name, command in commands.items():
            (tmp_path / name).mkdir()
            made[name] = Task(command, tmp_path / name, tmp_path / name / "results.json", tmp_path, 1)
        return made

    return tasks


@pytest.fixture(scope="module")
def two():
    """A cluster of two processes, for tests that leave it as it was."""
    with local_cluster(2, gpus=0) as client:
        yield client


def script(text, *arguments):
    return ("-c", text, *map(str, arguments))


def test_tasks_are_done_side_by_side_after_those_that_they_wait_for(two, tasks):
    made = tasks(base=script(SOON), other=script(SOON), method=script(SOON))
    ended = {}
    do_all(made, {"method": ["base", "other"]}, two, ended.__setitem__)
    assert ended == {"base": None, "other": None, "method": None}
    times = {name: float(task.log.read_text()) for name, task in made.items()}
    assert abs(times["base"] - times["other"]) < 0.5 <= times["method"] - max(times["base"], times["other"])


def test_a_run_has_the_environment_that_it_has_without_a_cluster(two, tasks):
    made = tasks(run=script("import json, os; print(json.dumps(dict(os.environ)))"))
    do_all(made, {}, two, lambda name, reason: None)
    of_run = json.loads(made["run"].log.read_text())
    for name in ("MALLOC_TRIM_THRESHOLD_", "MKL_NUM_THREADS"):  # of what a nanny of Dask sets
        assert of_run.get(name) == os.environ.get(name) == BEFORE.get(name)


def test_a_task_waits_for_another_one_even_if_a_process_is_free(two, tasks):
    made = tasks(base=script(SOON), method=script(SOON))
    do_all(made, {"method": ["base"]}, two, lambda name, reason: None)
    base, method = (float(task.log.read_text()) for task in made.values())
    assert method - base >= 0.5


def test_tasks_that_waited_for_the_same_one_are_done_side_by_side(two, tasks):
    made = tasks(base=script(SOON), first=script(SOON), second=script(SOON))
    do_all(made, {"first": ["base"], "second": ["base"]}, two, lambda name, reason: None)
    _, first, second = (float(task.log.read_text()) for task in made.values())
    assert abs(first - second) < 0.5


def test_a_task_that_fails_is_told_and_stops_no_other(two, tasks):
    made = tasks(bad=script("raise ValueError('no')"), good=script("print('good')"))
    ended = {}
    do_all(made, {"good": ["bad"]}, two, ended.__setitem__)
    assert ended == {"bad": f"ValueError: no (see {made['bad'].log})", "good": None}


def test_a_process_that_is_killed_is_replaced_and_its_task_done_again(tasks, tmp_path):
    made = tasks(a=script(ONCE_KILLED, tmp_path / "a.mark"), b=script(ONCE_KILLED, tmp_path / "b.mark"))
    ended = {}
    with local_cluster(2, gpus=1) as client:
        do_all(made, {}, client, ended.__setitem__)
    assert ended == {"a": None, "b": None}
    assert [task.log.read_text() for task in made.values()] == ["done 0\n", "done 0\n"]


def test_each_process_has_one_gpu(tasks):
    show = script("import os, time; print(os.environ['CUDA_VISIBLE_DEVICES']); time.sleep(1)")
    made = tasks(a=show, b=show, c=show)
    with local_cluster(3, gpus=2) as client:
        do_all(made, {}, client, lambda name, reason: None)
    assert sorted(task.log.read_text() for task in made.values()) == ["0\n", "0\n", "1\n"]


def test_ctrl_c_stops_what_is_under_way_and_begins_nothing(two, tasks):
    made = tasks(first=script(LONG), second=script(LONG), third=script(LONG))
    ended = {}

    def press():
        while not all(made[name].log.exists() and made[name].log.read_text() for name in ("first", "second")):
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press).start()
    with pytest.raises(Stopped, match=r"stopped by SIGINT; .* the same command goes on") as stopped:
        do_all(made, {}, two, ended.__setitem__)
    assert stopped.value.exit_status == 130
    assert ended == {}
    assert [made[name].log.read_text() for name in ("first", "second")] == ["begun\nstopped\n"] * 2
    assert not made["third"].log.exists()


def test_a_connection_that_is_cut_is_made_again_and_nothing_lost(two, tasks, monkeypatch):
    monkeypatch.setattr(cluster, "GRACE", 1.0)
    made = tasks(a=script(SECOND_TIME), b=script("print('done')"), c=script(SECOND_TIME))
    ended = {}

    def cut():
        while not all(made[name].log.exists() and made[name].log.read_text() for name in "ac"):
            time.sleep(0.1)
        two.loop.add_callback(two.scheduler_comm.comm.abort)

    threading.Thread(target=cut).start()
    do_all(made, {}, two, ended.__setitem__)
    assert ended == {"a": None, "b": None, "c": None}
    assert [made[name].log.read_text() for name in "abc"] == [
        "begun\nstopped\ndone\n",
        "done\n",
        "begun\nstopped\ndone\n",
    ]


def test_a_scheduler_that_somebody_started_does_the_same(tasks):
    made = tasks(a=script("print('a')"), b=script("print('b')"))
    ended = {}
    running = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)
    with running, remote_cluster(running.scheduler_address) as client:
        do_all(made, {}, client, ended.__setitem__)
    assert ended == {"a": None, "b": None}


def test_a_scheduler_that_goes_away_for_good_is_told(tasks, monkeypatch):
    monkeypatch.setattr(cluster, "_PATIENCE", 2)
    made = tasks(a=script(LONG))
    running = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)
    with remote_cluster(running.scheduler_address) as client:

        def end():
            while not made["a"].log.exists():
                time.sleep(0.1)
            running.close()

        threading.Thread(target=end).start()
        with pytest.raises(TrainingError, match="the scheduler went away, and was not there again within 2 s"):
            do_all(made, {}, client, lambda name, reason: None)
    until = time.monotonic() + 30
    while "stopped" not in made["a"].log.read_text():
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.parametrize(("address", "error"), [("tcp://127.0.0.1:1", TrainingError), ("nonsense://x", UsageError)])
def test_an_address_that_is_none_is_refused(monkeypatch, address, error):
    monkeypatch.setattr(cluster, "_PATIENCE", 1)
    with pytest.raises(error, match=f"--scheduler.* {address}"), remote_cluster(address):
        pass
