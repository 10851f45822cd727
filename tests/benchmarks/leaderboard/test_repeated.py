from dataclasses import replace

import pytest

from benchmarks.leaderboard.listed import Some, Table
from benchmarks.leaderboard.repeated import as_cells, repeated, same
from benchmarks.leaderboard.rows import rows_of
from onehead_avl.report.comparison import compare

TABLE = Table("small", "A small one", (), (Some(("naive",), (0, 1)),), (), {})
OTHER = replace(TABLE, name="other", options=("--stream", "other"))


@pytest.fixture
def again(finished):
    values = ((0.4, 0.3, 0.1), (0.3, 0.2, 0.1), (0.1, 0.1, 0.6))
    return compare([finished("naive", seed, *values) for seed in (0, 1)])


@pytest.fixture
def rows(again):
    return [row for table in (TABLE, OTHER) for row in rows_of(table, again, None, "abc1234")]


def test_the_rows_of_the_same_command_are_found(rows, again):
    pairs = repeated([TABLE], rows, again)
    assert [(row.table, row.metric) for row, _ in pairs] == [("small", row.metric) for row in rows[:5]]
    assert all(map(same, pairs))
    assert as_cells(pairs[0]) == ["small", "naive", "seg det cls", "seg mIoU", "0.1", "0.1", "yes"]


def test_one_value_after_any_stage_makes_other_numbers(finished, rows):
    values = ((0.4, 0.31, 0.1), (0.3, 0.2, 0.1), (0.1, 0.1, 0.6))
    pairs = repeated([TABLE], rows, compare([finished("naive", seed, *values) for seed in (0, 1)]))
    assert [as_cells(pair)[-3:] for pair in pairs][:2] == [["0.1", "0.1", "no"], ["0.1", "0.1", "no"]]


@pytest.mark.parametrize("change", [{"data": "others"}, {"command": "another"}, {"order": "det seg cls"}])
def test_rows_of_something_else_are_not(rows, again, change):
    assert repeated([TABLE], [replace(row, **change) for row in rows], again) == []
