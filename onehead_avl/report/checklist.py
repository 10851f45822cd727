"""The challenge's rules: what was measured, what is allowed, and whether they agree."""

import statistics
import time

import torch
from avalanche.models import avalanche_forward
from torch import nn

from onehead_avl.evaluation.record import Record, Rule
from onehead_avl.model.layout import Layout
from onehead_avl.system.device import synchronise
from onehead_avl.system.modes import evaluating

LATENCY_SIZE = 512
MAX_DROP = 0.05

_STREAM = "challenge"
_KINDS = ["classification", "detection", "segmentation"]


def applies(record: Record) -> bool:
    """Whether the rules are meant for the stream of a run: for the challenge alone, on whatever data."""
    return record.stream == _STREAM and sorted(each.kind for each in record.experiences) == _KINDS


def checklist(
    *,
    model: nn.Module,
    latency_ms: float,
    record: Record,
    replayed: int | None,
    keeps: str | None = None,
    keeps_allowed: bool | None = None,
) -> list[Rule]:
    """Check a finished run against the challenge's rules.

    Args:
        model: The trained network; the layers of its ``head`` are counted, if it has one.
        latency_ms: Of :func:`latency`.
        record: What was trained and measured.
        replayed: The most samples replayed in a step; ``None`` if unknown.
        keeps: What the strategy keeps beside the model; ``None`` if unknown.
        keeps_allowed: Whether the challenge allows that.
    """
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    head = getattr(model, "head", None)
    layers = _layers(head) if isinstance(head, nn.Module) else None
    train, val = (max(getattr(each, split) for each in record.experiences) for split in ("train", "val"))
    (detected,) = (len(each.classes) for each in record.experiences if each.kind == "detection")
    rules = [
        Rule("parameters", f"{millions:.2f} M", "< 8 M", millions < 8),
        Rule(
            "head layers",
            None if layers is None else str(layers),
            "2 or 3",
            None if layers is None else layers in (2, 3),
        ),
        Rule(f"one {LATENCY_SIZE} x {LATENCY_SIZE} image", f"{latency_ms:.0f} ms", "<= 150 ms", latency_ms <= 150),
        Rule("training time", _duration(record.seconds), "<= 2 h", record.seconds <= 2 * 3600),
        Rule("train / val images a task", f"{train} / {val}", "240 / 60", train <= 240 and val <= 60),
        Rule("detection classes", str(detected), "10", detected == 10),
        Rule(
            "replayed images a step",
            None if replayed is None else str(replayed),
            "<= 10",
            None if replayed is None else replayed <= 10,
        ),
        Rule("what the strategy keeps", keeps, "no samples but segmentation", keeps_allowed),
    ]
    stages = record.stages
    for each in record.outcomes:
        if not each.measure.primary or len(stages) == 1:
            continue
        if each.measure.experience not in stages[-1].experiences:
            rules.append(_drop_rule(f"{each.measure.metric} drop from just learned", each.drop_from_just_learned))
        rules.append(_drop_rule(f"{each.measure.metric} drop from single task", each.drop_from_single_task))
    return rules


def _layers(head: nn.Module) -> int:
    return sum(isinstance(module, nn.Conv2d | nn.Linear) for module in head.modules())


def _drop_rule(name: str, drop: float | None) -> Rule:
    if drop is None:
        return Rule(name, None, f"<= {MAX_DROP:.0%}", None)
    # Rounding must not fail a drop of exactly 5 %: 1 - 0.95 is a little more than 0.05.
    return Rule(name, f"{drop:+.1%}", f"<= {MAX_DROP:.0%}", drop <= MAX_DROP + 1e-9)


@torch.no_grad()
def latency(model: nn.Module, layout: Layout, device: torch.device, repeats: int = 5) -> float:
    """Milliseconds from one 512 x 512 image to the predictions of all heads: the median of some repetitions."""
    image = torch.zeros(1, 3, LATENCY_SIZE, LATENCY_SIZE, device=device)
    size = torch.tensor([[LATENCY_SIZE, LATENCY_SIZE]], device=device)
    times = []
    with evaluating(model):
        for _ in range(1 + repeats):
            start = time.perf_counter()
            output = avalanche_forward(model, image, torch.zeros(1, dtype=torch.long, device=device))
            for part in layout.heads:
                part.kind.decode(part.of(output), size)
            synchronise(device)
            times.append(time.perf_counter() - start)
    return statistics.median(times[1:]) * 1000  # the first warms up


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
