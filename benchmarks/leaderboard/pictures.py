"""The leaderboard as a picture: what each strategy reaches in the end, and what it lost on the way."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.leaderboard.rows import Row
from onehead_avl.report.plots import colour_of


def picture(title: str, rows: Sequence[Row]) -> Figure:
    """Draw one table: strategies from best to worst, coloured by family.

    Args:
        title: Of the picture.
        rows: Of one table; of each strategy and order, one counts.
    """
    each = {(row.strategy, row.order): row for row in rows if row.share is not None}
    several = len({order for _, order in each}) > 1
    ranked = sorted(each.values(), key=lambda row: row.share or 0.0)
    families = list(dict.fromkeys(row.family for row in rows))
    figure = Figure(figsize=(8, 1.4 + 0.22 * len(ranked)), layout="tight")
    shares, losses = figure.subplots(1, 2, sharey=True)
    for place, row in enumerate(ranked):
        colour = colour_of(families.index(row.family))
        if row.share_low is not None and row.share_high is not None:
            shares.plot([row.share_low, row.share_high], [place, place], color=colour, linewidth=2, alpha=0.5)
        shares.plot(row.share, place, "o", color=colour, markersize=5)
        if row.forgotten is not None:
            losses.barh(place, 100 * row.forgotten, color=colour, height=0.6)
    shares.axvline(1, color="0.6", linewidth=1)
    losses.axvline(0, color="0.6", linewidth=1)
    shares.set_yticks(range(len(ranked)), [f"{row.strategy}{several * f' {row.order}'}" for row in ranked], fontsize=8)
    shares.set(title=title, xlabel="share of single task, average; 95 % interval")
    losses.set(xlabel="forgotten of just learned, %")
    shown = [family for family in families if family in {row.family for row in ranked}]
    marks = [Line2D([], [], marker="o", linestyle="", color=colour_of(families.index(each))) for each in shown]
    losses.legend(marks, shown, fontsize=7, loc="lower right")
    return figure
