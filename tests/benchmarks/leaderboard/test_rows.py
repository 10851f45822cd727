from dataclasses import replace

import numpy as np
import pytest

from benchmarks.leaderboard.listed import Some, Table
from benchmarks.leaderboard.rows import agree, as_csv, forgotten, from_csv, rows_of, rules_of
from onehead_avl.evaluation.record import Rule
from onehead_avl.evaluation.statistics import summarise
from onehead_avl.report.comparison import compare

ALONE = {"seg": {"mIoU": 0.5}, "det": {"AP50": 0.25, "AP": 0.125}, "cls": {"Top1": 0.8}}
TABLE = Table("small", "A small one", (), (Some(("naive", "replay"), (0, 1, 2)),), (), {"naive": "reference"})
KEPT, BROKEN, UNKNOWN = (Rule(name, "1", "2", passed) for name, passed in (("a", True), ("b", False), ("c", None)))


def shifted(by, *rows):
    return tuple(tuple(value + by for value in row) for row in rows)


@pytest.fixture
def runs(finished):
    rows = ((0.4, 0.0, 0.1), (0.3, 0.2, 0.1), (0.1, 0.1, 0.6))
    better = ((0.4, 0.0, 0.1), (0.4, 0.2, 0.1), (0.4, 0.2, 0.6))

    def runs(*seeds):
        return [
            finished(name, seed, *shifted(0.01 * (seed % 3), *values), single_task=ALONE)
            for name, values in (("naive", rows), ("replay", better))
            for seed in seeds
        ]

    return runs


@pytest.fixture
def rows(runs):
    again = compare([run for run in runs(3, 4, 5) if run.strategy == "naive"])
    return rows_of(TABLE, compare(runs(0, 1, 2)), again, "abc1234")


def test_a_strategy_has_a_row_for_each_metric(rows):
    assert [(row.strategy, row.metric) for row in rows][:5] == [
        *(("naive", f"{name}") for name in ("seg mIoU", "det AP50", "det AP", "cls Top1", "cls Top5")),
    ]
    naive, replay = rows[0], rows[5]
    assert (naive.table, naive.family, replay.family, naive.commit) == ("small", "reference", "", "abc1234")
    assert (naive.primary, rows[2].primary) == (True, False)
    assert (naive.seeds, naive.failed) == (3, 0)
    assert naive.learned == pytest.approx(0.41)
    assert naive.final == pytest.approx(0.11)
    assert (naive.low, naive.high) == summarise([0.1, 0.11, 0.12]).interval
    assert (naive.reference, naive.mark, replay.mark) == ("replay", "<", "")
    assert naive.share == pytest.approx(np.mean([0.11 / 0.5, 0.11 / 0.25, 0.61 / 0.8]))
    assert naive.command == "python -m onehead_avl.benchmark --strategy naive --seeds 0 1 2"
    assert (naive.seconds, naive.peak_bytes, naive.stored_bytes) == (180, 3 * 2**20, 0)
    assert rows[4].final is None  # which was not measured


def test_an_interval_ends_where_the_metric_does(finished):
    runs = [finished("naive", seed, (0.4, top, 0.2)) for seed, top in enumerate((0.9, 0.99, 0.95))]
    seg, det, *_ = rows_of(TABLE, compare(runs), None, "abc1234")
    assert (det.low, det.high) == (summarise([0.9, 0.99, 0.95]).interval[0], 1.0)
    assert (seg.low, seg.high) == pytest.approx((0.4, 0.4))


def test_rows_tell_which_data_they_are_of(runs):
    first, *_ = runs(0)
    object.__setattr__(first.record, "depends_on", {"the data": "0123456789abcdef" * 4, "the program": "fedc"})
    assert {row.data for row in rows_of(TABLE, compare([first]), None, "abc1234")} == {"0123456789abcdef"}
    object.__setattr__(first.record, "depends_on", {})
    assert {row.data for row in rows_of(TABLE, compare([first]), None, "abc1234")} == {""}


def test_other_seeds_fill_what_is_reproduced(rows):
    naive, replay = rows[0], rows[5]
    assert (naive.again, naive.again_seeds, naive.reproduced) == (pytest.approx(0.11), 3, True)
    assert (replay.again, replay.again_seeds, replay.reproduced) == (None, 0, None)


def test_each_order_has_rows_of_its_own(runs):
    first, *_ = runs(0)
    other = replace(first, order=("det", "seg", "cls"))
    rows = rows_of(replace(TABLE, orders=True), compare([first, other]), compare([other]), "abc1234")
    assert [row.order for row in rows[::5]] == ["seg det cls", "det seg cls"]
    assert [row.again_seeds for row in rows[::5]] == [0, 1]
    assert rows[5].command == "python -m onehead_avl.benchmark --order det seg cls --strategy naive --seeds 0"


def test_what_is_forgotten_is_the_mean_loss_of_all_but_the_last(runs, finished):
    comparison = compare(runs(0, 1))
    naive, replay = comparison.entries
    each = [(0.3 / 0.4 + 0.1 / 0.2) / 2, (0.3 / 0.41 + 0.1 / 0.21) / 2]
    assert forgotten(comparison, naive) == pytest.approx(summarise(each))
    assert forgotten(comparison, replay).mean == pytest.approx(0)
    at_once = compare([finished("joint", 0, (0.4, 0.2, 0.6)), finished("from-scratch", 0, *[(0.4, 0.2, 0.6)] * 3)])
    assert [forgotten(at_once, entry) for entry in at_once.entries] == [None, None]


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        (((KEPT,), (KEPT,)), "kept"),
        (((KEPT, BROKEN), (UNKNOWN, BROKEN)), "b; c"),
        ((None, (KEPT,)), ""),
    ],
)
def test_rules_are_kept_if_every_run_keeps_them(finished, lists, said):
    runs = [finished("naive", seed, (0.4, 0.2, 0.6), checklist=rules) for seed, rules in enumerate(lists)]
    assert rules_of(compare(runs).entries[0]) == said


def test_means_of_other_seeds_agree_as_often_as_is_said():
    chance = np.random.default_rng(0)
    values = chance.normal(0.4, 0.05, (4000, 2, 3))
    found = [agree(*(summarise(list(each)) for each in pair)) for pair in values]
    assert np.mean(found) == pytest.approx(0.95, abs=0.01)


def test_one_value_says_nothing_of_others():
    three = summarise([0.1, 0.2, 0.3])
    assert agree(summarise([0.2]), three) is agree(None, three) is agree(three, None) is None
    assert agree(three, summarise([0.2])) is True
    assert agree(three, summarise([0.9])) is False


def test_the_file_holds_all_of_it(rows):
    found = from_csv(as_csv(rows))
    assert as_csv(found) == as_csv(rows)
    for read, row in zip(found, rows, strict=True):
        for name, value in vars(row).items():
            wanted = pytest.approx(value, rel=1e-5) if isinstance(value, float) else value
            assert getattr(read, name) == wanted, name


def test_the_digest_is_of_what_was_measured_alone(runs, rows):
    slower = runs(0, 1, 2)
    for run in slower:
        object.__setattr__(run.record, "peak_memory_bytes", 7)
    other = rows_of(TABLE, compare(slower), None, "abc1234")
    assert [row.digest for row in other] == [row.digest for row in rows]
    assert other[0].digest != other[5].digest
