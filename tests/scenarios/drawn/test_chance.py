import numpy as np
import pytest

from scenarios.drawn.chance import between, colour, direction, noise, whole


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_between_fills_its_range(rng):
    values = [between(rng, -2, 3) for _ in range(500)]
    assert -2 <= min(values) < -1.9
    assert 2.9 < max(values) < 3


def test_whole_includes_both_ends(rng):
    values = [whole(rng, 2, 5) for _ in range(400)]
    assert set(values) == {2, 3, 4, 5}
    assert min(values.count(each) for each in range(2, 6)) > 70


def test_colours_are_of_every_hue_and_of_the_brightness_asked_for(rng):
    colours = np.array([colour(rng, (0.3, 0.6)) for _ in range(500)])
    brightest = colours.max(axis=1)
    assert 0.3 <= brightest.min() < 0.32
    assert 0.58 < brightest.max() <= 0.6
    assert colours.min() >= 0
    assert np.bincount(colours.argmax(axis=1)).min() > 120


def test_directions_are_uniform_unit_vectors(rng):
    x, y = np.array([direction(rng) for _ in range(4000)]).T
    assert np.allclose(np.hypot(x, y), 1)
    angles = np.degrees(np.arctan2(y, x)) % 360
    assert np.histogram(angles, 12, (0, 360))[0] == pytest.approx(np.full(12, 4000 / 12), rel=0.2)
    # The diagonals are no more frequent than the axes, as they would be from the points of a square.
    assert ((angles % 90 > 30) & (angles % 90 < 60)).mean() == pytest.approx(1 / 3, abs=0.03)


@pytest.mark.parametrize("cells", [3, 12])
def test_noise_runs_smoothly_through_a_lattice_of_chance(cells):
    field = noise(np.random.default_rng(0), 96, cells)
    lattice = np.random.default_rng(0).random((cells + 1, cells + 1))
    assert field.shape == (96, 96)
    assert np.allclose(field[:: 96 // cells, :: 96 // cells], lattice[:-1, :-1])
    # Halfway between two lattice points the blend is 1.5 times as steep as a straight line.
    for axis in (0, 1):
        assert abs(np.diff(field, axis=axis)).max() <= 1.5 * cells / 96
