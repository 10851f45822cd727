"""The comparison as a table: Markdown for documents, aligned columns for the console."""

from collections.abc import Sequence

from onehead_avl.evaluation.outcomes import Measure
from onehead_avl.evaluation.statistics import Difference, Summary
from onehead_avl.report.comparison import Comparison, Entry
from onehead_avl.report.table import NOTHING, layout_table

_FEW = 3  # experiences of which secondary metrics have columns, too

_DROPS = (("forgetting", "+.3f"), ("drop_from_just_learned", "+.0%"), ("drop_from_single_task", "+.0%"))


def final_rows(comparison: Comparison) -> list[list[str]]:
    """Each experience's metrics after the last stage, over seeds; the first row is the header."""
    measures = comparison.measures if len(comparison.primary) <= _FEW else comparison.primary
    rows = [[*_head(comparison), "seeds", *(measure.title for measure in measures), "of single task"]]
    for entry in comparison.entries:
        cells = [
            _mean(entry.summary(measure, "final"), ".3f") + mark_of(comparison.difference(entry, measure), measure)
            for measure in measures
        ]
        rows.append([*_name(comparison, entry), _seeds(entry), *cells, _mean(entry.share_of_single_task(), ".3f")])
    return rows


def difference_rows(comparison: Comparison) -> list[list[str]]:
    """How final metrics differ from those of the reference, with the 95 % interval over seeds; a header at least."""
    rows = [[*_head(comparison), *(measure.title for measure in comparison.primary)]]
    for entry in comparison.entries:
        found = [(comparison.difference(entry, measure), measure) for measure in comparison.primary]
        if any(difference is not None for difference, _ in found):
            rows.append([*_name(comparison, entry), *(_difference(*each) for each in found)])
    return rows


def drop_rows(comparison: Comparison) -> list[list[str]]:
    """Just-learned values, and what was lost of them and of the single-task values, absolute and relative."""
    header = [*_head(comparison)]
    for measure in comparison.primary:
        header += [f"{measure.title} learned", "drop", "relative", "to single"]
    rows = [header]
    for entry in comparison.entries:
        cells = []
        for measure in comparison.primary:
            cells += [
                _mean(entry.summary(measure, "just_learned"), ".3f"),
                *(_bare(entry.summary(measure, name), form) for name, form in _DROPS),
            ]
        rows.append([*_name(comparison, entry), *cells])
    return rows


def cost_rows(comparison: Comparison) -> list[list[str]]:
    """Training time, the process's largest memory, and what the strategy keeps."""
    rows = [[*_head(comparison), "training", "peak memory", "kept"]]
    for entry in comparison.entries:
        seconds, peak, stored = (entry.cost(name) for name in ("seconds", "peak_memory_bytes", "stored_bytes"))
        rows.append(
            [
                *_name(comparison, entry),
                NOTHING if seconds is None else f"{seconds.mean / 60:.1f} min",
                NOTHING if peak is None else f"{peak.mean / 2**20:.0f} MiB",
                NOTHING if stored is None else f"{stored.mean / 2**20:.1f} MiB",
            ]
        )
    return rows


def console(comparison: Comparison) -> str:
    """The tables for the console; what was lost of many experiences is too wide for it."""
    tables = [layout_table(final_rows(comparison))]
    if len(comparison.primary) <= _FEW:
        tables.append(layout_table(drop_rows(comparison)))
    return "\n\n".join([*tables, notes(comparison)])


def markdown(comparison: Comparison) -> str:
    """``comparison.md``."""
    sections = (
        ("After the last stage", final_rows(comparison)),
        ("Just learned, and what was lost of it", drop_rows(comparison)),
        ("Cost", cost_rows(comparison)),
    )
    parts = [f"## {title}\n\n{markdown_table(rows)}" for title, rows in sections]
    return "\n\n".join(["# Comparison of strategies", *parts, notes(comparison)]) + "\n"


def notes(comparison: Comparison) -> str:
    """How to read the tables, and which runs failed."""
    lines = [
        "Means, +- standard deviation over seeds. Of single task: the final share of single-task performance, averaged "
        "over experiences. Drop: how much worse than just learned, so a gain is negative; relative to the just-learned "
        "value; to single: the loss relative to the single-task value.",
        f"Marks > and <: better and worse than {comparison.reference} by Student's paired test over seeds, p < 0.05 "
        "corrected for all that are compared by the same metric (Holm). Without a mark the difference may be noise, or "
        "there is one seed only.",
        f"{NOTHING}: not measured, or without meaning.",
        *_image_note(comparison),
    ]
    for entry in comparison.entries:
        lines += [f"{entry.strategy}, seed {run.seed}: failed: {run.reason}" for run in entry.failed]
    return "\n\n".join(lines)


def _image_note(comparison: Comparison) -> list[str]:
    """How far final values would move with other validation images, which no number of seeds tells."""
    records = [record for entry in comparison.entries for record in entry.records]
    widths = {}
    for measure in comparison.primary:
        spans = [record.intervals.get(measure.experience, {}).get(measure.metric) for record in records]
        halves = [(span[1] - span[0]) / 2 for span in spans if span is not None]
        if halves:
            widths[measure.title] = sum(halves) / len(halves)
    if not widths:
        return []
    listed = ", ".join(f"{title} by {width:.3f}" for title, width in widths.items())
    return [
        f"A final value is away from the average over other sets of as many validation images by up to: {listed} (half "
        "of the 95 % interval over images, the mean of all runs; comparison.csv has that of each)."
    ]


def _head(comparison: Comparison) -> list[str]:
    return ["strategy", "order"] if len(comparison.orders) > 1 else ["strategy"]


def _name(comparison: Comparison, entry: Entry) -> list[str]:
    return [entry.strategy, " ".join(entry.order)] if len(comparison.orders) > 1 else [entry.strategy]


def _seeds(entry: Entry) -> str:
    return f"{len(entry.finished)} of {len(entry.runs)}" if entry.failed else str(len(entry.runs))


def _mean(summary: Summary | None, form: str) -> str:
    if summary is None:
        return NOTHING
    spread = "" if summary.sd is None else f" +- {format(summary.sd, form.removeprefix('+'))}"
    return f"{format(summary.mean, form)}{spread}"


def _bare(summary: Summary | None, form: str) -> str:
    return NOTHING if summary is None else format(summary.mean, form)


def _difference(difference: Difference | None, measure: Measure) -> str:
    if difference is None:
        return NOTHING
    ends = "" if difference.interval is None else f" ({' to '.join(f'{end:+.3f}' for end in difference.interval)})"
    return f"{difference.mean:+.3f}{ends}{mark_of(difference, measure)}"


def mark_of(difference: Difference | None, measure: Measure) -> str:
    """Mark a value that is better than the reference by more than chance by ``>``, and one that is worse by ``<``."""
    if difference is None or not difference.real:
        return ""
    return " >" if (difference.mean > 0) == measure.higher_is_better else " <"


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out in Markdown, the first one a header; the first column to the left, the others to the right."""
    header, *body = rows
    ruled = [header, ["---"] + ["---:"] * (len(header) - 1), *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in ruled)
