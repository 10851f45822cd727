"""Scenes of drawn objects on a cluttered ground, with what is visible of each."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from onehead_avl.ignored import VOID
from scenarios.drawn.chance import Range, between, whole
from scenarios.drawn.clutter import draw_ground, draw_stroke
from scenarios.drawn.looks import CATEGORIES, LOOKS, Array
from scenarios.drawn.stamps import Stamp, draw_stamp, paint

MIN_VISIBLE = 0.25
"""Share of an object's pixels that must show, or it would be annotated though nobody could tell what it is."""
MIN_PIXELS = 4
"""Pixels of an object that must show, however small it is."""


@dataclass(frozen=True)
class Thing:
    """What occludes as one: an object, a crowd of objects, or a piece of clutter.

    Attributes:
        stamps: What it is drawn with, back to front: one shape, or several for a crowd.
        category: Index into ``CATEGORIES``; ``None`` for clutter.
    """

    stamps: tuple[Stamp, ...]
    category: int | None = None

    @property
    def crowd(self) -> bool:
        """Whether it is a group of objects."""
        return len(self.stamps) > 1


@dataclass(frozen=True)
class Scene:
    """Things over a ground.

    Attributes:
        ground: ``(3, size, size)`` RGB in [0, 1] of everything behind the things.
        things: Back to front.
        top: ``(size, size)`` index of the thing seen at each pixel, -1 for the ground.
    """

    ground: Array
    things: tuple[Thing, ...]
    top: Array

    @property
    def size(self) -> int:
        """Side of the picture in pixels."""
        return len(self.top)

    def visible(self, index: int) -> Array:
        """``(size, size)`` bool: the pixels where thing ``index`` is seen."""
        return self.top == index


def empty_scene(rng: Generator, size: int) -> Scene:
    """Draw a ground with nothing on it that belongs to a category."""
    return Scene(draw_ground(rng, size), (), np.full((size, size), -1))


def draw_object(rng: Generator, size: int, category: int, side: Range, centre: Range) -> Thing:
    """Draw an object in a random pose.

    Its colours are near the hue of its category, but neighbouring categories share hues and clutter has any: colour
    is a hint that a network from scratch finds early, and shape and texture decide.

    Args:
        rng: Source of chance.
        size: Side of the picture in pixels.
        category: Index into ``CATEGORIES``.
        side: Range of its diameter, in sides of the picture.
        centre: Range of both coordinates of its centre, in sides of the picture.
    """
    x, y = (size * between(rng, *centre) for _ in "xy")
    return Thing((_draw(rng, size, category, x, y, size * between(rng, *side) / 2),), category)


def draw_crowd(rng: Generator, size: int, category: int) -> Thing:
    """Draw a group of tiny overlapping objects of one category."""
    spread = between(rng, 0.09, 0.15)
    x, y = (between(rng, 0.2, 0.8) for _ in "xy")
    stamps = []
    for _ in range(whole(rng, 7, 12)):
        across, down = (size * (middle + spread * between(rng, -1, 1)) for middle in (x, y))
        stamps.append(_draw(rng, size, category, across, down, size * between(rng, 0.04, 0.06)))
    return Thing(tuple(stamps), category)


def _draw(rng: Generator, size: int, category: int, x: float, y: float, radius: float) -> Stamp:
    shape, texture = LOOKS[CATEGORIES[category]]
    return draw_stamp(rng, size, x, y, radius, shape, texture, hue=category / len(CATEGORIES))


def draw_occluder(rng: Generator, size: int) -> Thing:
    """Draw a stroke of no category that may lie in front of objects."""
    return Thing((draw_stroke(rng, size),))


def put(scene: Scene, thing: Thing) -> Scene | None:
    """Lay a thing in front of a scene.

    Returns:
        The new scene, or ``None`` if too little of the thing or of an object behind it would be seen.
    """
    things = (*scene.things, thing)
    top = np.where(_outline(thing, scene.size), len(scene.things), scene.top)
    seen = np.bincount(top.ravel() + 1, minlength=len(things) + 1)[1:]
    for each, pixels in zip(things, seen, strict=True):
        area = sum(stamp.area for stamp in each.stamps)
        if each.category is not None and pixels < max(MIN_PIXELS, MIN_VISIBLE * area):
            return None
    return Scene(scene.ground, things, top)


def render(rng: Generator, scene: Scene) -> Array:
    """Paint a scene as a noisy ``(3, size, size)`` uint8 RGB picture."""
    canvas = scene.ground.copy()
    for thing in scene.things:
        for stamp in thing.stamps:
            paint(canvas, stamp)
    grain = between(rng, 0.02, 0.14) * (rng.random((scene.size, scene.size, 3)) - 0.5)
    canvas += grain.transpose(2, 0, 1)
    return np.floor(np.clip(canvas, 0, 1) * 255 + 0.5).astype(np.uint8)


def class_mask(scene: Scene) -> Array:
    """``(size, size)`` uint8 mask: 0 = ground and clutter, else 1 + category, with a void line around objects.

    The line is one pixel wide and lies on what is behind the edge.
    """
    mask = np.zeros(scene.top.shape, np.uint8)
    for thing in scene.things:
        outline = _outline(thing, scene.size)
        if thing.category is None:
            mask[_grown(outline) & (mask > 0)] = VOID  # clutter on the ground has no contour of its own
            mask[outline] = 0
        else:
            mask[_grown(outline)] = VOID
            mask[outline] = 1 + thing.category
    return mask


def box(visible: Array) -> tuple[int, int, int, int]:
    """The tight ``x1, y1, x2, y2`` box around the true pixels of a mask that has some."""
    ys, xs = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1


def _outline(thing: Thing, size: int) -> Array:
    """``(size, size)`` bool: the pixels a thing covers, whatever lies in front."""
    outline = np.zeros((size, size), bool)
    for stamp in thing.stamps:
        outline[stamp.window] |= stamp.cover > 0.5
    return outline


def _grown(region: Array) -> Array:
    """A region and the pixels that touch it by a side or a corner."""
    wide = region.copy()
    wide[:, 1:] |= region[:, :-1]
    wide[:, :-1] |= region[:, 1:]
    grown = wide.copy()
    grown[1:] |= wide[:-1]
    grown[:-1] |= wide[1:]
    return grown
