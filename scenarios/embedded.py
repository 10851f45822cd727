"""The embedded data set: drawn pictures for all three kinds of task, from one seed and without a download."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from tqdm import tqdm

from onehead_avl.errors import UsageError
from onehead_avl.tasks import Task
from scenarios.chance import Range
from scenarios.looks import CATEGORIES
from scenarios.sample import Sample, TaskData
from scenarios.scenes import (
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

MIN_SIZE = 32
"""Smallest side of a picture in pixels: below it the smallest objects have no shape."""

_TRIES = 30  # poses tried for an object before the picture does without it
_SPLITS = ("train", "val")
_PICTURE, _DECK = 0, 1  # what a generator is for


@dataclass(frozen=True)
class _Recipe:
    """What the pictures of a task hold.

    Attributes:
        objects: Most objects in a picture; the least is one.
        side: Range of an object's diameter, in sides of the picture.
        centre: Range of the coordinates of an object's centre, in sides of the picture.
        crowds: Share of the pictures that also hold a crowd.
    """

    objects: int
    side: Range
    centre: Range
    crowds: float = 0.0


_RECIPES = {
    Task.SEG: _Recipe(objects=3, side=(0.30, 0.70), centre=(0.15, 0.85)),
    Task.DET: _Recipe(objects=5, side=(0.15, 0.55), centre=(0.10, 0.90), crowds=1 / 8),
    Task.CLS: _Recipe(objects=1, side=(0.45, 0.85), centre=(0.35, 0.65)),
}


def embedded_data(task: Task, *, size: int = 128, n_train: int = 240, n_val: int = 60, seed: int = 0) -> TaskData:
    """Draw the pictures of one task.

    Every picture has a generator of its own: it depends on the task, the split, its index, the size and the
    seed, not on how many are asked for, and no two tasks or splits share a picture. The main category of the
    pictures (the only one in classification) goes through all categories every ``len(CATEGORIES)`` pictures.

    Args:
        task: The kind of ground truth.
        size: Side of the square pictures in pixels.
        n_train: Number of pictures to learn from.
        n_val: Number of pictures to be scored on.
        seed: Number of the data set; the same seed gives the same tensors on any machine.

    Returns:
        The data, without a root folder. Pictures are ``(3, size, size)``.

    Raises:
        UsageError: A split would be empty, the pictures too small, or the seed is negative.
    """
    for name, value, least in (
        ("n_train", n_train, 1),
        ("n_val", n_val, 1),
        ("size", size, MIN_SIZE),
        ("seed", seed, 0),
    ):
        if value < least:
            raise UsageError(f"{name} of the embedded data set must be at least {least}, not {value}")
    train, val = (_samples(task, split, count, size, seed) for split, count in enumerate((n_train, n_val)))
    classes = ("background", *CATEGORIES) if task is Task.SEG else CATEGORIES
    return TaskData(task, classes, train, val)


def compose(rng: Generator, task: Task, category: int, size: int) -> Scene:
    """Arrange the scene of one picture.

    Args:
        rng: Source of chance.
        task: The kind of task the picture is for.
        category: Category of the first object, an index into ``CATEGORIES``.
        size: Side of the picture in pixels.

    Returns:
        A scene where every thing of a category can be told by what is seen of it; at least one is an object.
    """
    recipe = _RECIPES[task]
    scene = empty_scene(rng, size)
    if rng.random() < recipe.crowds:
        members = _any_category(rng)
        scene = _try_put(scene, lambda: draw_crowd(rng, size, members))
    categories = [category, *(_any_category(rng) for _ in range(int(rng.random() * recipe.objects)))]
    for each in categories:
        scene = _try_put(scene, lambda each=each: draw_object(rng, size, each, recipe.side, recipe.centre))
    if rng.random() < 0.5:
        scene = _try_put(scene, lambda: draw_occluder(rng, size))
    return scene


def _try_put(scene: Scene, draw: Callable[[], Thing]) -> Scene:
    """Lay a thing in front of a scene, in the first of a few poses that leaves enough of everything visible."""
    for _ in range(_TRIES):
        fuller = put(scene, draw())
        if fuller is not None:
            return fuller
    return scene


def _samples(task: Task, split: int, count: int, size: int, seed: int) -> list[Sample]:
    """Draw the pictures of one split, with a progress bar while standard error is a terminal."""
    title = f"drawing {task.title} {_SPLITS[split]}"
    with tqdm(range(count), desc=title, unit="picture", leave=False, disable=None) as indices:
        return [_sample(task, split, index, size, seed) for index in indices]


def _sample(task: Task, split: int, index: int, size: int, seed: int) -> Sample:
    """Draw one picture with the annotation of its task."""
    rng = _generator(task, split, index, _PICTURE, seed)
    category = _main_category(task, split, index, seed)
    scene = compose(rng, task, category, size)
    name = f"embedded/{task.key}/{_SPLITS[split]}/{index}"
    image = torch.from_numpy(render(rng, scene)).permute(2, 0, 1).contiguous()
    if task is Task.SEG:
        return Sample(name, image, mask=torch.from_numpy(class_mask(scene)))
    if task is Task.CLS:
        return Sample(name, image, label=category)
    objects = [(i, thing) for i, thing in enumerate(scene.things) if thing.category is not None]
    return Sample(
        name,
        image,
        boxes=torch.tensor([box(scene.visible(i)) for i, _ in objects], dtype=torch.float32),
        labels=torch.tensor([thing.category for _, thing in objects]),
        crowd=torch.tensor([thing.crowd for _, thing in objects]),
    )


def _main_category(task: Task, split: int, index: int, seed: int) -> int:
    """The category of a picture's first object: dealt from shuffled decks of all categories, one after another."""
    deck, position = divmod(index, len(CATEGORIES))
    keys = _generator(task, split, deck, _DECK, seed).random(len(CATEGORIES))
    return int(np.argsort(keys)[position])


def _any_category(rng: Generator) -> int:
    return int(rng.random() * len(CATEGORIES))


def _generator(task: Task, split: int, index: int, purpose: int, seed: int) -> Generator:
    return np.random.default_rng([int(task), split, index, purpose, seed])
