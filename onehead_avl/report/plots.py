"""Pictures of a run: the training loss, and how every experience's metric moved."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from onehead_avl.evaluation.outcomes import Stage
from onehead_avl.evaluation.record import Record
from onehead_avl.report.checklist import MAX_DROP
from onehead_avl.system.files import replacing

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Of Okabe and Ito, which colour-blind people can tell apart."""


def colour_of(position: int) -> str:
    """The colour of an experience, by its position in a stream."""
    return PALETTE[position % len(PALETTE)]


def loss_figure(metrics_csv: Path, stages: Sequence[Stage]) -> Figure:
    """Draw the training loss of all stages against epochs."""
    starts = _starts(stages)
    curves: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for row in _rows(metrics_csv):
        if row["metric"] == "Loss_Epoch":
            exp = int(row["train_exp"])
            curves[exp].append((starts[exp] + int(row["epoch"]), float(row["value"])))
    figure = Figure(figsize=(8, 4), layout="tight")
    axes = figure.add_subplot(xlabel="epoch", ylabel="training loss", title="Training loss (replayed samples included)")
    for exp, points in sorted(curves.items()):
        axes.plot(*zip(*points, strict=True), color=colour_of(exp), label=stages[exp].title)
    _mark_stages(axes, stages)
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure


def metrics_figure(metrics_csv: Path, record: Record) -> Figure:
    """Draw each experience's primary metric across all stages with its baselines and the line 5 % worse.

    The baselines are the just-learned value, and that of the same network trained on the experience alone, where known.
    """
    stages = record.stages
    main = [each for each in record.outcomes if each.measure.primary]
    starts = _starts(stages)
    curves: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in _rows(metrics_csv):
        name, _, kind = row["metric"].partition("_")
        if kind == "Exp":
            done = starts[int(row["train_exp"])] + int(row["epoch"]) if row["train_exp"] else 0
            curves[f"{row['experience']} {name}"].append((done, float(row["value"])))
    figure = Figure(figsize=(8, 2.6 * len(main)), layout="tight")
    panels = figure.subplots(len(main), sharex=True, squeeze=False).flat
    for position, (axes, each) in enumerate(zip(panels, main, strict=True)):
        measure, points = each.measure, curves[each.measure.title]
        epochs, values = zip(*points, strict=True) if points else ((), ())
        axes.plot(epochs, values, "o-", color=colour_of(position), markersize=4)
        if each.just_learned is not None and each.own < len(stages) - 1:
            span = [starts[each.own + 1], starts[-1]]
            margin = MAX_DROP * abs(each.just_learned)
            worse = each.just_learned + (-margin if measure.higher_is_better else margin)
            axes.plot(span, [each.just_learned] * 2, "--", color="0.4", label="just learned")
            axes.plot(span, [worse] * 2, ":", color="0.4", label=f"{MAX_DROP:.0%} worse")
        if each.single_task is not None:
            axes.plot([starts[0], starts[-1]], [each.single_task] * 2, "-.", color=PALETTE[3], label="single task")
        if len(axes.lines) > 1:
            axes.legend(loc="lower right")
        axes.set(ylabel=measure.metric, title=measure.experience)
        if min(values, default=0) >= 0:
            axes.set_ylim(bottom=0)
        _mark_stages(axes, stages)
    axes.set_xlabel("epoch")
    return figure


def _rows(metrics_csv: Path) -> list[dict[str, str]]:
    with metrics_csv.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _starts(stages: Sequence[Stage]) -> list[int]:
    """Epochs before each stage, and before the end."""
    starts = [0]
    for stage in stages:
        starts.append(starts[-1] + stage.epochs)
    return starts


def _mark_stages(axes, stages: Sequence[Stage]) -> None:
    for start in _starts(stages)[1:-1]:
        axes.axvline(start, color="0.8", linewidth=1)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG.

    Raises:
        OutputError: It cannot be written.
    """
    FigureCanvasAgg(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
