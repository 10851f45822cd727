import numpy as np
import pytest

from scenarios.drawn.stamps import Stamp, draw_stamp, mix, paint

SIZE = 64


def disk(x, y):
    return np.hypot(x, y) - 1


def halves(x, y):
    return (x > 0).astype(float)


def stamp_at(cx, cy, radius=10.0, seed=0, texture=halves):
    return draw_stamp(np.random.default_rng(seed), SIZE, cx, cy, radius, disk, texture)


def test_area_is_that_of_the_squeezed_shape():
    shares = [stamp_at(32, 32, seed=seed).area / (100 * np.pi) for seed in range(30)]
    assert 0.73 < min(shares) < 0.8
    assert 0.95 < max(shares) < 1.02


def test_stamp_is_centred_and_soft_at_the_edge():
    stamp = stamp_at(30.5, 20.5)
    assert stamp.cover.min() == 0
    assert stamp.cover.max() == 1
    assert ((stamp.cover > 0) & (stamp.cover < 1)).any()
    ys, xs = (stamp.cover > 0.5).nonzero()
    assert len(ys) == stamp.area
    rows, columns = stamp.window
    assert rows.start + ys.mean() == pytest.approx(20, abs=0.1)  # pixel 20 has its centre at 20.5
    assert columns.start + xs.mean() == pytest.approx(30, abs=0.1)


@pytest.mark.parametrize(("cx", "cy"), [(0, 32), (63.9, 32), (32, 0), (32, 63.9), (0, 0), (63.9, 63.9)])
def test_stamp_over_the_border_is_cut_but_knows_its_whole_area(cx, cy):
    stamp, whole = stamp_at(cx, cy), stamp_at(32 + cx % 1, 32 + cy % 1)
    rows, columns = stamp.window
    assert 0 <= rows.start < rows.stop <= SIZE
    assert 0 <= columns.start < columns.stop <= SIZE
    assert stamp.cover.shape == (rows.stop - rows.start, columns.stop - columns.start)
    assert stamp.colour.shape == (3, *stamp.cover.shape)
    assert stamp.area == whole.area
    assert 0.2 * stamp.area < (stamp.cover > 0.5).sum() < 0.6 * stamp.area


def test_squeezing_makes_no_edge_harder():
    # A shape whose distance grows at a hundredth of the pace has an edge 100 pixels wide: the cover is all edge.
    for seed in range(10):
        rng = np.random.default_rng(seed)
        cover = draw_stamp(rng, SIZE, 32, 32, 20, lambda x, y: disk(x, y) / 100, halves).cover
        assert 0.0099 < np.hypot(*np.gradient(cover)).max() < 0.0101


def test_stamps_are_turned_every_way():
    steepest = []
    for seed in range(40):
        light = stamp_at(32, 32, seed=seed).colour.max(axis=0)
        dy, dx = (np.diff(light, axis=axis).sum() for axis in (0, 1))
        steepest.append((abs(dy) > abs(dx), dy > 0, dx > 0))
    assert len(set(steepest)) == 8


def test_one_colour_is_light_and_the_other_dark():
    for seed in range(40):
        colours = np.unique(stamp_at(32, 32, seed=seed).colour.reshape(3, -1).max(axis=0).round(9))
        dark, light = colours
        assert 0.05 <= dark <= 0.4
        assert 0.65 <= light <= 1


def test_paint_blends_by_opacity_within_the_window_only():
    canvas = np.full((3, 4, 5), 0.2)
    window = (slice(1, 3), slice(2, 4))
    paint(canvas, Stamp(window, np.array([[1.0, 0.5], [0.0, 0.25]]), np.full((3, 2, 2), 1.0), 1))
    expected = np.full((4, 5), 0.2)
    expected[window] = [[1.0, 0.6], [0.2, 0.4]]
    assert np.allclose(canvas, expected)


def test_mix():
    blend = mix((1.0, 0.0, 0.5), (0.0, 1.0, 0.5), np.array([[0.0, 0.25, 1.0]]))
    assert np.allclose(blend, [[[0, 0.25, 1]], [[1, 0.75, 0]], [[0.5, 0.5, 0.5]]])
