"""Plain-text tables for the console, and the values of single classes."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from onehead_avl.evaluation.outcomes import mean, single_task_shares
from onehead_avl.evaluation.record import Record, Rule

NOTHING = "-"
"""What a cell shows that holds no measured value."""

_MANY_STAGES = 4  # with more of them, values are shown with three decimals

PER_CLASS_COLUMNS = ("experience", "class", "metric", "stage", "value")
"""Of ``per_class.csv``."""


def layout_table(rows: Sequence[Sequence[str]]) -> str:
    """Align rows of cells, the first row a header; the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def results_table(record: Record) -> str:
    """The matrix of a run: every metric before training and after each stage, and what follows from it.

    A value in brackets is the one right after the experience's own stage.
    """
    form = ".3f" if len(record.stages) > _MANY_STAGES else ".4f"
    titles = [stage.title for stage in record.stages]
    rows = [["metric", "untrained", *titles, "forgetting", "relative", "forward", "single task", "final, 95 %"]]
    for each in record.outcomes:
        name, metric = each.measure.experience, each.measure.metric
        better = "" if each.measure.higher_is_better else " (low)"
        rows.append(
            [
                f"{each.measure.title}{better}",
                number(each.before, form),
                *(f"[{number(v, form)}]" if i == each.own else f"{number(v, form)} " for i, v in enumerate(each.after)),
                number(each.forgetting, f"+{form}"),
                number(each.drop_from_just_learned, "+.1%"),
                number(each.forward_transfer, f"+{form}"),
                number(each.single_task, form),
                span(record.intervals.get(name, {}).get(metric)),
            ]
        )
    trained = [trained_by(record.optimisation)] if record.optimisation else []
    return "\n".join([layout_table(rows), *trained, *_averages(record), *_NOTES])


def trained_by(optimisation: Mapping[str, str]) -> str:
    """Say in a sentence whose optimizer updated the weights of a run.

    Args:
        optimisation: ``by`` whom it was done, and with which ``optimizer``.
    """
    if optimisation["by"] == "benchmark":
        return f"Weights are updated by the benchmark's {optimisation['optimizer']} and its schedule."
    return (
        f"Weights are updated by the strategy's own {optimisation['optimizer']}, not by the benchmark's optimisation."
    )


_NOTES = (
    "A column for each stage: the values after it; [x]: right after the experience's own stage.",
    "Forgetting: how much worse than just learned, so a gain is negative; backward transfer is its negative.",
    "Forward: how much better than untrained right before the own stage. (low): lower is better.",
    "final, 95 %: where the final value lies on average over other sets of as many validation images.",
    "-: not measured, or without meaning for the first or the last experience.",
)


def _averages(record: Record) -> list[str]:
    """What is known of all experiences together, in sentences; an average with an unknown value is unknown."""
    primary = [each for each in record.outcomes if each.measure.primary]
    shares = single_task_shares(record.outcomes)
    final, course = (shares[-1] if shares else None), mean(shares)
    last = len(record.stages) - 1
    lines = []
    if len(primary) > 1 and final is not None:
        over = "" if course is None else f", over the course of the stream {course:.3f}"
        lines.append(f"Average share of single-task performance: final {final:.3f}{over}.")
    forgotten = mean([each.drop_from_just_learned for each in primary if each.own < last])
    if forgotten is not None:
        lines.append(f"Average relative forgetting of what was learned before the last stage: {forgotten:+.1%}.")
    transferred = mean([each.forward_transfer for each in primary if each.own > 0])
    if transferred is not None:
        lines.append(f"Average forward transfer: {transferred:+.4f}.")
    return lines


def checklist_table(rules: Sequence[Rule]) -> str:
    """The challenge's checklist."""
    verdict = {True: "pass", False: "FAIL", None: NOTHING}
    return layout_table(
        [
            ["rule", "measured", "limit", ""],
            *([rule.name, rule.measured or "not measured", rule.limit, verdict[rule.passed]] for rule in rules),
        ]
    )


def per_class_table(record: Record) -> str:
    """The values of single classes right after the own stage of their experience, and after the last stage."""
    rows = [["class", "just learned", "final"]]
    for title, values in class_values(record):
        rows += [[f"{title} {called}", *map(number, both)] for called, both in values.items()]
    return layout_table(rows)


def class_values(record: Record) -> Iterator[tuple[str, dict[str, tuple[float | None, float | None]]]]:
    """What was measured of single classes.

    Returns:
        For each experience and value its title, and by class the value right after the own stage and the final one.
    """
    last = len(record.stages) - 1
    for own, stage in enumerate(record.stages):
        for name in stage.experiences:
            for metric, learned in stage.per_class.get(name, {}).items():
                # Of separate networks only the last one is there at the end.
                meant = not record.separate or own == last
                final = record.stages[-1].per_class.get(name, {}).get(metric, {}) if meant else {}
                yield f"{name} {metric}", {called: (value, final.get(called)) for called, value in learned.items()}


def mistakes_table(record: Record) -> str:
    """What each type of mistake costs in the end; empty without experiences of kinds that tell them apart."""
    rows = mistakes_rows(record)
    return layout_table(rows) if rows[1:] else ""


def mistakes_rows(record: Record) -> list[list[str]]:
    """What each type of mistake costs in the end; the first row is the header."""
    columns = list(dict.fromkeys(kind for told in record.mistakes.values() for kind in told))
    rows = [["lost to mistakes", *columns]]
    for name, told in record.mistakes.items():
        primary = next(each.measure.title for each in record.outcomes if each.measure.experience == name)
        rows.append([primary, *(number(told.get(kind)) for kind in columns)])
    return rows


def per_class_csv(record: Record) -> str:
    """The values of single classes after every stage, one a line: ``per_class.csv``; empty what was not measured."""
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(PER_CLASS_COLUMNS)
    for stage in record.stages:
        for experience, metrics in stage.per_class.items():
            for metric, values in metrics.items():
                for name, value in values.items():
                    table.writerow([experience, name, metric, stage.title, value])
    return file.getvalue()


def number(value: float | None, form: str = ".4f") -> str:
    """A value, or a dash if it was not measured."""
    return NOTHING if value is None else format(value, form)


def span(interval: Sequence[float] | None, form: str = ".3f") -> str:
    """An interval, or a dash if there is none."""
    return NOTHING if interval is None else " .. ".join(format(end, form) for end in interval)
