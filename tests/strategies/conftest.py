"""Tiny streams, and strategies built by name to learn them."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.supervised import JointTraining
from avalanche.training.templates.base import BaseTemplate

from onehead_avl.evaluation.plugins import evaluator
from onehead_avl.kinds import KINDS
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.input import network_input
from onehead_avl.model.network import OneHeadNet
from scenarios.drawn.embedded import drawn, drawn_classes
from scenarios.experience import Experience, Stream
from scenarios.stream import avalanche_benchmark
from strategies.build import build
from strategies.hyperparameters import options_of
from strategies.setting import Setting

SIZE = 32
PICTURES = 8  # of each experience: two minibatches of 4 an epoch


class Step(NamedTuple):
    """What a training step saw: the experience, and the task label and position of every picture."""

    experience: int
    pictures: list[tuple[int, int]]


class Steps(SupervisedPlugin):
    """Recognises every picture of every minibatch, whichever way a strategy trains on it."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self.known = {
            _key(network_input(sample.image)): (task, position)
            for task, experience in enumerate(stream.experiences)
            for position, sample in enumerate(experience.train)
        }
        assert len(self.known) == sum(len(experience.train) for experience in stream.experiences)
        self.seen: list[Step] = []

    def after_training_iteration(self, strategy, **kwargs) -> None:
        pictures = [self.known[_key(image)] for image in strategy.mb_x]
        self.seen.append(Step(strategy.clock.train_exp_counter, pictures))


def _key(image: torch.Tensor) -> int:
    return hash(image.numpy().tobytes())


@pytest.fixture(scope="session")
def drawn_experience() -> Callable[..., Experience]:
    """Make an experience of drawn pictures; another seed gives others."""

    def drawn_experience(name, kind, count=PICTURES, seed=0, head=None) -> Experience:
        train, val = (drawn(kind, split, size=SIZE, count=n, seed=seed) for split, n in (("train", count), ("val", 1)))
        return Experience(name, kind_of(kind), drawn_classes(kind), train, val, head or name)

    return drawn_experience


@pytest.fixture(scope="session")
def tiny(drawn_experience) -> Stream:
    """Segmentation, detection, classification."""
    kinds = {"seg": "segmentation", "det": "detection", "cls": "classification"}
    return Stream("tiny", tuple(drawn_experience(name, kind) for name, kind in kinds.items()))


@pytest.fixture(scope="session")
def four(drawn_experience) -> Stream:
    """Segmentation, detection, segmentation of other pictures, classification, each with a head of its own."""
    experiences = (
        drawn_experience("seg-1", "segmentation"),
        drawn_experience("det", "detection"),
        drawn_experience("seg-2", "segmentation", seed=1),
        drawn_experience("cls", "classification"),
    )
    return Stream("four", experiences)


@pytest.fixture
def unaugmented(monkeypatch) -> None:
    """Without augmentation a picture can be recognised by its pixels."""
    for name in KINDS:
        monkeypatch.setattr(type(kind_of(name)), "augmentation", lambda kind, size: dict)
    monkeypatch.setattr("strategies.outlines.PASTED", 0)


@pytest.fixture
def stream(tiny):
    """The training stream: segmentation, detection, classification."""
    return avalanche_benchmark(tiny, SIZE).train_stream


@pytest.fixture
def setting(tiny) -> Callable[..., Setting]:
    """A setting with a new network for a stream, always the same."""

    def setting(of: Stream = tiny, **changes) -> Setting:
        torch.manual_seed(0)
        # As a run lays it out: some methods only work with contiguous weights, if they are not helped.
        model = OneHeadNet(of.layout, channels=16).to(memory_format=torch.channels_last)
        sizes = {"train_mb_size": 4, "eval_mb_size": 4, "replay_size": 6, "replay_batch": 2}
        return Setting(
            model,
            model.layout,
            MultiTaskLoss(model.layout),
            evaluator(model.layout),
            torch.device("cpu"),
            **(sizes | changes),
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
    """Train a strategy on a stream or on some of its experiences."""

    def learn(strategy: BaseTemplate, *experiences: int, of: Stream = tiny) -> BaseTemplate:
        torch.manual_seed(1)
        stream = avalanche_benchmark(of, SIZE).train_stream
        if isinstance(strategy, JointTraining):
            strategy.train(stream)
        else:
            for experience in experiences or range(len(stream)):
                strategy.train(stream[experience])
        return strategy

    return learn


@pytest.fixture
def steps_of(unaugmented) -> Callable[[Stream], Steps]:
    """Make what notes the steps of a strategy on a stream, if appended to its plugins."""
    return Steps


@pytest.fixture
def steps(tiny, steps_of) -> Steps:
    """What a strategy trains on, if appended to its plugins."""
    return steps_of(tiny)
