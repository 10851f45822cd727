"""The rows of the leaderboard: what a strategy's runs on a stream gave, one row for each metric, as a CSV file."""

import csv
import hashlib
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, get_type_hints

from scipy.stats import t as student

from benchmarks.leaderboard.listed import Table
from onehead_avl.evaluation.outcomes import Measure, mean
from onehead_avl.evaluation.record import Record
from onehead_avl.evaluation.statistics import LEVEL, Summary, summarise
from onehead_avl.kinds.kind import kind_of
from onehead_avl.report.comparison import Comparison, Entry
from onehead_avl.report.comparison_table import mark_of

KEPT = "kept"
"""What stands for a challenge whose rules are all kept."""

_DIGITS = 16  # of a checksum, which is not there against anybody's will


@dataclass(frozen=True)
class Row:
    """What a strategy reaches in one metric; an empty value was not measured.

    Attributes:
        table: The comparison.
        strategy: Its name.
        order: In which the experiences are learned, separated by spaces.
        family: What kind of method it is.
        metric: The experience and the name of the value.
        primary: Whether the experience is judged by it.
        seeds: How many random seeds it is the mean of.
        failed: How many seeds failed.
        learned: The value right after the experience's own stage.
        final: The value after the last stage.
        low: Where the 95 % interval of ``final`` over seeds begins, within what the metric can be.
        high: Where it ends.
        mark: ``>`` or ``<``: better or worse than the reference by more than chance, corrected for all strategies.
        reference: What it is compared with.
        share: The share of single-task performance, averaged over experiences.
        share_low: Where its interval begins.
        share_high: Where it ends.
        forgotten: Which share of the just-learned value was lost, averaged over all experiences but the last.
        forgotten_low: Where its interval begins.
        forgotten_high: Where it ends.
        seconds: Of training.
        peak_bytes: The largest memory of the process.
        stored_bytes: What the strategy keeps beside the model.
        rules: ``kept``, or which of the challenge's rules are not; empty where they do not apply.
        again: The mean of ``final`` over other seeds.
        again_seeds: How many those are.
        reproduced: Whether ``again`` lies where 95 % of such means do, as ``final`` and its spread let expect.
        commit: The program that it was run with.
        command: What runs it.
        environment: The versions that it was run with, and the device.
        data: A checksum of the images and annotations, the same for the same ones.
        digest: Of every value that its runs measured, the same if it is run again on the same machine.
    """

    table: str
    strategy: str
    order: str
    family: str
    metric: str
    primary: bool
    seeds: int
    failed: int
    learned: float | None
    final: float | None
    low: float | None
    high: float | None
    mark: str
    reference: str
    share: float | None
    share_low: float | None
    share_high: float | None
    forgotten: float | None
    forgotten_low: float | None
    forgotten_high: float | None
    seconds: float | None
    peak_bytes: float | None
    stored_bytes: float | None
    rules: str
    again: float | None
    again_seeds: int
    reproduced: bool | None
    commit: str
    command: str
    environment: str
    data: str
    digest: str


def rows_of(table: Table, comparison: Comparison, again: Comparison | None, commit: str) -> list[Row]:
    """The rows of a comparison, a strategy after the other.

    Args:
        table: Which it is.
        comparison: Of all its runs.
        again: The same with other seeds, as far as it was run.
        commit: The program that both were run with.
    """
    return [
        _row(table, comparison, entry, measure, _same(again, entry), commit)
        for entry in comparison.entries
        for measure in comparison.measures
    ]


def _row(table: Table, comparison: Comparison, entry: Entry, measure: Measure, again: Entry | None, commit: str) -> Row:
    learned, final = (entry.summary(measure, quantity) for quantity in ("just_learned", "final"))
    other = again.summary(measure, "final") if again else None
    share, lost = entry.share_of_single_task(), forgotten(comparison, entry)
    difference = comparison.difference(entry, measure)
    low, high = _within(_ends(final), entry, measure)
    share_low, share_high = _ends(share)
    lost_low, lost_high = _ends(lost)
    return Row(
        table=table.name,
        strategy=entry.strategy,
        order=" ".join(entry.order),
        family=table.family(entry.strategy),
        metric=measure.title,
        primary=measure.primary,
        seeds=len(entry.finished),
        failed=len(entry.failed),
        learned=_mean(learned),
        final=_mean(final),
        low=low,
        high=high,
        mark=mark_of(difference, measure).strip(),
        reference=comparison.reference,
        share=_mean(share),
        share_low=share_low,
        share_high=share_high,
        forgotten=_mean(lost),
        forgotten_low=lost_low,
        forgotten_high=lost_high,
        seconds=_mean(entry.cost("seconds")),
        peak_bytes=_mean(entry.cost("peak_memory_bytes")),
        stored_bytes=_mean(entry.cost("stored_bytes")),
        rules=rules_of(entry),
        again=_mean(other),
        again_seeds=other.n if other else 0,
        reproduced=agree(final, other),
        commit=commit,
        command=table.command(entry.strategy, entry.order, [run.seed for run in entry.runs]),
        environment=", ".join(dict.fromkeys(_environment(record) for record in entry.records)),
        data=_data(entry.records),
        digest=_digest(entry.records),
    )


def _within(ends: tuple[float | None, float | None], entry: Entry, measure: Measure) -> tuple[float | None, ...]:
    """The ends of an interval, no farther than the limits of its metric."""
    low, high = ends
    if low is None or high is None:
        return ends
    kinds = {each.name: each.kind for record in entry.records for each in record.experiences}
    names = {value.name: value for value in kind_of(kinds[measure.experience]).metrics}
    least, most = names[measure.metric].limits
    return max(low, least), min(high, most)


def forgotten(comparison: Comparison, entry: Entry) -> Summary | None:
    """Which share of the just-learned values was lost, averaged over all experiences but the last: over seeds.

    ``None`` for a network for each experience and for one that learns all at once, which forget nothing.
    """
    learned = {name for record in entry.records for stage in record.stages[:-1] for name in stage.experiences}
    if any(record.separate for record in entry.records) or not learned:
        return None
    of = [measure for measure in comparison.primary if measure.experience in learned]
    each = [mean([run.value(measure, "drop_from_just_learned") for measure in of]) for run in entry.finished]
    return summarise([value for value in each if value is not None])


def rules_of(entry: Entry) -> str:
    """Which of the challenge's rules some run of an entry does not keep; ``""`` where the rules do not apply."""
    lists = [record.checklist for record in entry.records]
    if not lists or None in lists:
        return ""
    broken = {rule.name: None for rules in lists for rule in rules or () if rule.passed is not True}
    return "; ".join(broken) or KEPT


def agree(first: Summary | None, second: Summary | None) -> bool | None:
    """Whether a mean over seeds lies where 95 % of such means do, given those of other seeds.

    By the prediction interval of the mean of further values, if values are normally distributed (Hahn and Meeker,
    "Statistical Intervals", 1991). ``None`` if there is one value only, which has no spread.
    """
    if first is None or second is None or first.sd is None:
        return None
    half = float(student.ppf((1 + LEVEL) / 2, first.n - 1)) * first.sd * math.sqrt(1 / first.n + 1 / second.n)
    return abs(second.mean - first.mean) <= half


def as_csv(rows: Sequence[Row]) -> str:
    """The file ``leaderboard.csv``: six digits of what was measured, nothing where it was not."""
    file = io.StringIO()
    table = csv.DictWriter(file, [each.name for each in fields(Row)], lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({name: _written(value) for name, value in asdict(row).items()})
    return file.getvalue()


def from_csv(text: str) -> list[Row]:
    """The rows that :func:`as_csv` wrote."""
    types = get_type_hints(Row)
    return [
        Row(**{name: _read(value, types[name]) for name, value in row.items()})
        for row in csv.DictReader(io.StringIO(text))
    ]


def _written(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else value


def _read(text: str, kind: object) -> Any:
    if kind is str:
        return text
    if text == "":
        return None
    if kind in (bool, bool | None):
        return text == "True"
    return int(text) if kind is int else float(text)


def _environment(record: Record) -> str:
    return ", ".join(f"{name} {value}" for name, value in record.environment.items())


def _data(records: Sequence[Record]) -> str:
    checksums = [str(record.depends_on.get("the data", ""))[:_DIGITS] for record in records]
    return ", ".join(dict.fromkeys(checksums))


def _digest(records: Sequence[Record]) -> str:
    scores = [[stage.scores for stage in record.stages] for record in records]
    return hashlib.sha256(json.dumps(scores, sort_keys=True).encode()).hexdigest()[:_DIGITS]


def _same(comparison: Comparison | None, entry: Entry) -> Entry | None:
    entries = comparison.entries if comparison else ()
    return next((each for each in entries if (each.strategy, each.order) == (entry.strategy, entry.order)), None)


def _mean(summary: Summary | None) -> float | None:
    return None if summary is None else summary.mean


def _ends(summary: Summary | None) -> tuple[float | None, float | None]:
    return (None, None) if summary is None or summary.interval is None else summary.interval
