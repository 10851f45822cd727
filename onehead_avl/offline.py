"""The metrics of a saved network on any data folder, without Avalanche."""

from collections.abc import Sequence
from pathlib import Path

import torch

from onehead_avl.device import choose_device
from onehead_avl.errors import DataError
from onehead_avl.evaluation.intervals import measure, picture_intervals
from onehead_avl.evaluation.metrics import task_metrics
from onehead_avl.model.saved import SavedModel, load_model
from onehead_avl.report.results import SCORES
from onehead_avl.report.table import layout_table, number, span
from onehead_avl.tasks import Task
from scenarios.dataset import EvaluationSet
from scenarios.embedded import embedded_data
from scenarios.folder import read_split
from scenarios.sample import Sample


def evaluate(weights: Path, root: Path | None, tasks: Sequence[Task], split: str, batch_size: int, device: str) -> str:
    """Measure saved weights.

    Args:
        weights: A file of :func:`~onehead_avl.model.saved.save_model`.
        root: A data folder; ``None`` for the embedded data set.
        tasks: The tasks to score; only their folders are read.
        split: ``train`` or ``val``.
        batch_size: Images at a time.
        device: ``auto``, ``cpu`` or ``cuda``.

    Returns:
        A table with a row for each metric.

    Raises:
        UsageError: The weights or the folder do not exist.
        WeightsError: The weights are no network of this package.
        DataError: The data cannot be used, or its classes are not the network's.
    """
    saved = load_model(weights)
    saved.model.to(choose_device(device), memory_format=torch.channels_last)
    by_task = {metric.task: metric for metric in task_metrics(saved.model.layout)}
    rows = [["metric", "value", "95 % interval", "images"]]
    for task in tasks:
        samples = _samples(saved, root, task, split)
        values = measure(saved.model, EvaluationSet(samples, task, saved.image_size), by_task[task], batch_size)
        intervals = picture_intervals(by_task[task])
        for name in SCORES[task]:
            rows.append([f"{task.title} {name}", number(values[name], ".6f"), span(intervals[name]), str(len(samples))])
    return layout_table(rows)


def _samples(saved: SavedModel, root: Path | None, task: Task, split: str) -> list[Sample]:
    if root is not None:
        return read_split(root, task, split, saved.classes[task])
    data = embedded_data(task, size=saved.image_size)
    if data.classes != saved.classes[task]:
        raise DataError(
            f"the weights know the {task.title} classes {', '.join(saved.classes[task])}, which are not those of the "
            "embedded data set; give the folder with their data as --data-root"
        )
    return data.train if split == "train" else data.val
