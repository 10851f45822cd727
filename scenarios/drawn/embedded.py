"""The embedded data set: drawn images for three kinds of task, from one seed and without a download."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from tqdm import tqdm

from onehead_avl.errors import UsageError
from scenarios.drawn.chance import Range
from scenarios.drawn.looks import CATEGORIES
from scenarios.drawn.scenes import (
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
from scenarios.samples.sample import Sample

COUNTS = {"train": 240, "val": 60}
"""How many images a split has."""

MIN_SIZE = 32
"""Smallest side of an image in pixels: below it the smallest objects have no shape."""

_TRIES = 30  # poses tried for an object before the image does without it
_PICTURE, _DECK = 0, 1  # what a generator is for


@dataclass(frozen=True)
class Recipe:
    """What the images of a data set hold.

    Attributes:
        number: Of the data set; no two with different numbers share an image.
        objects: Most objects in an image; the least is one.
        side: Range of an object's diameter, in sides of the image.
        centre: Range of the coordinates of an object's centre, in sides of the image.
        crowds: Share of the images that also hold a crowd.
    """

    number: int
    objects: int
    side: Range
    centre: Range
    crowds: float = 0.0


RECIPES = {
    "segmentation": Recipe(0, objects=3, side=(0.30, 0.70), centre=(0.15, 0.85)),
    "detection": Recipe(1, objects=5, side=(0.15, 0.55), centre=(0.10, 0.90), crowds=1 / 8),
    "classification": Recipe(2, objects=1, side=(0.45, 0.85), centre=(0.35, 0.65)),
}
"""What the images for each kind of task hold."""


class Picture(NamedTuple):
    """A drawn image.

    Attributes:
        image: ``(3, size, size)`` uint8 RGB.
        scene: What is in it, and what lies before what.
        category: Index into ``CATEGORIES`` of the object that was drawn first.
    """

    image: Tensor
    scene: Scene
    category: int


def drawn(kind: str, split: str, *, size: int = 128, count: int | None = None, seed: int = 0) -> list[Sample]:
    """Draw the annotated images of one split, with a progress bar while standard error is a terminal.

    Args:
        kind: Name of a kind of task of :data:`RECIPES`.
        split: ``train`` or ``val``.
        size: Side of the square images in pixels.
        count: Number of images; ``None`` draws as many as :data:`COUNTS` says.
        seed: Number of the data set; the same seed gives the same tensors on any machine.

    Raises:
        UsageError: There are no drawn images of this kind, the split would be empty, the images too small, or the
            seed is negative.
    """
    _require_drawn(kind)
    count = COUNTS[split] if count is None else count
    for name, value, least in (("count", count, 1), ("size", size, MIN_SIZE), ("seed", seed, 0)):
        if value < least:
            raise UsageError(f"{name} of the embedded data set must be at least {least}, not {value}")
    title = f"drawing {kind} {split}"
    with tqdm(range(count), desc=title, unit="picture", leave=False, disable=None) as indices:
        return [_sample(kind, split, index, size, seed) for index in indices]


def drawn_classes(kind: str) -> tuple[str, ...]:
    """Name the classes of the drawn images of a kind of task, in index order.

    Raises:
        UsageError: There are none of this kind.
    """
    _require_drawn(kind)
    return ("background", *CATEGORIES) if kind == "segmentation" else CATEGORIES


def picture(recipe: Recipe, split: str, index: int, size: int = 128, seed: int = 0) -> Picture:
    """Draw one image.

    It has a random generator of its own: it depends on these arguments alone, and no two of them share an image. The
    main category (the only one in classification) goes through all categories every ``len(CATEGORIES)`` images.

    Args:
        recipe: What it holds; one with a number of its own makes a data set for another kind of task.
        split: ``train`` or ``val``.
        index: Its position in the split, from 0.
        size: Its side in pixels.
        seed: Number of the data set; the same seed gives the same tensors on any machine.
    """
    rng = _generator(recipe, split, index, _PICTURE, seed)
    category = _main_category(recipe, split, index, seed)
    scene = compose(rng, recipe, category, size)
    image = torch.from_numpy(render(rng, scene))
    return Picture(image, scene, category)


def compose(rng: Generator, recipe: Recipe, category: int, size: int) -> Scene:
    """Arrange the scene of one image.

    Args:
        rng: Source of randomness.
        recipe: What it holds.
        category: Category of the first object, an index into ``CATEGORIES``.
        size: Side of the image in pixels.

    Returns:
        A scene where every thing of a category can be told by what is seen of it; at least one is an object.
    """
    scene = empty_scene(rng, size)
    if rng.random() < recipe.crowds:
        members = _any_category(rng)
        scene = _try_put(scene, lambda: draw_crowd(rng, size, members))
    categories = [category, *(_any_category(rng) for _ in range(int(rng.random() * recipe.objects)))]
    for each in categories:
        scene = _try_put(scene, partial(draw_object, rng, size, each, recipe.side, recipe.centre))
    if rng.random() < 0.5:
        scene = _try_put(scene, lambda: draw_occluder(rng, size))
    return scene


def _require_drawn(kind: str) -> None:
    if kind not in RECIPES:
        raise UsageError(f"expected a kind of task with drawn images ({', '.join(RECIPES)}), got {kind}; give a path")


def _try_put(scene: Scene, draw: Callable[[], Thing]) -> Scene:
    """Lay a thing in front of a scene, in the first of a few poses that leaves enough of everything visible."""
    for _ in range(_TRIES):
        fuller = put(scene, draw())
        if fuller is not None:
            return fuller
    return scene


def _sample(kind: str, split: str, index: int, size: int, seed: int) -> Sample:
    """Draw one image with the annotation of its kind of task."""
    image, scene, category = picture(RECIPES[kind], split, index, size, seed)
    return Sample(f"drawn/{kind}/{split}/{index}", image, _annotation(kind, scene, category))


def _annotation(kind: str, scene: Scene, category: int) -> dict[str, Tensor | int]:
    if kind == "segmentation":
        return {"mask": torch.from_numpy(class_mask(scene))}
    if kind == "classification":
        return {"label": category}
    objects = [(i, thing) for i, thing in enumerate(scene.things) if thing.category is not None]
    return {
        "boxes": torch.tensor([box(scene.visible(i)) for i, _ in objects], dtype=torch.float32),
        "labels": torch.tensor([thing.category for _, thing in objects]),
        "crowd": torch.tensor([thing.crowd for _, thing in objects]),
    }


def _main_category(recipe: Recipe, split: str, index: int, seed: int) -> int:
    """The category of an image's first object: dealt from shuffled decks of all categories, one after another."""
    deck, position = divmod(index, len(CATEGORIES))
    keys = _generator(recipe, split, deck, _DECK, seed).random(len(CATEGORIES))
    return int(np.argsort(keys)[position])


def _any_category(rng: Generator) -> int:
    return int(rng.random() * len(CATEGORIES))


def _generator(recipe: Recipe, split: str, index: int, purpose: int, seed: int) -> Generator:
    return np.random.default_rng([recipe.number, list(COUNTS).index(split), index, purpose, seed])
