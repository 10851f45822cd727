import csv
import io
import json
import statistics

import pytest
from scipy.stats import ttest_rel

from onehead_avl.report.comparison import (
    COLUMNS,
    METRICS,
    Entry,
    Run,
    as_csv,
    as_json,
    compare,
    plasticity,
    stability,
)

ALONE = {"mIoU": 0.5, "AP50": 0.25, "AP": 0.125, "Top1": 0.8, "Top5": None}
ROWS = ((0.4, 0.0, 0.1), (0.3, 0.2, 0.1), (0.1, 0.15, 0.6))
BETTER = ((0.4, 0.0, 0.1), (0.4, 0.2, 0.1), (0.3, 0.1, 0.5))


def rows_of(comparison):
    return list(csv.DictReader(io.StringIO(as_csv(comparison))))


def shifted(rows, by):
    return tuple(tuple(value + by for value in row) for row in rows)


@pytest.fixture
def naive(finished):
    return [finished("naive", seed, *shifted(ROWS, 0.01 * seed), single_task=ALONE) for seed in range(3)]


@pytest.fixture
def replay(finished):
    noise = (0.0, 0.02, 0.05)
    return [finished("replay", seed, *shifted(BETTER, noise[seed]), single_task=ALONE) for seed in range(3)]


def test_the_values_of_a_run_are_those_of_its_results(naive):
    run = naive[0]
    assert run.value("mIoU", "just_learned") == 0.4
    assert run.value("mIoU", "final") == 0.1
    assert run.value("mIoU", "forgetting") == pytest.approx(0.3)
    assert run.value("mIoU", "drop_from_just_learned") == pytest.approx(0.75)
    assert run.value("mIoU", "drop_from_single_task") == pytest.approx(0.8)
    assert run.value("Top1", "final") == 0.6
    assert run.value("Top1", "forgetting") is run.value("Top1", "drop_from_just_learned") is None
    assert run.value("Top1", "drop_from_single_task") == pytest.approx(0.25)
    assert run.seconds == 180


def test_what_was_not_measured_or_learned_has_no_value(finished, failed):
    run = finished("naive", 0, (None, 0.1, 0.1), (0.3, 0.2, 0.1), order=("seg", "det"))
    for quantity in ("just_learned", "final", "single_task", "drop_from_single_task", "forgetting"):
        assert run.value("Top1", quantity) is run.value("Top5", quantity) is None
        assert failed("naive", 0).value("mIoU", quantity) is None
    assert run.value("mIoU", "final") == 0.3
    assert run.value("mIoU", "drop_from_just_learned") is None
    assert run.value("AP50", "single_task") is run.value("AP50", "drop_from_single_task") is None
    assert failed("naive", 0).seconds is None


@pytest.mark.parametrize("alone", [{"AP50": 0.0}, {"AP50": None}])
def test_of_a_single_task_value_of_zero_nothing_can_be_lost(finished, alone):
    run = finished("naive", 0, *ROWS, single_task=alone)
    assert run.value("AP50", "drop_from_single_task") is None


def test_the_single_task_value_is_that_of_the_baseline_of_the_same_seed(finished):
    results = finished("naive", 0, *ROWS, single_task={"AP50": 0.9}).results
    assert Run("naive", ("seg", "det", "cls"), 0, results).value("AP50", "single_task") == 0.9
    run = Run("naive", ("seg", "det", "cls"), 0, results, single_task=ALONE)
    assert run.value("AP50", "single_task") == 0.25
    assert run.value("AP50", "drop_from_single_task") == pytest.approx(0.4)


def test_models_of_their_own_end_with_what_they_learned(finished):
    run = finished("from-scratch", 0, *ROWS)
    for metric, value in (("mIoU", 0.4), ("AP50", 0.2), ("AP", 0.1), ("Top1", 0.6)):
        assert run.value(metric, "final") == run.value(metric, "just_learned") == value
        assert run.value(metric, "single_task") == value
        assert run.value(metric, "forgetting") is None
        assert run.value(metric, "drop_from_single_task") is None


def test_joint_learning_ends_with_what_it_learned(finished):
    run = finished("joint", 0, (0.4, 0.2, 0.6), single_task=ALONE)
    assert [run.value(metric, "final") for metric in ("mIoU", "AP50", "Top1")] == [0.4, 0.2, 0.6]
    assert run.value("AP50", "drop_from_single_task") == pytest.approx(0.2)
    assert run.value("AP50", "drop_from_just_learned") is None
    assert run.seconds == 60


def test_summaries_are_over_the_seeds_that_finished(naive, failed):
    entry = Entry("naive", ("seg", "det", "cls"), (*naive, failed("naive", 7)))
    finals = [0.1, 0.11, 0.12]
    assert entry.by_seed("mIoU", "final") == pytest.approx(dict(enumerate(finals)))
    found = entry.summary("mIoU", "final")
    assert found.n == 3
    assert found.mean == pytest.approx(statistics.mean(finals))
    assert found.sd == pytest.approx(statistics.stdev(finals))
    assert [run.seed for run in entry.finished] == [0, 1, 2]
    assert [run.seed for run in entry.failed] == [7]
    assert entry.summary("Top5", "final") is None


def test_costs_are_over_the_seeds_that_measured_them(finished, failed):
    runs = (
        finished("der", 0, *ROWS, stored_bytes=10, peak_memory_bytes=None),
        finished("der", 1, *ROWS, stored_bytes=30, peak_memory_bytes=None),
        failed("der", 2),
    )
    entry = Entry("der", ("seg", "det", "cls"), runs)
    assert entry.cost("seconds").mean == 180
    assert entry.cost("stored_bytes").mean == 20
    assert entry.cost("peak_memory_bytes") is None


def test_runs_are_grouped_by_strategy_and_order(finished, failed, naive):
    other = finished("naive", 0, *ROWS, order=("cls", "seg", "det"))
    comparison = compare([naive[0], other, failed("lwf", 0), naive[1]])
    assert [(entry.strategy, entry.order[0], len(entry.runs)) for entry in comparison.entries] == [
        ("naive", "seg", 2),
        ("naive", "cls", 1),
        ("lwf", "seg", 1),
    ]
    assert comparison.orders == [("seg", "det", "cls"), ("cls", "seg", "det")]


def test_the_others_are_compared_with_replay(naive, replay, failed):
    assert compare([*naive, *replay]).reference == "replay"
    assert compare(naive).reference == "naive"
    assert compare([*naive, *replay], reference="naive").reference == "naive"
    assert compare([failed("lwf", 0)]).reference == "lwf"


def test_the_difference_is_paired_by_seed(naive, replay):
    comparison = compare([*naive, *replay[::-1]])
    first, reference = comparison.entries
    found = comparison.difference(first, "mIoU")
    ours, theirs = [0.1, 0.11, 0.12], [0.3, 0.32, 0.35]
    assert found.mean == pytest.approx(statistics.mean(ours) - statistics.mean(theirs))
    interval = ttest_rel(ours, theirs).confidence_interval(0.95)
    assert found.interval == pytest.approx((interval.low, interval.high))
    assert found.real is True
    assert comparison.difference(reference, "mIoU") is None
    assert comparison.difference(first, "mIoU", "just_learned").mean == pytest.approx(0.01 - 0.07 / 3)


def test_a_difference_asks_for_the_same_order_and_a_shared_seed(finished, replay):
    other_order = [finished("naive", seed, *ROWS, order=("cls", "seg", "det")) for seed in range(3)]
    other_seed = [finished("lwf", 9, *ROWS)]
    comparison = compare([*replay, *other_order, *other_seed])
    assert all(comparison.difference(entry, "mIoU") is None for entry in comparison.entries)


def test_the_csv_has_a_row_for_each_metric_of_each_run(naive, replay):
    rows = rows_of(compare([*naive, *replay]))
    assert list(rows[0]) == list(COLUMNS)
    assert len(rows) == 6 * 5
    assert [row["metric"] for row in rows[:5]] == list(METRICS)
    row = rows[0]
    assert (row["strategy"], row["order"], row["seed"], row["status"]) == ("naive", "seg det cls", "0", "finished")
    assert (float(row["just_learned"]), float(row["final"]), float(row["single_task"])) == (0.4, 0.1, 0.5)
    assert float(row["forgetting"]) == pytest.approx(0.3)
    assert float(row["drop_from_just_learned"]) == pytest.approx(0.75)
    assert float(row["drop_from_single_task"]) == pytest.approx(0.8)
    assert (row["pictures_low"], row["pictures_high"]) == ("0.1", "0.9")
    assert (row["seconds"], row["peak_memory_bytes"], row["stored_bytes"]) == ("180.0", str(3 * 2**20), "0")
    assert row["reason"] == ""


def test_what_was_not_measured_is_an_empty_cell_and_zero_is_not(finished):
    run = finished("naive", 0, (0.0, 0.0, 0.1), (0.0, 0.0, 0.1), (0.0, None, 0.6), peak_memory_bytes=None)
    of = {row["metric"]: row for row in rows_of(compare([run]))}
    assert (of["mIoU"]["just_learned"], of["mIoU"]["forgetting"], of["mIoU"]["drop_from_just_learned"]) == (
        *("0.0", "0.0"),
        "",
    )
    assert (of["AP50"]["just_learned"], of["AP50"]["final"], of["AP50"]["forgetting"]) == ("0.0", "", "")
    assert (of["AP50"]["pictures_low"], of["Top1"]["pictures_low"]) == ("", "")
    assert {of["Top5"][name] for name in ("just_learned", "final", "single_task", "forgetting")} == {""}
    assert {row["peak_memory_bytes"] for row in of.values()} == {""}
    assert {row["stored_bytes"] for row in of.values()} == {"0"}


def test_a_failed_run_is_a_row_with_its_reason(naive, failed):
    reason = 'ValueError: a, "b"\nand more'
    *_, row = rows_of(compare([*naive, failed("lwf", 3, reason=reason)]))
    told = {"strategy": "lwf", "order": "seg det cls", "seed": "3", "status": "failed", "reason": reason}
    assert row == dict.fromkeys(COLUMNS, "") | told


def test_the_json_holds_summaries_and_differences(naive, replay, failed):
    comparison = compare([*naive, *replay, failed("lwf", 3)])
    found = as_json(comparison)
    assert json.loads(json.dumps(found, allow_nan=False)) == json.loads(json.dumps(found))
    assert found["reference"] == "replay"
    assert [(entry["strategy"], entry["seeds"]) for entry in found["entries"]] == [
        ("naive", [0, 1, 2]),
        ("replay", [0, 1, 2]),
        ("lwf", []),
    ]
    metrics = found["entries"][0]["metrics"]
    assert list(metrics) == list(METRICS)
    assert metrics["mIoU"]["task"] == "seg"
    assert metrics["mIoU"]["final"]["mean"] == pytest.approx(0.11)
    assert metrics["mIoU"]["difference"]["real"] is True
    assert metrics["Top1"]["drop_from_just_learned"] is None
    assert metrics["Top5"]["final"] is metrics["Top5"]["difference"] is None
    assert found["entries"][0]["cost"]["stored_bytes"]["mean"] == 0
    assert found["entries"][1]["metrics"]["mIoU"]["difference"] is None
    lost = found["entries"][2]
    assert lost["failed"] == [{"seed": 3, "reason": "it broke"}]
    assert lost["metrics"]["mIoU"]["final"] is lost["cost"]["seconds"] is None


def test_one_seed_has_no_spread_in_the_json(naive, replay):
    entry, _ = as_json(compare([naive[0], replay[0]]))["entries"]
    final, difference = entry["metrics"]["mIoU"]["final"], entry["metrics"]["mIoU"]["difference"]
    assert (final["n"], final["sd"], final["interval"]) == (1, None, None)
    assert (difference["n"], difference["interval"], difference["real"]) == (1, None, None)
    assert difference["mean"] == pytest.approx(-0.2)


def test_metrics_of_tasks_that_were_not_learned_are_left_out(finished):
    (entry,) = as_json(compare([finished("naive", 0, *ROWS[:2], order=("cls", "seg"))]))["entries"]
    assert list(entry["metrics"]) == ["mIoU", "Top1", "Top5"]


def test_plasticity_is_what_was_learned_of_all_but_the_first_task(naive):
    assert plasticity(naive[0]) == pytest.approx((0.2 / 0.25 + 0.6 / 0.8) / 2)


def test_stability_is_what_was_kept_of_all_but_the_last_task(naive):
    assert stability(naive[0]) == pytest.approx((0.1 / 0.4 + 0.15 / 0.2) / 2)


def test_both_follow_the_order(finished):
    run = finished("naive", 0, (0.1, 0.0, 0.6), (0.4, 0.0, 0.3), order=("cls", "seg"), single_task=ALONE)
    assert plasticity(run) == pytest.approx(0.4 / 0.5)
    assert stability(run) == pytest.approx(0.3 / 0.6)


def test_without_a_value_neither_is_known(finished, failed):
    unknown = finished("naive", 0, *ROWS)
    assert plasticity(unknown) is None
    assert stability(unknown) is not None
    nothing_learned = finished("naive", 0, ROWS[0], (0.3, 0.0, 0.1), ROWS[2], single_task=ALONE)
    assert stability(nothing_learned) is None
    assert plasticity(nothing_learned) == pytest.approx((0.0 + 0.6 / 0.8) / 2)
    alone = finished("naive", 0, ROWS[0], order=("seg",), single_task=ALONE)
    assert plasticity(alone) is stability(alone) is None
    assert plasticity(failed("naive", 0)) is stability(failed("naive", 0)) is None
