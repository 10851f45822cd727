import math

import numpy as np
import pytest

from onehead_avl.ignored import VOID
from scenarios.samples import rules
from scenarios.samples.rules import VOC_VALUES, Cut, cut_box, values_without_class


@pytest.mark.parametrize(
    ("box", "corners"),
    [
        ([10, 20, 30, 40], (10, 20, 40, 60)),
        ([-0.75, -1, 20, 20], (0, 0, 19.25, 19)),
        ([50, 60, 51, 21], (50, 60, 100, 80)),
        ([5, 5, 0.125, 0.0625], (5, 5, 5.125, 5.0625)),
    ],
    ids=["inside", "a pixel over the upper left", "a pixel over the lower right", "tiny"],
)
def test_a_box_within_rounding_is_cut_to_its_image(box, corners):
    assert cut_box(box, 100, 80) == Cut(corners, outside=False, empty=False)


@pytest.mark.parametrize(
    ("box", "corners"),
    [
        ([-1.5, 0, 10, 10], (0, 0, 8.5, 10)),
        ([0, -1.5, 10, 10], (0, 0, 10, 8.5)),
        ([95, 0, 6.5, 10], (95, 0, 100, 10)),
        ([0, 75, 10, 6.5], (0, 75, 10, 80)),
        ([-5, -5, 500, 500], (0, 0, 100, 80)),
    ],
)
def test_a_box_that_reaches_further_is_outside_but_not_empty(box, corners):
    assert cut_box(box, 100, 80) == Cut(corners, outside=True, empty=False)


@pytest.mark.parametrize("box", [[10, 10, 0, 10], [10, 10, 10, -2], [-0.9, 10, 0.5, 10], [100.25, 10, 0.5, 10]])
def test_a_box_without_area_in_its_image_is_empty(box):
    assert cut_box(box, 100, 80).empty


def test_a_sliver_without_area_in_single_precision_is_empty():
    sliver = [90_000, 10, 1e-3, 10]
    assert np.float32(90_000.001) == np.float32(90_000)
    assert cut_box(sliver, 100_000, 80).empty


@pytest.mark.parametrize("box", [[200, 10, 5, 5], [-50, 10, 5, 5]])
def test_a_box_beside_its_image_is_outside_and_empty(box):
    assert cut_box(box, 100, 80)[1:] == (True, True)


@pytest.mark.parametrize("width", [10**400, -(10**400), 0, -5])
def test_any_size_of_an_image_is_answered(width):
    cut = cut_box([1, 1, 5, 5], width, 80)
    assert (cut.outside, cut.empty) == (width < 6, width < 6)


@pytest.mark.parametrize(
    "box",
    [
        [math.nan, 0, 1, 1],
        [0, 0, math.inf, 1],
        [0, 0, 10**400, 1],
        [0, 0, "5", 1],
        [0, 0, True, 1],
        [0, 0, None, 1],
        [0, 0, 5],
        [0, 0, 5, 5, 5],
    ],
)
def test_what_is_not_four_finite_numbers_is_no_box(box):
    assert cut_box(box, 100, 80) is None


def test_values_without_class():
    assert values_without_class([0, 20, 255, 1]) == []
    assert values_without_class([30, 21, 254, 30]) == [21, 30, 254]
    assert values_without_class([0, 1, 2], known={0, 2}) == [1]


def test_void_is_one_value_everywhere():
    assert rules.VOID == VOID
    assert {*range(21), VOID} == VOC_VALUES
