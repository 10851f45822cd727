"""The command as a user interrupts and continues it; see ``test_interruption.py`` for many more interruptions."""

import json
import signal

import pytest

import onehead_avl.run
from onehead_avl.benchmark import main
from onehead_avl.checkpoint import plugin
from onehead_avl.stopping import STOP
from scenarios import embedded

FILES = ("log.txt", "training_results.csv", "eval_results.csv", "metrics.csv", "model.safetensors")


@pytest.fixture
def command(invoke, monkeypatch, tmp_path):
    """Run the benchmark on few pictures, in a folder of the same name every time."""
    whole = embedded.embedded_data
    monkeypatch.setattr(embedded, "embedded_data", lambda task, size: whole(task, size=size, n_train=8, n_val=2))
    monkeypatch.setattr(plugin, "SHARE", float("inf"))
    monkeypatch.setattr(onehead_avl.run, "latency", lambda model, device: 1.0)

    def command(place, *arguments):
        usual = ("--epochs", "2", "--image-size", "32", "--batch-size", "4", "--replay-size", "8")
        return invoke(
            main,
            *usual,
            "--replay-batch",
            "2",
            "--checkpoint-every",
            "1",
            "--output",
            tmp_path / place / "run",
            *arguments,
        )

    return command


@pytest.fixture
def stop_after(monkeypatch):
    """Have a signal arrive after so many training steps."""

    def stop_after(steps, number=signal.SIGTERM):
        count = plugin.Checkpoints.after_training_iteration
        left = [steps]

        def after(self, strategy, **kwargs):
            count(self, strategy, **kwargs)
            left[0] -= 1
            if left[0] == 0:
                signal.raise_signal(number)

        monkeypatch.setattr(plugin.Checkpoints, "after_training_iteration", after)

    return stop_after


def contents(tmp_path, place):
    folder = tmp_path / place / "run"
    metrics = json.loads((folder / "results.json").read_text())["metrics"]
    return metrics, [(folder / name).read_bytes() for name in FILES]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_run_says_how_to_continue_and_continues(command, stop_after, tmp_path, number, status):
    assert command("whole").status == 0
    stop_after(7, number)
    answer = command("stopped")
    assert answer.status == status
    last = answer.err.strip().splitlines()[-1]
    assert last == f"error: stopped by {number.name}; the same command with --resume continues"
    assert STOP.requested is None
    answer = command("stopped", "--resume")
    assert answer.status == 0, answer.err
    assert contents(tmp_path, "stopped") == contents(tmp_path, "whole")
    assert not (tmp_path / "stopped" / "run" / "checkpoints").exists()
    assert "nothing to continue" in command("stopped", "--resume").out


@pytest.mark.parametrize("damaged", [["latest"], ["latest", "previous"], ["stage0"], ["latest", "previous", "stage0"]])
def test_damaged_checkpoints_are_passed_over_and_named(command, stop_after, tmp_path, damaged):
    assert command("whole").status == 0
    stop_after(7)
    assert command("stopped").status == 143
    folder = tmp_path / "stopped" / "run" / "checkpoints"
    assert sorted(file.stem for file in folder.iterdir()) == ["latest", "previous", "stage0"]
    for name in damaged:
        file = folder / f"{name}.pt"
        file.write_bytes(file.read_bytes()[:-100])
    answer = command("stopped", "--resume")
    assert answer.status == 0, answer.err
    for name in damaged:
        assert f"note: the checkpoint {name} is passed over: its checksum is wrong" in answer.err
    assert ("the run begins anew" in answer.err) == ("stage0" in damaged)
    assert contents(tmp_path, "stopped") == contents(tmp_path, "whole")


def test_another_command_cannot_continue_a_run(command, stop_after):
    stop_after(3)
    assert command("stopped").status == 143
    answer = command("stopped", "--resume", "--seeds", "1")
    assert answer.status == 2
    assert "--seeds changed since; repeat the same command" in answer.err


def test_resume_needs_a_folder(invoke):
    answer = invoke(main, "--resume")
    assert answer.status == 2
    assert "--resume expects the folder of the interrupted run as --output" in answer.err


def test_resume_of_what_never_began_begins(command):
    answer = command("new", "--resume", "--order", "cls")
    assert answer.status == 0
    assert "no checkpoint to continue from: the run begins anew" in answer.err


def test_a_disk_that_is_full_ends_the_run_with_a_sentence_and_it_continues(command, tmp_path, monkeypatch):
    assert command("whole").status == 0
    sizes = plugin.LogFiles.sizes
    left = [6]

    def full(self):
        left[0] -= 1
        if left[0] == 0:
            raise OSError(28, "No space left on device")
        return sizes(self)

    monkeypatch.setattr(plugin.LogFiles, "sizes", full)
    answer = command("full")
    assert answer.status == 1
    assert "No space left on device" in answer.err.strip().splitlines()[-1]
    assert "Traceback" not in answer.err
    assert command("full", "--resume").status == 0
    assert contents(tmp_path, "full") == contents(tmp_path, "whole")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: tried 9")])
def test_memory_that_runs_out_is_a_sentence(command, monkeypatch, error):
    def out(self, strategy, **kwargs):
        raise error

    monkeypatch.setattr(plugin.Checkpoints, "after_training_iteration", out)
    answer = command("out")
    assert answer.status == 1
    assert "memory ran out" in answer.err.strip().splitlines()[-1]
