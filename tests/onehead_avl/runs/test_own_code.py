"""Results and checkpoints are trusted for what they depend on: somebody's own code, data and options, and no name."""

import importlib
import json
import shutil
import sys

import pytest
import torch

import onehead_avl.runs.compare
import onehead_avl.runs.run

FILES = {
    "__init__": "",
    "strategy": "from avalanche.training.templates import SupervisedTemplate as Mine\nfrom .parts import rate\n",
    "parts": "def rate():\n    from mine.deep import RATE\n    return RATE\n",
    "deep": "RATE = 1\n",
    "stranger": "RATE = 2\n",
}
STRATEGY = "mine.strategy:Mine"
RUN = "mine.strategy.Mine_cls_seed0"


def state(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def rows_of(folder):
    return (folder / "comparison.csv").read_text().splitlines()[1:]


def assert_refused(answer, *fragments):
    assert answer.status == 2, answer.err
    assert "Traceback" not in answer.err + answer.out
    *_, last = answer.err.strip().splitlines()
    assert last.startswith("error: ")
    assert all(str(fragment) in last for fragment in fragments), last


@pytest.fixture
def edit(write, tmp_path):
    """Edit a module of a package in the working directory, which is imported anew after that."""
    (tmp_path / "mine").mkdir()

    def edit(name, text):
        write(f"mine/{name}", text)
        for loaded in [each for each in sys.modules if each.partition(".")[0] == "mine"]:
            del sys.modules[loaded]

    for name, text in FILES.items():
        edit(name, text)
    yield edit
    edit("stranger", "")
    importlib.invalidate_caches()


@pytest.fixture
def command(train_own, few_drawn, tmp_path):
    """Learn one experience with somebody's strategy."""

    def command(*arguments, strategies=(STRATEGY,)):
        return train_own(tmp_path / "run", "--order", "cls", "--strategy", *strategies, *arguments)

    return command


@pytest.fixture
def interrupt(monkeypatch):
    """Stop what a call trains when all was learned, but nothing of it was written."""

    def interrupt(call):
        def write(*arguments):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(onehead_avl.runs.run, "write", write)
            assert call().status == 130

    return interrupt


EDITED = ["__init__", "strategy", "parts", "deep"]


def test_a_run_is_not_continued_with_other_code_of_ones_own(command, interrupt, edit, tmp_path):
    interrupt(command)
    for name in EDITED:
        edit(name, FILES[name] + "# edited")
        checkpoints = state(tmp_path / "run" / "checkpoints")
        begun = f"--resume expects what the run in {tmp_path / 'run'} was begun with"
        assert_refused(command("--resume"), f"{begun}, but the code of mine.strategy changed since; repeat")
        assert state(tmp_path / "run" / "checkpoints") == checkpoints
        edit(name, FILES[name])
    edit("stranger", "RATE = 3\n")
    answer = command("--resume")
    assert answer.status == 0, answer.err
    assert json.loads((tmp_path / "run" / "results.json").read_text())["depends_on"]["the code of mine.strategy"]


def test_a_plugin_of_ones_own_counts_as_much(command, interrupt, write):
    text = "from avalanche.core import SupervisedPlugin as Plugin\n"
    write("my_plugins", text)
    arguments = ("--plugin", "my_plugins:Plugin")
    interrupt(lambda: command(*arguments, strategies=("naive",)))
    write("my_plugins", text + "# edited")
    answer = command(*arguments, "--resume", strategies=("naive",))
    assert_refused(answer, "but the code of my_plugins changed since")


READER = "from examples.depth import Depth as Kind, scenes as read\n"


@pytest.mark.parametrize("edited", ["my_kinds", "my_readers"])
def test_kinds_and_readers_of_ones_own_count_as_much(train_own, interrupt, write, file, tmp_path, edited, monkeypatch):
    monkeypatch.setattr("examples.depth.COUNTS", {"train": 4, "val": 2})
    for name in ("my_kinds", "my_readers"):
        write(name, READER)
    stream = file('{name: near, kind: "my_kinds:Kind", format: "my_readers:read"}')
    arguments = (tmp_path / "run", "--stream", stream, "--strategy", "naive")
    interrupt(lambda: train_own(*arguments))
    write(edited, READER + "# edited")
    assert_refused(train_own(*arguments, "--resume"), f"but the code of {edited} changed since")


def test_a_comparison_does_not_continue_an_interrupted_run_with_other_code(command, interrupt, edit, tmp_path):
    interrupt(lambda: command(strategies=("from-scratch", STRATEGY)))  # in the baseline
    assert command(strategies=("from-scratch", STRATEGY)).status == 0
    (tmp_path / "run" / RUN / "results.json").unlink()
    interrupt(lambda: command(strategies=("from-scratch", STRATEGY)))
    before = state(tmp_path / "run")
    edit("deep", "RATE = 3\n")
    answer = command("--resume", strategies=("from-scratch", STRATEGY))
    assert_refused(answer, tmp_path / "run" / RUN, "but the code of mine.strategy changed since")
    assert state(tmp_path / "run") == before
    edit("deep", FILES["deep"])
    answer = command("--resume", strategies=("from-scratch", STRATEGY))
    assert answer.status == 0, answer.err


def test_a_comparison_does_not_continue_a_run_in_a_folder_that_was_renamed(command, interrupt, tmp_path):
    assert command("--seeds", "0", "1", strategies=("from-scratch",)).status == 0
    interrupt(lambda: command("--seeds", "0", "1", strategies=("naive",)))
    (tmp_path / "run" / "naive_cls_seed0").rename(tmp_path / "run" / "naive_cls_seed1")
    answer = command("--seeds", "0", "1", "--resume", strategies=("naive",))
    assert_refused(answer, tmp_path / "run" / "naive_cls_seed1", "but --seeds changed since")


# Finished runs, with runs that take no time


@pytest.fixture
def compared(command, edit, ran):
    """A finished comparison of naive with a strategy of one's own, with two seeds."""
    answer = command("--seeds", "0", "1", strategies=("naive", STRATEGY))
    assert answer.status == 0, answer.err
    ran.clear()


def again(command, *arguments, strategies=("naive", STRATEGY)):
    return command("--seeds", "0", "1", *arguments, strategies=strategies)


@pytest.mark.parametrize("name", EDITED)
@pytest.mark.parametrize("strategies", [("naive", STRATEGY), ("lwf", "ewc")], ids=["asked for again", "not asked for"])
def test_results_of_other_code_of_ones_own_stand_in_no_table(command, compared, edit, ran, tmp_path, name, strategies):
    before = state(tmp_path / "run")
    edit(name, FILES[name] + "# edited")
    answer = again(command, strategies=strategies)
    assert_refused(answer, f"results in {RUN} of a run before the code of mine.strategy changed;", f"remove {RUN}")
    assert (state(tmp_path / "run"), ran) == (before, [])


def test_an_edit_of_what_is_not_imported_changes_nothing(command, compared, edit, ran):
    edit("stranger", "RATE = 3\n")
    answer = again(command)
    assert answer.status == 0, answer.err
    assert answer.out.count(": finished before\n") == 6
    assert ran == []


def test_after_the_old_results_were_removed_the_new_code_runs(command, compared, edit, ran, tmp_path):
    edit("deep", "RATE = 3\n")
    for seed in (0, 1):
        shutil.rmtree(tmp_path / "run" / f"mine.strategy.Mine_cls_seed{seed}")
    answer = again(command)
    assert answer.status == 0, answer.err
    assert ran == [(STRATEGY, 0, "cls"), (STRATEGY, 1, "cls")]


def test_results_of_another_program_are_refused(command, compared, ran, monkeypatch):
    monkeypatch.setattr("onehead_avl.runs.identity.digest_of_code", lambda: "another")
    assert_refused(again(command), "holds results in from-scratch_cls_seed0 of a run before the program changed;")
    assert ran == []


def test_a_folder_that_was_renamed_is_not_taken_for_what_its_name_says(command, compared, ran, tmp_path):
    shutil.rmtree(tmp_path / "run" / "naive_cls_seed0")
    (tmp_path / "run" / "naive_cls_seed1").rename(tmp_path / "run" / "naive_cls_seed0")
    answer = again(command)
    assert_refused(answer, "holds results in naive_cls_seed0 of a run with --seeds 1, not 0;", "remove naive_cls_seed0")
    (tmp_path / "run" / "naive_cls_seed0").rename(tmp_path / "run" / "replay_cls_seed1")
    answer = again(command, strategies=("replay", STRATEGY))
    assert_refused(answer, "holds results in replay_cls_seed1 of a run with --strategy naive, not replay")
    assert ran == []


def test_a_run_of_other_data_that_was_copied_in_stands_in_no_table(
    command, compared, train, train_own, few_drawn, ran, tmp_path
):
    own = ("--order", "cls", "--strategy", "lwf", "naive")
    assert train(tmp_path / "other", *own).status == 0
    ran.clear()
    shutil.copytree(tmp_path / "other" / "lwf_cls_seed0", tmp_path / "run" / "lwf_cls_seed0")
    for strategies in (("naive", STRATEGY), ("lwf", "naive")):
        assert_refused(again(command, strategies=strategies), "in lwf_cls_seed0 of a run before the data changed;")
    (tmp_path / "run" / "lwf_cls_seed0").rename(tmp_path / "run" / "copy")
    assert_refused(again(command), "but copy holds lwf with seed 0 and the order cls; remove it from there")
    assert ran == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--epochs", "3"), "with --epochs 3, not 1"), (("--image-size", "96"), "with --image-size 96, not 64")],
)
def test_a_run_of_other_options_that_was_copied_in_stands_in_no_table(
    command, compared, train_own, ran, tmp_path, arguments, said
):
    own = ("--order", "cls", "--strategy", "lwf", "naive", *arguments)
    assert train_own(tmp_path / "other", *own).status == 0
    shutil.copytree(tmp_path / "other" / "lwf_cls_seed0", tmp_path / "run" / "lwf_cls_seed0")
    assert_refused(again(command), "in lwf_cls_seed0 of a run", said)


def test_results_of_another_machine_are_taken_and_it_is_said(command, compared, ran, monkeypatch, tmp_path):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1234)
    answer = again(command, strategies=("naive", "lwf"))
    assert answer.status == 0, answer.err
    assert answer.out.count(": finished before, with threads 1, now 1234\n") == 4
    assert f"note: {RUN}: finished before, with threads 1, now 1234\n" in answer.err
    assert ran == [("lwf", 0, "cls"), ("lwf", 1, "cls")]
    assert sum(row.startswith(STRATEGY) for row in rows_of(tmp_path / "run")) == 4


def test_hyper_parameters_of_what_is_not_asked_for_may_be_any(command, edit, ran):
    assert command("--set", "lwf.alpha=3", strategies=("naive", "lwf")).status == 0
    answer = command(strategies=("naive", STRATEGY))
    assert answer.status == 0, answer.err


def test_data_are_digested_once_for_a_comparison(command, compared, monkeypatch):
    digests = []
    digest = onehead_avl.runs.identity.digest_of
    monkeypatch.setattr(onehead_avl.runs.identity, "digest_of", lambda stream: digests.append(1) or digest(stream))
    assert again(command, "--set", "lwf.alpha=3", strategies=("naive", "lwf", STRATEGY)).status == 0
    assert digests == [1]
