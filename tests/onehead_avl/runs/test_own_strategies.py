"""A strategy of anybody's trains as it was written, or is refused by name before training."""

import json
import threading

import pytest
from safetensors.torch import load_file

from onehead_avl.runs.config import Config
from onehead_avl.runs.identity import Identities
from onehead_avl.runs.run import run
from scenarios.reading import read_stream

pytestmark = pytest.mark.usefixtures("few_drawn")

STRATEGIES = """
    from avalanche.training.plugins import EvaluationPlugin, LRSchedulerPlugin
    from avalanche.training.supervised import Naive
    from avalanche.training.templates import SupervisedTemplate
    from torch.optim import SGD
    from torch.optim.lr_scheduler import StepLR

    def still(model, optimizer, **arguments):
        return SupervisedTemplate(model=model, optimizer=SGD(model.parameters(), lr=0.0), **arguments)

    def scheduled(optimizer, plugins, **arguments):
        for group in optimizer.param_groups:
            group.update(lr=0.0, weight_decay=0.0)
        own = LRSchedulerPlugin(StepLR(optimizer, 1))
        return SupervisedTemplate(optimizer=optimizer, plugins=[own, *plugins], **arguments)

    def changed(optimizer, **arguments):
        optimizer.param_groups[0].update(lr=0.0, weight_decay=0.0)
        return SupervisedTemplate(optimizer=optimizer, **arguments)

    def measures_by_itself(evaluator, **arguments):
        return Naive(evaluator=EvaluationPlugin(), **arguments)

    def drops_plugins(plugins, **arguments):
        return Naive(**arguments)

    class Late(SupervisedTemplate):
        def _before_training_exp(self, **kwargs):
            self.optimizer = SGD(self.model.parameters(), lr=0.0)
            super()._before_training_exp(**kwargs)

    class Broken(SupervisedTemplate):
        def criterion(self):
            loss = super().criterion()
            if self.is_training and self.clock.train_exp_counter == 1:
                return self.nothing_of_the_kind(loss)
            return loss

    def unbuildable(**arguments):
        return [][0]
"""


@pytest.fixture
def strategies(write):
    write("theirs", STRATEGIES)


def results(folder):
    return json.loads((folder / "results.json").read_text())


@pytest.mark.parametrize(
    ("name", "optimizer"), [("still", "SGD"), ("Late", "SGD"), ("scheduled", "AdamW"), ("changed", "AdamW")]
)
def test_a_strategy_with_an_optimizer_or_a_schedule_of_its_own_is_trained_by_it(
    name, optimizer, strategies, train_own, tmp_path
):
    answer = train_own(tmp_path / "run", "--strategy", f"theirs:{name}", "--order", "seg", "--keep-stages")
    assert answer.status == 0, answer.err
    found = results(tmp_path / "run")
    assert found["optimisation"] == {"by": "strategy", "optimizer": optimizer}
    assert found["untrained"] == found["stages"][0]["scores"]  # a step of size zero moves nothing
    assert f"Weights are updated by the strategy's own {optimizer}" in answer.out


@pytest.mark.parametrize("strategy", ["naive", "avalanche.training.supervised:Naive", "joint"])
def test_a_strategy_that_keeps_the_optimizer_it_is_handed_is_trained_by_the_benchmark(strategy, train_own, tmp_path):
    answer = train_own(tmp_path / "run", "--strategy", strategy, "--order", "seg")
    assert answer.status == 0, answer.err
    assert results(tmp_path / "run")["optimisation"] == {"by": "benchmark", "optimizer": "AdamW"}
    assert "Weights are updated by the benchmark's AdamW" in answer.out


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("measures_by_itself", "expected the strategy to measure with the evaluator that it is handed"),
        (
            "drops_plugins",
            "expected the strategy to keep the plugins that it is handed, found that it lacks FreshViews, ",
        ),
    ],
)
def test_a_strategy_that_drops_what_it_is_handed_is_refused_before_training(
    name, reason, strategies, train_own, tmp_path
):
    answer = train_own(tmp_path / "run", "--strategy", f"theirs:{name}")
    assert answer.status == 2
    assert f"error: theirs:{name}: {reason}" in answer.err
    assert list((tmp_path / "run").iterdir()) == []


def test_hyper_parameters_of_an_optimizer_that_is_not_used_are_refused(strategies, train_own, tmp_path):
    answer = train_own(tmp_path / "run", "--strategy", "theirs:still", "--set", "optimisation.lr=1")
    assert answer.status == 2
    assert "theirs:still trains by itself, with SGD, so optimisation.lr would change nothing" in answer.err


def test_hyper_parameters_of_the_optimisation_change_what_is_learned(train_own, tmp_path):
    answer = train_own(
        tmp_path / "run",
        "--strategy",
        "naive",
        "--order",
        "seg",
        "--set",
        "optimisation.lr=0",
        "optimisation.backbone_lr=0",
    )
    assert answer.status == 0, answer.err
    found = results(tmp_path / "run")
    assert found["options"]["optimisation"] == {"lr": 0.0, "backbone_lr": 0.0}
    assert found["untrained"] == found["stages"][0]["scores"]


def test_an_error_of_somebodys_code_is_a_sentence_with_its_traceback_and_loses_nothing(strategies, train_own, tmp_path):
    folder = tmp_path / "run"
    answer = train_own(folder, "--strategy", "theirs:Broken")
    assert answer.status == 1
    lines = answer.err.splitlines()
    (sentence,) = [line for line in lines if line.startswith("error: ")]
    assert sentence.startswith("error: AttributeError in theirs.py, line ")
    assert "in criterion in epoch 1 of stage 2 (det) (" in sentence
    assert f"are kept in {folder}" in sentence
    below = lines[lines.index(sentence) + 1 :]
    assert below[0] == "Traceback (most recent call last):"
    assert any("self.nothing_of_the_kind(loss)" in line for line in below)
    assert (folder / "checkpoints" / "stage0.pt").exists()
    assert "seg" in (folder / "metrics.csv").read_text()


def test_in_a_comparison_the_traceback_is_in_a_file(strategies, train_own, tmp_path):
    folder = tmp_path / "runs"
    answer = train_own(folder, "--strategy", "theirs:Broken", "naive", "--order", "seg", "det")
    assert answer.status == 1
    (file,) = folder.glob("theirs.Broken_*/traceback.txt")
    assert "self.nothing_of_the_kind(loss)" in file.read_text()
    assert f"(see {file})" in (folder / "comparison.md").read_text()
    assert (folder / "naive_seg-det_seed0" / "results.json").exists()


def test_what_cannot_be_built_is_a_sentence_with_its_traceback(strategies, train_own, tmp_path):
    answer = train_own(tmp_path / "run", "--strategy", "theirs:unbuildable")
    assert answer.status == 1
    assert "error: theirs:unbuildable could not be built: IndexError in theirs.py, line " in answer.err
    assert "return [][0]" in answer.err
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("strategy", ["replay", "rwalk", "mir"])
def test_periodic_evaluation_changes_nothing_that_is_learned(strategy, train, tmp_path):
    options = ("--strategy", strategy, "--order", "seg", "cls", "--epochs", "4", "--seeds", "3")
    options += ("--set", "rwalk.delta=2") if strategy == "rwalk" else ()
    for name, more in (("without", ()), ("with", ("--eval-every", "2"))):
        answer = train(tmp_path / name, *options, *more)
        assert answer.status == 0, answer.err
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("without", "with")]
    assert all(weights[0][name].equal(value) for name, value in weights[1].items())
    found = [results(tmp_path / name) for name in ("without", "with")]
    assert found[0]["outcomes"] == found[1]["outcomes"]
    assert found[0]["untrained"] == found[1]["untrained"]


def test_periodic_evaluation_comes_after_every_so_many_epochs_and_writes_each_row_once(train, tmp_path):
    answer = train(tmp_path / "run", "--order", "seg", "cls", "--epochs", "4", "5", "--eval-every", "2")
    assert answer.status == 0, answer.err
    rows = [line.split(",") for line in (tmp_path / "run" / "metrics.csv").read_text().splitlines()]
    at = [(row[3], row[4], row[8]) for row in rows if row[6] == "mIoU_Exp"]
    assert at == [
        ("", "0", "seg"),
        *(("0", epoch, "seg") for epoch in "24"),
        *(("1", epoch, "seg") for epoch in "245"),
    ]
    keys = [(*row[3:7], row[8]) for row in rows]
    assert len(set(keys)) == len(keys)


def test_a_run_needs_no_main_thread(tmp_path):
    config = Config(
        strategy=("naive",), image_size=32, epochs=(1,), order=("seg",), batch_size=4, device="cpu", output=tmp_path
    ).resolved()
    stream = read_stream(config.placed(), tell=print)
    found = []
    thread = threading.Thread(target=lambda: found.append(run(config, stream, tmp_path, Identities(stream).of(config))))
    thread.start()
    thread.join()
    (record,) = found
    assert record.stages[0].scores["seg"]["mIoU"] is not None
