"""One run: learn the stream with one strategy and one seed, evaluate after each stage, write the run's folder."""

import errno
import json
import os
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy
import torch
from avalanche.benchmarks import CLScenario
from avalanche.logging import TextLogger
from avalanche.training.supervised import JointTraining
from avalanche.training.templates.base import BaseTemplate

from onehead_avl.baselines import digest_of, digest_of_code, digest_of_file
from onehead_avl.checkpoint.logfiles import LogFiles
from onehead_avl.checkpoint.plugin import Checkpoints
from onehead_avl.checkpoint.store import Store
from onehead_avl.config import Config
from onehead_avl.device import choose_device, environment
from onehead_avl.errors import OutputError, TrainingError
from onehead_avl.evaluation.intervals import measure, picture_intervals
from onehead_avl.evaluation.metrics import task_metrics
from onehead_avl.evaluation.plugins import evaluator
from onehead_avl.files import write_json
from onehead_avl.logs.csv_logger import CSVLogger
from onehead_avl.logs.progress import Progress
from onehead_avl.logs.tidy_logger import TidyLogger
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.network import OneHeadNet
from onehead_avl.model.saved import save_model
from onehead_avl.plan import CHECKPOINTS
from onehead_avl.prepare.manifest import manifest_digest
from onehead_avl.report.checklist import checklist, latency
from onehead_avl.report.cost import peak_memory, start_peak_memory, stored_bytes
from onehead_avl.report.plots import plot_loss, plot_metrics
from onehead_avl.report.results import SCORES, Stage, as_json, outcomes
from onehead_avl.report.table import checklist_table, results_table
from onehead_avl.stopping import STOP
from onehead_avl.tasks import Task
from onehead_avl.watch import FiniteLoss
from scenarios.sample import TaskData
from scenarios.stream import heterogeneous_benchmark, layout_of
from scenarios.views import VIEWS
from strategies.build import build, import_plugins
from strategies.named import options_of, parts_of
from strategies.setting import Setting

_NOT_WRITABLE = (errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EROFS)


def seed_everything(seed: int) -> None:
    """Seed every source of randomness that training draws from."""
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)
    VIEWS.seed = None  # a run before this one may have ended within an epoch


def run(
    config: Config, data: Sequence[TaskData], folder: Path, single_task: Mapping[str, float | None] | None = None
) -> str:
    """Learn the stream and write the run's folder.

    Args:
        config: The resolved configuration, with one strategy and one seed. The seed decides the start of the network,
            the order of the samples, the augmentation and the memory.
        data: The pictures of the three tasks.
        folder: An existing, empty folder.
        single_task: Metric values of the same model trained on each task alone, where known.

    Returns:
        The tables to show at the end.

    Raises:
        UsageError: A value of the configuration names nothing that exists.
        WeightsError: The backbone's weights cannot be had.
        OutputError: The folder cannot be written.
        TrainingError: Training ended with weights that are no numbers.
    """
    (name,), (seed,) = config.strategy, config.seeds
    config = replace(config, output=folder)
    device = choose_device(config.device)
    manifest = manifest_digest(config.data)  # now: the folder may be gone when training ends
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # which cuBLAS asks for then
    torch.use_deterministic_algorithms(config.deterministic)
    memory_is_measured = start_peak_memory()
    seed_everything(seed)
    weights = None if config.backbone_weights == "none" else config.backbone_weights
    # channels_last: convolutions of this size run a third faster on CPUs.
    model = OneHeadNet(layout_of(data), config.backbone, weights).to(memory_format=torch.channels_last)
    order = [Task.from_key(key) for key in config.order]
    benchmark = heterogeneous_benchmark(data, order, config.image_size)
    options, _ = options_of([*config.strategy, *config.plugin], config.set)

    progress = Progress()
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
    strategy = build(name, setting, options)
    # Nothing is written until all that a user may have to correct is known to be right: the folder can be used again.
    write_json(folder / "config.json", config.as_dict())
    checkpoints = Checkpoints(
        Store(folder / CHECKPOINTS), identity(config, data, device), benchmark, config.checkpoint_every
    )
    if not (config.resume and checkpoints.find(folder)):
        if config.resume and checkpoints.store.names():
            print("note: none of the checkpoints can be used: the run begins anew", file=sys.stderr)
        checkpoints.store.remove()
        _remove_logs(folder)
    with (
        (folder / "log.txt").open("a", encoding="utf-8") as log,
        closing(progress),
        STOP.listening(),
        _clear_errors(folder),
    ):
        csv, tidy = CSVLogger(folder), TidyLogger(folder, folder.name, seed, name)
        setting.evaluator.loggers += [TextLogger(log), csv, tidy]
        strategy.plugins += [FiniteLoss(), checkpoints]
        checkpoints.start(strategy, LogFiles([log, csv.training_file, csv.eval_file, tidy.file]))
        stages = learn(strategy, benchmark, order, config.epochs, config.workers, checkpoints)
        csv.close()
        tidy.close()

    methods = () if ":" in name else parts_of(name)
    # A strategy may have replaced its model, or have wrapped it.
    model = strategy.model if isinstance(strategy.model, OneHeadNet) else model
    separate = name == "from-scratch"
    followed = outcomes(stages, single_task, separate=separate)
    rules = checklist(
        model=model,
        latency_ms=latency(model, device),
        stages=stages,
        outcomes=followed,
        replayed=None if any(method.unseen for method in methods) else _replayed(strategy),
        pictures={part.task: (len(part.train), len(part.val)) for part in data},
        keeps=", ".join(method.stores for method in methods) or None,
        keeps_allowed=not any(method.breaks for method in methods) if methods else None,
    )
    save_model(folder / "model.safetensors", model, {part.task: part.classes for part in data}, config.image_size)
    (folder / "plots").mkdir(exist_ok=True)
    plot_loss(folder / "plots" / "loss.png", folder / "metrics.csv", stages)
    plot_metrics(folder / "plots" / "metrics.png", folder / "metrics.csv", stages, followed)
    # Of separate models only the last is left to be measured.
    sure = intervals(model, benchmark, stages[-1].tasks if separate else order, config.batch_size)
    # Last, so that a folder with results is a finished run.
    write_json(
        folder / "results.json",
        {
            "strategy": name,
            "options": options,
            "seed": seed,
            "order": list(config.order),
            "data": {"manifest_sha256": manifest},
            "metrics": as_json(stages, followed),
            "intervals": sure,
            "checklist": [vars(rule) for rule in rules],
            "seconds": {stage.key: stage.seconds for stage in stages},
            "peak_memory_bytes": peak_memory() if memory_is_measured else None,
            "stored_bytes": None if isinstance(strategy, JointTraining) else stored_bytes(strategy, config.image_size),
            "environment": environment(device),
        },
    )
    checkpoints.store.remove()
    return f"{results_table(stages, followed, sure)}\n\n{checklist_table(rules)}"


def learn(
    strategy: BaseTemplate,
    benchmark: CLScenario,
    order: Sequence[Task],
    epochs: Sequence[int],
    workers: int,
    checkpoints: Checkpoints,
) -> list[Stage]:
    """Train on each experience in turn, evaluating the whole test stream after each.

    Joint training learns all at once, for the mean number of epochs, so that it sees as many pictures.

    Raises:
        TrainingError: Training ended with weights that are no numbers.
        Stopped: The process was asked to stop.
    """
    if isinstance(strategy, JointTraining):
        plan = [(list(benchmark.train_stream), tuple(order), max(1, round(sum(epochs) / len(epochs))))]
    else:
        plan = [(each, (task,), n) for each, task, n in zip(benchmark.train_stream, order, epochs, strict=True)]
    stages = checkpoints.stages
    for number, (experiences, tasks, n) in enumerate(plan):
        if number < len(stages):
            continue
        if not checkpoints.learned(number):
            strategy.train_epochs = n
            strategy.train(experiences, eval_streams=[benchmark.test_stream], num_workers=workers)
            require_finite(strategy.model, n)
            checkpoints.stage_ended(strategy)
        seconds = checkpoints.seconds
        values = strategy.eval(benchmark.test_stream, num_workers=workers)
        stages.append(Stage(tasks, n, seconds, scores_of(values)))
    return stages


def identity(config: Config, data: Sequence[TaskData], device: torch.device) -> dict:
    """All that the results of a run depend on beside its command line; a run that is continued must have the same."""
    return {
        "the data": digest_of(data),
        "the program": digest_of_code(),
        **{f"the {name}": value for name, value in environment(device).items()},
        "the strategy's options": json.dumps(options_of([*config.strategy, *config.plugin], config.set)[0]),
        "the backbone's weights": digest_of_file(config.backbone_weights),
    }


@contextmanager
def _clear_errors(folder: Path) -> Iterator[None]:
    """Turn what the machine refuses during training into sentences."""
    try:
        yield
    except OutputError as error:
        raise OutputError(f"{error}; then continue with the same command and --resume") from None
    except OSError as error:
        if error.errno not in _NOT_WRITABLE:
            raise  # of somebody's strategy
        raise OutputError(
            f"{folder} could not be written ({error.strerror or error}); free the disk or mend its permissions, and "
            "continue with the same command and --resume"
        ) from error
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error):
            raise TrainingError(
                "memory ran out; free some and continue with the same command and --resume, or begin anew with a "
                "smaller --batch-size or --image-size"
            ) from error
        raise


def _remove_logs(folder: Path) -> None:
    """Remove what a run that ended before its first checkpoint wrote."""
    for name in ("log.txt", "training_results.csv", "eval_results.csv", "metrics.csv"):
        (folder / name).unlink(missing_ok=True)


def require_finite(model: torch.nn.Module, epochs: int) -> None:
    """Refuse weights that are no numbers.

    Raises:
        TrainingError: Some are.
    """
    lost = [name for name, weight in model.named_parameters() if not weight.isfinite().all()]
    if lost:
        raise TrainingError(
            f"expected finite weights after {epochs} epochs, found infinities or not-a-numbers in {len(lost)} tensors, "
            f"the first of them {lost[0]}; lower the strategy's step sizes or penalties with --set"
        )


def scores_of(values: dict[str, float]) -> dict[str, float]:
    """The last value of each task metric among the metrics that an evaluation returned."""
    wanted = {f"{metric}_Exp": metric for metrics in SCORES.values() for metric in metrics}
    return {wanted[kind]: value for name, value in values.items() if (kind := name.split("/")[0]) in wanted}


def intervals(
    model: OneHeadNet, benchmark: CLScenario, tasks: Sequence[Task], batch_size: int
) -> dict[str, tuple[float, float] | None]:
    """The intervals over validation pictures of the final values of every metric of some tasks."""
    model.eval()
    found = {}
    metrics = {metric.task: metric for metric in task_metrics(model.layout)}
    for experience in benchmark.test_stream:
        task = Task(experience.task_label)
        if task in tasks:
            measure(model, experience.dataset, metrics[task], batch_size)
            found |= picture_intervals(metrics[task])
    return found


def _replayed(strategy: BaseTemplate) -> int | None:
    """The most samples of other tasks in a minibatch; ``None`` if that could not be told."""
    emitted = strategy.evaluator.get_all_metrics()
    counts = [max(values) for name, (_, values) in emitted.items() if name.startswith("ReplayedSamples_Epoch")]
    return max(counts, default=None)
