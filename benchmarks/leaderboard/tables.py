"""The leaderboard's tables in documents: rows of the CSV file as Markdown, in the places that ask for them."""

import re
from collections.abc import Mapping, Sequence

from benchmarks.leaderboard.rows import KEPT, Row
from onehead_avl.errors import UsageError
from onehead_avl.report.comparison_table import markdown_table
from onehead_avl.report.table import NOTHING, number

_FEW = 3  # experiences of which a table shows how they were learned, too

_DETAILS = ("family", "reproduced", "memory", "keeps")  # which a table of some strategies is readable without

_PLACE = re.compile(r"(<!-- leaderboard: ([^>]*?) -->\n).*?(<!-- /leaderboard -->)", re.DOTALL)


def filled(text: str, rows: Sequence[Row]) -> str:
    """A document with each of its places filled.

    A place begins with ``<!-- leaderboard: TABLE -->``, or ``<!-- leaderboard: TABLE STRATEGY... -->`` for some
    strategies of a table alone, and ends with ``<!-- /leaderboard -->``.

    Raises:
        UsageError: A place names what no row is of.
    """

    def fill(place: re.Match) -> str:
        begin, asked, end = place.groups()
        return f"{begin}\n{table(asked, rows)}\n\n{end}"

    return _PLACE.sub(fill, text)


def places(text: str) -> list[str]:
    """What the places of a document ask for."""
    return [asked for _, asked, _ in _PLACE.findall(text)]


def table(asked: str, rows: Sequence[Row]) -> str:
    """The table that a place asks for, the highest average share of single-task performance first, and what runs it.

    A column in which no row has a value is left out. A table of some strategies has fewer columns, and no versions.

    Raises:
        UsageError: No row is of what is asked for.
    """
    name, *strategies = asked.split()
    entries: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        if row.table == name and row.primary:
            entries.setdefault((row.strategy, row.order), {})[row.metric] = row
    missing = [each for each in strategies if each not in {strategy for strategy, _ in entries}]
    if missing or not entries:
        named = ", ".join(missing or [name])
        raise UsageError(f"a place for {asked} expects rows of {named}, but there are none; run them, or remove it")
    ranked = _ranked(list(entries.values()))
    shown = [of for each in strategies for of in ranked if _any(of).strategy == each] if strategies else ranked
    metrics = list(dict.fromkeys(metric for each in shown for metric in each))
    several = len({_any(of).order for of in shown}) > 1
    header = ["strategy", "order", "family", "seeds", *metrics, "of single task", "forgotten", "reproduced"]
    header += ["training", "memory", "keeps", "rules"]
    left_out = _DETAILS if strategies else ()
    columns = zip(header, *(_cells(each, metrics, orders=several) for each in shown), strict=True)
    of_use = (each for each in columns if each[0] not in left_out and set(each[1:]) != {NOTHING})
    rows_of_cells = zip(*of_use, strict=True)
    origin = _origin([_any(each) for each in shown], versions=not strategies)
    return f"{markdown_table([list(each) for each in rows_of_cells])}\n\n{origin}"


def _origin(rows: Sequence[Row], *, versions: bool) -> str:
    """The command of each row, and the program that all were run with."""
    commands: dict[str, list[str]] = {}
    for row in rows:
        general = row.command.replace(f"--strategy {row.strategy} ", "--strategy STRATEGY ")
        general = general.replace(f"--order {row.order} ", "--order ORDER ")
        commands.setdefault(general, []).append(f"`{row.strategy}`")
    of = [f" ({', '.join(names)})" if len(commands) > 1 else "" for names in commands.values()]
    said = "; ".join(f"`{command}`{names}" for command, names in zip(commands, of, strict=True))
    commits = ", ".join(dict.fromkeys(row.commit for row in rows))
    environments = "".join(dict.fromkeys(f"; {row.environment}" for row in rows)) if versions else ""
    return f"{said}. Commit {commits}{environments}."


def _any(of: Mapping[str, Row]) -> Row:
    """One of a strategy's rows, for what all of them have in common."""
    return next(iter(of.values()))


def _ranked(strategies: Sequence[Mapping[str, Row]]) -> list[Mapping[str, Row]]:
    def share(of: Mapping[str, Row]) -> float:
        found = _any(of).share
        return float("-inf") if found is None else found

    return sorted(strategies, key=share, reverse=True)


def _cells(of: Mapping[str, Row], metrics: Sequence[str], *, orders: bool) -> list[str]:
    any_row = _any(of)
    failed = f" ({any_row.failed} failed)" if any_row.failed else ""
    return [
        f"`{any_row.strategy}`",
        any_row.order if orders else NOTHING,
        any_row.family,
        f"{any_row.seeds}{failed}",
        *(_value(of[metric], learned=len(metrics) <= _FEW) if metric in of else NOTHING for metric in metrics),
        _with_ends(any_row.share, any_row.share_low, any_row.share_high, ".2f"),
        _with_ends(any_row.forgotten, any_row.forgotten_low, any_row.forgotten_high, "+.0%"),
        _reproduced(of, metrics),
        _scaled(any_row.seconds, 60, ".1f", "min"),
        _scaled(any_row.peak_bytes, 2**20, ".0f", "MiB"),
        _scaled(any_row.stored_bytes, 2**20, ".1f", "MiB"),
        {"": NOTHING, KEPT: "yes"}.get(any_row.rules, "no"),
    ]


def _value(row: Row, *, learned: bool) -> str:
    final = _with_ends(row.final, row.low, row.high, ".3f")
    before = f"{number(row.learned, '.3f')} -> " if learned and row.learned != row.final else ""
    return f"{before}{final}{row.mark and ' '}{row.mark}"


def _with_ends(value: float | None, low: float | None, high: float | None, form: str) -> str:
    ends = "" if low is None or high is None else f" ({format(low, form)} to {format(high, form)})"
    return f"{number(value, form)}{ends}"


def _reproduced(of: Mapping[str, Row], metrics: Sequence[str]) -> str:
    """Whether all metrics were, and what they were with other seeds."""
    rows = [of[metric] for metric in metrics if metric in of]
    if any(row.again is None for row in rows):
        return NOTHING
    said = ["yes" if row.reproduced else NOTHING if row.reproduced is None else "no" for row in rows]
    values = ", ".join(number(row.again, ".3f") for row in rows)
    return f"{said[0] if len(set(said)) == 1 else ' '.join(said)}: {values}"


def _scaled(value: float | None, unit: float, form: str, name: str) -> str:
    return NOTHING if value is None else f"{format(value / unit, form)} {name}"
