"""The commands of the page on one's own code, run as they stand there but smaller."""

import csv
import json
import re
import shlex
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from onehead_avl.benchmark import main
from onehead_avl.evaluate import main as evaluate

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--image-size", "64", "--batch-size", "4", "--epochs", "1", "--device", "cpu")
COMMANDS = re.findall(
    r"^python -m onehead_avl\.benchmark (.*(?:examples|avalanche)\..*)$",
    (ROOT / "docs" / "your-own-code.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)

pytestmark = pytest.mark.usefixtures("few_drawn")


@pytest.fixture
def run(invoke, monkeypatch, tmp_path):
    """Run a command of the page; the folder it wrote."""
    monkeypatch.syspath_prepend(str(ROOT))

    def run(command, *more):
        answer = invoke(main, *shlex.split(command), *SMALL, *more, "--output", tmp_path / "run")
        assert answer.status == 0, answer.err
        return tmp_path / "run"

    return run


def command_with(text):
    (command,) = [command for command in COMMANDS if text in command]
    return command


def results(folder):
    return json.loads((folder / "results.json").read_text())


def test_the_page_has_a_command_for_each_example():
    named = {name for command in COMMANDS for name in re.findall(r"examples\.(\w+):", command)}
    assert named == {"stay_near", "own_optimizer", "own_network", "own_metric"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_runs(command, run):
    folder = run(command)
    assert (folder / ("comparison.md" if " replay " in f" {command} " else "results.json")).exists()


def test_the_strategy_trains_with_its_own_optimizer_and_schedule(run):
    folder = run(command_with("own_optimizer"), "--keep-stages")
    found = results(folder)
    assert found["optimisation"] == {"by": "strategy", "optimizer": "SGD"}
    assert found["options"] == {"Halving": {"lr": 0.05}}


def test_a_step_of_size_zero_is_no_step(run):
    folder = run("--strategy examples.own_optimizer:Halving --set Halving.lr=0", "--keep-stages")
    first, *others = sorted((folder / "stages").iterdir())
    assert len(others) == 2
    for other in others:
        assert all(torch.equal(value, load_file(first)[name]) for name, value in load_file(other).items())


def test_the_network_is_saved_and_read_back(run, invoke):
    folder = run(command_with("own_network"))
    assert len(load_file(folder / "model.safetensors")["backbone.0.0.bias"]) == 48
    answer = invoke(evaluate, "--weights", folder / "model.safetensors", "--model", "examples.own_network:Plain")
    assert answer.status == 0, answer.err
    final = results(folder)["outcomes"]["seg"]["mIoU"]["final"]
    (row,) = [line.split() for line in answer.out.splitlines() if line.startswith("seg mIoU")]
    assert float(row[2]) == pytest.approx(final, abs=1e-5)


def test_the_metric_is_logged_and_the_logger_writes_every_value(run):
    folder = run(command_with("own_metric"))
    rows = list(csv.DictReader((folder / "metrics.csv").open(encoding="utf-8")))
    own = [row for row in rows if row["metric"] == "OutputNorm_Exp"]
    assert len(own) == 12  # three experiences, four evaluations
    assert all(float(row["value"]) > 0 for row in own)
    lines = [line.split() for line in (folder / "lines.txt").read_text().splitlines()]
    assert [float(line[1]) for line in lines] == [float(row["value"]) for row in rows]
    assert [line[0].split("/")[0] for line in lines] == [row["metric"] for row in rows]
