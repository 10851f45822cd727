"""The leaderboard as a picture: what each strategy reaches in the end, and what it lost on the way."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.leaderboard.listed import REFERENCE, Table
from benchmarks.leaderboard.rows import Row
from onehead_avl.report.plots import PALETTE

_GREY = "0.5"


def picture(table: Table, rows: Sequence[Row]) -> Figure:
    """Draw one table: strategies from best to worst, coloured by family, the same in the pictures of all tables.

    Args:
        table: Which it is.
        rows: Its own; of each strategy and order, one counts.
    """
    each = {(row.strategy, row.order): row for row in rows if row.share is not None}
    several = len({order for _, order in each}) > 1
    ranked = sorted(each.values(), key=lambda row: row.share or 0.0)
    colours = _colours(table)
    figure = Figure(figsize=(8, 1.8 + 0.22 * len(ranked)), layout="constrained")
    shares, losses = figure.subplots(1, 2, sharey=True)
    for place, row in enumerate(ranked):
        colour = colours[row.family]
        if row.share_low is not None and row.share_high is not None:
            shares.plot([row.share_low, row.share_high], [place, place], color=colour, linewidth=2, alpha=0.5)
        shares.plot(row.share, place, "o", color=colour, markersize=5)
        if row.forgotten is not None:
            losses.barh(place, 100 * row.forgotten, color=colour, height=0.6)
        if row.forgotten_low is not None and row.forgotten_high is not None:
            ends = [100 * row.forgotten_low, 100 * row.forgotten_high]
            losses.plot(ends, [place, place], color="0.2", linewidth=1)
    shares.axvline(1, color="0.8", linewidth=1, zorder=0)
    losses.axvline(0, color="0.8", linewidth=1, zorder=0)
    shares.set_yticks(range(len(ranked)), [f"{row.strategy}{several * f' {row.order}'}" for row in ranked], fontsize=8)
    shares.set(xlabel="share of single task, average; 95 % interval")
    losses.set(xlabel="forgotten of just learned, %; 95 % interval")
    figure.suptitle(table.title)
    shown = [family for family in colours if family in {row.family for row in ranked}]
    marks = [Line2D([], [], marker="o", linestyle="", color=colours[family]) for family in shown]
    figure.legend(marks, shown, fontsize=8, loc="outside lower center", ncols=4)
    return figure


def _colours(table: Table) -> dict[str, str]:
    """A colour for each family, and grey for what others are compared with."""
    families = [family for family in dict.fromkeys(table.families.values()) if family != REFERENCE]
    return {REFERENCE: _GREY, **dict(zip(families, PALETTE[: len(families)], strict=True))}
