"""Clutter: what is drawn in a scene but belongs to no category."""

import numpy as np
from numpy.random import Generator

from scenarios.drawn.chance import between, colour, noise, whole
from scenarios.drawn.looks import Array, radius, turns, wave
from scenarios.drawn.stamps import Stamp, draw_stamp, mix, paint


def draw_ground(rng: Generator, size: int) -> Array:
    """Draw soft colours, strewn with blobs and strokes, as a ``(3, size, size)`` picture in about [0, 1]."""
    ground = mix(colour(rng, (0.2, 0.95)), colour(rng, (0.2, 0.95)), noise(rng, size, 3))
    ground += 0.25 * (noise(rng, size, 12) - 0.5)
    for _ in range(whole(rng, 2, 5)):
        paint(ground, _blob(rng, size))
    for _ in range(whole(rng, 3, 8)):
        paint(ground, draw_stroke(rng, size))
    return ground


def _blob(rng: Generator, size: int) -> Stamp:
    """An irregular, softly shaded blob."""
    lobes = [(fold, between(rng, -0.12, 0.12), between(rng, -0.12, 0.12)) for fold in (2, 3, 4)]

    def shape(x: Array, y: Array) -> Array:
        bulge: Array | float = 0.65
        for fold, a, b in lobes:
            cos, sin = turns(x, y, fold)
            bulge = bulge + a * cos + b * sin
        return radius(x, y) - bulge

    def texture(x: Array, y: Array) -> Array:
        return wave(0.4 * x) * wave(0.3 * y)

    x, y = size * rng.random(), size * rng.random()
    return draw_stamp(rng, size, x, y, size * between(rng, 0.08, 0.25), shape, texture)


def draw_stroke(rng: Generator, size: int) -> Stamp:
    """A bent stroke of the pen."""
    bend, width = between(rng, -0.5, 0.5), between(rng, 0.04, 0.1)

    def shape(x: Array, y: Array) -> Array:
        return radius(np.maximum(abs(x) - 0.9, 0), y - bend * (x * x - 0.5)) - width

    x, y = size * rng.random(), size * rng.random()
    return draw_stamp(rng, size, x, y, size * between(rng, 0.12, 0.35), shape, lambda x, y: np.ones_like(x))
