"""Statistics over seeds: what a handful of runs can and cannot say."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy
from scipy.stats import t as student

LEVEL = 0.95
"""How often an interval holds the value that it is of."""


@dataclass(frozen=True)
class Summary:
    """Some values of one quantity.

    Attributes:
        n: How many there are.
        mean: Their mean.
        sd: Their sample standard deviation; ``None`` for a single value.
        interval: Student's interval of the mean; ``None`` for a single value.
    """

    n: int
    mean: float
    sd: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Difference:
    """How two strategies differ over the seeds that both ran.

    Attributes:
        n: The seeds they share.
        mean: The mean difference.
        interval: Student's interval of the mean difference; ``None`` for a single seed.
        p: How likely a mean at least so far from zero would be if there were no difference, by Student's paired test;
            ``None`` for a single seed.
    """

    n: int
    mean: float
    interval: tuple[float, float] | None
    p: float | None

    @property
    def real(self) -> bool | None:
        """Whether ``p`` is below 0.05; ``None`` if there is none."""
        return None if self.p is None else self.p < 1 - LEVEL


def summarise(values: Sequence[float]) -> Summary | None:
    """The mean of some values and how sure it is; ``None`` of no values.

    The interval is Student's (1908) at 95 %, for values that are normally distributed. It knows how little two or three
    values say: resampling them, as the bootstrap does, would never reach beyond them.
    """
    if not values:
        return None
    if len(values) == 1:
        return Summary(1, float(values[0]), None, None)
    sample = numpy.asarray(values, dtype=float)
    mean, error = _mean_and_error(sample)
    return Summary(len(sample), mean, float(sample.std(ddof=1)), student_interval(mean, error, len(sample) - 1))


def paired_difference(first: Mapping[int, float], second: Mapping[int, float]) -> Difference | None:
    """Compare two strategies seed by seed; ``None`` if they share no seed.

    Pairing takes out what a seed does to both. Interval and probability are those of Student's paired test.

    Args:
        first: Values by seed.
        second: Values by seed, which are subtracted.
    """
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        return None
    sample = numpy.asarray([first[seed] - second[seed] for seed in seeds], dtype=float)
    if len(sample) == 1:
        return Difference(1, float(sample[0]), None, None)
    mean, error = _mean_and_error(sample)
    freedom = len(sample) - 1
    p = float(2 * student.sf(abs(mean) / error, freedom)) if error else float(mean == 0)
    return Difference(len(sample), mean, student_interval(mean, error, freedom), p)


def jackknife_error(without: Sequence[float]) -> float:
    """The standard error of a value of many things, told by what it is without some of them.

    The jackknife (Tukey, "Bias and Confidence in Not-quite Large Samples", 1958), which leaves out a group at a time.

    Args:
        without: The value without each of the groups of about equal size, two at least, that the things are divided
            into at random.
    """
    return math.sqrt((len(without) - 1) * numpy.var(without))


def student_interval(value: float, error: float, freedom: int) -> tuple[float, float]:
    """The interval at 95 % around a value that is estimated with a standard error.

    Args:
        value: The estimate.
        error: Its standard error.
        freedom: The degrees of freedom with which the error is known.
    """
    half = float(student.ppf((1 + LEVEL) / 2, freedom)) * error
    return value - half, value + half


def corrected(family: Sequence[Difference]) -> list[Difference]:
    """Raise the p values of differences for how many they are, by Holm's method.

    In a family without any real difference, one or more seem to be real with a probability of at most 0.05, however
    they depend on one another (Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979). Those without a
    p value are no part of it. Intervals stay those of each difference by itself.

    Args:
        family: All that are looked at together.
    """
    tested = sorted((each.p, i) for i, each in enumerate(family) if each.p is not None)
    found = list(family)
    highest = 0.0
    for rank, (p, i) in enumerate(tested):
        highest = max(highest, min(1.0, p * (len(tested) - rank)))
        found[i] = replace(family[i], p=highest)
    return found


def _mean_and_error(sample: numpy.ndarray) -> tuple[float, float]:
    """The mean of some values and its standard error."""
    return float(sample.mean()), float(sample.std(ddof=1)) / math.sqrt(len(sample))
