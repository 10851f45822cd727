"""How busy a GPU is kept, and what bfloat16 gives.

    python -m benchmarks.gpu [--size N] [--batch N] [--data FOLDER]

For each kind of task, images a second of a training step alone (forward, loss, backward, optimizer, with the minibatch
there already) in single precision and in bfloat16, and the share of the time in which the GPU computes nothing. With
``--data``, images a second of whole runs with one epoch a stage, loading and plugins included. ``--device cpu`` tries
the program where there is no GPU; the share is not measured then.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.profiler import ProfilerActivity, profile

from onehead_avl.command import run_command
from onehead_avl.errors import TrainingError
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.layout import Layout, layout_of_heads
from onehead_avl.model.network import OneHeadNet
from onehead_avl.report.table import layout_table
from onehead_avl.system.device import choose_device, synchronise
from onehead_avl.system.device_names import PRECISIONS
from onehead_avl.target import Target

CLASSES = {"segmentation": 21, "detection": 10, "classification": 10}
BOXES = 6  # in an image, as in the mini set of COCO
WARM, STEPS = 10, 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=320, metavar="N")
    parser.add_argument("--batch", type=int, default=16, metavar="N")
    parser.add_argument("--data", type=Path, metavar="FOLDER")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N")
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    print(f"{torch.cuda.get_device_name(device) if device.type == 'cuda' else 'CPU'}, PyTorch {torch.__version__}\n")
    rows = [["step of", "precision", "images a second", "waits"]]
    for task, kind in enumerate(CLASSES):
        for precision in PRECISIONS:
            step = _step(task, precision, arguments.size, arguments.batch, device)
            rate = arguments.batch / _seconds(step, arguments.steps, device)
            rows.append([kind, precision, f"{rate:.0f}", _waiting(step, device)])
    print(layout_table(rows))
    if arguments.data is not None:
        rows = [["stage of a run", "precision", "images a second"]]
        for precision in PRECISIONS:
            rows += [[name, precision, f"{rate:.0f}"] for name, rate in _run(precision, arguments).items()]
        print(f"\n{layout_table(rows)}")


def _layout() -> Layout:
    return layout_of_heads([(kind, kind, kind_of(kind), [str(i) for i in range(n)]) for kind, n in CLASSES.items()])


def _step(task: int, precision: str, size: int, batch: int, device: torch.device) -> Callable[[], None]:
    """A training step of a minibatch of noise, annotated at random."""
    torch.manual_seed(0)
    layout = _layout()
    network = OneHeadNet(layout, pretrained=True).train().to(device).to(memory_format=torch.channels_last)
    network.precision = precision
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    criterion = MultiTaskLoss(layout)
    images = torch.randn(batch, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
    target = Target.cat([_annotated(task, size) for _ in range(batch)]).to(device)

    def step() -> None:
        optimizer.zero_grad()
        criterion(network(images), target).backward()
        optimizer.step()

    return step


def _annotated(task: int, size: int) -> Target:
    classes = list(CLASSES.values())[task]
    corners = torch.rand(2, BOXES, 2) * size
    annotation = (
        {"mask": torch.randint(0, classes, (size, size), dtype=torch.uint8)},
        {
            "boxes": torch.cat([corners.amin(dim=0), corners.amax(dim=0)], dim=1),
            "labels": torch.randint(0, classes, (BOXES,)),
            "crowd": torch.zeros(BOXES, dtype=torch.bool),
        },
        {"label": int(torch.randint(0, classes, ()))},
    )
    return Target.single(task, (size, size), annotation[task])


def _seconds(step: Callable[[], None], steps: int, device: torch.device) -> float:
    """How long a step takes on average, after some that are not counted."""
    for _ in range(min(WARM, steps)):
        step()
    synchronise(device)
    start = time.perf_counter()
    for _ in range(steps):
        step()
    synchronise(device)
    return (time.perf_counter() - start) / steps


def _waiting(step: Callable[[], None], device: torch.device) -> str:
    """The share of the time of a few steps in which no kernel runs on the GPU."""
    if device.type != "cuda":
        return "-"
    with profile(activities=[ProfilerActivity.CUDA]) as recorded:
        start = time.perf_counter()
        for _ in range(WARM):
            step()
        synchronise(device)
        seconds = time.perf_counter() - start
    busy = sum(event.device_time_total for event in recorded.events()) / 1e6
    return f"{max(0.0, 1 - busy / seconds):.0%}"


def _run(precision: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Images a second of each stage of a run, with what a run does beside its steps."""
    with TemporaryDirectory() as folder:
        options = ["--data", arguments.data, "--strategy", "onehead", "--epochs", 1, "--precision", precision]
        options += ["--device", arguments.device, "--image-size", arguments.size, "--batch-size", arguments.batch]
        command = [sys.executable, "-m", "onehead_avl.benchmark", *map(str, options), "--output", f"{folder}/run"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise TrainingError(f"the run failed: {done.stderr.splitlines()[-1]}")
        found = json.loads(Path(folder, "run", "results.json").read_text(encoding="utf-8"))
    images = {each["name"]: each["train"] for each in found["experiences"]}
    stages = [(stage["experiences"][0], stage["epochs"], stage["seconds"]) for stage in found["stages"]]
    return {name: epochs * images[name] / seconds for name, epochs, seconds in stages}


if __name__ == "__main__":
    sys.exit(run_command(main))
