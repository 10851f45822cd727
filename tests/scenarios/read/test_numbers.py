import math

import pytest

from scenarios.read.numbers import decimal, whole


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3),
        (-3, -3),
        (10**400, 10**400),
        (3.0, 3),
        (-0.0, 0),
        ("3", 3),
        (" 3 ", 3),
        ("+3", 3),
        ("-3", -3),
        ("3.", 3),
        ("3.000", 3),
        ("007", 7),
        ("9" * 18, 10**18 - 1),
    ],
)
def test_whole_numbers_are_read_however_they_are_written(value, number):
    found = whole(value)
    assert (found, type(found)) == (number, int)


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, False, [3], {"a": 3}, b"3"),
        *(3.5, math.nan, math.inf, -math.inf),
        *("", " ", "3.5", "3,0", "3e0", "0x3", "1_0", "٣", "three", "3 4", "9" * 19),
    ],
)
def test_what_is_no_whole_number_is_none(value):
    assert whole(value) is None


@pytest.mark.parametrize(
    ("value", "number"), [(3, 3), (2.5, 2.5), (-2.5, -2.5), ("2.5", 2.5), (" 1e-3 ", 0.001), ("-4", -4), ("1e8", 1e8)]
)
def test_numbers_are_read_however_they_are_written(value, number):
    assert decimal(value) == number


@pytest.mark.parametrize(
    "value",
    [None, True, [1], "", "x", "1,5", "nan", "inf", "-inf", "1e400", math.nan, math.inf, 10**400, 1e9, "1e9", -1e9],
)
def test_what_is_no_finite_number_is_none(value):
    assert decimal(value) is None
