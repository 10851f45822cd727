"""Measuring a network offline, and how sure the values are given how few images they were measured on."""

from collections.abc import Callable, Sequence

import numpy
import torch
from avalanche.models import avalanche_forward
from torch import nn
from torch.utils.data import DataLoader, Dataset

from onehead_avl.evaluation.statistics import jackknife_error, student_interval
from onehead_avl.kinds.kind import Metric, Values
from onehead_avl.model.layout import Part
from onehead_avl.model.parts import device_of

GROUPS = 100
"""The most groups of images that are left out in turn."""


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
    """Where the values of a metric lie on average over many sets of as many images of the same kind, at 95 %.

    The interval is that of :func:`jackknife_intervals` over the images that the metric has counted, within the limits
    of the value. How often it holds that average is told in ``docs/statistics.md``.
    """
    intervals = jackknife_intervals(metric.result(), metric.compute, len(metric))
    found = {}
    for value in metric.values:
        interval, (least, most) = intervals[value.name], value.limits
        found[value.name] = interval and (max(interval[0], least), min(interval[1], most))
    return found


def jackknife_intervals(
    values: Values, compute: Callable[[Sequence[int]], Values], n: int
) -> dict[str, tuple[float, float] | None]:
    """Student's interval at 95 % around each of some values, with the standard error that the jackknife tells.

    All images but a few hold nearly the same classes as all, so that the mean over classes stays what it is; resampled
    images, as the bootstrap has them, do not.

    Args:
        values: Of all images.
        compute: Gives the values of some images, by position.
        n: How many images there are.

    Returns:
        By name; ``None`` for a value that cannot be measured without some group of images, and for one that is the same
        without any, which says nothing of others.
    """
    groups = numpy.array_split(numpy.random.default_rng(0).permutation(n), min(n, GROUPS)) if n > 1 else []
    without = [compute(numpy.setdiff1d(numpy.arange(n), group).tolist()) for group in groups]
    intervals: dict[str, tuple[float, float] | None] = {}
    for name, value in values.items():
        left = [measured for each in without if (measured := each[name]) is not None]
        if value is None or len(left) < len(groups) or numpy.allclose(left, value, rtol=1e-12, atol=0):
            intervals[name] = None
        else:
            intervals[name] = student_interval(value, jackknife_error(left), len(groups) - 1)
    return intervals
