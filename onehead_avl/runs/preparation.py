"""The first step of a run: everything that learns and measures is built, and nothing is written yet."""

import json
import os
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
from avalanche.benchmarks import CLScenario
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.supervised import Cumulative, JointTraining
from avalanche.training.templates.base import BaseTemplate
from torch import nn

from onehead_avl.errors import UsageError
from onehead_avl.evaluation.plugins import metric_plugins
from onehead_avl.logs.progress import Progress
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.network import OneHeadNet
from onehead_avl.model.probe import require_network
from onehead_avl.model.saved import Origin, load_model
from onehead_avl.model.transfer import begin_with
from onehead_avl.prepare.manifest import manifest_digest
from onehead_avl.report.cost import start_peak_memory
from onehead_avl.report.table import trained_by
from onehead_avl.runs.config import Resolved
from onehead_avl.system.device import choose_device, usual_workers
from onehead_avl.system.views import VIEWS
from scenarios.dataset import EvaluationSet
from scenarios.experience import Stream
from scenarios.holdout import hold_out
from scenarios.stream import avalanche_benchmark
from strategies.attached import import_metrics, import_plugins
from strategies.build import Options, build
from strategies.hyperparameters import OPTIMISATION, options_of
from strategies.named import Option
from strategies.optimisation import whose
from strategies.setting import Setting


@dataclass(frozen=True)
class Prepared:
    """What a run is made of.

    Attributes:
        config: With one strategy and one seed.
        stream: What is learned, without what is held out.
        held_out: The held-out training images of each experience by its task label; empty without a holdout.
        device: Where.
        workers: Processes that load images.
        model: The network, at its start; a strategy may go on with another one.
        origin: What builds the network, where it is none of this package's.
        benchmark: The stream as Avalanche has it.
        options: Hyper-parameters, by method.
        strategy: What learns.
        progress: Shows how far it is.
        manifest_sha256: The checksum of the data's manifest; ``None`` without one.
        memory_is_measured: Whether the largest memory of the process can be told.
    """

    config: Resolved
    stream: Stream
    held_out: Mapping[int, EvaluationSet]
    device: torch.device
    workers: int
    model: nn.Module
    origin: Origin | None
    benchmark: CLScenario
    options: Options
    strategy: BaseTemplate
    progress: Progress
    manifest_sha256: str | None
    memory_is_measured: bool

    @property
    def folder(self) -> Path:
        """Where the run is written."""
        assert self.config.output is not None
        return self.config.output

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
        WeightsError: The weights to begin with cannot be had.
        TrainingError: Somebody's own code raised an error.
    """
    (name,), (seed,) = config.strategy, config.seeds
    device = choose_device(config.device)
    manifest = manifest_digest(config.data)  # now: the folder may be gone when training ends
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # which cuBLAS asks for then
    torch.use_deterministic_algorithms(config.deterministic)
    memory_is_measured = start_peak_memory()
    seed_everything(seed)
    options, _ = options_of([*config.strategy, *config.imported], config.set)
    learned, held = hold_out(stream, config.holdout, seed) if config.holdout else (stream, {})
    model, origin = _network(config, stream, options)
    if isinstance(model, OneHeadNet) and config.model is None:
        model.precision = config.precision
    # On its device at once: joint training moves it when it trains, which is not before the first evaluation.
    # channels_last: convolutions of this size run a third faster on CPUs.
    model = model.to(device).to(memory_format=torch.channels_last)
    require_network(model, stream.layout, config.image_size, config.model or "the network")
    benchmark = avalanche_benchmark(learned, config.image_size, config.order)
    progress = Progress(stream.names)
    metrics = metric_plugins(stream.layout)
    setting = Setting(
        model=model,
        layout=stream.layout,
        criterion=MultiTaskLoss(stream.layout),
        evaluator=EvaluationPlugin(
            *metrics, *import_metrics(config.metric, options, known=metrics), loggers=[progress]
        ),
        device=device,
        train_mb_size=config.batch_size,
        eval_mb_size=config.batch_size,
        replay_size=config.replay_size,
        replay_batch=config.replay_batch,
        plugins=import_plugins(config.plugin, options),
        optimisation=options.get(OPTIMISATION, {}),
    )
    strategy = build(name, setting, options)
    _require_fitting(config, strategy)
    if strategy.model is not model:
        require_network(strategy.model, stream.layout, config.image_size, name)
    if ":" in name:
        print(f"note: {trained_by(whose(strategy))}", file=sys.stderr)
    return Prepared(
        config=config,
        stream=learned,
        held_out={
            stream.task(each): EvaluationSet(samples, stream.task(each), config.image_size)
            for each, samples in held.items()
            if each in config.order
        },
        device=device,
        workers=usual_workers(device) if config.workers is None else config.workers,
        model=model,
        origin=origin,
        benchmark=benchmark,
        options=options,
        strategy=strategy,
        progress=progress,
        manifest_sha256=manifest,
        memory_is_measured=memory_is_measured,
    )


def _require_fitting(config: Resolved, strategy: BaseTemplate) -> None:
    """Refuse options that a strategy which learns several experiences at once would fail with, or ignore."""
    together, name = isinstance(strategy, JointTraining | Cumulative), config.strategy[0]
    if together and config.batch_size < len(config.order):
        raise UsageError(
            f"{name} has images of each of {len(config.order)} experiences in every minibatch, so --batch-size expects "
            f"at least {len(config.order)}, got {config.batch_size}"
        )
    if config.early_stopping and isinstance(strategy, JointTraining):
        raise UsageError(f"--early-stopping goes by the one experience of a stage, but {name} learns all at once")


def _network(config: Resolved, stream: Stream, options: Options) -> tuple[nn.Module, Origin | None]:
    """The network of this package or of the user's, and what builds it in the second case."""
    layout = stream.layout
    own = {} if config.model is None else options.get(config.model.rpartition(":")[2], {})
    if config.start_from is not None:
        return _started(config, stream, own)
    if config.model is None:
        weights = None if config.backbone_weights == "none" else config.backbone_weights
        return OneHeadNet(layout, config.backbone, weights), None
    origin = Origin(config.model, own)
    return origin.build(layout), origin


def _started(config: Resolved, stream: Stream, own: Mapping[str, Option]) -> tuple[nn.Module, Origin | None]:
    """The network that begins with the weights of a file."""
    assert config.start_from is not None
    saved = load_model(config.start_from, [each.kind.path for each in stream.experiences], config.model)
    built = {} if saved.origin is None else saved.origin.options
    if own and own != built:
        raise UsageError(
            f"--start-from {config.start_from}: expected the options that its network was built with, "
            f"{json.dumps(built)}, found {json.dumps(own)}; leave them out of --set"
        )
    model, known = begin_with(saved, stream.layout)
    new = [part.head for part in stream.layout.heads if part.head not in known]
    print(
        f"note: the network begins with {config.start_from}, which emits {', '.join(saved.layout.names)}; "
        f"{', '.join(new) or 'nothing'} begins anew",
        file=sys.stderr,
    )
    return model, saved.origin


def seed_everything(seed: int) -> None:
    """Seed every source of random numbers that training draws from."""
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)
    VIEWS.seed = None  # a run before this one may have ended within an epoch
