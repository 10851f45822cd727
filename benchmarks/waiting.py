"""What share of a training step waits for data: ``python benchmarks/waiting.py [SIZE] [WORKERS] [DATA]``.

Trains on the images of a data folder, or on drawn ones, all decoded beforehand, and times getting a batch from the data
loader within each step: without workers that is the making of its views. There is a line for each kind of task, with
the same of a step whose views are made by torchvision's own transforms and functions. The two take turns within one
run, because machines differ and drift; read the shares and the ratio. ``OMP_NUM_THREADS`` sets the number of threads.
"""

import statistics
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from avalanche.benchmarks.utils import AvalancheDataset
from avalanche.benchmarks.utils.data_loader import TaskBalancedDataLoader
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from onehead_avl.kinds.detection import MAX_ZOOM_OUT, MIN_BOX_SIDE
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.input import IMAGENET_MEAN, IMAGENET_STD
from onehead_avl.model.network import OneHeadNet
from onehead_avl.system.views import VIEWS
from onehead_avl.target import Target
from scenarios.dataset import TrainingSet, View
from scenarios.description import read_description
from scenarios.reading import read_stream
from scenarios.stream import avalanche_benchmark
from strategies.optimisation import CLIP_NORM, frozen, parameter_groups

BATCH = 16
TURNS = 4
STEPS = 8  # in each turn


class PlainSet(TrainingSet):
    """The same views by torchvision's own transforms and functions."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._augment = plain_transform(self.kind.name, self._size)

    def augmented(self, index: int) -> View:
        """Draw a view."""
        image, annotation = self.samples[index].image, self.samples[index].annotation
        view = {"image": tv_tensors.Image(image), **self.kind.wrap(annotation, image.shape[-2:])}
        with VIEWS.of(index * self._tasks + self.task):
            view = self._augment(view)
        parts = {name: part.as_subclass(Tensor) if isinstance(part, Tensor) else part for name, part in view.items()}
        image = parts.pop("image")
        return image, Target.single(self.task, image.shape[-2:], parts)


def plain_transform(kind: str, size: int) -> v2.Compose:
    """What the three kinds do to an image."""
    sides = (size, size)
    colours = v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3)
    normal = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
    flip = v2.RandomHorizontalFlip()
    if kind == "detection":
        sound = v2.SanitizeBoundingBoxes(MIN_BOX_SIDE, labels_getter=lambda view: (view["labels"], view["crowd"]))
        zoom = [v2.RandomZoomOut(side_range=(1.0, MAX_ZOOM_OUT)), v2.RandomIoUCrop(), v2.Resize(sides)]
        return v2.Compose([*zoom, flip, colours, sound, *normal])
    if kind == "classification":
        return v2.Compose([v2.RandomResizedCrop(sides, scale=(0.3, 1.0)), flip, v2.TrivialAugmentWide(), *normal])
    return v2.Compose([v2.RandomResizedCrop(sides, scale=(0.4, 1.0)), flip, colours, *normal])


def endless(dataset: AvalancheDataset, workers: int) -> Generator[list, None, None]:
    """Batches as Avalanche's strategies load them, epoch after epoch."""
    while True:
        VIEWS.draw()
        yield from TaskBalancedDataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=workers)


def steps(batches: Iterator, learn: Callable[[Tensor, Target], None]) -> Iterator[tuple[float, float]]:
    """How long each step waits for its batch, and how long it takes in all: milliseconds an image."""
    while True:
        start = time.perf_counter()
        images, target, *_ = next(batches)
        got = time.perf_counter()
        learn(images, target)
        yield (got - start) / BATCH * 1000, (time.perf_counter() - start) / BATCH * 1000


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 320
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    data = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    torch.manual_seed(0)
    stream = read_stream(read_description("challenge").on(data, size), tell=print)
    streams = {"ours": avalanche_benchmark(stream, size).train_stream}
    with patch("scenarios.stream.TrainingSet", PlainSet):
        streams["plain"] = avalanche_benchmark(stream, size).train_stream
    model = OneHeadNet(stream.layout, pretrained=True).to(memory_format=torch.channels_last).train()
    criterion = MultiTaskLoss(stream.layout)
    print(f"{size} x {size}, {torch.get_num_threads()} threads, {workers} workers; milliseconds an image")
    print(f"{'':14s}  waiting  of a step    share    plain  of a step    share    ratio of waiting")
    for task, experience in enumerate(stream.experiences):
        datasets = {name: train[task].dataset for name, train in streams.items()}
        fixed = frozen(model, {task})
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name not in fixed)
        optimizer = torch.optim.AdamW(parameter_groups(model))

        def learn(images: Tensor, target: Target, optimizer: torch.optim.Optimizer = optimizer) -> None:
            optimizer.zero_grad()
            criterion(model(images), target).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            optimizer.step()

        times: dict[str, list[tuple[float, float]]] = {name: [] for name in datasets}
        for name in [*datasets] * TURNS:
            with closing(endless(datasets[name], workers)) as batches:
                taken = steps(batches, learn)
                next(taken), next(taken)  # workers start, and are ahead at first
                times[name] += [next(taken) for _ in range(STEPS)]
        line = f"{experience.kind.name:14s}"
        for each in times.values():
            waiting, step = (statistics.median(values) for values in zip(*each, strict=True))
            line += f" {waiting:8.2f} {step:10.2f} {waiting / step:8.1%}"
        ratio = statistics.median(w for w, _ in times["plain"]) / statistics.median(w for w, _ in times["ours"])
        print(f"{line} {ratio:8.2f}", flush=True)


if __name__ == "__main__":
    main()
