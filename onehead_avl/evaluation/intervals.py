"""Measuring a network offline, and how sure the values are given how few pictures they were measured on."""

import numpy
import torch
from torch.utils.data import DataLoader, Dataset

from onehead_avl.evaluation.metrics import TaskMetric
from onehead_avl.model.network import OneHeadNet
from onehead_avl.report.statistics import percentile_interval

RESAMPLES = 500


@torch.no_grad()
def measure(model: OneHeadNet, samples: Dataset, metric: TaskMetric, batch_size: int) -> dict[str, float | None]:
    """The values of one metric over a data set of ``(image, Target)``; the metric goes on counting from zero."""
    device = next(model.parameters()).device
    metric.reset()
    for images, target, *_ in DataLoader(samples, batch_size=batch_size):
        metric.update(model(images.to(device)), target.to(device))
    return metric.result()


def picture_intervals(metric: TaskMetric) -> dict[str, tuple[float, float] | None]:
    """How far the values of a metric would move with other pictures of the same kind.

    The 95 % percentile bootstrap (Efron, 1979) over the pictures that the metric has counted, from a fixed seed;
    ``None`` for a value that cannot be measured.
    """
    n = len(metric)
    drawn = numpy.random.default_rng(0).integers(n, size=(RESAMPLES, n)).tolist() if n else []
    values = [metric.resampled(pictures) for pictures in drawn]
    intervals = {}
    for name in metric.names:
        measured = [value[name] for value in values if value[name] is not None]
        intervals[name] = percentile_interval(numpy.asarray(measured)) if measured else None
    return intervals
