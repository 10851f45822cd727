import numpy as np
import pytest

from scenarios.drawn.looks import CATEGORIES, LOOKS, REACH, radius, turns, wave

SIDE = np.linspace(-2, 2, 161)
X, Y = np.meshgrid(SIDE, SIDE)
STEP = SIDE[1] - SIDE[0]


def picture(category, cos=1.0, sin=0.0):
    """A turned object: 1 and -1 for its two colours, 0 outside; on a coarse grid that just holds it."""
    side = np.linspace(-REACH, REACH, 48)
    x, y = np.meshgrid(side, side)
    x, y = cos * x + sin * y, cos * y - sin * x
    shape, texture = LOOKS[category]
    return np.where(shape(x, y) < 0, 2 * texture(x, y) - 1, 0)


def test_categories_name_the_looks():
    assert tuple(LOOKS) == CATEGORIES
    shapes, textures = zip(*LOOKS.values(), strict=True)
    assert len(set(shapes)) == len(set(textures)) == len(CATEGORIES)


@pytest.mark.parametrize("category", CATEGORIES)
def test_shapes_have_about_the_same_extent_and_stay_within_reach(category):
    inside = LOOKS[category][0](X, Y) < 0
    extent = np.hypot(X, Y)[inside].max()
    assert 0.95 < extent < REACH
    assert inside.sum() * STEP**2 > 1.4  # not much less than half a disk


@pytest.mark.parametrize("category", CATEGORIES)
def test_shapes_are_distances_near_their_outline(category):
    distance = LOOKS[category][0](X, Y)
    slope = np.hypot(*np.gradient(distance, STEP))[abs(distance) < 0.1]
    assert slope.max() < 1.05  # an edge is never harder than one pixel ...
    assert np.median(slope) > 0.95  # ... and seldom softer


@pytest.mark.parametrize("category", CATEGORIES)
def test_both_colours_of_a_texture_are_seen_on_its_shape(category):
    shape, texture = LOOKS[category]
    share = texture(X, Y)
    assert share.min() >= 0
    assert share.max() <= 1
    seen = share[shape(X, Y) < 0]
    assert (seen > 0.8).mean() > 0.2
    assert (seen < 0.2).mean() > 0.2


def test_no_category_looks_like_another_however_it_is_turned():
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    for i, one in enumerate(CATEGORIES):
        upright = picture(one)
        for other in CATEGORIES[i + 1 :]:
            for angle in angles:
                turned = picture(other, np.cos(angle), np.sin(angle))
                likeness = (upright * turned).sum() / np.sqrt((upright**2).sum() * (turned**2).sum())
                assert abs(likeness) < 0.6, (one, other)


def test_swirl_has_no_seam():
    swirl = LOOKS["heart"][1]
    x = -np.linspace(0.1, 1, 50)
    assert np.allclose(swirl(x, np.full(50, 1e-9)), swirl(x, np.full(50, -1e-9)), atol=1e-6)


def test_bricks_of_every_other_course_are_shifted_by_half():
    bricks = LOOKS["arrow"][1]
    x = np.linspace(-1, 1, 50)
    course = bricks(x, np.full(50, 0.25))
    assert np.ptp(course) == 1
    assert np.allclose(course, bricks(x + 0.5, np.full(50, 0.75)))
    assert not np.allclose(course, bricks(x, np.full(50, 0.75)))


def test_radius():
    assert np.allclose(radius(X, Y), np.hypot(X, Y))


def test_wave():
    t = np.array([-1, -0.75, -0.5, 0, 0.25, 0.5, 1])
    assert wave(t).tolist() == [1, 0.5, 0, 1, 0.5, 0, 1]


@pytest.mark.parametrize("fold", [1, 2, 8])
def test_turns(fold):
    angle = fold * np.arctan2(Y, X)
    away = np.hypot(X, Y) > STEP / 2
    cos, sin = turns(X, Y, fold)
    assert np.allclose(cos[away], np.cos(angle)[away])
    assert np.allclose(sin[away], np.sin(angle)[away])
    assert np.isfinite(cos).all()
    assert np.isfinite(sin).all()
