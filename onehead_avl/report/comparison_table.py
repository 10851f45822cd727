"""The comparison as a table: Markdown for documents, aligned columns for the console."""

from collections.abc import Sequence

from onehead_avl.report.comparison import METRICS, Comparison, Entry
from onehead_avl.report.statistics import Difference, Summary
from onehead_avl.report.table import NOTHING, layout_table
from onehead_avl.tasks import Task

_DROPS = (("forgetting", "+.3f"), ("drop_from_just_learned", "+.0%"), ("drop_from_single_task", "+.0%"))


def final_rows(comparison: Comparison) -> list[list[str]]:
    """Each task's metric after the last stage, over seeds; the first row is the header."""
    metrics = [metric for metric, task in METRICS.items() if any(task.key in order for order in comparison.orders)]
    rows = [[*_head(comparison), "seeds", *metrics]]
    for entry in comparison.entries:
        cells = [
            _mean(entry.summary(metric, "final"), ".3f") + _mark(comparison.difference(entry, metric))
            for metric in metrics
        ]
        rows.append([*_name(comparison, entry), _seeds(entry), *cells])
    return rows


def drop_rows(comparison: Comparison) -> list[list[str]]:
    """Just-learned values, and what was lost of them and of the single-task values, absolute and relative."""
    tasks = [task for task in Task if any(task.key in order for order in comparison.orders)]
    header = [*_head(comparison)]
    for task in tasks:
        header += [f"{task.metric} learned", "drop", "relative", "to single"]
    rows = [header]
    for entry in comparison.entries:
        cells = []
        for task in tasks:
            cells += [
                _mean(entry.summary(task.metric, "just_learned"), ".3f"),
                *(_bare(entry.summary(task.metric, name), form) for name, form in _DROPS),
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
    """The tables for the console."""
    tables = [layout_table(final_rows(comparison)), layout_table(drop_rows(comparison)), notes(comparison)]
    return "\n\n".join(tables)


def markdown(comparison: Comparison) -> str:
    """``comparison.md``."""
    sections = (
        ("After the last stage", final_rows(comparison)),
        ("Just learned, and what was lost of it", drop_rows(comparison)),
        ("Cost", cost_rows(comparison)),
    )
    parts = [f"## {title}\n\n{_markdown_table(rows)}" for title, rows in sections]
    return "\n\n".join(["# Comparison of strategies", *parts, notes(comparison)]) + "\n"


def notes(comparison: Comparison) -> str:
    """How to read the tables, and which runs failed."""
    lines = [
        "Means, +- standard deviation over seeds. Drop: just learned minus final, so a gain is negative; relative to "
        "the just-learned value; to single: the loss relative to the single-task value.",
        f"Marks > and <: better and worse than {comparison.reference}: the 95 % interval of the paired difference over "
        "seeds excludes zero. Without a mark the difference is within the noise, or there is one seed only.",
        f"{NOTHING}: not measured, or without meaning.",
        *_picture_note(comparison),
    ]
    for entry in comparison.entries:
        lines += [f"{entry.strategy}, seed {run.seed}: failed: {run.reason}" for run in entry.failed]
    return "\n\n".join(lines)


def _picture_note(comparison: Comparison) -> list[str]:
    """How far final values would move with other validation pictures, which no number of seeds tells."""
    widths = {}
    for task in Task:
        runs = [run for entry in comparison.entries for run in entry.finished]
        spans = [span for run in runs if (span := run.results["intervals"].get(task.metric)) is not None]
        if spans:
            widths[task.metric] = sum(high - low for low, high in spans) / len(spans) / 2
    if not widths:
        return []
    listed = ", ".join(f"{metric} by {width:.3f}" for metric, width in widths.items())
    return [
        f"Other validation pictures of the same kind and number may move a final value, on average: {listed} (half of "
        "the 95 % bootstrap interval over pictures; comparison.csv has that of each run)."
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


def _mark(difference: Difference | None) -> str:
    if difference is None or not difference.real:
        return ""
    return " >" if difference.mean > 0 else " <"


def _markdown_table(rows: Sequence[Sequence[str]]) -> str:
    header, *body = rows
    ruled = [header, ["---"] + ["---:"] * (len(header) - 1), *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in ruled)
