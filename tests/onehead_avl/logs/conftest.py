"""One tiny training over three experiences, evaluated after every epoch, with all loggers attached; and interrupted."""

import csv
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from avalanche.core import SupervisedPlugin
from avalanche.logging import BaseLogger

from onehead_avl.checkpoint import plugin
from onehead_avl.checkpoint.logfiles import LogFiles
from onehead_avl.checkpoint.plugin import Checkpoints
from onehead_avl.checkpoint.store import Store
from onehead_avl.evaluation.periodic import PeriodicEvaluation
from onehead_avl.evaluation.plugins import evaluator
from onehead_avl.kinds.kind import kind_of
from onehead_avl.logs.csv_logger import CSVLogger
from onehead_avl.logs.tensorboard_logger import TensorBoardLogger
from onehead_avl.logs.tidy_logger import TidyLogger
from onehead_avl.logs.wandb_files import files_in, records_in
from onehead_avl.logs.wandb_logger import WandBLogger
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.network import OneHeadNet
from onehead_avl.runs.learn import learn
from scenarios.drawn.embedded import drawn, drawn_classes
from scenarios.experience import Experience, Stream
from scenarios.stream import avalanche_benchmark
from strategies.multitask import MultiTask


class Heard(BaseLogger):
    """Remembers every value that the loggers are given."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[tuple[str, object, int]] = []

    def log_single_metric(self, name: str, value: object, x_plot: int) -> None:
        self.values.append((name, value, x_plot))

    def at(self, metric: str, exp: int, steps: int) -> float | None:
        """The value of a metric of an evaluated experience after so many training steps."""
        for name, value, x in self.values:
            if name.startswith(f"{metric}/eval") and name.endswith(f"Exp{exp:03d}") and x == steps:
                return value
        return None


class Logged(NamedTuple):
    """A finished training: its folder, all values, and its extent."""

    folder: Path
    heard: Heard
    experiences: int
    epochs: int
    steps: int  # an epoch


@pytest.fixture(scope="session")
def table() -> Callable[[Path], list[dict[str, str]]]:
    """Read a CSV file."""

    def table(path: Path) -> list[dict[str, str]]:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    return table


@pytest.fixture(scope="session", autouse=True)
def offline() -> Iterator[None]:
    """W&B writes files and knows of no network, account or settings."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("WANDB_PROJECT", "WANDB_API_KEY", "WANDB_SILENT"):
            patch.delenv(name, raising=False)
        patch.setenv("WANDB_MODE", "offline")
        yield


@pytest.fixture(scope="session")
def wandb_records() -> Callable[[Path], list[Any]]:
    """Read all records that the files of W&B in a folder hold."""
    from wandb.proto.wandb_internal_pb2 import Record

    return lambda folder: [Record.FromString(each) for file in files_in(folder) for each in records_in(file)]


class Part(NamedTuple):
    """A strategy and what it learns."""

    strategy: MultiTask
    benchmark: Any
    names: tuple[str, ...]


def part(loggers: Callable[[OneHeadNet, Stream], list[BaseLogger]], plugins: list[SupervisedPlugin]) -> Part:
    """Two epochs of two steps in each of three experiences."""
    torch.manual_seed(0)
    experiences = []
    for name, kind in (("seg", "segmentation"), ("det", "detection"), ("cls", "classification")):
        train, val = (drawn(kind, split, size=32, count=count) for split, count in (("train", 4), ("val", 3)))
        experiences.append(Experience(name, kind_of(kind), drawn_classes(kind), train, val, name))
    stream = Stream("tiny", tuple(experiences))
    model = OneHeadNet(stream.layout, channels=32)
    strategy = MultiTask(
        model=model,
        criterion=MultiTaskLoss(model.layout),
        train_mb_size=2,
        eval_mb_size=3,
        train_epochs=2,
        evaluator=evaluator(model.layout, loggers(model, stream)),
        plugins=plugins,
    )
    benchmark = avalanche_benchmark(stream, 32)
    strategy.plugins.append(PeriodicEvaluation(1, benchmark.test_stream))
    return Part(strategy, benchmark, stream.names)


@pytest.fixture(scope="session")
def logged(tmp_path_factory, offline) -> Logged:
    """A training from its beginning to its end."""
    folder = tmp_path_factory.mktemp("logged")
    heard = Heard()
    with ExitStack() as held:

        def loggers(model, stream):
            made = [
                CSVLogger(folder, model.layout),
                TidyLogger(folder, stream.names, "a run", 7, "naive"),
                TensorBoardLogger(folder, "a run", {"epochs": [2]}),
                WandBLogger(folder, "a run", {"epochs": [2]}),
            ]
            for each in made:
                held.enter_context(closing(each))
            return [heard, *made]

        strategy, benchmark, _ = part(loggers, [])
        for experience in benchmark.train_stream:
            strategy.train(experience)
            strategy.eval(benchmark.test_stream)
    return Logged(folder, heard, experiences=3, epochs=2, steps=2)


class Outage(Exception):
    """The power is gone."""


class Dies(SupervisedPlugin):
    """Lets a training die before so many evaluations of an experience are done, ``None`` for never."""

    UNSAVED = frozenset(("left",))

    def __init__(self, evaluations: int | None) -> None:
        super().__init__()
        self.left = evaluations

    def before_eval_iteration(self, strategy, **kwargs) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Outage


def life(folder: Path, evaluations: int | None) -> None:
    """Begin or continue a training with checkpoints, until it dies."""
    with ExitStack() as held:
        made = []

        def loggers(model, stream):
            made[:] = [
                TidyLogger(folder, stream.names, "a run", 7, "naive"),
                TensorBoardLogger(folder, "a run", {}),
                WandBLogger(folder, "a run", {}),
            ]
            for each in made:
                held.enter_context(closing(each))
            return made

        strategy, benchmark, names = part(loggers, [Dies(evaluations)])
        checkpoints = Checkpoints(Store(folder / "checkpoints"), {}, benchmark, every=99)
        checkpoints.find(folder)
        strategy.plugins.append(checkpoints)
        checkpoints.start(strategy, LogFiles([each.file for each in made[:2]]))
        learn(strategy, benchmark, names, [3, 3, 3], 0, checkpoints)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, offline) -> Path:
    """The folder of a training that never died."""
    folder = tmp_path_factory.mktemp("undisturbed")
    life(folder, None)
    return folder


@pytest.fixture(scope="session")
def interrupted(tmp_path_factory, offline) -> Path:
    """The folder of the same training, which died twice.

    Each time evaluations had been logged that came after the last checkpoint: first those of the second epoch of the
    second stage, then those after that stage.
    """
    folder = tmp_path_factory.mktemp("interrupted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugin, "SHARE", math.inf)
        for evaluations in (16, 4):
            with suppress(Outage):
                life(folder, evaluations)
                pytest.fail("it came to its end")
        life(folder, None)
    return folder
