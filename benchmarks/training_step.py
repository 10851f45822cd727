"""How long a training step takes, and what channels_last gains: ``python benchmarks/training_step.py [SIZE]``.

Both layouts are timed in turn within one run, because machines differ and drift; read the ratio.
"""

import statistics
import sys
import time

import torch

from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.layout import layout_of_heads
from onehead_avl.model.network import OneHeadNet
from onehead_avl.target import Target

BATCH = 16
ROUNDS = 8


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 320
    torch.manual_seed(0)
    classes = {"segmentation": 21, "detection": 10, "classification": 10}
    heads = [(kind, kind, kind_of(kind), [str(i) for i in range(n)]) for kind, n in classes.items()]
    layout = layout_of_heads(heads)
    mask = torch.randint(0, classes["segmentation"], (size, size), dtype=torch.uint8)
    target = Target.cat([Target.single(0, (size, size), {"mask": mask})] * BATCH)
    images = torch.randn(BATCH, 3, size, size)
    criterion = MultiTaskLoss(layout)
    formats = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    models = {
        name: OneHeadNet(layout, pretrained=True).train().to(memory_format=memory) for name, memory in formats.items()
    }
    times: dict[str, list[float]] = {name: [] for name in formats}
    for _ in range(ROUNDS + 1):
        for name, memory in formats.items():
            batch = images.contiguous(memory_format=memory)
            start = time.perf_counter()
            criterion(models[name](batch), target).backward()
            times[name].append((time.perf_counter() - start) / BATCH * 1000)
    medians = {name: statistics.median(each[1:]) for name, each in times.items()}  # the first round warms up
    for name, median in medians.items():
        print(f"{name:14s} {median:6.1f} ms an image, {size} x {size}, forward and backward")
    print(f"ratio          {medians['contiguous'] / medians['channels_last']:6.2f}")


if __name__ == "__main__":
    main()
