"""Folds of a stream, and the metrics of all its images pooled over them: what cross-validation is made of."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import numpy
from torch import Tensor

from onehead_avl.evaluation.intervals import jackknife_intervals
from onehead_avl.evaluation.outcomes import mean
from onehead_avl.kinds.kind import Kind, Metric, MetricName, Values
from onehead_avl.target import Target
from scenarios.experience import Experience, Stream

FOLDS = 5

Measured = dict[str, tuple[float, tuple[float, float] | None]]
"""Values by name, each with its interval, where it has one."""


def folded(stream: Stream, fold: int, folds: int = FOLDS) -> Stream:
    """The stream in which one of several equal parts of the images of each experience is validated on.

    Training and validation images are pooled and dealt out at random, in the same way whatever is learned and with
    whatever seed; images that are validated on in one fold are learned in all others.

    Args:
        stream: With both splits.
        fold: Which part is validated on.
        folds: How many there are.
    """
    return replace(stream, experiences=tuple(_folded(each, fold, folds) for each in stream.experiences))


def _folded(experience: Experience, fold: int, folds: int) -> Experience:
    samples = [*experience.train, *experience.val]
    order = list(range(len(samples)))
    Random(f"folds of {experience.name}").shuffle(order)
    validated = frozenset(order[fold::folds])
    return replace(
        experience,
        train=[sample for position, sample in enumerate(samples) if position not in validated],
        val=[sample for position, sample in enumerate(samples) if position in validated],
    )


class HeldOutLoss(Metric):
    """The loss of images that a network did not learn, the mean of each one's by itself: ``loss``.

    It says less of what a network is good for than the metrics do, and is less random: where the twenty objects of a
    class decide an AP, a difference in the loss is often seen sooner.

    Args:
        kind: Whose loss it is.
        classes: Class names in index order.
    """

    values = (MetricName("loss", higher_is_better=False),)

    def __init__(self, kind: Kind, classes: Sequence[str]) -> None:
        super().__init__(classes)
        self._kind = kind

    def count(self, logits: Tensor, target: Target) -> None:
        """Keep the loss of each image."""
        self._losses += [self._kind.loss(logits[i : i + 1], target[i]).item() for i in range(len(target))]

    def compute(self, images: Sequence[int]) -> Values:
        """Compute the mean over some images."""
        return {"loss": float(numpy.mean([self._losses[image] for image in images]))}

    def clear(self) -> None:
        """Drop the losses."""
        self._losses: list[float] = []

    def __len__(self) -> int:
        return len(self._losses)


def mean_over(metrics: Sequence[Metric], images: Sequence[int]) -> Values:
    """The values over some images, the mean of several networks that were all measured on the same ones.

    ``None`` for a value that one of them has not.

    Args:
        metrics: Each has counted the same images in the same order.
        images: Positions of images, as :meth:`~onehead_avl.kinds.kind.Metric.compute` takes them.
    """
    values = [metric.compute(images) for metric in metrics]
    return {name: mean([value[name] for value in values]) for name in values[0]}


def pooled(metrics: Sequence[Metric]) -> Measured:
    """The values over all images, the mean over seeds, each with its 95 % interval over the images."""
    return _measured(len(metrics[0]), lambda images: mean_over(metrics, images))


def difference(first: Sequence[Metric], second: Sequence[Metric]) -> Measured:
    """How much higher the values of the first are, with the 95 % interval of the difference over the same images.

    What is hard or easy in an image is so for both, so the interval is narrower than those of the two values.
    """

    def values(images: Sequence[int]) -> Values:
        one, other = mean_over(first, images), mean_over(second, images)
        return {name: gain(other.get(name), value) for name, value in one.items()}

    return _measured(len(first[0]), values)


def gain(start: float | None, end: float | None) -> float | None:
    """By how much a value rose; ``None`` if it is unknown before or after."""
    return None if start is None or end is None else end - start


def _measured(n: int, compute: Callable[[Sequence[int]], Values]) -> Measured:
    """The values over ``n`` images that there are, and their intervals."""
    values = compute(range(n))
    intervals = jackknife_intervals(values, compute, n)
    return {name: (value, intervals[name]) for name, value in values.items() if value is not None}
