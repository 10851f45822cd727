import numpy as np

from scenarios.drawn import clutter
from scenarios.drawn.clutter import draw_ground, draw_stroke
from scenarios.drawn.looks import REACH

SIZE = 64


def test_ground_is_coloured_and_follows_its_generator():
    grounds = [draw_ground(np.random.default_rng(seed), SIZE) for seed in (0, 0, 1)]
    assert grounds[0].shape == (3, SIZE, SIZE)
    assert (grounds[0] == grounds[1]).all()
    assert (grounds[0] != grounds[2]).mean() > 0.9
    for ground in grounds:
        assert ground.min() > -0.13
        assert ground.max() < 1.13
        assert ground.std() > 0.05


def test_ground_is_strewn_with_blobs_and_strokes(monkeypatch):
    drawn = []
    for name in ("_blob", "draw_stroke"):
        original = getattr(clutter, name)
        monkeypatch.setattr(clutter, name, lambda *args, f=original, n=name: drawn.append(n) or f(*args))
    blobs, strokes = set(), set()
    for seed in range(60):
        draw_ground(np.random.default_rng(seed), SIZE)
        blobs.add(drawn.count("_blob"))
        strokes.add(drawn.count("draw_stroke"))
        drawn.clear()
    assert blobs == set(range(2, 6))
    assert strokes == set(range(3, 9))


def test_strokes_are_long_and_thin():
    rng = np.random.default_rng(0)
    for _ in range(50):
        stroke = draw_stroke(rng, 200)
        assert 0 < stroke.area < 0.06 * 200**2
        assert (stroke.cover > 0.5).mean() < 0.2
        assert np.ptp(stroke.colour.reshape(3, -1), axis=1).max() == 0  # of one colour


def test_nothing_is_cut_off_at_the_reach_of_a_stamp(monkeypatch):
    side = np.linspace(-2, 2, 101)
    x, y = np.meshgrid(side, side)
    outside = np.hypot(x, y) >= REACH
    shapes = []
    monkeypatch.setattr(clutter, "draw_stamp", lambda *args: shapes.append(args[5]))
    rng = np.random.default_rng(0)
    for _ in range(200):
        clutter._blob(rng, SIZE)
        clutter.draw_stroke(rng, SIZE)
    assert len(shapes) == 400
    assert all((shape(x, y) < 0).any() and (shape(x, y)[outside] > 0).all() for shape in shapes)
