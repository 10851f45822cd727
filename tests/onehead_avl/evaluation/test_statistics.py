import statistics

import numpy as np
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_rel

from onehead_avl.evaluation.statistics import Difference, corrected, paired_difference, summarise

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
    half = student.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    assert found.interval == pytest.approx((found.mean - half, found.mean + half))


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_interval_of_a_few_values_holds_the_mean_of_all_95_times_of_100(n):
    samples = np.random.default_rng(0).normal(3, 2, size=(4000, n))
    held = np.mean([low <= 3 <= high for low, high in (summarise(sample).interval for sample in samples.tolist())])
    assert held == pytest.approx(0.95, abs=3 * (0.95 * 0.05 / 4000) ** 0.5)


def test_equal_values_have_an_interval_of_no_width():
    found = summarise([0.5, 0.5, 0.5])
    assert (found.mean, found.sd, found.interval) == (0.5, 0.0, (0.5, 0.5))


def test_the_paired_difference_has_students_interval():
    found = paired_difference(FIRST, SECOND)
    expected = ttest_rel(list(FIRST.values()), list(SECOND.values()))
    interval = expected.confidence_interval(0.95)
    assert found.n == 4
    assert found.mean == pytest.approx(statistics.mean(FIRST[seed] - SECOND[seed] for seed in FIRST))
    assert found.interval == pytest.approx((interval.low, interval.high))
    assert found.p == pytest.approx(expected.pvalue)
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
    assert (back.mean, back.p) == (-forth.mean, forth.p)
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
    assert found.interval is found.p is found.real is None


@pytest.mark.parametrize(("shift", "real"), [(0.25, True), (-0.25, True), (0.0, False)])
def test_a_constant_difference_is_real_unless_it_is_zero(shift, real):
    values = {0: 0.5, 1: 0.25, 2: 0.75}
    found = paired_difference({seed: value + shift for seed, value in values.items()}, values)
    assert (found.mean, found.interval, found.real) == (shift, (shift, shift), real)


def of_p(*values):
    return [Difference(3, 0.1, (0.0, 0.2), p) for p in values]


def test_p_values_are_raised_as_holm_does():
    """The numbers were worked out by hand: the k-th smallest of n times n + 1 - k, and none below a smaller one's."""
    found = [each.p for each in corrected(of_p(0.01, 0.04, 0.03, 0.005))]
    assert found == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert [each.p for each in corrected(of_p(0.9, 0.4))] == pytest.approx([0.9, 0.8])
    assert [each.p for each in corrected(of_p(0.7, 0.6))] == [1.0, 1.0]


def test_what_has_no_p_value_is_no_part_of_a_family():
    assert [each.p for each in corrected(of_p(None, 0.02, None, 0.5))] == [None, 0.04, None, 0.5]
    assert corrected([]) == []


def test_of_families_without_a_difference_one_in_twenty_tells_of_one_at_most():
    rng = np.random.default_rng(0)
    told = 0
    for _ in range(1000):
        reference, *others = rng.normal(size=(11, 3))
        family = [paired_difference(dict(enumerate(other)), dict(enumerate(reference))) for other in others]
        told += any(each.real for each in corrected(family))
    assert told / 1000 < 0.05 + 3 * (0.05 * 0.95 / 1000) ** 0.5
    assert told > 0
