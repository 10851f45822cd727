"""A tiny network that learns two experiences of drawn images, with all that an evaluation in between might disturb."""

import warnings
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.plugins import ReplayPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import nn

from onehead_avl.evaluation.plugins import evaluator
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.system.randomness import random_state
from onehead_avl.system.views import VIEWS
from scenarios.drawn.embedded import drawn, drawn_classes
from scenarios.experience import Experience, Stream
from scenarios.stream import avalanche_benchmark

SIZE = 32
BATCH, IMAGES = 2, 4  # two steps an epoch


class Small(nn.Module):
    """A convolution, statistics, random numbers and a part that a method might have frozen."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 8, stride=8), nn.BatchNorm2d(8), nn.Dropout(), nn.BatchNorm2d(8), nn.Conv2d(8, channels, 1)
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.layers(image)


class Frozen(SupervisedPlugin):
    """Keeps the statistics of one layer while others are learned."""

    def before_training_exp(self, strategy, **kwargs) -> None:
        strategy.model.layers[1].eval()


class Notes(SupervisedPlugin):
    """Notes the modes in each iteration, and the weights after each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.modes: list[list[bool]] = []
        self.weights: list[list[dict]] = []

    def before_training_exp(self, strategy, **kwargs) -> None:
        self.weights.append([])

    def after_training_iteration(self, strategy, **kwargs) -> None:
        self.modes.append([module.training for module in strategy.model.modules()])

    def after_training_epoch(self, strategy, **kwargs) -> None:
        state = strategy.model.state_dict()
        self.weights[-1].append({name: value.clone() for name, value in state.items()})


@pytest.fixture(scope="session")
def two() -> Stream:
    """Segmentation, and classification."""
    experiences = []
    for name, kind in (("seg", "segmentation"), ("cls", "classification")):
        train, val = (drawn(kind, split, size=SIZE, count=count) for split, count in (("train", IMAGES), ("val", 3)))
        experiences.append(Experience(name, kind_of(kind), drawn_classes(kind), train, val, name))
    return Stream("two", tuple(experiences))


@pytest.fixture
def learned(two) -> Callable[..., SimpleNamespace]:
    """Learn a stream, always with the same random numbers.

    Args:
        plugins: Called with the benchmark; come after all others, as those of a run do.
        epochs: Of each experience.
        of: The stream.
        order: Of its experiences.
        loggers: Of the evaluator.
        template: Of Avalanche's, which is given ``options``.

    Returns:
        The strategy, its benchmark, what a plugin notes, and the random state in the end.
    """

    def learned(*plugins, epochs=(3, 2), of=two, order=None, loggers=(), template=SupervisedTemplate, **options):
        torch.manual_seed(0)
        VIEWS.seed = None
        benchmark = avalanche_benchmark(of, SIZE, order)
        model, notes = Small(of.layout.channels), Notes()
        strategy = template(
            model=model,
            optimizer=torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
            criterion=MultiTaskLoss(of.layout),
            train_mb_size=BATCH,
            eval_mb_size=BATCH,
            plugins=[Frozen(), ReplayPlugin(mem_size=2, batch_size_mem=1)],
            evaluator=evaluator(of.layout, loggers),
            **options,
        )
        strategy.plugins += [notes, *(plugin(benchmark) for plugin in plugins)]
        for experience, strategy.train_epochs in zip(benchmark.train_stream, epochs, strict=True):
            with warnings.catch_warnings(record=True):  # the replay plugin calls a deprecated method of its own memory
                strategy.train(experience)
        return SimpleNamespace(strategy=strategy, benchmark=benchmark, notes=notes, random=random_state())

    return learned


@pytest.fixture
def assert_learned_the_same() -> Callable[[SimpleNamespace, SimpleNamespace], None]:
    """Compare the weights after each epoch, the modes in each iteration and the random numbers that follow."""

    def assert_learned_the_same(one: SimpleNamespace, other: SimpleNamespace) -> None:
        assert one.notes.modes == other.notes.modes
        for ours, theirs in zip(one.notes.weights, other.notes.weights, strict=True):
            for mine, yours in zip(ours, theirs, strict=True):
                assert all(torch.equal(value, yours[name]) for name, value in mine.items())
        assert torch.equal(one.random["torch"], other.random["torch"])
        others = [{name: value for name, value in each.random.items() if name != "torch"} for each in (one, other)]
        assert others[0] == others[1]

    return assert_learned_the_same
