"""Numbers, colours and fields by chance, the same from the same generator on every machine.

Only ``Generator.random`` is drawn from: the library's other distributions may differ in the last bit between
processors, like the sines and exponentials that are avoided here.
"""

import colorsys
import math

import numpy as np
from numpy.random import Generator

HUE_SPREAD = 0.08
"""How far a hue near another may lie from it, in turns of the colour circle."""

Range = tuple[float, float]
Colour = tuple[float, float, float]


def between(rng: Generator, low: float, high: float) -> float:
    """A number from ``low`` to ``high``."""
    return low + (high - low) * rng.random()


def whole(rng: Generator, low: int, high: int) -> int:
    """A whole number from ``low`` to ``high``, both included."""
    return low + int((high - low + 1) * rng.random())


def colour(rng: Generator, value: Range, hue: float | None = None) -> Colour:
    """A colour whose brightest channel (the value of HSV) is in a range; of any hue, or of one near ``hue``."""
    if hue is None:
        return colorsys.hsv_to_rgb(rng.random(), between(rng, 0.1, 0.9), between(rng, *value))
    near = hue + HUE_SPREAD * (rng.random() + rng.random() - 1)
    return colorsys.hsv_to_rgb(near % 1, between(rng, 0.4, 0.9), between(rng, *value))


def direction(rng: Generator) -> tuple[float, float]:
    """A unit vector of uniform direction: a point of the disk pushed out to the circle, without any sine."""
    while True:
        x, y = between(rng, -1, 1), between(rng, -1, 1)
        if 0.01 < x * x + y * y < 1:
            length = math.sqrt(x * x + y * y)
            return x / length, y / length


def noise(rng: Generator, size: int, cells: int) -> np.ndarray:
    """A smooth random ``(size, size)`` field in [0, 1] with about ``cells`` hills along each side."""
    lattice = rng.random((cells + 1, cells + 1))
    at = np.arange(size) * cells / size
    low = np.floor(at).astype(int)
    t = at - low
    t = t * t * (3 - 2 * t)
    rows = lattice[low] * (1 - t)[:, None] + lattice[low + 1] * t[:, None]
    return rows[:, low] * (1 - t) + rows[:, low + 1] * t
