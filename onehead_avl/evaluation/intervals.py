"""Measuring a network offline, and how sure the values are given how few images they were measured on."""

import numpy
import torch
from avalanche.models import avalanche_forward
from torch import nn
from torch.utils.data import DataLoader, Dataset

from onehead_avl.evaluation.statistics import percentile_interval
from onehead_avl.kinds.kind import Metric, Values
from onehead_avl.model.layout import Part
from onehead_avl.model.parts import device_of

RESAMPLES = 500


def measure(model: nn.Module, samples: Dataset, part: Part, metric: Metric, batch_size: int) -> Values:
    """Measure a network on samples ``(image, Target, ...)`` of one experience, in float32 whatever it emits.

    Args:
        model: The network.
        samples: Of one experience, as the network sees them.
        part: The experience's part of the output.
        metric: It goes on counting from zero.
        batch_size: Samples at a time.
    """
    metric.reset()
    count(model, samples, part, metric, batch_size)
    return metric.result()


@torch.no_grad()
def count(model: nn.Module, samples: Dataset, part: Part, metric: Metric, batch_size: int) -> None:
    """Have a metric count samples beside those that it counted before; the arguments are those of :func:`measure`."""
    device = device_of(model)
    pinned = device.type == "cuda"
    for images, target, *_ in DataLoader(samples, batch_size=batch_size, pin_memory=pinned):
        target = target.to(device, non_blocking=pinned)
        output = avalanche_forward(model, images.to(device, non_blocking=pinned), target.task.to(device))
        metric.update(part.of(output).float(), target)


def image_intervals(metric: Metric) -> dict[str, tuple[float, float] | None]:
    """How far the values of a metric would move with other images of the same kind.

    The 95 % percentile bootstrap (Efron, 1979) over the images that the metric has counted, from a fixed seed;
    ``None`` for a value that cannot be measured, and of a single image, which says nothing of others.
    """
    n = len(metric)
    rng = numpy.random.default_rng(0)
    values = [metric.compute(rng.integers(n, size=n).tolist()) for _ in range(RESAMPLES)] if n > 1 else []
    intervals = {}
    for name in metric.names:
        measured = [value[name] for value in values if value[name] is not None]
        intervals[name] = percentile_interval(numpy.asarray(measured)) if measured else None
    return intervals
