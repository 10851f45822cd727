"""The command as a user interrupts and continues it; see ``test_interruption.py`` for many more interruptions."""

import json
import shutil
import signal
from types import SimpleNamespace

import pytest
import torch

import onehead_avl.runs.identity
import onehead_avl.runs.learn
import onehead_avl.runs.run
import onehead_avl.runs.summary
from onehead_avl.benchmark import main
from onehead_avl.checkpoint import plugin
from onehead_avl.errors import TrainingError
from onehead_avl.system.stopping import STOP
from scenarios.drawn import embedded

FILES = ("log.txt", "training_results.csv", "eval_results.csv", "metrics.csv", "model.safetensors")

FOUR = """
experiences:
  - {name: seg-1, kind: segmentation, format: drawn, classes: 1/2}
  - {name: det, kind: detection, format: drawn}
  - {name: seg-2, kind: segmentation, format: drawn, classes: 2/2}
  - {name: cls, kind: classification, format: drawn}
"""

NIGHT = """
experiences:
  - {name: seg, kind: segmentation, format: drawn}
  - {name: cls, kind: classification, format: drawn}
  - {name: seg-night, kind: segmentation, format: drawn, domain: night, head: seg}
"""


@pytest.fixture
def command(invoke, monkeypatch, tmp_path):
    """Run the benchmark on few pictures, in a folder of the same name every time."""
    monkeypatch.setitem(embedded.COUNTS, "train", 8)
    monkeypatch.setitem(embedded.COUNTS, "val", 2)
    monkeypatch.setattr(plugin, "SHARE", float("inf"))
    monkeypatch.setattr(onehead_avl.runs.summary, "latency", lambda model, layout, device: 1.0)

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


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Where the run of ``whole`` is kept."""
    return tmp_path_factory.mktemp("undisturbed") / "run"


@pytest.fixture
def whole(command, undisturbed, tmp_path):
    """A run that nothing interrupted, made once for all tests: in the folder ``whole``."""
    if undisturbed.exists():
        shutil.copytree(undisturbed, tmp_path / "whole" / "run")
    else:
        assert command("whole").status == 0
        shutil.copytree(tmp_path / "whole" / "run", undisturbed)


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


def results(folder):
    """All of it but for what was measured of the process."""
    found = json.loads((folder / "results.json").read_text())
    measured = [found.pop("peak_memory_bytes"), *(stage.pop("seconds") for stage in found["stages"])]
    assert all(measured)
    found["checklist"] = [rule for rule in found["checklist"] or () if rule["name"] != "training time"]
    return found


def differences(tmp_path, *places):
    """What two runs wrote that is not the same."""
    one, other = (
        results(folder) | {name: (folder / name).read_bytes() for name in FILES}
        for folder in (tmp_path / place / "run" for place in places)
    )
    assert one.keys() == other.keys()
    return sorted(name for name in one if one[name] != other[name])


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_run_says_how_to_continue_and_continues(command, whole, stop_after, tmp_path, number, status):
    stop_after(7, number)
    answer = command("stopped")
    assert answer.status == status
    last = answer.err.strip().splitlines()[-1]
    assert last == f"error: stopped by {number.name}; the same command with --resume continues"
    assert STOP.requested is None
    answer = command("stopped", "--resume")
    assert answer.status == 0, answer.err
    assert differences(tmp_path, "stopped", "whole") == []
    assert not (tmp_path / "stopped" / "run" / "checkpoints").exists()
    assert "nothing to continue" in command("stopped", "--resume").out


@pytest.mark.parametrize("arrives", ["before the epoch", "in the epoch"])
def test_a_run_that_is_stopped_before_the_first_step_of_an_epoch_continues(
    command, whole, monkeypatch, tmp_path, arrives
):
    begin, left = plugin.Checkpoints.before_training_epoch, [3]

    def before(self, strategy, **kwargs):
        left[0] -= 1
        if left[0] == 0 and arrives == "before the epoch":
            signal.raise_signal(signal.SIGTERM)
        begin(self, strategy, **kwargs)
        if left[0] == 0:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(plugin.Checkpoints, "before_training_epoch", before)
    assert command("stopped").status == 143
    assert command("stopped", "--resume").status == 0
    assert differences(tmp_path, "stopped", "whole") == []


def test_a_run_on_a_network_of_timm_continues(command, stop_after, tmp_path):
    arguments = ("--backbone", "timm:test_resnet", "--strategy", "onehead", "--order", "seg", "cls")
    assert command("whole", *arguments).status == 0
    stop_after(7)
    assert command("stopped", *arguments).status == 143
    answer = command("stopped", *arguments, "--resume")
    assert answer.status == 0, answer.err
    assert "cannot be resumed" not in answer.err
    assert "begins anew" not in answer.err
    assert differences(tmp_path, "stopped", "whole") == []


@pytest.mark.parametrize(
    ("described", "steps", "strategy"), [(FOUR, 11, "onehead"), (NIGHT, 9, "derpp")], ids=["four", "night"]
)
def test_a_stream_in_which_a_kind_returns_continues(command, stop_after, tmp_path, described, steps, strategy):
    stream = tmp_path / "mine.yaml"
    stream.write_text(described)
    arguments = ("--stream", stream, "--strategy", strategy, "--replay-size", "48")
    assert command("whole", *arguments).status == 0
    stop_after(steps)
    assert command("stopped", *arguments).status == 143
    answer = command("stopped", *arguments, "--resume")
    assert answer.status == 0, answer.err
    assert "the run begins anew" not in answer.err
    assert differences(tmp_path, "stopped", "whole") == []


@pytest.mark.parametrize("strategy", ["si", "ewc"])
def test_a_run_that_has_learned_all_keeps_as_much_if_it_is_interrupted_then(command, monkeypatch, tmp_path, strategy):
    """Weights and notes of them may share memory, but not in a run that continues."""

    def broken(*arguments):
        raise TrainingError("the machine is switched off")

    assert command("undisturbed", "--strategy", strategy).status == 0
    with monkeypatch.context() as patch:
        patch.setattr(onehead_avl.runs.run, "summarise", broken)
        assert command("stopped", "--strategy", strategy).status == 1
    assert command("stopped", "--strategy", strategy, "--resume").status == 0
    kept = [
        json.loads((tmp_path / place / "run" / "results.json").read_text())["stored_bytes"]
        for place in ("undisturbed", "stopped")
    ]
    assert kept[0] == kept[1] > 0


@pytest.mark.parametrize("steps", [3, 7])
def test_what_the_untrained_network_scored_is_known_after_an_interruption(command, whole, stop_after, tmp_path, steps):
    wanted = results(tmp_path / "whole" / "run")["untrained"]
    assert list(wanted) == ["seg", "det", "cls"]
    assert wanted["seg"]["mIoU"] > 0
    stop_after(steps)
    assert command("stopped").status == 143
    assert command("stopped", "--resume").status == 0
    assert results(tmp_path / "stopped" / "run")["untrained"] == wanted


def test_what_the_untrained_network_scored_is_not_measured_by_a_trained_one(command, stop_after, monkeypatch):
    stop_after(7)
    assert command("stopped").status == 143
    monkeypatch.setattr(onehead_avl.runs.learn, "_untrained", lambda *arguments: pytest.fail("measured again"))
    assert command("stopped", "--resume").status == 0


@pytest.mark.parametrize("damaged", [["latest"], ["latest", "previous"], ["stage0"], ["latest", "previous", "stage0"]])
def test_damaged_checkpoints_are_passed_over_and_named(command, whole, stop_after, tmp_path, damaged):
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
    assert differences(tmp_path, "stopped", "whole") == []


def test_another_command_cannot_continue_a_run(command, stop_after):
    stop_after(3)
    assert command("stopped").status == 143
    answer = command("stopped", "--resume", "--seeds", "1")
    assert answer.status == 2
    assert "it was begun with other values of --seeds; repeat these" in answer.err


@pytest.mark.parametrize("more", [("--logger", "tensorboard"), ("--eval-every", "1"), ("--keep-stages",)])
def test_a_run_is_logged_to_its_end_as_it_began(command, stop_after, more):
    stop_after(3)
    assert command("stopped").status == 143
    answer = command("stopped", "--resume", *more)
    assert answer.status == 2
    assert f"it was begun with other values of {more[0]}; repeat these" in answer.err


def test_a_comparison_may_be_logged_otherwise_but_not_a_run_that_it_continues(command, stop_after):
    arguments = ("--strategy", "naive", "replay", "--order", "seg", "cls")
    stop_after(9)  # in naive, after the baseline has ended
    assert command("stopped", *arguments).status == 143
    answer = command("stopped", *arguments, "--resume", "--eval-every", "1")
    assert answer.status == 2
    assert "naive_seg-cls_seed0 was begun with, but --eval-every changed since" in answer.err
    answer = command("stopped", *arguments, "--eval-every", "1")
    assert answer.status == 0, answer.err
    assert "from-scratch, seed 0: seg -> cls: finished before" in answer.out


def test_resume_needs_a_folder(invoke):
    answer = invoke(main, "--resume")
    assert answer.status == 2
    assert "--resume expects the folder of the interrupted run as --output" in answer.err


def test_resume_of_what_never_began_begins(command):
    answer = command("new", "--resume", "--order", "cls")
    assert answer.status == 0
    assert "anew" not in answer.err


def test_a_disk_that_is_full_ends_the_run_with_a_sentence_and_it_continues(command, whole, tmp_path, monkeypatch):
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
    assert differences(tmp_path, "full", "whole") == []


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: tried 9")])
def test_memory_that_runs_out_is_a_sentence(command, monkeypatch, error):
    def out(self, strategy, **kwargs):
        raise error

    monkeypatch.setattr(plugin.Checkpoints, "after_training_iteration", out)
    answer = command("out")
    assert answer.status == 1
    assert "memory ran out" in answer.err.strip().splitlines()[-1]


def test_a_comparison_is_no_run_to_continue(command, tmp_path):
    folder = tmp_path / "compared" / "run"
    assert command("compared", "--strategy", "naive", "replay", "--order", "cls").status == 0
    before = sorted(folder.rglob("*"))
    answer = command("compared", "--strategy", "naive", "--order", "cls", "--resume")
    assert answer.status == 2
    assert "begun with other values of --strategy" in answer.err
    assert sorted(folder.rglob("*")) == before


def test_a_comparison_continues_the_run_that_was_interrupted(command, stop_after, tmp_path):
    arguments = ("--strategy", "naive", "replay", "--order", "seg", "cls")
    assert command("whole", *arguments).status == 0
    stop_after(5)
    assert command("stopped", *arguments).status == 143
    answer = command("stopped", *arguments, "--resume")
    assert answer.status == 0, answer.err
    assert "the run begins anew" not in answer.err
    for name in ("from-scratch_seg-cls_seed0", "naive_seg-cls_seed0", "replay_seg-cls_seed0"):
        one, other = ((tmp_path / place / "run" / name) for place in ("whole", "stopped"))
        assert results(one) == results(other)


def test_other_data_or_another_program_cannot_continue_a_run(command, stop_after, monkeypatch):
    stop_after(3)
    assert command("stopped").status == 143
    monkeypatch.setattr(onehead_avl.runs.identity, "digest_of_code", lambda: "another")
    answer = command("stopped", "--resume")
    assert answer.status == 2
    assert "the program changed since; repeat the same command" in answer.err


def test_log_files_that_lost_lines_are_noticed(command, whole, stop_after, tmp_path):
    stop_after(7)
    assert command("stopped").status == 143
    log = tmp_path / "stopped" / "run" / "log.txt"
    log.write_bytes(log.read_bytes()[:10])
    answer = command("stopped", "--resume")
    assert answer.status == 0, answer.err
    assert "is passed over: log files lost lines since" in answer.err
    assert differences(tmp_path, "stopped", "whole") == []


def test_a_loader_that_gives_other_pictures_is_noticed(command, stop_after, monkeypatch):
    stop_after(7)
    assert command("stopped").status == 143
    sums = plugin._picture_sums
    monkeypatch.setattr(plugin, "_picture_sums", lambda strategy: sums(strategy) + 1)
    answer = command("stopped", "--resume")
    assert answer.status == 1
    assert "its strategy loads other pictures the second time" in answer.err


def test_a_strategy_that_cannot_be_saved_is_trained_and_says_so(command, monkeypatch, stop_after):
    monkeypatch.setattr(plugin, "encode", lambda graph: (_ for _ in ()).throw(plugin.Unsavable("x is a generator")))
    answer = command("unsavable", "--order", "cls")
    assert answer.status == 0
    assert answer.err.count("note: this run cannot be resumed if it is interrupted: x is a generator") == 1
    stop_after(2)
    answer = command("again", "--order", "cls")
    assert answer.err.strip().endswith("error: stopped by SIGTERM; it cannot be continued")


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_workers_change_nothing(command, tmp_path):
    assert command("none").status == 0
    assert command("one", "--workers", "1").status == 0
    assert differences(tmp_path, "none", "one") == []


def test_checkpoints_of_epochs_that_are_too_short_for_them_are_left_out(command, monkeypatch):
    saves = []
    write = plugin.Store.write
    monkeypatch.setattr(plugin.Store, "write", lambda self, name, held: saves.append(name) or write(self, name, held))
    monkeypatch.setattr(plugin, "SHARE", 1e-9)
    assert command("short", "--checkpoint-every", "99").status == 0
    assert saves == ["latest", "stage0", "stage1", "stage2"]
    saves.clear()
    monkeypatch.setattr(plugin, "SHARE", float("inf"))
    assert command("all", "--checkpoint-every", "99").status == 0
    assert saves == ["latest", "latest", "stage0", "latest", "latest", "stage1", "latest", "latest", "stage2"]


class OfSinglePrecision(torch.Tensor):
    """Pictures on a device that has no double precision, until they are copied from it."""

    def double(self):
        raise TypeError("no float64 here")

    def cpu(self):
        return self.as_subclass(torch.Tensor)


def test_pictures_are_told_apart_on_a_device_without_double_precision():
    pictures = torch.rand(2, 3, 4, 4)
    found = plugin._picture_sums(SimpleNamespace(mb_x=pictures.as_subclass(OfSinglePrecision)))
    assert torch.equal(found, pictures.double().sum(dim=(1, 2, 3)))
