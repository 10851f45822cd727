import statistics

import numpy as np
import pytest
from scipy.stats import ttest_rel

from onehead_avl.evaluation.statistics import bootstrap_interval, paired_difference, percentile_interval, summarise

FIRST = {0: 0.52, 1: 0.47, 2: 0.61, 3: 0.55}
SECOND = {0: 0.41, 1: 0.45, 2: 0.48, 3: 0.46}


def test_of_no_values_there_is_nothing_to_say():
    assert summarise([]) is None


def test_a_single_value_has_no_spread():
    found = summarise([0.25])
    assert (found.n, found.mean, found.sd, found.interval) == (1, 0.25, None, None)


@pytest.mark.parametrize("values", [[0.1, 0.4], [0.5, 0.25, 0.75], [3.0, -1.0, 2.0, 2.0, 8.0], [1e9, 1e9 + 1]])
def test_mean_and_deviation_are_those_of_the_standard_library(values):
    found = summarise(values)
    assert found.n == len(values)
    assert found.mean == pytest.approx(statistics.mean(values))
    assert found.sd == pytest.approx(statistics.stdev(values))
    low, high = found.interval
    assert min(values) <= low <= found.mean <= high <= max(values)
    assert low < high


def test_equal_values_have_an_interval_of_no_width():
    found = summarise([0.5, 0.5, 0.5])
    assert (found.mean, found.sd, found.interval) == (0.5, 0.0, (0.5, 0.5))


def test_the_bootstrap_is_the_same_each_time():
    sample = np.random.default_rng(1).normal(size=7)
    assert bootstrap_interval(sample) == bootstrap_interval(sample)


def test_the_bootstrap_of_many_values_is_that_of_the_normal_distribution():
    sample = np.random.default_rng(2).normal(3, 2, size=400)
    half = 1.96 * sample.std(ddof=1) / 400**0.5
    assert bootstrap_interval(sample) == pytest.approx((sample.mean() - half, sample.mean() + half), abs=half / 5)


def test_the_interval_holds_the_middle_95_percent():
    assert percentile_interval(np.arange(1001.0)) == pytest.approx((25, 975))


def test_the_paired_difference_has_students_interval():
    found = paired_difference(FIRST, SECOND)
    expected = ttest_rel(list(FIRST.values()), list(SECOND.values()))
    interval = expected.confidence_interval(0.95)
    assert found.n == 4
    assert found.mean == pytest.approx(statistics.mean(FIRST[seed] - SECOND[seed] for seed in FIRST))
    assert found.interval == pytest.approx((interval.low, interval.high))
    assert found.real is bool(expected.pvalue < 0.05) is True


def test_a_difference_within_the_noise_is_not_real():
    noisy = {**SECOND, 0: 0.9}
    found = paired_difference(FIRST, noisy)
    assert ttest_rel(list(FIRST.values()), list(noisy.values())).pvalue > 0.05
    low, high = found.interval
    assert low < 0 < high
    assert found.real is False


def test_the_second_is_subtracted_and_seeds_are_paired_whatever_their_order():
    forth, back = paired_difference(FIRST, SECOND), paired_difference(SECOND, FIRST)
    assert back.mean == -forth.mean
    assert back.interval == (-forth.interval[1], -forth.interval[0])
    assert paired_difference(dict(reversed(FIRST.items())), SECOND) == forth


def test_only_shared_seeds_count():
    found = paired_difference(FIRST | {7: 100.0}, {8: -100.0} | SECOND)
    assert found == paired_difference(FIRST, SECOND)
    assert paired_difference(FIRST, {7: 0.5}) is None
    assert paired_difference({}, SECOND) is None


def test_of_one_seed_nothing_is_known_to_be_real():
    found = paired_difference(FIRST, {2: 0.5})
    assert (found.n, found.mean) == (1, pytest.approx(0.11))
    assert found.interval is found.real is None


@pytest.mark.parametrize(("shift", "real"), [(0.25, True), (-0.25, True), (0.0, False)])
def test_a_constant_difference_is_real_unless_it_is_zero(shift, real):
    values = {0: 0.5, 1: 0.25, 2: 0.75}
    found = paired_difference({seed: value + shift for seed, value in values.items()}, values)
    assert (found.mean, found.interval, found.real) == (shift, (shift, shift), real)
