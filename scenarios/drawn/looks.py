"""What the categories of drawn objects look like: a shape and a texture each.

Only operations that IEEE 754 rounds the same way everywhere are used (``+ - * /``, square root, rounding): sines and
exponentials may differ in the last bit between processors, and one bit can change a pixel.
"""

import math
from collections.abc import Callable

import numpy as np

Array = np.ndarray
Shape = Callable[[Array, Array], Array]
"""Signed distance to the outline, negative inside, of points in the object's own frame (radius about 1)."""
Texture = Callable[[Array, Array], Array]
"""Share in [0, 1] of the first of two colours at points in the object's own frame."""

REACH = 1.2
"""Every shape lies within this distance of its centre, in radii."""

_HALF_ROOT = math.sqrt(0.5)


def _normals(count: int) -> list[tuple[float, float]]:
    """Unit vectors evenly spread over a turn; rounded, since sines may differ in the last bit."""
    angles = [2 * math.pi * i / count for i in range(count)]
    return [(round(math.cos(angle), 9), round(math.sin(angle), 9)) for angle in angles]


def _sides(x: Array, y: Array, count: int, inner: float) -> Array:
    """Distances ``(count, ...)`` to the lines through the sides of a regular polygon of inner radius ``inner``."""
    return np.stack([nx * x + ny * y - inner for nx, ny in _normals(count)])


def radius(x: Array, y: Array) -> Array:
    """Distance to the centre; ``np.hypot`` is not rounded alike everywhere."""
    return np.sqrt(x * x + y * y)


def _disk(x: Array, y: Array) -> Array:
    return radius(x, y) - 1


def _square(x: Array, y: Array) -> Array:
    return np.maximum(abs(x), abs(y)) - 0.8


def _triangle(x: Array, y: Array) -> Array:
    return _sides(x, y, 3, 0.57).max(axis=0)


def _ring(x: Array, y: Array) -> Array:
    return abs(radius(x, y) - 0.74) - 0.26


def _star(x: Array, y: Array) -> Array:
    # A pentagram is what lies behind at least four of the five lines through its tips.
    return np.sort(_sides(x, y, 5, 0.36), axis=0)[3]


def _cross(x: Array, y: Array) -> Array:
    return np.maximum(np.minimum(abs(x), abs(y)) - 0.33, np.maximum(abs(x), abs(y)) - 1)


def _crescent(x: Array, y: Array) -> Array:
    return np.maximum(radius(x, y) - 1, 0.75 - radius(x - 0.6, y))


def _hexagon(x: Array, y: Array) -> Array:
    return _sides(x, y, 6, 0.9).max(axis=0)


def _heart(x: Array, y: Array) -> Array:
    # A square that stands on its corner, and a disk around the middle of both its upper sides.
    x, y = abs(x), y + 0.08
    return np.minimum((x + abs(y)) * _HALF_ROOT - 0.58, radius(x - 0.41, y - 0.41) - 0.58)


def _arrow(x: Array, y: Array) -> Array:
    shaft = np.maximum(abs(x + 0.4) - 0.6, abs(y) - 0.36)
    return np.minimum(shaft, np.maximum(-0.1 - x, (x + abs(y) - 0.9) * _HALF_ROOT))


def wave(t: Array) -> Array:
    """Triangle wave of period 1 in [0, 1]."""
    return abs(2 * (t - np.floor(t)) - 1)


def _two_tone(t: Array) -> Array:
    """Steepen values in [0, 1] to mostly 0 and 1, leaving soft edges so that small objects do not alias."""
    return np.clip(0.5 + 4 * (t - 0.5), 0, 1)


def turns(x: Array, y: Array, fold: int) -> tuple[Array, Array]:
    """Cosine and sine of ``fold`` times the polar angle, by complex powers instead of inverse tangents."""
    length = np.maximum(radius(x, y), 1e-6)
    cos, sin = x / length, y / length
    re, im = cos, sin
    for _ in range(fold - 1):
        re, im = re * cos - im * sin, re * sin + im * cos
    return re, im


def _stripes(x: Array, y: Array) -> Array:
    return _two_tone(wave(1.7 * x))


def _checks(x: Array, y: Array) -> Array:
    return _two_tone(0.5 + 2 * (wave(1.2 * x) - 0.5) * (wave(1.2 * y) - 0.5))


def _dots(x: Array, y: Array) -> Array:
    return _two_tone(1.5 - 1.5 * radius(wave(1.9 * x), wave(1.9 * y)))


def _spokes(x: Array, y: Array) -> Array:
    return _two_tone(0.5 + 0.5 * turns(x, y, 8)[0])


def _bullseye(x: Array, y: Array) -> Array:
    return _two_tone(wave(1.9 * radius(x, y)))


def _mesh(x: Array, y: Array) -> Array:
    return _two_tone(np.maximum(wave(2 * x), wave(2 * y)) - 0.2)


def _halves(x: Array, y: Array) -> Array:
    return _two_tone(0.5 + y)


def _zigzag(x: Array, y: Array) -> Array:
    return _two_tone(wave(1.5 * y + 0.7 * wave(1.1 * x)))


def _swirl(x: Array, y: Array) -> Array:
    # Turns from -1/2 to 1/2, measured along the sides of a square on its corner instead of along a circle.
    turn = np.copysign(0.25 * (1 - x / np.maximum(abs(x) + abs(y), 1e-6)), y)
    return _two_tone(wave(0.8 * radius(x, y) - 3 * turn))


def _bricks(x: Array, y: Array) -> Array:
    course = 2 * y
    return _two_tone(1.3 - np.maximum(wave(course), wave(x + 0.5 * np.floor(course))))


LOOKS: dict[str, tuple[Shape, Texture]] = {
    "disk": (_disk, _stripes),
    "square": (_square, _checks),
    "triangle": (_triangle, _dots),
    "ring": (_ring, _spokes),
    "star": (_star, _bullseye),
    "cross": (_cross, _mesh),
    "crescent": (_crescent, _halves),
    "hexagon": (_hexagon, _zigzag),
    "heart": (_heart, _swirl),
    "arrow": (_arrow, _bricks),
}
"""Category -> shape and texture."""

CATEGORIES: tuple[str, ...] = tuple(LOOKS)
"""Names of the object categories in index order."""
