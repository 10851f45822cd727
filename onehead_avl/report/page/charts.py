"""Charts that only a page shows: precision against recall, and what classes are taken for."""

from collections.abc import Mapping, Sequence

import numpy
from matplotlib.figure import Figure

from onehead_avl.report.plots import colour_of

_MOST_NUMBERED = 12  # classes of which a confusion matrix has its numbers written in


def precision_recall_figure(curves: Mapping[str, Sequence[float]], title: str) -> Figure:
    """Draw the precision of each class against recalls from 0 to 1, evenly spaced."""
    columns = 4
    rows = -(-len(curves) // columns)
    height = 0.9 + 1.9 * rows
    figure = Figure(figsize=(9, height))  # of a layout that is known, which is computed in a third of the time
    figure.subplots_adjust(left=0.08, right=0.98, bottom=0.5 / height, top=1 - 0.6 / height, hspace=0.35, wspace=0.12)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[len(curves) :]:
        axes.set_visible(False)
    for axes, (name, precision) in zip(panels, curves.items(), strict=False):
        recall = numpy.linspace(0, 1, len(precision))
        axes.fill_between(recall, precision, color=colour_of(0), alpha=0.25)
        axes.plot(recall, precision, color=colour_of(0), linewidth=1.2)
        axes.set_title(f"{name}, {numpy.mean(precision):.3f}", fontsize=9)
        axes.set(xlim=(0, 1), ylim=(0, 1), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    figure.supxlabel("recall", fontsize=9)
    figure.supylabel("precision", fontsize=9)
    figure.suptitle(title, fontsize=10)
    return figure


def confusion_figure(counts: Sequence[Sequence[int]], classes: Sequence[str], title: str) -> Figure:
    """Draw which share of each class, a row each, was taken for which class, a column each."""
    table = numpy.asarray(counts, dtype=float)
    sums = table.sum(axis=1, keepdims=True)
    shares = numpy.divide(table, sums, out=numpy.full_like(table, numpy.nan), where=sums > 0)
    side = 2.2 + 0.42 * len(classes)
    figure = Figure(figsize=(side, side), layout="tight")
    axes = figure.add_subplot(title=title, xlabel="taken for", ylabel="annotated")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= _MOST_NUMBERED:
        for (row, column), share in numpy.ndenumerate(shares):
            if share >= 0.005:
                ink = "white" if share > 0.6 else "0.15"
                axes.text(column, row, f"{share:.0%}", ha="center", va="center", fontsize=7, color=ink)
    axes.set_xticks(range(len(classes)), classes, rotation=90, fontsize=8)
    axes.set_yticks(range(len(classes)), classes, fontsize=8)
    return figure
