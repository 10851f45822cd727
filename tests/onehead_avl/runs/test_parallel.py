import json
import random
import shutil
import threading
import time

import psutil
import pytest
import torch

METHODS = ("--strategy", "naive", "replay", "--seeds", "0", "1")
ELSEWHERE = {"seconds", "peak_memory_bytes", "checklist"}  # what tells of time and memory


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    """No baseline was computed before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def numbers(value):
    """What a run measured, without what it took."""
    if isinstance(value, dict):
        return {name: numbers(each) for name, each in value.items() if name not in ELSEWHERE}
    return [numbers(each) for each in value] if isinstance(value, list) else value


def of(folder):
    """All that the runs of a comparison learned and measured."""
    return {
        file.parent.name: (
            numbers(json.loads(file.read_text())),
            (file.parent / "metrics.csv").read_bytes(),
            (file.parent / "model.safetensors").read_bytes(),
        )
        for file in folder.glob("*/results.json")
    }


def workers():
    """The processes of this one that do runs."""
    return [each for each in psutil.Process().children() if any("spawn_main" in word for word in each.cmdline())]


def kill_at_random(ended, killed):
    """End processes that do a run, each as suddenly as can be, once its run is under way."""
    chance = random.Random(0)
    while not ended.wait(chance.uniform(1, 4)) and len(killed) < 2:
        if busy := [each for each in workers() if each.children()]:
            victim = chance.choice(busy)
            victim.kill()
            killed.append(victim.pid)


@pytest.mark.slow
def test_runs_of_processes_that_die_give_the_numbers_of_one_process(train, compared, own_cache, tmp_path):
    expected, _ = compared
    ended, killed = threading.Event(), []
    killer = threading.Thread(target=kill_at_random, args=(ended, killed))
    killer.start()
    folder = tmp_path / "runs"
    answer = train(folder, *METHODS, "--jobs", "2", "--threads", torch.get_num_threads())
    ended.set()
    killer.join()
    assert answer.status == 0, answer.err
    assert killed
    assert of(folder) == of(expected)
    assert [file.name for file in expected.iterdir() if not (folder / file.name).exists()] == []
    assert not workers()


@pytest.mark.slow
def test_what_is_finished_is_not_done_again_and_what_fails_is_told(train, compared, tmp_path):
    expected, _ = compared
    shutil.copytree(expected, folder := tmp_path / "runs")
    before = of(folder)
    threads = ("--threads", torch.get_num_threads())
    # The gradients of a learning rate like this are no numbers after a step or two.
    answer = train(folder, *METHODS, "--jobs", "1", *threads, "--strategy", "ewc", "--set", "ewc.optimisation.lr=1e30")
    assert answer.status == 1
    assert "error: 2 runs failed, of ewc" in answer.err
    assert {name: each for name, each in of(folder).items() if name in before} == before
    for seed in (0, 1):
        name = f"ewc_seg-det-cls_seed{seed}"
        reason = json.loads((folder / name / "failure.json").read_text())["reason"]
        assert "found nan" in reason
        assert reason.endswith(f"(see {folder / name}.log)")
        assert f"{name} failed: {reason}" in answer.err


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (("--jobs", "0", "--seeds", "0", "1"), "--jobs expects at least 1, got 0"),
        (("--threads", "0"), "--threads expects at least 1, got 0"),
        (("--jobs", "2"), "--jobs is for the runs of a comparison, but this is a single run"),
        (("--scheduler", "tcp://x:1"), "--scheduler is for the runs of a comparison"),
        (("--jobs", "2", "--scheduler", "tcp://x:1", "--seeds", "0", "1"), "give one of them"),
        (("--jobs", "2", "--seeds", "0", "1", "--device", "cuda:1"), "each process has a GPU of its own, got cuda:1"),
    ],
)
def test_what_no_cluster_can_do_is_refused(train, tmp_path, arguments, fragment):
    answer = train(tmp_path / "runs", *arguments)
    assert answer.status == 2
    assert fragment in answer.err
    assert not (tmp_path / "runs").exists()


def test_without_dask_it_is_asked_for(train, tmp_path, monkeypatch):
    monkeypatch.setattr("onehead_avl.runs.soundness.find_spec", lambda name: None)
    answer = train(tmp_path / "runs", *METHODS, "--jobs", "2")
    assert answer.status == 2
    assert '--jobs needs Dask: pip install -e ".[cluster]"' in answer.err


def test_a_scheduler_that_does_not_answer_is_told(train, own_cache, tmp_path, monkeypatch):
    monkeypatch.setattr("onehead_avl.runs.cluster._PATIENCE", 1)
    answer = train(tmp_path / "runs", *METHODS, "--scheduler", "tcp://127.0.0.1:1")
    assert answer.status == 1
    assert "--scheduler tcp://127.0.0.1:1: expected a Dask scheduler, but none answers" in answer.err
    assert [file.name for file in (tmp_path / "runs").iterdir()] == ["config.json"]


@pytest.mark.slow
def test_ctrl_c_stops_at_a_checkpoint_and_the_same_command_goes_on(train, compared, own_cache, tmp_path):
    expected, _ = compared
    command = (tmp_path / "runs", "--strategy", "naive", "replay", "--jobs", "2", "--threads", torch.get_num_threads())

    def press():
        while not list((tmp_path / "runs").glob("*/checkpoints/*")):
            time.sleep(0.2)
        psutil.Process().send_signal(2)

    threading.Thread(target=press).start()
    answer = train(*command)
    assert answer.status == 130
    assert (
        "error: stopped by SIGINT; runs under way stopped at a checkpoint, and the same command goes on" in answer.err
    )
    assert train(*command).status == 0
    assert of(tmp_path / "runs") == {name: each for name, each in of(expected).items() if name.endswith("seed0")}
