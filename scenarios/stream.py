"""The benchmark: a train and a test stream of experiences, one for each task."""

from collections.abc import Sequence

from avalanche.benchmarks import CLScenario, benchmark_from_datasets, with_task_labels
from avalanche.benchmarks.utils import DataAttribute, TaskAwareSupervisedClassificationDataset, TaskLabels
from torch.utils.data import Dataset

from onehead_avl.errors import UsageError
from onehead_avl.model.layout import Layout
from onehead_avl.target import collate
from onehead_avl.tasks import Task
from scenarios.dataset import EvaluationSet, TrainingSet
from scenarios.sample import TaskData


def layout_of(data: Sequence[TaskData]) -> Layout:
    """The output layout that the classes of all three tasks ask for.

    Raises:
        UsageError: A task is missing; the network's one head always serves all three.
    """
    classes = {part.task: part.classes for part in data}
    missing = [task.title for task in Task if task not in classes]
    if missing:
        raise UsageError(f"expected data for all three tasks, found none for {' and '.join(missing)}")
    return Layout(*(len(classes[task]) for task in Task))


def heterogeneous_benchmark(data: Sequence[TaskData], order: Sequence[Task], size: int) -> CLScenario:
    """Build the benchmark with one experience for each task of ``order``, in that order.

    Every sample is ``(image (3, size, size), Target, task label)``; the task label is the :class:`Task`, whatever the
    order. All experiences share one collate function, so replayed samples may join any minibatch.

    Args:
        data: The pictures of all three tasks, in any order.
        order: Which tasks to learn, each at most once.
        size: Side of the square the network is fed, in pixels.

    Returns:
        An Avalanche benchmark with ``train_stream`` and ``test_stream``.

    Raises:
        UsageError: ``order`` is empty or repeats a task, or a task has no data.
    """
    layout = layout_of(data)
    of = {part.task: part for part in data}
    if not order or len(set(order)) != len(order):
        raise UsageError(f"expected an order of different tasks, got {' '.join(task.key for task in order) or 'none'}")
    return with_task_labels(
        benchmark_from_datasets(
            train=[_avalanche(TrainingSet(of[task].train, task, size), task, layout) for task in order],
            test=[_avalanche(EvaluationSet(of[task].val, task, size), task, layout) for task in order],
        )
    )


def _avalanche(samples: Dataset, task: Task, layout: Layout) -> TaskAwareSupervisedClassificationDataset:
    """Give samples what Avalanche's strategies ask of a data set: integer targets and task labels.

    An integer target is an output channel to some strategies and a group to others; going round the channels of the
    task serves both.
    """
    channels = layout.of(task)
    return TaskAwareSupervisedClassificationDataset(
        [samples],
        data_attributes=[
            DataAttribute([channels[i % len(channels)] for i in range(len(samples))], "targets"),
            TaskLabels([int(task)] * len(samples)),
        ],
        collate_fn=collate,
    )
