from types import SimpleNamespace

import pytest
import torch
from tqdm import tqdm

from onehead_avl.evaluation.plugins import ExperienceScore, metric_plugins
from onehead_avl.logs import progress
from onehead_avl.logs.progress import Progress

NAMES = ("seg", "det", "cls")


class Bar:
    """Stands in for a bar of tqdm."""

    def __init__(self, desc, total, **options):
        self.desc, self.total, self.options = desc, total, options
        self.n, self.postfix, self.closed = 0, {}, False

    def set_postfix(self, values, refresh):
        self.postfix = values

    def update(self, steps=1):
        self.n += steps

    def close(self):
        self.closed = True


@pytest.fixture
def bars(monkeypatch):
    made = []

    def bar(disable=False, **options):
        if not disable:
            made.append(Bar(**options))
        return tqdm(disable=True) if disable else made[-1]

    monkeypatch.setattr(progress, "tqdm", bar)
    return made


def strategy(exp, labels, batches):
    return SimpleNamespace(
        experience=SimpleNamespace(current_experience=exp, task_labels=labels),
        adapted_dataset=SimpleNamespace(targets_task_labels=SimpleNamespace(uniques=set(labels))),
        dataloader=[None] * batches,
        train_epochs=3,
        clock=SimpleNamespace(train_exp_epochs=1, train_exp_iterations=0),
        loss=torch.tensor(0.125),
    )


def test_the_bar_of_a_stage_counts_all_its_steps(bars):
    logger, state = Progress(NAMES), strategy(1, [1], 4)
    logger.before_training_exp(state, [])
    for _ in range(12):
        logger.after_training_iteration(state, [])
        state.clock.train_exp_iterations += 1
    (bar,) = bars
    assert (bar.desc, bar.total, bar.n) == ("stage 2 det", 12, 12)
    assert bar.postfix == {"epoch": "2/3", "loss": "0.125"}
    assert not bar.closed
    logger.after_training_exp(state, [])
    assert bar.closed


def test_the_bar_of_a_stage_names_all_experiences_that_it_learns_in_the_order_of_their_definition(bars):
    Progress(NAMES).before_training_exp(strategy(0, [2, 0], 1), [])
    assert [bar.desc for bar in bars] == ["stage 1 seg + cls"]


def test_the_bar_of_an_evaluation_vanishes(bars):
    logger, state = Progress(NAMES), strategy(0, [0, 2], 2)
    logger.before_eval_exp(state, [])
    for _ in range(2):
        logger.after_eval_iteration(state, [])
    logger.after_eval_exp(state, [])
    (bar,) = bars
    assert (bar.desc, bar.total, bar.n, bar.closed) == ("evaluating seg + cls", 2, 2, True)
    assert bar.options["leave"] is False


def test_values_are_left_to_the_text_log(bars, capsys):
    Progress(NAMES).log_single_metric("mIoU_Exp", 0.5, 0)
    assert capsys.readouterr() == ("", "")


def test_a_run_shows_its_stages_on_standard_error(trained):
    _, answer = trained
    for stage, task in enumerate(NAMES, start=1):
        assert f"stage {stage} {task}: 100%" in answer.err
        assert f"stage {stage} " not in answer.out
    assert "loss=" in answer.err


class Evaluated:
    """An evaluator that has counted some experiences."""

    def __init__(self, layout, values):
        self.metrics = metric_plugins(layout)
        scores = [each for each in self.metrics if isinstance(each, ExperienceScore)]
        for score, value in zip(scores, values, strict=True):
            if value is not None:
                score.metric.result = lambda value=value, score=score: dict.fromkeys(score.metric.names, value)
                score.metric.__class__ = type("Counted", (type(score.metric),), {"__len__": lambda self: 1})


def test_the_bar_of_a_stage_shows_the_last_evaluation(bars, layout):
    logger, state = Progress(NAMES), strategy(1, [1], 4)
    state.evaluator = Evaluated(layout, (0.25, None, 0.5))
    logger.after_eval(state, [])
    logger.before_training_exp(state, [])
    logger.after_training_iteration(state, [])
    assert bars[0].postfix == {"epoch": "2/3", "loss": "0.125", "seg": "0.250", "cls": "0.500"}
