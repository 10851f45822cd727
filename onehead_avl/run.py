"""One run: learn the stream with one strategy and one seed, evaluate after each stage, write the run's folder."""

import importlib.metadata
import platform
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy
import torch
from avalanche.logging import TextLogger
from avalanche.training.templates import SupervisedTemplate

from onehead_avl import __version__
from onehead_avl.config import Config
from onehead_avl.device import choose_device
from onehead_avl.evaluation.plugins import evaluator
from onehead_avl.files import write_json
from onehead_avl.logs.csv_logger import CSVLogger
from onehead_avl.logs.progress import Progress
from onehead_avl.logs.tidy_logger import TidyLogger
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.network import OneHeadNet
from onehead_avl.model.saved import save_model
from onehead_avl.prepare.manifest import manifest_digest
from onehead_avl.report.checklist import checklist, latency
from onehead_avl.report.plots import plot_loss, plot_metrics
from onehead_avl.report.results import SCORES, Stage, as_json, outcomes
from onehead_avl.report.table import checklist_table, results_table
from onehead_avl.tasks import Task
from scenarios.sample import TaskData
from scenarios.stream import heterogeneous_benchmark, layout_of
from strategies.multitask import MultiTask
from strategies.named import STRATEGIES

_PACKAGES = ("avalanche-lib", "numpy", "pycocotools", "torch", "torchmetrics", "torchvision")


def seed_everything(seed: int) -> None:
    """Seed every source of randomness that training draws from."""
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)


def run(config: Config, strategy_name: str, seed: int, data: Sequence[TaskData], folder: Path) -> str:
    """Learn the stream and write the run's folder.

    Args:
        config: The resolved configuration.
        strategy_name: A key of :data:`~strategies.named.STRATEGIES`.
        seed: Decides the start of the network, the order of the samples, the augmentation and the memory.
        data: The pictures of the three tasks.
        folder: An existing, empty folder.

    Returns:
        The tables to show at the end.

    Raises:
        UsageError: A value of the configuration names nothing that exists.
        WeightsError: The backbone's weights cannot be had.
        OutputError: The folder cannot be written.
    """
    config = replace(config, strategy=(strategy_name,), seeds=(seed,), output=folder)
    device = choose_device(config.device)
    seed_everything(seed)
    weights = None if config.backbone_weights == "none" else config.backbone_weights
    # channels_last: convolutions of this size run a third faster on CPUs.
    model = OneHeadNet(layout_of(data), config.backbone, weights).to(memory_format=torch.channels_last)
    # Nothing is written until all that a user may have to correct is known to be right: the folder can be used again.
    write_json(folder / "config.json", config.as_dict())
    order = [Task.from_key(key) for key in config.order]
    benchmark = heterogeneous_benchmark(data, order, config.image_size)

    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        csv, tidy = CSVLogger(folder), TidyLogger(folder, folder.name, seed, strategy_name)
        strategy = MultiTask(
            model=model,
            criterion=MultiTaskLoss(model.layout),
            plugins=STRATEGIES[strategy_name].plugins(config),
            train_mb_size=config.batch_size,
            eval_mb_size=config.batch_size,
            device=device,
            evaluator=evaluator(model.layout, [TextLogger(log), csv, tidy, Progress(len(order))]),
            eval_every=config.eval_every or -1,
        )
        stages = learn(strategy, benchmark, order, config.epochs)
        csv.close()
        tidy.close()

    emitted = strategy.evaluator.get_all_metrics()
    counts = [max(values) for name, (_, values) in emitted.items() if name.startswith("ReplayedSamples_Epoch")]
    followed = outcomes(stages)
    rules = checklist(
        model=model,
        latency_ms=latency(model, device),
        stages=stages,
        outcomes=followed,
        replayed=max(counts, default=None),
        pictures={part.task: (len(part.train), len(part.val)) for part in data},
    )
    save_model(folder / "model.safetensors", model, {part.task: part.classes for part in data}, config.image_size)
    write_json(
        folder / "results.json",
        {
            "strategy": strategy_name,
            "seed": seed,
            "order": list(config.order),
            "data": {"manifest_sha256": manifest_digest(config.data)},
            "metrics": as_json(stages, followed),
            "checklist": [vars(rule) for rule in rules],
            "seconds": {stage.task.key: stage.seconds for stage in stages},
            "environment": environment(device),
        },
    )
    (folder / "plots").mkdir()
    plot_loss(folder / "plots" / "loss.png", folder / "metrics.csv", stages)
    plot_metrics(folder / "plots" / "metrics.png", folder / "metrics.csv", stages, followed)
    return f"{results_table(stages, followed)}\n\n{checklist_table(rules)}"


def learn(strategy: SupervisedTemplate, benchmark, order: Sequence[Task], epochs: Sequence[int]) -> list[Stage]:
    """Train on each experience in turn, evaluating the whole test stream after each."""
    stages = []
    for experience, task, n in zip(benchmark.train_stream, order, epochs, strict=True):
        strategy.train_epochs = n
        start = time.perf_counter()
        strategy.train(experience, eval_streams=[benchmark.test_stream])
        seconds = time.perf_counter() - start
        values = strategy.eval(benchmark.test_stream)
        stages.append(Stage(task, n, seconds, scores_of(values)))
    return stages


def scores_of(values: dict[str, float]) -> dict[str, float]:
    """The last value of each task metric among the metrics that an evaluation returned."""
    wanted = {f"{metric}_Exp": metric for metrics in SCORES.values() for metric in metrics}
    return {wanted[kind]: value for name, value in values.items() if (kind := name.split("/")[0]) in wanted}


def environment(device: torch.device) -> dict:
    """What the numbers of a run depend on beside its configuration."""
    return {
        "onehead-avl": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
    }
