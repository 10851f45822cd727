"""Plain-text tables for the console."""

from collections.abc import Mapping, Sequence

from onehead_avl.report.checklist import Rule
from onehead_avl.report.results import Outcome, Stage

NOTHING = "-"
"""What a cell shows that holds no measured value."""


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


def results_table(
    stages: Sequence[Stage],
    outcomes: Sequence[Outcome],
    intervals: Mapping[str, Sequence[float] | None] | None = None,
) -> str:
    """The matrix with forgetting; a value in brackets is the one right after the task's own stage.

    Args:
        stages: What was learned, in order.
        outcomes: What became of each metric.
        intervals: Of the final values, over the validation pictures; without any the table has no column for them.
    """
    header = ["metric", *(f"after {stage.key}" for stage in stages), "forgetting", "relative", "single task"]
    header += [] if intervals is None else ["final, 95 %"]
    rows = [header]
    for each in outcomes:
        rows.append(
            [
                f"{each.task.title} {each.metric}",
                *(f"[{number(v)}]" if i == each.own else f"{number(v)} " for i, v in enumerate(each.after)),
                number(each.forgetting, "+.4f"),
                number(each.drop_from_just_learned, "+.1%"),
                number(each.single_task),
                *([] if intervals is None else [span(intervals.get(each.metric))]),
            ]
        )
    notes = ["[x]: right after the task's own stage. Forgetting: just learned minus final, so a gain is negative."]
    if intervals is not None:
        notes.append("final, 95 %: where the final value may lie with other validation pictures of this kind.")
    notes.append("-: not measured, or without meaning for the last task.")
    return "\n".join([layout_table(rows), *notes])


def checklist_table(rules: Sequence[Rule]) -> str:
    """The challenge's checklist."""
    verdict = {True: "pass", False: "FAIL", None: NOTHING}
    return layout_table(
        [
            ["rule", "measured", "limit", ""],
            *([rule.name, rule.measured or "not measured", rule.limit, verdict[rule.passed]] for rule in rules),
        ]
    )


def number(value: float | None, form: str = ".4f") -> str:
    """A value, or a dash if it was not measured."""
    return NOTHING if value is None else format(value, form)


def span(interval: Sequence[float] | None, form: str = ".3f") -> str:
    """An interval, or a dash if there is none."""
    return NOTHING if interval is None else " .. ".join(format(end, form) for end in interval)
