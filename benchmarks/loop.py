"""What the benchmark adds to a bare loop of PyTorch: ``python -m benchmarks.loop [SIZE ...]``, by default 128 and 320.

Each kind of task of the embedded data set is learned by the benchmark, with all the plugins, metrics and logs of a run;
by a bare loop over as many batches that lie in memory, with the same network, loss, optimizer, schedule and clipping;
and by one that also draws the views of training images. Then the benchmark evaluates it, and a loop does the forward
passes alone. They take turns, on one thread; read the ratios of the medians.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from avalanche.logging import TextLogger
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from onehead_avl.evaluation.periodic import evaluate_undisturbed
from onehead_avl.logs.csv_logger import CSVLogger
from onehead_avl.logs.tidy_logger import TidyLogger
from onehead_avl.report.table import layout_table
from onehead_avl.runs.config import Config
from onehead_avl.runs.preparation import Prepared, prepare
from onehead_avl.runs.run import instruments
from onehead_avl.target import Target
from scenarios.reading import read_stream
from strategies.optimisation import CLIP_NORM, optimisation_of, warmup_cosine

ROUNDS = 5
EPOCHS = 1
KINDS = ("seg", "det", "cls")


def main() -> None:
    torch.set_num_threads(1)
    header = ["pixels", "experience", "learned, ms", "in a bare loop", "ratio", "that draws views", "ratio"]
    rows = [[*header, "evaluated, ms", "forward", "ratio"]]
    for size in map(int, sys.argv[1:] or (128, 320)):
        for name in KINDS:
            config = Config(strategy=("naive",), order=(name,), epochs=(EPOCHS,), image_size=size).resolved()
            prepared = prepare(config, read_stream(config.placed(), lambda line: None))
            with TemporaryDirectory() as folder:
                rows.append([str(size), name, *_measured(prepared, Path(folder))])
    print(layout_table(rows))


def _measured(prepared: Prepared, folder: Path) -> list[str]:
    """Times of training and evaluation, each by the benchmark and without it, and their ratios."""
    strategy = prepared.strategy
    (learned,), (evaluated,) = prepared.benchmark.train_stream, prepared.benchmark.test_stream
    with ExitStack() as held:
        log = held.enter_context((folder / "log.txt").open("w", encoding="utf-8"))
        csv = held.enter_context(closing(CSVLogger(folder, prepared.stream.layout)))
        tidy = held.enter_context(closing(TidyLogger(folder, prepared.config.order, "loop", 0, "naive")))
        strategy.evaluator.loggers += [TextLogger(log), csv, tidy]
        strategy.plugins += instruments(prepared)
        strategy.train_epochs = EPOCHS
        strategy.train(learned)  # all that a first time takes
        size = prepared.config.batch_size
        training, evaluation = list(_batches(learned.dataset, size)), list(_batches(evaluated.dataset, size))
        steps = EPOCHS * len(training)
        times = _in_turn(
            lambda: strategy.train(learned),
            lambda: _train(prepared, EPOCHS * training, steps),
            lambda: _train(prepared, chain(*(_batches(learned.dataset, size) for _ in range(EPOCHS))), steps),
            lambda: evaluate_undisturbed(strategy, prepared.benchmark.test_stream, 0),
            lambda: _forward(prepared, evaluation),
        )
    images = [EPOCHS * len(learned.dataset)] * 3 + [len(evaluated.dataset)] * 2
    learned_in, bare, drawn, evaluated_in, forward = (
        1000 * seconds / n for seconds, n in zip(times, images, strict=True)
    )
    ratios = (learned_in / bare, learned_in / drawn, evaluated_in / forward)
    return [
        *(f"{each:.2f}" for each in (learned_in, bare, ratios[0], drawn, ratios[1], evaluated_in, forward, ratios[2]))
    ]


def _batches(dataset: Any, size: int) -> Iterator[tuple[Tensor, Target]]:
    samples = (dataset[i] for i in range(len(dataset)))
    while some := list(islice(samples, size)):
        images, target, _ = dataset.collate_fn(some)
        yield images.contiguous(memory_format=torch.channels_last), target


def _in_turn(*jobs: Callable[[], object]) -> list[float]:
    """The median seconds of each job."""
    times: list[list[float]] = [[] for _ in jobs]
    for _ in range(ROUNDS):
        for job, taken in zip(jobs, times, strict=True):
            start = time.perf_counter()
            job()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def _train(prepared: Prepared, batches: Iterable[tuple[Tensor, Target]], steps: int) -> None:
    strategy = prepared.strategy
    optimisation = optimisation_of(strategy)
    assert optimisation is not None
    model, criterion = strategy.model, strategy._criterion
    optimizer = optimisation.optimizer(model)
    model.train()
    for step, (images, target) in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * warmup_cosine(step / steps)
        optimizer.zero_grad()
        criterion(model(images), target).backward()
        clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()


@torch.no_grad()
def _forward(prepared: Prepared, batches: Iterable[tuple[Tensor, Target]]) -> None:
    prepared.strategy.model.eval()
    for images, _ in batches:
        prepared.strategy.model(images)


if __name__ == "__main__":
    main()
