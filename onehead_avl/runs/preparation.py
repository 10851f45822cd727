"""The first step of a run: everything that learns and measures is built, and nothing is written yet."""

import os
import random
from dataclasses import dataclass

import numpy
import torch
from avalanche.benchmarks import CLScenario
from avalanche.training.templates.base import BaseTemplate

from onehead_avl.evaluation.plugins import evaluator
from onehead_avl.logs.progress import Progress
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.network import OneHeadNet
from onehead_avl.prepare.manifest import manifest_digest
from onehead_avl.report.cost import start_peak_memory
from onehead_avl.runs.config import Resolved
from onehead_avl.system.device import choose_device
from onehead_avl.system.views import VIEWS
from scenarios.experience import Stream
from scenarios.stream import avalanche_benchmark
from strategies.build import Options, build, import_plugins
from strategies.hyperparameters import options_of
from strategies.setting import Setting


@dataclass(frozen=True)
class Prepared:
    """What a run is made of.

    Attributes:
        config: With one strategy and one seed.
        stream: What is learned.
        device: Where.
        model: The network, at its start.
        benchmark: The stream as Avalanche has it.
        options: Hyper-parameters, by method.
        strategy: What learns.
        progress: Shows how far it is.
        manifest_sha256: The checksum of the data's manifest; ``None`` without one.
        memory_is_measured: Whether the largest memory of the process can be told.
    """

    config: Resolved
    stream: Stream
    device: torch.device
    model: OneHeadNet
    benchmark: CLScenario
    options: Options
    strategy: BaseTemplate
    progress: Progress
    manifest_sha256: str | None
    memory_is_measured: bool

    @property
    def name(self) -> str:
        """The name of the strategy."""
        return self.config.strategy[0]

    @property
    def seed(self) -> int:
        """The random seed."""
        return self.config.seeds[0]


def prepare(config: Resolved, stream: Stream) -> Prepared:
    """Seed all random numbers, and build the network, the benchmark and the strategy.

    Args:
        config: With one strategy and one seed. The seed decides the start of the network, the order of the
            samples, the augmentation and the memory.
        stream: What is learned.

    Raises:
        UsageError: A value of the configuration names nothing that exists.
        WeightsError: The backbone's weights cannot be had.
    """
    (name,), (seed,) = config.strategy, config.seeds
    device = choose_device(config.device)
    manifest = manifest_digest(config.data)  # now: the folder may be gone when training ends
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # which cuBLAS asks for then
    torch.use_deterministic_algorithms(config.deterministic)
    memory_is_measured = start_peak_memory()
    seed_everything(seed)
    weights = None if config.backbone_weights == "none" else config.backbone_weights
    # On its device at once: joint training moves it when it trains, which is not before the first evaluation.
    # channels_last: convolutions of this size run a third faster on CPUs.
    model = OneHeadNet(stream.layout, config.backbone, weights).to(device).to(memory_format=torch.channels_last)
    benchmark = avalanche_benchmark(stream, config.image_size, config.order)
    options, _ = options_of([*config.strategy, *config.plugin], config.set)
    progress = Progress(stream.names)
    setting = Setting(
        model=model,
        criterion=MultiTaskLoss(model.layout),
        evaluator=evaluator(model.layout, [progress]),
        device=device,
        train_mb_size=config.batch_size,
        eval_mb_size=config.batch_size,
        eval_every=config.eval_every or -1,
        replay_size=config.replay_size,
        replay_batch=config.replay_batch,
        plugins=import_plugins(config.plugin, options),
    )
    return Prepared(
        config,
        stream,
        device,
        model,
        benchmark,
        options,
        build(name, setting, options),
        progress,
        manifest,
        memory_is_measured,
    )


def seed_everything(seed: int) -> None:
    """Seed every source of random numbers that training draws from."""
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)
    VIEWS.seed = None  # a run before this one may have ended within an epoch
