import csv
import io
import json
import statistics
from dataclasses import replace

import pytest
from scipy.stats import ttest_rel

from onehead_avl.evaluation.outcomes import Measure, Stage
from onehead_avl.evaluation.record import Learned
from onehead_avl.report.comparison import (
    COLUMNS,
    Entry,
    Run,
    as_csv,
    as_json,
    compare,
    named_apart,
    plasticity,
    stability,
)

M = {
    "mIoU": Measure("seg", "mIoU"),
    "AP50": Measure("det", "AP50"),
    "AP": Measure("det", "AP", primary=False),
    "Top1": Measure("cls", "Top1"),
    "Top5": Measure("cls", "Top5", primary=False),
}
CANONICAL = ("seg", "det", "cls")
ALONE = {"seg": {"mIoU": 0.5}, "det": {"AP50": 0.25, "AP": 0.125}, "cls": {"Top1": 0.8, "Top5": None}}
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
    assert run.value(M["mIoU"], "just_learned") == 0.4
    assert run.value(M["mIoU"], "final") == 0.1
    assert run.value(M["mIoU"], "forgetting") == pytest.approx(0.3)
    assert run.value(M["mIoU"], "drop_from_just_learned") == pytest.approx(0.75)
    assert run.value(M["mIoU"], "drop_from_single_task") == pytest.approx(0.8)
    assert run.value(M["Top1"], "final") == 0.6
    assert run.value(M["Top1"], "forgetting") is run.value(M["Top1"], "drop_from_just_learned") is None
    assert run.value(M["Top1"], "drop_from_single_task") == pytest.approx(0.25)
    assert run.cost("seconds") == 180


def test_what_was_not_measured_or_learned_has_no_value(finished, failed):
    run = finished("naive", 0, (None, 0.1, 0.1), (0.3, 0.2, 0.1), order=("seg", "det"))
    for quantity in ("just_learned", "final", "single_task", "drop_from_single_task", "forgetting"):
        assert run.value(M["Top1"], quantity) is run.value(M["Top5"], quantity) is None
        assert failed("naive", 0).value(M["mIoU"], quantity) is None
    assert run.value(M["mIoU"], "final") == 0.3
    assert run.value(M["mIoU"], "drop_from_just_learned") is None
    assert run.value(M["AP50"], "single_task") is run.value(M["AP50"], "drop_from_single_task") is None
    assert failed("naive", 0).cost("seconds") is None


@pytest.mark.parametrize("alone", [{"det": {"AP50": 0.0}}, {"det": {"AP50": None}}])
def test_of_a_single_task_value_of_zero_nothing_can_be_lost(finished, alone):
    run = finished("naive", 0, *ROWS, single_task=alone)
    assert run.value(M["AP50"], "drop_from_single_task") is None


def test_the_single_task_value_is_that_of_the_baseline_of_the_same_seed(record):
    alone = record("naive", 0, *ROWS, single_task={"det": {"AP50": 0.9}})
    assert Run("naive", CANONICAL, 0, alone).value(M["AP50"], "single_task") == 0.9
    run = Run("naive", CANONICAL, 0, alone.with_single_task(ALONE))
    assert run.value(M["AP50"], "single_task") == 0.25
    assert run.value(M["AP50"], "drop_from_single_task") == pytest.approx(0.4)


def test_models_of_their_own_end_with_what_they_learned(finished):
    run = finished("from-scratch", 0, *ROWS)
    for metric, value in (("mIoU", 0.4), ("AP50", 0.2), ("AP", 0.1), ("Top1", 0.6)):
        assert run.value(M[metric], "final") == run.value(M[metric], "just_learned") == value
        assert run.value(M[metric], "single_task") == value
        assert run.value(M[metric], "forgetting") is None
        assert run.value(M[metric], "drop_from_single_task") is None


def test_joint_learning_ends_with_what_it_learned(finished):
    run = finished("joint", 0, (0.4, 0.2, 0.6), single_task=ALONE)
    assert [run.value(M[metric], "final") for metric in ("mIoU", "AP50", "Top1")] == [0.4, 0.2, 0.6]
    assert run.value(M["AP50"], "drop_from_single_task") == pytest.approx(0.2)
    assert run.value(M["AP50"], "drop_from_just_learned") is None
    assert run.cost("seconds") == 60


def test_summaries_are_over_the_seeds_that_finished(naive, failed):
    entry = Entry("naive", ("seg", "det", "cls"), (*naive, failed("naive", 7)))
    finals = [0.1, 0.11, 0.12]
    assert entry.by_seed(M["mIoU"], "final") == pytest.approx(dict(enumerate(finals)))
    found = entry.summary(M["mIoU"], "final")
    assert found.n == 3
    assert found.mean == pytest.approx(statistics.mean(finals))
    assert found.sd == pytest.approx(statistics.stdev(finals))
    assert [run.seed for run in entry.finished] == [0, 1, 2]
    assert [run.seed for run in entry.failed] == [7]
    assert entry.summary(M["Top5"], "final") is None


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
    found = comparison.difference(first, M["mIoU"])
    ours, theirs = [0.1, 0.11, 0.12], [0.3, 0.32, 0.35]
    assert found.mean == pytest.approx(statistics.mean(ours) - statistics.mean(theirs))
    interval = ttest_rel(ours, theirs).confidence_interval(0.95)
    assert found.interval == pytest.approx((interval.low, interval.high))
    assert found.real is True
    assert comparison.difference(reference, M["mIoU"]) is None


def test_a_difference_is_real_if_it_is_so_among_all_that_are_compared(finished, naive, replay):
    """By itself the first has a p value of 0.0017; that the best of forty-one has one is no wonder."""
    few = compare([*naive, *replay])
    many = compare([*naive, *replay, *(finished(f"near{i}", seed, *ROWS) for i in range(40) for seed in range(3))])
    alone, among = (each.difference(each.entries[0], M["mIoU"]) for each in (few, many))
    assert alone.p == pytest.approx(0.0017, abs=1e-4)
    assert alone.real is True
    assert among.p == pytest.approx(41 * alone.p)
    assert among.real is False
    assert (among.mean, among.interval) == (alone.mean, alone.interval)


def test_a_difference_asks_for_the_same_order_and_a_shared_seed(finished, replay):
    other_order = [finished("naive", seed, *ROWS, order=("cls", "seg", "det")) for seed in range(3)]
    other_seed = [finished("lwf", 9, *ROWS)]
    comparison = compare([*replay, *other_order, *other_seed])
    assert all(comparison.difference(entry, M["mIoU"]) is None for entry in comparison.entries)


def test_the_csv_has_a_row_for_each_metric_of_each_run(naive, replay):
    rows = rows_of(compare([*naive, *replay]))
    assert list(rows[0]) == list(COLUMNS)
    assert len(rows) == 6 * 5
    assert [row["metric"] for row in rows[:5]] == list(M)
    row = rows[0]
    assert (row["strategy"], row["order"], row["seed"], row["status"]) == ("naive", "seg det cls", "0", "finished")
    assert (float(row["just_learned"]), float(row["final"]), float(row["single_task"])) == (0.4, 0.1, 0.5)
    assert float(row["forgetting"]) == pytest.approx(0.3)
    assert float(row["drop_from_just_learned"]) == pytest.approx(0.75)
    assert float(row["drop_from_single_task"]) == pytest.approx(0.8)
    assert (row["images_low"], row["images_high"]) == ("0.1", "0.9")
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
    assert (of["AP50"]["images_low"], of["Top1"]["images_low"]) == ("", "")
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
    of = found["entries"][0]["experiences"]
    assert {name: list(metrics) for name, metrics in of.items()} == {
        "seg": ["mIoU"],
        "det": ["AP50", "AP"],
        "cls": ["Top1", "Top5"],
    }
    assert of["seg"]["mIoU"]["higher_is_better"] is True
    assert of["seg"]["mIoU"]["final"]["mean"] == pytest.approx(0.11)
    assert of["seg"]["mIoU"]["difference"]["real"] is True
    assert of["cls"]["Top1"]["drop_from_just_learned"] is None
    assert of["cls"]["Top5"]["final"] is of["cls"]["Top5"]["difference"] is None
    assert found["entries"][0]["cost"]["stored_bytes"]["mean"] == 0
    assert found["entries"][1]["experiences"]["seg"]["mIoU"]["difference"] is None
    lost = found["entries"][2]
    assert lost["failed"] == [{"seed": 3, "reason": "it broke"}]
    assert lost["experiences"]["seg"]["mIoU"]["final"] is lost["cost"]["seconds"] is None


def test_one_seed_has_no_spread_in_the_json(naive, replay):
    entry, _ = as_json(compare([naive[0], replay[0]]))["entries"]
    final, difference = (entry["experiences"]["seg"]["mIoU"][name] for name in ("final", "difference"))
    assert (final["n"], final["sd"], final["interval"]) == (1, None, None)
    assert (difference["n"], difference["interval"], difference["real"]) == (1, None, None)
    assert difference["mean"] == pytest.approx(-0.2)


def test_metrics_of_tasks_that_were_not_learned_are_left_out(finished):
    (entry,) = as_json(compare([finished("naive", 0, *ROWS[:2], order=("cls", "seg"))]))["entries"]
    assert {name: list(metrics) for name, metrics in entry["experiences"].items()} == {
        "cls": ["Top1", "Top5"],
        "seg": ["mIoU"],
    }


def test_plasticity_is_what_was_learned_of_all_but_the_first_task(naive):
    assert plasticity(naive[0]) == pytest.approx((0.2 / 0.25 + 0.6 / 0.8) / 2)


def test_stability_is_what_was_kept_of_all_but_the_last_task(naive):
    assert stability(naive[0]) == pytest.approx((0.1 / 0.4 + 0.15 / 0.2) / 2)


def test_both_follow_the_order(finished):
    run = finished("naive", 0, (0.1, 0.0, 0.6), (0.4, 0.0, 0.3), order=("cls", "seg"), single_task=ALONE)
    assert plasticity(run) == pytest.approx(0.4 / 0.5)
    assert stability(run) == pytest.approx(0.3 / 0.6)


def test_without_a_value_neither_is_known(finished):
    unknown = finished("naive", 0, *ROWS)
    assert plasticity(unknown) is None
    assert stability(unknown) is not None
    nothing_learned = finished("naive", 0, ROWS[0], (0.3, 0.0, 0.1), ROWS[2], single_task=ALONE)
    assert stability(nothing_learned) is None
    assert plasticity(nothing_learned) == pytest.approx((0.0 + 0.6 / 0.8) / 2)
    alone = finished("naive", 0, ROWS[0], order=("seg",), single_task=ALONE)
    assert plasticity(alone) is stability(alone) is None


def test_the_share_of_single_task_performance_is_the_mean_over_experiences(naive, finished):
    assert naive[0].share_of_single_task == pytest.approx((0.1 / 0.5 + 0.15 / 0.25 + 0.6 / 0.8) / 3)
    assert finished("naive", 0, *ROWS).share_of_single_task is None
    assert finished("from-scratch", 0, *ROWS, single_task=ALONE).share_of_single_task is None


def test_forward_transfer_is_told_of_all_but_the_first(finished):
    run = finished("naive", 0, *ROWS, untrained=(0.05, 0.01, 0.3))
    assert run.value(M["mIoU"], "forward_transfer") is None
    assert run.value(M["AP50"], "forward_transfer") == pytest.approx(0.0 - 0.01)
    assert run.value(M["Top1"], "forward_transfer") == pytest.approx(0.1 - 0.3)
    (row,) = [row for row in rows_of(compare([run])) if row["metric"] == "Top1"]
    assert float(row["forward_transfer"]) == pytest.approx(-0.2)


def test_the_reference_is_no_baseline_if_there_is_another(finished):
    baselines = [finished("from-scratch", 0, *ROWS), finished("joint", 0, ROWS[2])]
    assert compare([*baselines, finished("ewc", 0, *ROWS)]).reference == "ewc"
    assert compare(baselines).reference == "from-scratch"


def test_the_reference_has_finished_if_another_has(finished, failed):
    assert compare([failed("from-scratch", 0), failed("lwf", 0), finished("ewc", 0, *ROWS)]).reference == "ewc"


def test_the_share_of_the_single_task_value_is_told_of_each_metric(naive, finished):
    comparison = compare(naive)
    (row,) = [row for row in rows_of(comparison) if (row["seed"], row["metric"]) == ("0", "AP50")]
    assert float(row["share_of_single_task"]) == pytest.approx(0.15 / 0.25)
    found = as_json(comparison)["entries"][0]["experiences"]["seg"]["mIoU"]["share_of_single_task"]
    assert found["mean"] == pytest.approx((0.1 + 0.11 + 0.12) / 3 / 0.5)
    alone = finished("from-scratch", 0, *ROWS)
    assert {alone.value(measure, "share_of_single_task") for measure in M.values()} == {None}


@pytest.fixture
def near_and_far(record):
    """Make a run of two experiences of one kind, measured by an error: of the first after each stage, then both."""

    def made(strategy, seed, near, after, far):
        names = ("near", "far")
        learned = tuple(Learned(name, "own:Depth", name, (), {"AbsRel": False}, 8, 2) for name in names)
        scores = ({"near": {"AbsRel": near}}, {"near": {"AbsRel": after}, "far": {"AbsRel": far}})
        stages = tuple(Stage((name,), 1, 1.0, each) for name, each in zip(names, scores, strict=True))
        alone = {"near": {"AbsRel": near}, "far": {"AbsRel": 0.25}}
        made = record(strategy, seed, *ROWS, experiences=learned, stages=stages, single_task=alone, intervals={})
        return Run(strategy, names, seed, replace(made, order=names))

    return made


def test_two_experiences_of_one_kind_are_told_apart_and_an_error_that_grows_is_a_loss(near_and_far):
    comparison = compare([near_and_far("naive", 0, 0.5, 0.75, 0.5)])
    near, far = comparison.measures
    assert comparison.primary == [near, far]
    first, second = rows_of(comparison)
    assert [(row["experience"], row["metric"], row["higher_is_better"]) for row in (first, second)] == [
        ("near", "AbsRel", "False"),
        ("far", "AbsRel", "False"),
    ]
    names = ("final", "forgetting", "drop_from_just_learned", "drop_from_single_task", "share_of_single_task")
    assert [first[name] for name in names] == ["0.75", "0.25", "0.5", "0.5", str(0.5 / 0.75)]
    assert [second[name] for name in names] == ["0.5", "", "", "1.0", "0.5"]
    (run,) = comparison.entries[0].runs
    assert run.share_of_single_task == pytest.approx((0.5 / 0.75 + 0.5) / 2)
    assert stability(run) == pytest.approx(0.5 / 0.75)  # more is better, whatever the direction
    assert plasticity(run) == pytest.approx(0.25 / 0.5)


def test_the_json_is_keyed_by_experience_where_metrics_have_the_same_name(near_and_far):
    (entry,) = as_json(compare([near_and_far("naive", 0, 0.5, 0.75, 0.25)]))["entries"]
    finals = {name: of["AbsRel"]["final"]["mean"] for name, of in entry["experiences"].items()}
    assert finals == {"near": 0.75, "far": 0.25}


# Runs of one strategy with different hyper-parameters


def names_of(*runs):
    """The names of runs that are told apart, of ``(strategy, options)`` each."""
    made = [Run(strategy, CANONICAL, 0, None, "it broke", options) for strategy, options in runs]
    named = named_apart(made)
    assert [replace(run, strategy=strategy) for run, (strategy, _) in zip(named, runs, strict=True)] == made
    return [run.strategy for run in named]


def test_runs_are_told_apart_by_the_hyper_parameters_that_differ_and_by_no_others():
    assert names_of(
        ("ewc", {"ewc": {"lambda": 1.0, "decay": 0.5}}),
        ("ewc", {"ewc": {"lambda": 10.0, "decay": 0.5}}),
        ("naive", {"naive": {}}),
        ("ewc", {"ewc": {"lambda": 1.0, "decay": 0.5}}),
    ) == ["ewc lambda=1.0", "ewc lambda=10.0", "naive", "ewc lambda=1.0"]


def test_other_strategies_may_have_other_values_of_an_option_of_the_same_name():
    runs = [("ewc", {"ewc": {"lambda": 1.0}}), ("si", {"si": {"lambda": 2.0}}), ("ewc", {"ewc": {"lambda": 1.0}})]
    assert names_of(*runs) == ["ewc", "si", "ewc"]


def test_what_is_not_of_the_strategy_itself_is_named_with_what_it_is_of():
    assert names_of(
        ("replay+lwf", {"replay": {}, "lwf": {"alpha": 1.0}, "optimisation": {"lr": 0.1}}),
        ("replay+lwf", {"replay": {}, "lwf": {"alpha": 2.0}, "optimisation": {"lr": 0.1}}),
        ("mine:Thing", {"Thing": {"size": 1}, "Pull": {"strength": 3}}),
        ("mine:Thing", {"Thing": {"size": 1}, "Pull": {"strength": 4}}),
    ) == [
        *("replay+lwf lwf.alpha=1.0", "replay+lwf lwf.alpha=2.0"),
        *("mine:Thing Pull.strength=3", "mine:Thing Pull.strength=4"),
    ]


def test_a_value_that_only_some_runs_have_tells_them_from_the_usual_ones():
    assert names_of(
        ("naive", {"naive": {}}),
        ("naive", {"naive": {}, "optimisation": {"lr": 0.1}}),
        ("naive", {"naive": {}, "optimisation": {"lr": 0.1, "freeze": "stem"}}),
    ) == ["naive", "naive optimisation.lr=0.1", "naive optimisation.lr=0.1 optimisation.freeze=stem"]


def test_runs_of_equal_hyper_parameters_have_one_name_whatever_their_seed_and_order(naive, replay, failed):
    assert named_apart([*naive, *replay, failed("naive", 3)]) == [*naive, *replay, failed("naive", 3)]
    assert named_apart([]) == []


def test_runs_that_were_told_apart_are_entries_of_their_own(finished):
    runs = [
        replace(finished("ewc", seed, *shifted(ROWS, 0.01 * seed)), options={"ewc": {"lambda": strength}})
        for strength in (1.0, 10.0)
        for seed in range(2)
    ]
    comparison = compare(named_apart(runs))
    assert [(entry.strategy, [run.seed for run in entry.runs]) for entry in comparison.entries] == [
        ("ewc lambda=1.0", [0, 1]),
        ("ewc lambda=10.0", [0, 1]),
    ]


def test_an_entry_is_called_by_its_order_where_there_are_several(finished):
    rows = ((0.4, 0.0, 0.1), (0.3, 0.2, 0.1), (0.1, 0.15, 0.6))
    one = compare([finished("naive", 0, *rows)])
    assert [one.called(entry) for entry in one.entries] == ["naive"]
    both = compare([finished("naive", 0, *rows), finished("naive", 0, *rows, order=("cls", "seg", "det"))])
    assert [both.called(entry) for entry in both.entries] == ["naive (seg det cls)", "naive (cls seg det)"]
