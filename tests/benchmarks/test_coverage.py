import numpy
import pytest
from scipy.stats import bootstrap

from benchmarks import coverage
from benchmarks.coverage import bias_corrected, covered
from onehead_avl.kinds.kind import Metric, MetricName


class Skewed(Metric):
    """The mean square and the greatest of numbers that images are said to have."""

    values = (MetricName("Square"), MetricName("Greatest"))

    def __init__(self, numbers):
        super().__init__(())
        self.numbers = numpy.asarray(numbers, dtype=float)

    def count(self, logits, target): ...

    def clear(self): ...

    def __len__(self):
        return len(self.numbers)

    def compute(self, images):
        chosen = self.numbers[list(images)]
        return {"Square": float((chosen**2).mean()), "Greatest": float(chosen.max())}


def test_the_bias_corrected_interval_is_that_of_scipy():
    numbers = numpy.random.default_rng(0).exponential(size=40)

    def statistic(sample, axis=-1):
        return (sample**2).mean(axis=axis)

    expected = bootstrap((numbers,), statistic, n_resamples=4000, method="BCa", rng=numpy.random.default_rng(1))
    drawn = expected.bootstrap_distribution[:, None]
    left_out = numpy.array([[statistic(numpy.delete(numbers, i))] for i in range(40)])
    low, high = bias_corrected(numpy.array([statistic(numbers)]), drawn, left_out)[:, 0]
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval), rel=1e-6)


def test_a_row_says_how_often_an_interval_holds_what_it_is_of(monkeypatch):
    monkeypatch.setattr(coverage, "RESAMPLES", 50)
    metric = Skewed(numpy.random.default_rng(0).uniform(size=500))
    rows = covered(metric, few=20, times=40)
    assert [(row[0], row[3].split()[0]) for row in rows] == [
        (value, interval)
        for value in ("Square", "Greatest")
        for interval in ("jackknife", "percentile", "basic", "BCa")
    ]
    square, greatest = rows[0], rows[5]
    whole = metric.compute(range(500))
    assert square[1] == f"{whole['Square']:.3f}"
    assert greatest[1] == f"{whole['Greatest']:.3f}"
    assert float(square[2]) == pytest.approx(whole["Square"], abs=0.03)
    assert float(greatest[2]) < whole["Greatest"] - 0.02  # of few numbers it is lower
    assert all(70 <= int(share.rstrip("%")) <= 100 for share in square[4:6])
    assert int(greatest[5].rstrip("%")) <= 10  # no resampled number is greater than those there are
    assert covered(metric, few=20, times=40) == rows


def test_what_has_no_interval_is_left_out(monkeypatch):
    monkeypatch.setattr(coverage, "RESAMPLES", 50)
    mostly_equal = Skewed([1.0] * 99 + [3.0])
    (row, *_) = covered(mostly_equal, few=5, times=60)
    assert row[4] == "100%"  # the few samples that hold the odd one have wide intervals, the others none
