import numpy as np
import pytest

from onehead_avl.ignored import VOID
from scenarios.drawn.looks import CATEGORIES
from scenarios.drawn.scenes import (
    MIN_PIXELS,
    Scene,
    Thing,
    box,
    class_mask,
    draw_crowd,
    draw_object,
    draw_occluder,
    empty_scene,
    put,
    render,
)
from scenarios.drawn.stamps import Stamp

SIZE = 12


def block(rows, columns, category=0, area=None):
    """A thing that covers a rectangle."""
    height, width = rows[1] - rows[0], columns[1] - columns[0]
    area = height * width if area is None else area
    stamp = Stamp((slice(*rows), slice(*columns)), np.ones((height, width)), np.ones((3, height, width)), area)
    return Thing((stamp,), category)


def scene_of(*things, size=SIZE):
    scene = Scene(np.zeros((3, size, size)), (), np.full((size, size), -1))
    for thing in things:
        scene = put(scene, thing)
    return scene


def test_empty_scene_shows_the_ground_only():
    scene = empty_scene(np.random.default_rng(0), SIZE)
    assert scene.size == SIZE
    assert scene.things == ()
    assert (scene.top == -1).all()
    assert scene.ground.shape == (3, SIZE, SIZE)


def test_put_hides_what_lies_behind():
    scene = scene_of(block((0, 4), (0, 4)), block((2, 6), (2, 6), category=1))
    assert scene.visible(0).sum() == 12
    assert scene.visible(1).sum() == 16
    assert scene.visible(1)[2:6, 2:6].all()


def test_put_leaves_the_first_scene_as_it_was():
    one = scene_of(block((0, 4), (0, 4)))
    put(one, block((2, 6), (2, 6)))
    assert len(one.things) == 1
    assert one.visible(0).sum() == 16


@pytest.mark.parametrize("category", [1, None])
def test_put_refuses_to_hide_an_object(category):
    scene = scene_of(block((0, 4), (0, 4)))
    assert put(scene, block((0, 3), (0, 4), category)) is not None  # a quarter is left
    assert put(scene, block((0, 4), (0, 4), category)) is None
    assert put(scene, block((0, 3), (0, 5), category)) is not None
    assert put(put(scene, block((0, 3), (0, 4), category)), block((3, 4), (0, 1), category=None)) is None


def test_put_refuses_an_object_that_is_mostly_outside_or_too_small():
    assert put(scene_of(), block((0, 4), (0, 4), area=64)) is not None
    assert put(scene_of(), block((0, 4), (0, 4), area=65)) is None
    assert put(scene_of(), block((0, 1), (0, MIN_PIXELS))) is not None
    assert put(scene_of(), block((0, 1), (0, MIN_PIXELS - 1))) is None


def test_clutter_may_be_hidden():
    scene = scene_of(block((0, 4), (0, 4), category=None), block((0, 4), (0, 4)))
    assert scene.visible(0).sum() == 0


def test_class_mask_draws_a_line_around_objects():
    mask = class_mask(scene_of(block((2, 5), (2, 5), category=3)))
    expected = np.zeros((SIZE, SIZE), np.uint8)
    expected[1:6, 1:6] = VOID
    expected[2:5, 2:5] = 4
    assert (mask == expected).all()
    assert mask.dtype == np.uint8


def test_class_mask_draws_the_line_on_what_lies_behind():
    mask = class_mask(scene_of(block((0, 6), (0, 6), category=1), block((0, 6), (4, 10), category=2)))
    assert (mask[:6, :3] == 2).all()
    assert (mask[:6, 3] == VOID).all()
    assert (mask[:6, 4:10] == 3).all()


def test_class_mask_shows_clutter_as_ground_with_a_line_on_objects_only():
    mask = class_mask(scene_of(block((0, 6), (0, 6), category=1), block((2, 3), (2, 12), category=None)))
    assert (mask[2, 2:] == 0).all()
    assert (mask[1, 1:6] == VOID).all()
    assert mask[1, 6] == VOID  # the line around the object
    assert (mask[1, 7:] == 0).all()
    assert (mask[0, :6] == 2).all()


def test_box_is_tight():
    visible = np.zeros((SIZE, SIZE), bool)
    visible[3, 5] = visible[7, 2] = True
    assert box(visible) == (2, 3, 6, 8)
    assert all(type(side) is int for side in box(visible))


def test_render_paints_things_in_order_with_some_noise():
    front = block((2, 6), (2, 6), category=1)
    front.stamps[0].colour[:] = 0.5
    scene = scene_of(block((0, 6), (0, 6)), front)
    picture = render(np.random.default_rng(0), scene).astype(int)
    assert picture.shape == (3, SIZE, SIZE)
    assert (picture[:, :2, :6] > 230).all()
    assert (abs(picture[:, 2:6, 2:6] - 128) < 20).all()
    assert (picture[:, 6:] < 20).all()
    assert len(np.unique(picture[:, 2:6, 2:6])) > 2
    assert (scene.ground == 0).all()


def test_objects_have_the_size_and_place_asked_for():
    rng = np.random.default_rng(0)
    for category in range(len(CATEGORIES)):
        for _ in range(10):
            thing = draw_object(rng, 100, category, (0.3, 0.4), (0.45, 0.55))
            assert thing.category == category
            assert not thing.crowd
            x1, y1, x2, y2 = box(scene_of(thing, size=100).visible(0))
            assert 20 < max(x2 - x1, y2 - y1) < 0.4 * 100 * 1.2
            assert (x1, y1) < (55, 55)
            assert (x2, y2) > (45, 45)


def test_crowds_are_several_tiny_objects():
    rng = np.random.default_rng(0)
    crowds = [draw_crowd(rng, 100, 2) for _ in range(60)]
    assert {len(crowd.stamps) for crowd in crowds} == set(range(7, 13))
    assert all(crowd.crowd and crowd.category == 2 for crowd in crowds)
    assert max(stamp.area for crowd in crowds for stamp in crowd.stamps) < np.pi * 7**2


def test_occluders_belong_to_no_category():
    occluder = draw_occluder(np.random.default_rng(0), 100)
    assert occluder.category is None
    assert len(occluder.stamps) == 1
