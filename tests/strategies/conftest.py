"""A tiny stream, and strategies built by name to learn it."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.supervised import JointTraining
from avalanche.training.templates.base import BaseTemplate

import scenarios.dataset
from onehead_avl.evaluation.plugins import evaluator
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.network import OneHeadNet
from onehead_avl.tasks import Task
from scenarios.augmentation import network_input
from scenarios.embedded import embedded_data
from scenarios.stream import heterogeneous_benchmark, layout_of
from strategies.build import build
from strategies.named import options_of
from strategies.setting import Setting

SIZE = 32
PICTURES = 8  # of each task: two minibatches of 4 an epoch


class Step(NamedTuple):
    """What a training step saw: the experience, and the task and position of every picture."""

    experience: int
    pictures: list[tuple[Task, int]]


class Steps(SupervisedPlugin):
    """Recognises every picture of every minibatch, whichever way a strategy trains on it."""

    def __init__(self, data) -> None:
        super().__init__()
        self.known = {
            _key(network_input(sample.image)): (part.task, position)
            for part in data
            for position, sample in enumerate(part.train)
        }
        self.seen: list[Step] = []

    def after_training_iteration(self, strategy, **kwargs) -> None:
        pictures = [self.known[_key(image)] for image in strategy.mb_x]
        self.seen.append(Step(strategy.clock.train_exp_counter, pictures))


def _key(image: torch.Tensor) -> int:
    return hash(image.numpy().tobytes())


@pytest.fixture(scope="session")
def tiny():
    return [embedded_data(task, size=SIZE, n_train=PICTURES, n_val=1) for task in Task]


@pytest.fixture
def unaugmented(monkeypatch) -> None:
    """Without augmentation a picture can be recognised by its pixels."""
    monkeypatch.setattr(scenarios.dataset, "training_augmentation", lambda task, size: lambda parts: dict(parts))


@pytest.fixture
def stream(tiny):
    """The training stream: segmentation, detection, classification."""
    return heterogeneous_benchmark(tiny, list(Task), SIZE).train_stream


@pytest.fixture
def setting(tiny) -> Callable[..., Setting]:
    """A setting with a new network, always the same."""

    def setting(**changes) -> Setting:
        torch.manual_seed(0)
        # As a run lays it out: some methods only work with contiguous weights, if they are not helped.
        model = OneHeadNet(layout_of(tiny), channels=16).to(memory_format=torch.channels_last)
        sizes = {"train_mb_size": 4, "eval_mb_size": 4, "replay_size": 6, "replay_batch": 2}
        return Setting(
            model, MultiTaskLoss(model.layout), evaluator(model.layout), torch.device("cpu"), **(sizes | changes)
        )

    return setting


@pytest.fixture
def built(setting) -> Callable[..., BaseTemplate]:
    """Build a strategy by its name, with options as ``--set`` takes them and changes of the setting."""

    def built(name: str, *options: str, **changes) -> BaseTemplate:
        chosen, wrong = options_of([name], options)
        assert wrong == []
        return build(name, setting(**changes), chosen)

    return built


@pytest.fixture
def learn(tiny) -> Callable[..., BaseTemplate]:
    """Train a strategy on the stream or on some of its experiences."""

    def learn(strategy: BaseTemplate, *experiences: int) -> BaseTemplate:
        torch.manual_seed(1)
        stream = heterogeneous_benchmark(tiny, list(Task), SIZE).train_stream
        if isinstance(strategy, JointTraining):
            strategy.train(stream)
        else:
            for experience in experiences or range(3):
                strategy.train(stream[experience])
        return strategy

    return learn


@pytest.fixture
def steps(tiny, unaugmented) -> Steps:
    """What a strategy trains on, if appended to its plugins."""
    return Steps(tiny)
