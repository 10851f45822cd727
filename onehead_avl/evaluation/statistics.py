"""Statistics over seeds: what a handful of runs can and cannot say."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy
from scipy.stats import t as student

LEVEL = 0.95
RESAMPLES = 2000


@dataclass(frozen=True)
class Summary:
    """Some values of one quantity.

    Attributes:
        n: How many there are.
        mean: Their mean.
        sd: Their sample standard deviation; ``None`` for a single value.
        interval: The bootstrap interval of the mean; ``None`` for a single value.
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
        real: Whether the interval excludes zero; ``None`` if there is none.
    """

    n: int
    mean: float
    interval: tuple[float, float] | None
    real: bool | None


def summarise(values: Sequence[float]) -> Summary | None:
    """The mean of some values and how sure it is; ``None`` of no values.

    The interval is the percentile bootstrap (Efron, 1979) at 95 %, from a fixed seed. Of three values it is a rough
    guide: it never reaches beyond the values themselves.
    """
    if not values:
        return None
    if len(values) == 1:
        return Summary(1, float(values[0]), None, None)
    sample = numpy.asarray(values, dtype=float)
    return Summary(len(sample), float(sample.mean()), float(sample.std(ddof=1)), bootstrap_interval(sample))


def bootstrap_interval(sample: numpy.ndarray) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the mean of ``(n,)`` values."""
    drawn = numpy.random.default_rng(0).integers(len(sample), size=(RESAMPLES, len(sample)))
    return percentile_interval(sample[drawn].mean(axis=1))


def percentile_interval(estimates: numpy.ndarray) -> tuple[float, float]:
    """The middle 95 % of ``(n,)`` bootstrap estimates."""
    low, high = numpy.quantile(estimates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def paired_difference(first: Mapping[int, float], second: Mapping[int, float]) -> Difference | None:
    """Compare two strategies seed by seed; ``None`` if they share no seed.

    Pairing takes out what a seed does to both. The interval is Student's (1908), which knows how little two or three
    seeds say; the bootstrap does not.

    Args:
        first: Values by seed.
        second: Values by seed, which are subtracted.
    """
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        return None
    sample = numpy.asarray([first[seed] - second[seed] for seed in seeds], dtype=float)
    mean = float(sample.mean())
    if len(sample) == 1:
        return Difference(1, mean, None, None)
    half = float(student.ppf((1 + LEVEL) / 2, len(sample) - 1) * sample.std(ddof=1) / math.sqrt(len(sample)))
    return Difference(len(sample), mean, (mean - half, mean + half), abs(mean) > half)
