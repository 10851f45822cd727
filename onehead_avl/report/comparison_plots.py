"""Pictures of a comparison: final metrics, forgetting, plasticity against stability, and cost."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy
from matplotlib.figure import Figure

from onehead_avl.evaluation.statistics import summarise
from onehead_avl.report.comparison import Comparison, Entry, plasticity, stability
from onehead_avl.report.plots import colour_of, save_figure


def plot_comparison(folder: Path, comparison: Comparison) -> None:
    """Write each of :func:`comparison_figures` as ``<name>.png``.

    Raises:
        OutputError: A picture cannot be written.
    """
    for name, draw in comparison_figures(comparison).items():
        save_figure(draw(), folder / f"{name}.png")


def comparison_figures(comparison: Comparison) -> dict[str, Callable[[], Figure]]:
    """What draws the pictures, by name; none if no run has finished."""
    entries = [entry for entry in comparison.entries if entry.finished]
    if not entries:
        return {}
    labels = [comparison.called(entry) for entry in entries]
    return {
        "final": partial(_final, comparison, entries, labels),
        "forgetting": partial(_forgetting, comparison, entries, labels),
        "plasticity_stability": partial(_plasticity_stability, entries, labels),
        "cost": partial(_cost, entries, labels),
    }


def _final(comparison: Comparison, entries: Sequence[Entry], labels: Sequence[str]) -> Figure:
    """Bars of the final metrics with their intervals over seeds."""
    figure, panels = _panels(len(comparison.primary), len(entries))
    for position, (axes, measure) in enumerate(zip(panels, comparison.primary, strict=True)):
        for row, entry in enumerate(entries):
            summary = entry.summary(measure, "final")
            if summary is not None:
                axes.barh(row, summary.mean, color=colour_of(position))
                if summary.interval is not None:
                    axes.plot(summary.interval, [row, row], color="0.2", linewidth=1.5)
        direction = "" if measure.higher_is_better else " (low is good)"
        axes.set(title=measure.experience, xlabel=f"{measure.metric} after the last stage{direction}")
    _name_rows(panels, labels)
    return figure


def _forgetting(comparison: Comparison, entries: Sequence[Entry], labels: Sequence[str]) -> Figure:
    """A heat map of what was lost of the just-learned values."""
    measures = comparison.primary
    table = numpy.full((len(entries), len(measures)), numpy.nan)
    for row, entry in enumerate(entries):
        for column, measure in enumerate(measures):
            summary = entry.summary(measure, "drop_from_just_learned")
            if summary is not None:
                table[row, column] = summary.mean
    figure = Figure(figsize=(3 + len(measures), 1.5 + 0.3 * len(entries)), layout="tight")
    axes = figure.add_subplot(title="Lost of the just-learned value")
    image = axes.imshow(table, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for (row, column), value in numpy.ndenumerate(table):
        if not numpy.isnan(value):
            axes.text(column, row, f"{value:+.0%}", ha="center", va="center", color="w" if abs(value) > 0.6 else "k")
    axes.set_xticks(range(len(measures)), [f"{measure.experience}\n{measure.metric}" for measure in measures])
    axes.set_yticks(range(len(entries)), labels)
    figure.colorbar(image, ax=axes, format=lambda value, _: f"{value:+.0%}")
    return figure


def _plasticity_stability(entries: Sequence[Entry], labels: Sequence[str]) -> Figure:
    """How well new experiences were learned against how much of the old was kept."""
    figure = Figure(figsize=(8, 6), layout="tight")
    axes = figure.add_subplot(
        title="Plasticity against stability",
        xlabel="kept of old experiences (final / just learned)",
        ylabel="learned of new experiences (just learned / single task)",
    )
    for entry, label in zip(entries, labels, strict=True):
        x, y = (_mean(entry, measure) for measure in (stability, plasticity))
        if x is not None and y is not None:
            axes.plot(x, y, "o", color=colour_of(0))
            axes.annotate(label, (x, y), xytext=(5, 3), textcoords="offset points", fontsize=8)
    for line in (axes.axvline, axes.axhline):
        line(1, color="0.7", linestyle="--", linewidth=1)
    axes.set(xlim=(0, None), ylim=(0, None))
    return figure


def _cost(entries: Sequence[Entry], labels: Sequence[str]) -> Figure:
    """Bars of training time, peak memory and bytes kept."""
    kinds = (
        ("seconds", 60, "training, minutes"),
        ("peak_memory_bytes", 2**20, "peak memory, MiB"),
        ("stored_bytes", 2**20, "kept between stages, MiB"),
    )
    figure, panels = _panels(len(kinds), len(entries))
    for axes, (name, unit, title) in zip(panels, kinds, strict=True):
        for row, entry in enumerate(entries):
            summary = entry.cost(name)
            if summary is not None:
                axes.barh(row, summary.mean / unit, color="0.5")
        axes.set(title=title, xlim=(0, None))
    _name_rows(panels, labels)
    return figure


def _panels(columns: int, rows: int) -> tuple[Figure, Sequence]:
    figure = Figure(figsize=(4 * columns, 1.5 + 0.28 * rows), layout="tight")
    return figure, figure.subplots(1, columns, sharey=True, squeeze=False)[0]


def _name_rows(panels: Sequence, labels: Sequence[str]) -> None:
    panels[0].set_yticks(range(len(labels)), labels)
    panels[0].invert_yaxis()


def _mean(entry: Entry, measure: Callable) -> float | None:
    values = [value for run in entry.finished if (value := measure(run)) is not None]
    summary = summarise(values)
    return None if summary is None else summary.mean
