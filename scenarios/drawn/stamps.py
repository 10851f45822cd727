"""Stamps: shapes that are filled, anti-aliased and laid over a picture."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from scenarios.drawn.chance import Colour, between, colour, direction
from scenarios.drawn.looks import REACH, Array, Shape, Texture


@dataclass(frozen=True)
class Stamp:
    """One shape, filled and anti-aliased, where it meets the picture.

    Attributes:
        window: The rows and columns of the picture it covers.
        cover: Opacity in [0, 1] over the window.
        colour: ``(3, rows, columns)`` RGB in [0, 1] over the window.
        area: Pixels of the whole shape, those outside the picture included.
    """

    window: tuple[slice, slice]
    cover: Array
    colour: Array
    area: int


def draw_stamp(
    rng: Generator,
    size: int,
    cx: float,
    cy: float,
    radius: float,
    shape: Shape,
    texture: Texture,
    hue: float | None = None,
) -> Stamp:
    """Fill a shape around ``(cx, cy)``, a point of the picture; turned, squeezed and coloured by chance."""
    (cos, sin), squeeze, zoom = direction(rng), between(rng, 0.75, 1), between(rng, 0.85, 1.2)
    shift_x, shift_y = (between(rng, -0.15, 0.15) for _ in "xy")
    # One light and one dark colour: the texture shows whatever the hues.
    light, dark = colour(rng, (0.65, 1), hue), colour(rng, (0.05, 0.4), hue)

    reach = math.ceil(REACH * radius) + 1
    left, up = math.floor(cx) - reach, math.floor(cy) - reach
    dx = (np.arange(left, left + 2 * reach + 1) + 0.5 - cx)[None, :]
    dy = (np.arange(up, up + 2 * reach + 1) + 0.5 - cy)[:, None]
    x, y = (cos * dx + sin * dy) / radius, (cos * dy - sin * dx) / (squeeze * radius)

    distance = shape(x, y) * squeeze * radius
    inside = (slice(max(-up, 0), size - up), slice(max(-left, 0), size - left))
    cover = np.clip(0.5 - distance, 0, 1)
    share = texture(zoom * x[inside] + shift_x, zoom * y[inside] + shift_y)
    rows, columns = share.shape
    window = (slice(max(up, 0), max(up, 0) + rows), slice(max(left, 0), max(left, 0) + columns))
    return Stamp(window, cover[inside], mix(light, dark, share), int((cover > 0.5).sum()))


def paint(canvas: Array, stamp: Stamp) -> None:
    """Lay a stamp over a ``(3, size, size)`` canvas, in place."""
    under = canvas[(slice(None), *stamp.window)]
    under += stamp.cover * (stamp.colour - under)


def mix(first: Colour, second: Colour, share: Array) -> Array:
    """Blend two colours by the ``(rows, columns)`` share of the first, ``(3, rows, columns)``."""
    one, other = (np.array(each)[:, None, None] for each in (first, second))
    return share * one + (1 - share) * other
