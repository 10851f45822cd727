"""One tiny training over three experiences, evaluated after every epoch, with all loggers attached."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from avalanche.logging import BaseLogger

from onehead_avl.evaluation.periodic import PeriodicEvaluation
from onehead_avl.evaluation.plugins import evaluator
from onehead_avl.kinds.kind import kind_of
from onehead_avl.logs.csv_logger import CSVLogger
from onehead_avl.logs.tidy_logger import TidyLogger
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.network import OneHeadNet
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


@pytest.fixture(scope="session")
def logged(tmp_path_factory) -> Logged:
    """Two epochs of two steps in each of three experiences."""
    folder = tmp_path_factory.mktemp("logged")
    torch.manual_seed(0)
    experiences = []
    for name, kind in (("seg", "segmentation"), ("det", "detection"), ("cls", "classification")):
        train, val = (drawn(kind, split, size=32, count=count) for split, count in (("train", 4), ("val", 3)))
        experiences.append(Experience(name, kind_of(kind), drawn_classes(kind), train, val, name))
    stream = Stream("tiny", tuple(experiences))
    benchmark = avalanche_benchmark(stream, 32)
    model = OneHeadNet(stream.layout, channels=32)
    heard, csv_logger = Heard(), CSVLogger(folder, model.layout)
    tidy = TidyLogger(folder, stream.names, "a run", 7, "naive")
    strategy = MultiTask(
        model=model,
        criterion=MultiTaskLoss(model.layout),
        train_mb_size=2,
        eval_mb_size=3,
        train_epochs=2,
        evaluator=evaluator(model.layout, [heard, csv_logger, tidy]),
    )
    strategy.plugins.append(PeriodicEvaluation(1, benchmark.test_stream))
    for experience in benchmark.train_stream:
        strategy.train(experience)
        strategy.eval(benchmark.test_stream)
    csv_logger.close()
    tidy.close()
    return Logged(folder, heard, experiences=3, epochs=2, steps=2)
