"""The metrics of a saved network on any images of its experiences, without Avalanche."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from onehead_avl.errors import UsageError
from onehead_avl.evaluation.intervals import image_intervals, measure
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.layout import Layout
from onehead_avl.model.saved import load_model
from onehead_avl.report.table import layout_table, number, span
from onehead_avl.system.device import choose_device
from scenarios.dataset import EvaluationSet
from scenarios.described import Described, Description
from scenarios.reading import read_split, require_data


def evaluate(
    weights: Path,
    description: Description,
    data: Path | None,
    names: Sequence[str],
    split: str,
    batch_size: int,
    device: str,
    network: str | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> str:
    """Measure saved weights.

    Args:
        weights: A file of :func:`~onehead_avl.model.saved.save_model`.
        description: Of the stream that the weights learned, or of other images of the same experiences.
        data: A data folder for a ready-made stream; ``None`` for the embedded data set.
        names: The experiences to score, or ``all``; only their images are read.
        split: ``train`` or ``val``.
        batch_size: Images at a time.
        device: One of :data:`~onehead_avl.system.device_names.DEVICES`.
        network: The import path of what builds the network, for weights of one that is none of this package's.
        tell: Is given a line for each finding in the data that is only worth knowing.

    Returns:
        A table with a row for each metric, and a line that names the experiences that the stream lacks.

    Raises:
        UsageError: The weights, the data folder or an experience do not exist.
        WeightsError: The weights are no network of this package.
        DataError: The data cannot be used, or its classes are not the network's.
    """
    if data is not None:
        require_data(data)
    saved = load_model(weights, kinds=[each.kind for each in description.experiences], network=network)
    layout = saved.layout
    described = {each.name: each for each in description.on(data, saved.image_size).experiences}
    chosen = _chosen(names, layout, described, str(weights), description.name)
    saved.model.to(choose_device(device)).to(memory_format=torch.channels_last)
    rows = [["metric", "value", "95 % interval", "images"]]
    for name in chosen:
        part = layout.parts[layout.names.index(name)]
        samples = read_split(described[name], split, part.classes, tell)
        metric = part.kind.metric(part.classes)
        task = layout.names.index(name)
        values = measure(saved.model, EvaluationSet(samples, task, saved.image_size), part, metric, batch_size)
        intervals = image_intervals(metric)
        for each in part.kind.metrics:
            value, interval = number(values[each.name], ".6f"), span(intervals[each.name])
            rows.append([f"{name} {each.name}", value, interval, str(len(samples))])
    absent = [name for name in layout.names if name not in described] if "all" in names else []
    note = f"\nnot in the stream {description.name}, so not scored: {', '.join(absent)}" if absent else ""
    return layout_table(rows) + note


def _chosen(
    names: Sequence[str], layout: Layout, described: Mapping[str, Described], weights: str, stream: str
) -> list[str]:
    """The experiences to score: those asked for, or with ``all`` those of the weights that the stream has.

    Raises:
        UsageError: There is none, one is unknown, or the stream has another kind of task under its name.
    """
    chosen = [name for name in layout.names if name in described] if "all" in names else list(names)
    if not chosen:
        raise UsageError(
            f"expected experiences of the weights {weights}, {', '.join(layout.names)}, in the stream {stream}, found "
            f"{', '.join(described)}; name theirs with --stream"
        )
    for name in chosen:
        for known, where in ((layout.names, f"the weights {weights}"), (described, f"the stream {stream}")):
            if name not in known:
                raise UsageError(f"expected experiences of {where}, {', '.join(known)}, found {name!r}; name others")
        learned, found = layout.parts[layout.names.index(name)].kind.path, kind_of(described[name].kind).path
        if learned != found:
            raise UsageError(
                f"{described[name].where}: expected {name} of the kind {learned}, which the weights {weights} learned, "
                f"found {found}; name the experience or the kind otherwise"
            )
    return chosen
