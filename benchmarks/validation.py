"""What many validation images cost: ``python benchmarks/validation.py [IMAGES ...]``, by default 60 500 5000.

Predictions are drawn instead of decoded from a network's output, so that the metric alone is measured: detection of 100
boxes an image with seven objects on average, segmentation of 375 x 500 pixels with a few classes an image, and
classification. Each row is a process of its own; its memory is by how much the peak rises above that of counting one
batch, and its result is with the values of each class. Runs on Linux, where the peak is told in KiB.
"""

import resource
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from unittest import mock

import numpy
import torch
from torch import Tensor

from onehead_avl.evaluation.intervals import image_intervals
from onehead_avl.kinds import detection
from onehead_avl.kinds.coco import Detections
from onehead_avl.kinds.kind import kind_of
from onehead_avl.kinds.segmentation import Segmentation
from onehead_avl.target import Target

ROWS = (
    ("detection", 10),
    ("detection", 80),
    ("segmentation", 21),
    ("segmentation", 150),
    ("classification", 10),
    ("classification", 1000),
)
BATCH = 16
HEIGHT, WIDTH = 375, 500
BLOCKS = 25  # pixels: the side of a patch of one class
OBJECTS = 7
FOUND = 100

Image = tuple[Target, Tensor | Detections]
"""An annotation, and what is predicted: a mask, boxes, or logits."""


def boxes_in(rng: numpy.random.Generator, classes: int) -> Image:
    """Objects of which most are found about where they are, and other boxes; common classes and rare ones."""
    weights = 1 / numpy.arange(1, classes + 1)
    weights /= weights.sum()

    def boxes(n: int) -> numpy.ndarray:
        corners = rng.uniform(0, (WIDTH - 20, HEIGHT - 20), (n, 2))
        return numpy.concatenate([corners, corners + rng.uniform(10, 200, (n, 2))], axis=1)

    n = rng.poisson(OBJECTS)
    objects, labels = boxes(n), rng.choice(classes, n, p=weights)
    near = numpy.concatenate([objects + rng.normal(0, spread, objects.shape) for spread in (3, 6, 12)])
    found = numpy.concatenate([near, boxes(FOUND)])[:FOUND]
    scores = numpy.concatenate([rng.uniform(0.1, 1, len(near)), rng.uniform(0.01, 0.5, FOUND)])[:FOUND]
    guesses = numpy.concatenate([numpy.tile(labels, 3), rng.choice(classes, FOUND, p=weights)])[:FOUND]
    order = numpy.argsort(-scores)
    truth = {
        "boxes": torch.tensor(objects).float().reshape(-1, 4),
        "labels": torch.tensor(labels),
        "crowd": torch.tensor(rng.random(n) < 0.02),
    }
    predicted = (torch.tensor(found[order]).float(), torch.tensor(scores[order]).float(), torch.tensor(guesses[order]))
    return Target.single(0, (HEIGHT, WIDTH), truth), Detections(*predicted)


def mask_in(rng: numpy.random.Generator, classes: int) -> Image:
    """Patches of up to four classes, a third of them taken for one of eight."""
    shape = (HEIGHT // BLOCKS, WIDTH // BLOCKS)
    there = rng.choice(classes, 8, replace=False)
    mask = there[rng.integers(rng.integers(1, 5), size=shape)]
    found = numpy.where(rng.random(shape) < 0.3, there[rng.integers(8, size=shape)], mask)
    mask, found = (each.repeat(BLOCKS, 0).repeat(BLOCKS, 1) for each in (mask, found))
    return Target.single(0, (HEIGHT, WIDTH), {"mask": torch.tensor(mask.astype(numpy.uint8))}), torch.tensor(found)


def label_in(rng: numpy.random.Generator, classes: int) -> Image:
    """A class, and logits in which it is likelier than others."""
    label = int(rng.integers(classes))
    logits = torch.tensor(rng.normal(size=(classes, 1, 1))).float()
    logits[label] += 3
    return Target.single(0, (8, 8), {"label": label}), logits


DRAWN: dict[str, Callable[[numpy.random.Generator, int], Image]] = {
    "detection": boxes_in,
    "segmentation": mask_in,
    "classification": label_in,
}


def batches(kind: str, classes: int, images: int) -> Iterator[tuple[Target, list]]:
    """The annotations and predictions of so many images, a batch at a time."""
    rng = numpy.random.default_rng(0)
    for start in range(0, images, BATCH):
        drawn = [DRAWN[kind](rng, classes) for _ in range(min(BATCH, images - start))]
        yield Target.cat([target for target, _ in drawn]), [prediction for _, prediction in drawn]


def peak() -> float:
    """The most memory that the process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(row: tuple[str, int, int]) -> str:
    """One line of the table: the memory and the times of one metric."""
    kind, classes, images = row
    metric = kind_of(kind).metric([str(i) for i in range(classes)])
    predicted: list = []

    def count(target: Target, predictions: list) -> None:
        predicted[:] = predictions
        logits = torch.stack(predictions) if kind == "classification" else torch.zeros(len(target), 1, 1, 1)
        metric.update(logits, target)

    def masks(self: Segmentation, logits: Tensor, size: Tensor) -> list[dict[str, Tensor]]:
        return [{"mask": each} for each in predicted]

    with (
        mock.patch.object(detection, "detections", return_value=predicted),
        mock.patch.object(Segmentation, "decode", masks),
    ):
        for batch in batches(kind, classes, BATCH):
            count(*batch)
        metric.reset()
        before, counting = peak(), 0.0
        for batch in batches(kind, classes, images):
            start = time.perf_counter()
            count(*batch)
            counting += time.perf_counter() - start
    start = time.perf_counter()
    metric.result()
    metric.per_class()
    result = time.perf_counter() - start
    start = time.perf_counter()
    image_intervals(metric)
    intervals = time.perf_counter() - start
    names = ", ".join(metric.names)
    return (
        f"{names:11s} {classes:7d} {images:7d} {peak() - before:8.0f} {counting:9.1f} {result:8.1f} {intervals:10.1f}"
    )


def main() -> None:
    numbers = [int(argument) for argument in sys.argv[1:]] or [60, 500, 5000]
    rows = [(kind, classes, images) for kind, classes in ROWS for images in numbers]
    print("metric      classes  images      MiB  counting   result  intervals, seconds", flush=True)
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for line in pool.imap(measured, rows):
            print(line, flush=True)


if __name__ == "__main__":
    main()
