"""Many runs side by side: what each strategy learned and kept, and which differences are more than noise."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from onehead_avl.report.results import SCORES
from onehead_avl.report.statistics import Difference, Summary, paired_difference, summarise
from onehead_avl.tasks import Task
from strategies.named import BASELINES

METRICS = {metric: task for task, metrics in SCORES.items() for metric in metrics}
"""Every metric and its task."""

QUANTITIES = ("just_learned", "final", "drop_from_just_learned", "drop_from_single_task")
"""What is summarised of each metric."""

COLUMNS = (
    "strategy",
    "order",
    "seed",
    "status",
    "metric",
    "just_learned",
    "final",
    "single_task",
    "forgetting",
    "drop_from_just_learned",
    "drop_from_single_task",
    "pictures_low",
    "pictures_high",
    "seconds",
    "peak_memory_bytes",
    "stored_bytes",
    "reason",
)
"""Of ``comparison.csv``; a row for each metric of each run, and one for a run that failed."""


@dataclass(frozen=True)
class Run:
    """One strategy, order and seed.

    Attributes:
        strategy: Its name.
        order: Keys of the tasks.
        seed: Its random seed.
        results: What ``results.json`` holds; ``None`` if the run failed.
        reason: Why it failed.
        single_task: Metric values of the same model trained on each task alone, from the same seed, where known.
    """

    strategy: str
    order: tuple[str, ...]
    seed: int
    results: Mapping[str, Any] | None
    reason: str | None = None
    single_task: Mapping[str, float | None] | None = None

    def value(self, metric: str, quantity: str) -> float | None:
        """A quantity of a metric: a key of its outcome in ``results.json``; ``None`` if it was not measured."""
        outcome = (self.results or {}).get("metrics", {}).get("outcomes", {}).get(metric)
        if outcome is None:
            return None
        # A model for each task forgets nothing: what it learned is what it ends with.
        separate = self.strategy == "from-scratch"
        final = outcome["just_learned"] if separate else outcome["final"]
        if quantity == "final":
            return final
        if quantity == "single_task":
            return (self.single_task or {}).get(metric, outcome["single_task"])
        if quantity == "drop_from_single_task":
            alone = self.value(metric, "single_task")
            return None if separate or not alone or final is None else (alone - final) / alone
        return outcome[quantity]

    @property
    def seconds(self) -> float | None:
        """The time of training."""
        return None if self.results is None else sum(self.results["seconds"].values())


@dataclass(frozen=True)
class Entry:
    """A strategy in one order, over its seeds.

    Attributes:
        strategy: Its name.
        order: Keys of the tasks.
        runs: Its runs, by seed.
    """

    strategy: str
    order: tuple[str, ...]
    runs: tuple[Run, ...]

    @property
    def finished(self) -> list[Run]:
        """The runs that did not fail."""
        return [run for run in self.runs if run.results is not None]

    @property
    def failed(self) -> list[Run]:
        """The runs that failed."""
        return [run for run in self.runs if run.results is None]

    def by_seed(self, metric: str, quantity: str) -> dict[int, float]:
        """The measured values of a quantity."""
        values = {run.seed: run.value(metric, quantity) for run in self.finished}
        return {seed: value for seed, value in values.items() if value is not None}

    def summary(self, metric: str, quantity: str) -> Summary | None:
        """The quantity over seeds; ``None`` if no run measured it."""
        return summarise(list(self.by_seed(metric, quantity).values()))

    def cost(self, name: str) -> Summary | None:
        """``seconds``, ``peak_memory_bytes`` or ``stored_bytes`` over seeds."""
        values = [run.seconds if name == "seconds" else run.results[name] for run in self.finished]
        return summarise([value for value in values if value is not None])


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

    def difference(self, entry: Entry, metric: str, quantity: str = "final") -> Difference | None:
        """The paired difference of a quantity to the reference in the same order; ``None`` without shared seeds."""
        for other in self.entries:
            if other.strategy == self.reference and other.order == entry.order and other is not entry:
                return paired_difference(entry.by_seed(metric, quantity), other.by_seed(metric, quantity))
        return None


def compare(runs: Sequence[Run], reference: str | None = None) -> Comparison:
    """Group runs by strategy and order.

    Args:
        runs: In the order to be shown.
        reference: What to compare with; by default ``replay`` if it is there, else the first strategy that is no
            baseline, else the first.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.strategy, run.order), []).append(run)
    names = [strategy for strategy, _ in groups]
    entries = tuple(Entry(strategy, order, tuple(of)) for (strategy, order), of in groups.items())
    candidates = [name for name in names if name not in BASELINES] or names
    return Comparison(entries, reference or ("replay" if "replay" in names else candidates[0]))


def as_csv(comparison: Comparison) -> str:
    """A row for each metric of each run: ``comparison.csv``."""
    file = io.StringIO()
    table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    table.writeheader()
    for entry in comparison.entries:
        for run in entry.runs:
            common = {"strategy": run.strategy, "order": " ".join(run.order), "seed": run.seed}
            if run.results is None:
                table.writerow({**common, "status": "failed", "reason": run.reason})
                continue
            common |= {name: run.results[name] for name in ("peak_memory_bytes", "stored_bytes")}
            common |= {"status": "finished", "seconds": run.seconds}
            for metric in run.results["metrics"]["outcomes"]:
                low, high = run.results["intervals"].get(metric) or (None, None)
                values = {name: run.value(metric, name) for name in (*QUANTITIES, "single_task", "forgetting")}
                table.writerow({**common, "metric": metric, **values, "pictures_low": low, "pictures_high": high})
    return file.getvalue()


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
                "metrics": {
                    metric: {
                        "task": task.key,
                        **{quantity: _dict(entry.summary(metric, quantity)) for quantity in QUANTITIES},
                        "difference": _dict(comparison.difference(entry, metric)),
                    }
                    for metric, task in METRICS.items()
                    if task.key in entry.order
                },
                "cost": {name: _dict(entry.cost(name)) for name in ("seconds", "peak_memory_bytes", "stored_bytes")},
            }
            for entry in comparison.entries
        ],
    }


def plasticity(run: Run) -> float | None:
    """How well tasks were learned in their turn: the mean share of the single-task value, first task left out.

    ``None`` where a value is unknown.
    """
    return _mean_share(run, "just_learned", "single_task", run.order[1:])


def stability(run: Run) -> float | None:
    """How much was kept: the mean share of the just-learned value at the end, last task left out."""
    return _mean_share(run, "final", "just_learned", run.order[:-1])


def _mean_share(run: Run, of: str, to: str, keys: Sequence[str]) -> float | None:
    shares = []
    for key in keys:
        metric = Task.from_key(key).metric
        value, base = run.value(metric, of), run.value(metric, to)
        if value is None or not base:
            return None
        shares.append(value / base)
    return sum(shares) / len(shares) if shares else None


def _dict(value: Summary | Difference | None) -> dict | None:
    return None if value is None else asdict(value)
