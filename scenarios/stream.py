"""A stream as an Avalanche benchmark: a train and a test stream of experiences."""

from collections.abc import Sequence

from avalanche.benchmarks import CLScenario, benchmark_from_datasets, with_task_labels
from avalanche.benchmarks.utils import DataAttribute, TaskAwareSupervisedClassificationDataset, TaskLabels

from onehead_avl.errors import UsageError
from onehead_avl.model.layout import Layout
from onehead_avl.target import collate
from scenarios.dataset import EvaluationSet, TrainingSet
from scenarios.experience import Stream
from scenarios.view_groups import ViewGroups


def avalanche_benchmark(stream: Stream, size: int, order: Sequence[str] | None = None) -> CLScenario:
    """Build the benchmark with one experience of Avalanche's for each name of ``order``, in that order.

    Every sample is ``(image (3, size, size), Target, task label)``; the task label is the position of the experience in
    the definition of the stream, whatever the order. All share one collate function, so replayed samples may join any
    minibatch. Training sets are augmented, and are as plain as test sets in Avalanche's eval mode (``dataset.eval()``).

    Args:
        stream: What is learned.
        size: Side of the square the network is fed, in pixels.
        order: Names of the experiences to learn, each at most once; by default all, as they are defined.

    Returns:
        An Avalanche benchmark with ``train_stream`` and ``test_stream``.

    Raises:
        UsageError: ``order`` is empty, repeats a name or has one that the stream does not.
    """
    order = stream.names if order is None else order
    if not order or len(set(order)) != len(order):
        raise UsageError(f"expected an order of different experiences, got {' '.join(order) or 'none'}")
    layout = stream.layout
    train, test = [], []
    for task in map(stream.task, order):
        experience = stream.experiences[task]
        learned = TrainingSet(experience.train, experience.kind, task, len(layout.names), size)
        train.append(_avalanche(learned, task, layout, ViewGroups()))
        test.append(_avalanche(EvaluationSet(experience.val, task, size), task, layout))
    return with_task_labels(benchmark_from_datasets(train=train, test=test))


def _avalanche(
    samples: TrainingSet | EvaluationSet, task: int, layout: Layout, views: ViewGroups | None = None
) -> TaskAwareSupervisedClassificationDataset:
    """Give samples what Avalanche's strategies ask of a data set: integer targets and task labels.

    An integer target is an output channel to some strategies and a group to others; going round the channels of the
    experience serves both.
    """
    channels = layout.parts[task].channels
    return TaskAwareSupervisedClassificationDataset(
        [samples],
        data_attributes=[
            DataAttribute([channels[i % len(channels)] for i in range(len(samples))], "targets"),
            TaskLabels([task] * len(samples)),
        ],
        transform_groups=views,
        collate_fn=collate,
    )
