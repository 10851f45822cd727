"""Many runs side by side: what each strategy learned and kept, and which differences are more than noise."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from onehead_avl.evaluation.outcomes import Measure, mean, single_task_shares
from onehead_avl.evaluation.record import Record
from onehead_avl.evaluation.statistics import Difference, Summary, corrected, paired_difference, summarise

QUANTITIES = (
    *("just_learned", "final", "forward_transfer"),
    *("drop_from_just_learned", "drop_from_single_task", "share_of_single_task"),
)
"""What is summarised of each metric."""

COSTS = ("seconds", "peak_memory_bytes", "stored_bytes")
"""What is summarised of a run beside its metrics."""

COLUMNS = (
    *("strategy", "order", "seed", "status", "experience", "metric", "higher_is_better"),
    *("just_learned", "final", "single_task", "forgetting", "forward_transfer"),
    *("drop_from_just_learned", "drop_from_single_task", "share_of_single_task", "images_low", "images_high"),
    *COSTS,
    "reason",
)
"""Of ``comparison.csv``; a row for each metric of each run, and one for a run that failed."""


@dataclass(frozen=True)
class Run:
    """One strategy, order and seed.

    Attributes:
        strategy: Its name.
        order: Names of the experiences.
        seed: Its random seed.
        record: What it left; ``None`` if it failed.
        reason: Why it failed.
        options: Its hyper-parameters, by method.
    """

    strategy: str
    order: tuple[str, ...]
    seed: int
    record: Record | None
    reason: str | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def value(self, measure: Measure, quantity: str) -> float | None:
        """A quantity of a metric: an attribute of its outcome; ``None`` if it was not measured."""
        if self.record is None or (outcome := self.record.outcome(measure)) is None:
            return None
        if self.record.separate:  # a network for each experience forgets nothing: what it learned is what it ends with
            if quantity == "final":
                return outcome.just_learned
            if quantity in ("drop_from_single_task", "share_of_single_task"):  # it would be compared with itself
                return None
        return getattr(outcome, quantity)

    @property
    def share_of_single_task(self) -> float | None:
        """The final share of single-task performance, averaged over experiences; ``None`` where it means nothing."""
        if self.record is None or self.record.separate:
            return None
        shares = single_task_shares(self.record.outcomes)
        return shares[-1] if shares else None

    def cost(self, name: str) -> float | None:
        """One of :data:`COSTS`."""
        return None if self.record is None else getattr(self.record, name)


@dataclass(frozen=True)
class Entry:
    """A strategy in one order, over its seeds.

    Attributes:
        strategy: Its name.
        order: Names of the experiences.
        runs: Its runs, by seed.
    """

    strategy: str
    order: tuple[str, ...]
    runs: tuple[Run, ...]

    @property
    def finished(self) -> list[Run]:
        """The runs that did not fail."""
        return [run for run in self.runs if run.record is not None]

    @property
    def records(self) -> list[Record]:
        """What those left."""
        return [run.record for run in self.runs if run.record is not None]

    @property
    def failed(self) -> list[Run]:
        """The runs that failed."""
        return [run for run in self.runs if run.record is None]

    def by_seed(self, measure: Measure, quantity: str) -> dict[int, float]:
        """The measured values of a quantity."""
        values = {run.seed: run.value(measure, quantity) for run in self.finished}
        return {seed: value for seed, value in values.items() if value is not None}

    def summary(self, measure: Measure, quantity: str) -> Summary | None:
        """The quantity over seeds; ``None`` if no run measured it."""
        return summarise(list(self.by_seed(measure, quantity).values()))

    def share_of_single_task(self) -> Summary | None:
        """The average final share of single-task performance over seeds."""
        return _summary([run.share_of_single_task for run in self.finished])

    def cost(self, name: str) -> Summary | None:
        """One of :data:`COSTS` over seeds."""
        return _summary([run.cost(name) for run in self.finished])


@dataclass(frozen=True)
class Comparison:
    """All entries, and the one that the others are compared with.

    Attributes:
        entries: In the order of the command line.
        reference: The name of the strategy that the others are compared with, within each order.
    """

    entries: tuple[Entry, ...]
    reference: str

    @cached_property
    def orders(self) -> list[tuple[str, ...]]:
        """The orders that occur."""
        return list(dict.fromkeys(entry.order for entry in self.entries))

    @cached_property
    def measures(self) -> list[Measure]:
        """Every metric of the experiences that some run learned, as the stream defines them."""
        learned = {name for order in self.orders for name in order}
        records = [record for entry in self.entries for record in entry.records]
        found = {measure.title: measure for record in records for measure in record.measures}
        return [measure for measure in found.values() if measure.experience in learned]

    @property
    def primary(self) -> list[Measure]:
        """The metrics by which the experiences are judged."""
        return [measure for measure in self.measures if measure.primary]

    def called(self, entry: Entry) -> str:
        """What an entry is called: its strategy, with its order where there are several."""
        return f"{entry.strategy} ({' '.join(entry.order)})" if len(self.orders) > 1 else entry.strategy

    def difference(self, entry: Entry, measure: Measure) -> Difference | None:
        """The paired difference of a final value to that of the reference in the same order; ``None`` without any.

        Its p value is corrected for how many entries are compared by the metric.
        """
        return self._differences[measure.title].get(self.entries.index(entry))

    @cached_property
    def _differences(self) -> dict[str, dict[int, Difference]]:
        """By metric and position of the entry."""
        found = {}
        for measure in self.measures:
            pairs = {i: self._to_reference(entry, measure) for i, entry in enumerate(self.entries)}
            of = {i: difference for i, difference in pairs.items() if difference is not None}
            found[measure.title] = dict(zip(of, corrected(list(of.values())), strict=True))
        return found

    def _to_reference(self, entry: Entry, measure: Measure) -> Difference | None:
        for other in self.entries:
            if other.strategy == self.reference and other.order == entry.order and other is not entry:
                return paired_difference(entry.by_seed(measure, "final"), other.by_seed(measure, "final"))
        return None


def compare(runs: Sequence[Run], reference: str | None = None) -> Comparison:
    """Group runs by strategy and order.

    Args:
        runs: In the order to be shown.
        reference: What to compare with; by default ``replay`` if it is there, else the first strategy that finished
            and learned in sequence with one network, else the first.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.strategy, run.order), []).append(run)
    names = [strategy for strategy, _ in groups]
    entries = tuple(Entry(strategy, order, tuple(of)) for (strategy, order), of in groups.items())
    candidates = [entry.strategy for entry in entries if entry.finished and not _is_baseline(entry)] or names
    return Comparison(entries, reference or ("replay" if "replay" in names else candidates[0]))


def named_apart(runs: Sequence[Run]) -> list[Run]:
    """Call runs of one strategy with different hyper-parameters by different names: the name, and what differs."""
    found: dict[str, dict[str, set]] = {}
    for run in runs:
        for key, value in _flat(run).items():
            found.setdefault(run.strategy, {}).setdefault(key, set()).add(value)
    counts = Counter(run.strategy for run in runs)
    held = Counter((run.strategy, key) for run in runs for key in _flat(run))
    named = []
    for run in runs:
        differing = [
            f"{key.removeprefix(f'{run.strategy}.')}={value}"
            for key, value in _flat(run).items()
            # A value that some runs do not have differs as well: they go by the usual one.
            if len(found[run.strategy][key]) > 1 or held[run.strategy, key] < counts[run.strategy]
        ]
        named.append(replace(run, strategy=" ".join([run.strategy, *differing])))
    return named


def _flat(run: Run) -> dict[str, Any]:
    return {f"{name}.{key}": value for name, options in run.options.items() for key, value in options.items()}


def _is_baseline(entry: Entry) -> bool:
    """Whether it learned a network for each experience, or all experiences at once."""
    return any(
        record.separate or any(len(stage.experiences) > 1 for stage in record.stages) for record in entry.records
    )


def as_csv(comparison: Comparison) -> str:
    """A row for each metric of each run: ``comparison.csv``."""
    file = io.StringIO()
    table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    table.writeheader()
    for entry in comparison.entries:
        for run in entry.runs:
            common = {"strategy": run.strategy, "order": " ".join(run.order), "seed": run.seed}
            if run.record is None:
                table.writerow({**common, "status": "failed", "reason": run.reason})
                continue
            common |= {"status": "finished", **{name: run.cost(name) for name in COSTS}}
            for outcome in run.record.outcomes:
                table.writerow(common | _row(run, run.record, outcome.measure))
    return file.getvalue()


def _row(run: Run, record: Record, measure: Measure) -> dict:
    low, high = record.intervals.get(measure.experience, {}).get(measure.metric) or (None, None)
    return {
        "experience": measure.experience,
        "metric": measure.metric,
        "higher_is_better": measure.higher_is_better,
        **{name: run.value(measure, name) for name in (*QUANTITIES, "single_task", "forgetting")},
        "images_low": low,
        "images_high": high,
    }


def as_json(comparison: Comparison) -> dict:
    """``comparison.json``: summaries over seeds and differences; what was not measured is ``null``."""
    return {
        "reference": comparison.reference,
        "entries": [
            {
                "strategy": entry.strategy,
                "order": list(entry.order),
                "seeds": [run.seed for run in entry.finished],
                "failed": [{"seed": run.seed, "reason": run.reason} for run in entry.failed],
                "experiences": {
                    name: {
                        measure.metric: _measured(comparison, entry, measure)
                        for measure in comparison.measures
                        if measure.experience == name
                    }
                    for name in entry.order
                },
                "share_of_single_task": _dict(entry.share_of_single_task()),
                "cost": {name: _dict(entry.cost(name)) for name in COSTS},
            }
            for entry in comparison.entries
        ],
    }


def _measured(comparison: Comparison, entry: Entry, measure: Measure) -> dict:
    difference = comparison.difference(entry, measure)
    return {
        "higher_is_better": measure.higher_is_better,
        **{quantity: _dict(entry.summary(measure, quantity)) for quantity in QUANTITIES},
        "difference": None if difference is None else asdict(difference) | {"real": difference.real},
    }


def plasticity(run: Run) -> float | None:
    """How well experiences were learned in their turn: the mean share of the single-task value, the first left out.

    ``None`` where a value is unknown.
    """
    return _mean_share(run, "just_learned", "single_task", run.order[1:])


def stability(run: Run) -> float | None:
    """How much was kept: the mean share of the just-learned value at the end, the last experience left out."""
    return _mean_share(run, "final", "just_learned", run.order[:-1])


def _mean_share(run: Run, of: str, to: str, names: Sequence[str]) -> float | None:
    found = () if run.record is None else run.record.measures
    measures: Mapping[str, Measure] = {each.experience: each for each in found if each.primary}
    return mean([measures[name].share(run.value(measures[name], of), run.value(measures[name], to)) for name in names])


def _summary(values: Sequence[float | None]) -> Summary | None:
    return summarise([value for value in values if value is not None])


def _dict(value: Summary | None) -> dict | None:
    return None if value is None else asdict(value)
