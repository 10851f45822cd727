"""The list of runs: which comparisons the leaderboard is made of, and the command of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from onehead_avl.errors import UsageError

FILE = Path(__file__).with_name("runs.yaml")

AGAIN = "-again"
"""What the folder of a table's runs with other seeds ends with."""

REFERENCE = "reference"
"""The family of what methods are compared with."""

_BENCHMARK = "python -m onehead_avl.benchmark"


@dataclass(frozen=True)
class Some:
    """Strategies, each of which is run with each of some seeds."""

    strategies: tuple[str, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Table:
    """A comparison.

    Attributes:
        name: Its name, which is that of its folder of results, too.
        title: What a heading calls it.
        options: Of the benchmark, for all its runs.
        runs: What is run.
        again: What is run anew with other seeds.
        families: What kind of method each strategy is.
        orders: Whether the experiences are learned in each order.
    """

    name: str
    title: str
    options: tuple[str, ...]
    runs: tuple[Some, ...]
    again: tuple[Some, ...]
    families: Mapping[str, str]
    orders: bool = False

    def commands(self, results: Path, jobs: int) -> list[tuple[str, ...]]:
        """The options of each command of the benchmark that does what is missing.

        Args:
            results: The folder of all tables.
            jobs: How many runs are done at a time.
        """
        order = ("--order", "all") if self.orders else ()
        beside = ("--jobs", str(jobs)) if jobs != 1 else ()
        return [
            (*self.options, *order, *_asked(some), "--output", str(results / f"{self.name}{ends}"), *beside)
            for ends, each in (("", self.runs), (AGAIN, self.again))
            for some in each
        ]

    def command(self, strategy: str, order: Sequence[str], seeds: Sequence[int]) -> str:
        """The command that does the runs of one row."""
        in_order = ("--order", *order) if self.orders else ()
        return " ".join([_BENCHMARK, *self.options, *in_order, *_asked(Some((strategy,), tuple(seeds)))])

    def family(self, strategy: str) -> str:
        """What kind of method a strategy is."""
        return self.families.get(strategy, "")


def read_list(file: Path = FILE) -> list[Table]:
    """Read the list.

    Raises:
        UsageError: It is not of the form that the one of this folder shows.
    """
    try:
        listed = yaml.safe_load(file.read_text(encoding="utf-8"))
        families = {name: family for family, names in listed["families"].items() for name in names}
        return [_table(name, about, families) for name, about in listed["tables"].items()]
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise UsageError(f"{file}: expected a list of runs as {FILE.name} is one ({error})") from None


def _table(name: str, about: Mapping[str, Any], families: Mapping[str, str]) -> Table:
    runs, again = (tuple(_some(each) for each in about.get(key, ())) for key in ("runs", "again"))
    options = tuple(map(str, about.get("options", ())))
    return Table(name, about["title"], options, runs, again, families, bool(about.get("orders", False)))


def _some(about: Mapping[str, Any]) -> Some:
    return Some(tuple(about["strategies"]), tuple(about["seeds"]))


def _asked(some: Some) -> tuple[str, ...]:
    return ("--strategy", *some.strategies, "--seeds", *map(str, some.seeds))
