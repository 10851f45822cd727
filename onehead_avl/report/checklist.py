"""The challenge's rules: what was measured, what is allowed, and whether they agree."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from onehead_avl.model.decode import decode_classification, decode_detection, decode_segmentation
from onehead_avl.model.network import OneHeadNet
from onehead_avl.report.results import Outcome, Stage
from onehead_avl.tasks import Task

LATENCY_SIZE = 512
MAX_DROP = 0.05


@dataclass(frozen=True)
class Rule:
    """A row of the checklist.

    Attributes:
        name: What is limited.
        measured: What was measured, ready to print; ``None`` if it was not.
        limit: What is allowed, ready to print.
        passed: Whether they agree; ``None`` if it was not measured.
    """

    name: str
    measured: str | None
    limit: str
    passed: bool | None


def checklist(
    *,
    model: OneHeadNet,
    latency_ms: float,
    stages: Sequence[Stage],
    outcomes: Sequence[Outcome],
    replayed: int | None,
    pictures: Mapping[Task, tuple[int, int]],
    keeps: str | None = None,
    keeps_allowed: bool | None = None,
) -> list[Rule]:
    """Check a finished run against the challenge's rules.

    Args:
        model: The trained network.
        latency_ms: Of :func:`latency`.
        stages: What was trained.
        outcomes: What became of each metric.
        replayed: The most samples replayed in a step; ``None`` if unknown.
        pictures: Training and validation pictures of each task of the stream.
        keeps: What the strategy keeps beside the model; ``None`` if unknown.
        keeps_allowed: Whether the challenge allows that.
    """
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    layers = sum(isinstance(module, nn.Conv2d | nn.Linear) for module in model.head.modules())
    hours = sum(stage.seconds for stage in stages) / 3600
    most = tuple(max(counts) for counts in zip(*pictures.values(), strict=True))
    rules = [
        Rule("parameters", f"{millions:.2f} M", "< 8 M", millions < 8),
        Rule("head layers", str(layers), "2 or 3", layers in (2, 3)),
        Rule(f"one {LATENCY_SIZE} x {LATENCY_SIZE} image", f"{latency_ms:.0f} ms", "<= 150 ms", latency_ms <= 150),
        Rule("training time", _duration(hours * 3600), "<= 2 h", hours <= 2),
        Rule("train / val images a task", f"{most[0]} / {most[1]}", "240 / 60", most[0] <= 240 and most[1] <= 60),
        Rule("detection classes", str(model.layout.n_det), "10", model.layout.n_det == 10),
        Rule(
            "replayed images a step",
            None if replayed is None else str(replayed),
            "<= 10",
            None if replayed is None else replayed <= 10,
        ),
        Rule(
            "what the strategy keeps",
            keeps,
            "no samples but segmentation",
            keeps_allowed,
        ),
    ]
    for each in outcomes:
        if each.metric != each.task.metric or len(stages) == 1:
            continue
        if each.task not in stages[-1].tasks:
            rules.append(_drop_rule(f"{each.metric} drop from just learned", each.drop_from_just_learned))
        rules.append(_drop_rule(f"{each.metric} drop from single task", each.drop_from_single_task))
    return rules


def _drop_rule(name: str, drop: float | None) -> Rule:
    if drop is None:
        return Rule(name, None, f"<= {MAX_DROP:.0%}", None)
    # Rounding must not fail a drop of exactly 5 %: 1 - 0.95 is a little more than 0.05.
    return Rule(name, f"{drop:+.1%}", f"<= {MAX_DROP:.0%}", drop <= MAX_DROP + 1e-9)


@torch.no_grad()
def latency(model: OneHeadNet, device: torch.device, repeats: int = 10) -> float:
    """Milliseconds from one 512 x 512 image to its mask, boxes and class: the median of some repetitions."""
    training = model.training
    model.eval()
    image = torch.zeros(1, 3, LATENCY_SIZE, LATENCY_SIZE, device=device)
    size = torch.tensor([[LATENCY_SIZE, LATENCY_SIZE]], device=device)
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        output = model(image)
        decode_segmentation(output, size, model.layout)
        decode_detection(output, size, model.layout)
        decode_classification(output, model.layout)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    model.train(training)
    return statistics.median(times[2:]) * 1000  # the first two warm up


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
