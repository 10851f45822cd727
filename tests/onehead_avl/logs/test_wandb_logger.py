import json
import os
import pty
import random
import resource
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace

import numpy
import pytest
import torch
from torch import nn

from onehead_avl.checkpoint.graph import encode, restore
from onehead_avl.errors import OutputError, UsageError
from onehead_avl.logs import wandb_logger
from onehead_avl.logs.wandb_files import files_in
from onehead_avl.logs.wandb_logger import WandBLogger
from onehead_avl.system.randomness import random_state, set_random_state

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture
def shown(wandb_records):
    """What W&B would show of a folder: name, iteration and value, in the order of its files."""

    def shown(folder):
        found = []
        for record in wandb_records(folder):
            row = {"/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            found += [
                (key, row["iteration"], row[key]) for key in row if not key.startswith("_") and key != "iteration"
            ]
        return found

    return shown


@pytest.fixture
def settings(monkeypatch):
    """Set W&B's variables; it reads them once in a process, or after it was torn down."""
    import wandb

    def settings(**values):
        wandb.teardown()
        for name, value in values.items():
            monkeypatch.setenv(f"WANDB_{name}", value)

    yield settings
    monkeypatch.undo()
    wandb.teardown()


def kinds(records, kind):
    return [getattr(record, kind) for record in records if record.HasField(kind)]


def test_wandb_has_the_values_of_the_table_at_their_iterations(logged, table, shown):
    rows = table(logged.folder / "metrics.csv")
    assert shown(logged.folder) == [
        (name, steps, float(row["value"])) for row, (name, _, steps) in zip(rows, logged.heard.values, strict=True)
    ]


def test_the_run_is_described(logged, wandb_records):
    records = wandb_records(logged.folder)
    (run,) = kinds(records, "run")
    assert (run.display_name, run.project) == ("a run", "onehead-avl")
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert config["epochs"] == [2]
    assert [(each.name, each.glob_name, each.step_metric) for each in kinds(records, "metric")] == [
        ("iteration", "", ""),
        ("", "*", "iteration"),
    ]
    assert [each.exit_code for each in kinds(records, "exit")] == [0]


def test_a_training_that_died_sends_each_value_once(interrupted, undisturbed, shown, wandb_records):
    assert (interrupted / "metrics.csv").read_bytes() == (undisturbed / "metrics.csv").read_bytes()
    assert shown(interrupted) == shown(undisturbed)
    assert len(files_in(interrupted)) == 3
    records = wandb_records(interrupted)
    assert len({run.run_id for run in kinds(records, "run")}) == 1
    assert [each.exit_code for each in kinds(records, "exit")] == [1, 1, 0]
    assert {run.run_id for run in kinds(wandb_records(undisturbed), "run")} != {kinds(records, "run")[0].run_id}


@pytest.mark.parametrize("value", [torch.zeros(3, 4), "a picture", None])
def test_what_is_no_number_is_left_out(tmp_path, shown, value):
    with closing(WandBLogger(tmp_path, "run", {})) as logger:
        logger.log_single_metric("Confusion/eval_phase/test_stream", value, 0)
        logger.log_single_metric("Count_Epoch/train_phase/train_stream/Task000", 3, 5)
    assert shown(tmp_path) == [("Count_Epoch/train_phase/train_stream/Task000", 5, 3)]


def test_the_usual_settings_name_the_project(tmp_path, wandb_records, settings):
    settings(PROJECT="mine")
    WandBLogger(tmp_path, "run", {}).close()
    assert [run.project for run in kinds(wandb_records(tmp_path), "run")] == ["mine"]


def test_a_checkpoint_holds_how_many_values_there_were(tmp_path, shown, capsys):
    first = WandBLogger(tmp_path, "run", {})
    first.log_single_metric("Loss", 1.0, 1)
    table = encode(SimpleNamespace(logger=first))
    for step in (2, 3):
        first.log_single_metric("Loss", 1 / step, step)
    first.close()
    second = WandBLogger(tmp_path, "run", {})
    second.log_single_metric("Loss", 1.0, 1)  # on the way to the checkpoint
    restore(table, SimpleNamespace(logger=second), nn.Identity())
    for step in (2, 3, 4):
        second.log_single_metric("Loss", 1 / step, step)
    second.close()
    assert shown(tmp_path) == [("Loss", step, pytest.approx(1 / step)) for step in (1, 2, 3, 4)]
    assert capsys.readouterr() == ("", "")


def test_random_numbers_go_on_as_without_it(tmp_path):
    def draw():
        return random.random(), float(numpy.random.rand()), torch.rand(1).item()

    before = random_state()
    with closing(WandBLogger(tmp_path, "run", {})) as logger:
        logger.log_single_metric("Loss", 0.5, 0)
    drawn = draw()
    set_random_state(before)
    assert draw() == drawn


def test_values_that_were_lost_are_said_to_be(tmp_path, shown, capsys):
    first = WandBLogger(tmp_path, "run", {})
    for step in range(5):
        first.log_single_metric("Loss", 0.5, step)
    table = encode(SimpleNamespace(logger=first))
    first.close()
    (file,) = files_in(tmp_path)
    content = file.read_bytes()
    file.write_bytes(content[: content.rindex(b"iteration", 0, content.rindex(b"iteration"))])  # two are torn
    kept = len(shown(tmp_path))
    assert 0 < kept < 5
    second = WandBLogger(tmp_path, "run", {})
    restore(table, SimpleNamespace(logger=second), nn.Identity())
    for step in (5, 6):
        second.log_single_metric("Loss", 0.5, step)
    table = encode(SimpleNamespace(logger=second))
    second.log_single_metric("Loss", 0.5, 7)
    second.close()
    third = WandBLogger(tmp_path, "run", {})
    restore(table, SimpleNamespace(logger=third), nn.Identity())
    for step in (7, 8):
        third.log_single_metric("Loss", 0.5, step)
    third.close()
    assert [step for _, step, _ in shown(tmp_path)] == [*range(kept), 5, 6, 7, 8]
    assert capsys.readouterr().err == f"note: {5 - kept} values were lost on their way to W&B; metrics.csv has them\n"


def test_without_the_package_it_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UsageError, match=r"needs the package wandb, which is not there .*pip install wandb"):
        WandBLogger(tmp_path, "run", {})


def test_disabled_it_is_refused(tmp_path, settings):
    settings(MODE="disabled")
    with pytest.raises(UsageError, match=r"W&B is disabled .*set WANDB_MODE to online or offline"):
        WandBLogger(tmp_path, "run", {})
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_setting_is_one_sentence(tmp_path, settings):
    settings(MODE="sometimes")
    with pytest.raises(OutputError, match=r"^W&B cannot be used .*'sometimes'.*$"):
        WandBLogger(tmp_path, "run", {})


def test_a_server_that_is_not_there_is_one_sentence(tmp_path, settings):
    settings(MODE="online", BASE_URL="http://127.0.0.1:9", API_KEY="a" * 40, HTTP_TIMEOUT="1")
    with pytest.raises(OutputError, match=r"^W&B cannot be used .*127.0.0.1.*; mend that, or set WANDB_MODE=offline$"):
        WandBLogger(tmp_path, "run", {})


def test_a_process_of_wandb_that_is_gone_is_one_sentence_and_no_error_at_the_end(tmp_path, capsys):
    logger = WandBLogger(tmp_path, "run", {})
    run, logger._run = logger._run, SimpleNamespace(log=gone, finish=gone)
    with pytest.raises(OutputError, match=r"W&B takes no more values \(Connection lost\); mend what .*debug.log says"):
        logger.log_single_metric("Loss", 0.5, 0)
    logger.close()
    assert capsys.readouterr().err == (
        "note: W&B may lack values (Connection lost); wandb sync sends what is on the disk\n"
    )
    run.finish()


def gone(*arguments, **options):
    raise ConnectionResetError("Connection\nlost")


def test_values_that_the_disk_does_not_take_are_said_to_be_missing(tmp_path, shown, settings, monkeypatch, capsys):
    settings()
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, usual[1]))
    try:
        logger = WandBLogger(tmp_path, "run", {})  # which starts W&B's own process
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    for step in range(1000):
        logger.log_single_metric("Loss", 0.5, step)
    monkeypatch.setattr(wandb_logger, "WRITE", 2.0)
    logger.close()
    stored = len(shown(tmp_path))
    assert 0 < stored < 1000
    log = tmp_path / "wandb" / "debug-internal.log"
    assert capsys.readouterr().err == f"note: W&B wrote only {stored} of 1000 values; {log} may say why\n"
    assert "file too large" in log.read_text()


def test_at_a_terminal_nothing_is_printed_and_nobody_is_asked(tmp_path):
    code = """
        import os
        from pathlib import Path
        os.environ["WANDB_MODE"] = "offline"
        from onehead_avl.errors import UsageError
        from onehead_avl.logs.tensorboard_logger import TensorBoardLogger
        from onehead_avl.logs.wandb_logger import WandBLogger
        folder = Path("run")
        folder.mkdir()
        for kind in (TensorBoardLogger, WandBLogger):
            logger = kind(folder, "run", {"seed": 0})
            logger.log_single_metric("Loss", 0.5, 0)
            logger.close()
        import wandb
        wandb.teardown()
        os.environ["WANDB_MODE"] = "online"
        try:
            WandBLogger(folder, "run", {})
        except UsageError as error:
            print(error)
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "XDG_"))}
    ours, theirs = pty.openpty()
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", dedent(code)],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, timeout=300,
        env=kept | {"HOME": str(tmp_path), "PYTHONPATH": str(CHECKOUT)},
    )  # fmt: skip
    os.close(theirs)
    with closing(os.fdopen(ours, "rb", buffering=0)) as terminal:
        assert terminal.read(10_000).decode().splitlines() == [
            "W&B expects a login, found none; run wandb login once, or set WANDB_MODE=offline"
        ]
    assert len(files_in(tmp_path / "run")) == 1
    # Beside the run's folder there are what Avalanche and Matplotlib keep, and how W&B's own process fared.
    usual = (".avalanche/", ".cache/matplotlib/", ".cache/wandb/logs/", ".config/matplotlib/", "run/")
    written = [str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()]
    assert [file for file in written if not file.startswith(usual)] == []
