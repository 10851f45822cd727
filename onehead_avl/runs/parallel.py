"""The runs of a comparison, several at a time."""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from onehead_avl.runs.cluster import do_all, local_cluster, remote_cluster
from onehead_avl.runs.command_line import words_of
from onehead_avl.runs.config import Config
from onehead_avl.runs.plan import RESULTS, Planned
from onehead_avl.runs.task import Task
from strategies.named import is_baseline

_RUN = ("-m", "onehead_avl.system.leashed", "onehead_avl.benchmark")
"""What runs a single strategy and ends with the process that started it."""


def run_in_parallel(config: Config, runs: Sequence[Planned]) -> None:
    """Do runs by the processes of a cluster, single-task baselines first; note of each that fails why it did.

    Args:
        config: As the command line has it, with ``--jobs`` or ``--scheduler``.
        runs: Of which none has ended.

    Raises:
        UsageError: The address of the scheduler is none.
        OutputError: A folder cannot be written.
        TrainingError: The scheduler is not there, or went away for good.
        Stopped: The process was asked to stop.
    """
    by_name = {planned.folder.name: planned for planned in runs}
    first = {name: planned.seed for name, planned in by_name.items() if is_baseline(planned.strategy)}

    def ended(name: str, reason: str | None) -> None:
        print(f"{name} ended" if reason is None else f"{name} failed: {reason}", file=sys.stderr)
        if reason is not None:
            by_name[name].fail(reason)

    if config.scheduler is not None:
        cluster = remote_cluster(config.scheduler)
    else:
        assert config.jobs is not None
        gpus = torch.cuda.device_count() if config.device in ("auto", "cuda") and torch.cuda.is_available() else 0
        cluster = local_cluster(config.jobs, gpus)
    with cluster as client:
        for planned in runs:
            planned.begin()
        after = {name: _baselines_of(planned, first) for name, planned in by_name.items()}
        do_all({name: _task(planned) for name, planned in by_name.items()}, after, client, ended)


def _baselines_of(planned: Planned, baselines: dict[str, int]) -> list[str]:
    """The names of the runs that a run waits for, because its results tell theirs, too."""
    return [] if is_baseline(planned.strategy) else [name for name, seed in baselines.items() if seed == planned.seed]


def _task(planned: Planned) -> Task:
    config = planned.config.but(output=planned.folder, resume=True, jobs=None, scheduler=None)
    folder = planned.folder.absolute()
    threads = torch.get_num_threads()
    command = (*_RUN, *words_of(config.but(threads=threads)))
    return Task(command, folder, folder / RESULTS, Path.cwd(), threads)
