"""Whether runs that were done again gave the numbers of the leaderboard."""

from collections.abc import Sequence

from benchmarks.leaderboard.listed import Table
from benchmarks.leaderboard.rows import Row, rows_of
from onehead_avl.report.comparison import Comparison
from onehead_avl.report.table import number

HEADER = ("table", "strategy", "order", "metric", "leaderboard", "here", "same")


def repeated(tables: Sequence[Table], rows: Sequence[Row], comparison: Comparison) -> list[tuple[Row, Row]]:
    """Find the rows that runs are of: those of the same command and of the same data.

    Args:
        tables: All there are.
        rows: Theirs.
        comparison: Of the runs.

    Returns:
        Each row with the one of the runs. If their digests are equal, so is every value that both measured.
    """
    known = {_key(row): row for row in rows}
    own = [row for table in tables for row in rows_of(table, comparison, None, "")]
    return [(known[_key(row)], row) for row in own if _key(row) in known]


def _key(row: Row) -> tuple[str, ...]:
    return row.table, row.strategy, row.order, row.metric, row.command, row.data


def same(pair: tuple[Row, Row]) -> bool:
    """Whether two rows are of the same numbers."""
    first, second = pair
    return first.digest == second.digest


def as_cells(pair: tuple[Row, Row]) -> list[str]:
    """Two rows side by side: what :data:`HEADER` names."""
    row, _ = pair
    values = [number(each.final, ".6g") for each in pair]
    return [row.table, row.strategy, row.order, row.metric, *values, "yes" if same(pair) else "no"]
