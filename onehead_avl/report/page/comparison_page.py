"""The report of a comparison."""

from collections.abc import Mapping, Sequence

from onehead_avl.evaluation.record import Record
from onehead_avl.report.comparison import Comparison
from onehead_avl.report.comparison_plots import comparison_figures
from onehead_avl.report.comparison_table import cost_rows, difference_rows, drop_rows, final_rows, notes
from onehead_avl.report.page.parts import Markup, Section, chart, code, page, paragraph, table, titled
from onehead_avl.report.page.strips import strategy_strips
from onehead_avl.report.page.verdict import verdict_of_comparison
from onehead_avl.report.shown import ShownPicture

_PICTURES = (
    "The same validation images for each strategy, in the end, with seed {}. Framed: the annotation. The number is the "
    "metric of this image alone."
)

_AGAINST = "The paired difference of final metrics over seeds, with its 95 % interval; without one, of a single seed."

_ALTS = {
    "final": "Bars of the metrics after the last stage, by strategy, with intervals over seeds.",
    "forgetting": "What each strategy lost of each just-learned value, as the table below has it.",
    "plasticity_stability": "How well each strategy learned new experiences against how much it kept of old ones.",
    "cost": "Bars of training time, peak memory and what is kept between stages, by strategy.",
}


def comparison_page(
    comparison: Comparison,
    pictures: Mapping[str, tuple[Record, Sequence[ShownPicture]]],
    seed: int | None,
    about: Mapping[str, str],
) -> str:
    """Make the report of a comparison as HTML.

    Args:
        comparison: Of the runs.
        pictures: By strategy, the record and the pictures of a run, all of one seed; those without are named.
        seed: That seed; ``None`` without pictures.
        about: The command and the configuration, by title.

    Returns:
        A whole page.
    """
    names = ", ".join(dict.fromkeys(entry.strategy for entry in comparison.entries))
    charts = {name: [chart(draw, name, _ALTS[name])] for name, draw in comparison_figures(comparison).items()}
    how_to_read = map(paragraph, notes(comparison).split("\n\n"))
    differences = difference_rows(comparison)
    with_pictures = {strategy: each for strategy, each in pictures.items() if each[1]}
    shown = strategy_strips(with_pictures) if with_pictures else []
    if shown and (without := ", ".join(strategy for strategy in pictures if strategy not in with_pictures)):
        shown.append(paragraph(f"Without pictures, since they were computed before, by another command: {without}."))
    sections = [
        Section("After the last stage", [_table(final_rows(comparison)), *how_to_read]),
        *([Section(f"Against {comparison.reference}", [_table(differences)], _AGAINST)] if differences[1:] else []),
        Section("Plasticity against stability", charts.get("plasticity_stability", [])),
        Section("Final metrics", charts.get("final", [])),
        Section("What was forgotten", [*charts.get("forgetting", []), _table(drop_rows(comparison))]),
        Section("The same pictures for each strategy", shown, _PICTURES.format(seed) if shown else ""),
        Section("Cost", [*charts.get("cost", []), _table(cost_rows(comparison))]),
        Section("How it was made", [titled(title, code(text)) for title, text in about.items()]),
    ]
    return page(f"Comparison: {names}", verdict_of_comparison(comparison), sections)


def _table(rows: Sequence[Sequence[str]]) -> Markup:
    header, *body = rows
    return table(header, body)
