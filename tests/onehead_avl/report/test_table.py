from dataclasses import replace

from onehead_avl.evaluation.outcomes import Stage
from onehead_avl.evaluation.record import Learned, Rule
from onehead_avl.report.table import (
    checklist_table,
    layout_table,
    mistakes_table,
    number,
    per_class_csv,
    per_class_table,
    results_table,
    span,
    trained_by,
)

ROWS = ((0.5, 0.0, 0.1), (0.25, 0.25, 0.2), (0.4, 0.5, 0.75))


def cells(text):
    """The cells of the rows of a results table, by title."""
    rows = [line.split() for line in text.splitlines()[2:7]]
    return {" ".join(row[:2]): row[2:] for row in rows}


def test_the_results_table(record):
    run = record(
        "naive", 0, ROWS[0], ROWS[2], order=("seg", "cls"), single_task={"seg": {"mIoU": 0.5}, "cls": {"Top1": 0.875}}
    )
    run = replace(run, untrained={"cls": {"Top1": 0.125}})
    assert results_table(run).splitlines() == [
        "metric    untrained       seg       cls  forgetting  relative  forward  single task     final, 95 %",
        "---------------------------------------------------------------------------------------------------",
        "seg mIoU          -  [0.5000]   0.4000      +0.1000    +20.0%        -       0.5000  0.100 .. 0.900",
        "cls Top1     0.1250   0.1000   [0.7500]           -         -  -0.0250       0.8750               -",
        "cls Top5          -        -        [-]           -         -        -            -               -",
        "Average share of single-task performance: final 0.829, over the course of the stream 0.914.",
        "Average relative forgetting of what was learned before the last stage: +20.0%.",
        "Average forward transfer: -0.0250.",
        "A column for each stage: the values after it; [x]: right after the experience's own stage.",
        "Forgetting: how much worse than just learned, so a gain is negative; backward transfer is its negative.",
        "Forward: how much better than untrained right before the own stage. (low): lower is better.",
        "final, 95 %: where the final value lies on average over other sets of as many validation images.",
        "-: not measured, or without meaning for the first or the last experience.",
    ]


def test_a_gain_shows_as_negative_forgetting(record):
    found = cells(results_table(record("naive", 0, *ROWS)))
    assert found["det AP50"] == ["-", "0.0000", "[0.2500]", "0.5000", "-0.2500", "-100.0%", "-", "-", "-"]
    assert found["det AP"] == ["-", "0.0000", "[0.1250]", "0.2500", "-0.1250", "-100.0%", "-", "-", "-"]


def test_a_metric_that_is_better_when_lower_is_marked_and_its_growth_is_forgetting(record):
    run = record("naive", 0, *ROWS)
    first = replace(run.experiences[0], metrics={"AbsRel": False})
    stages = [replace(stage, scores={"seg": {"AbsRel": 0.25 * n}}) for n, stage in enumerate(run.stages, start=1)]
    run = replace(run, experiences=(first, *run.experiences[1:]), stages=tuple(stages), intervals={})
    (row,) = [line for line in results_table(run).splitlines() if line.startswith("seg AbsRel (low)")]
    assert row.split()[3:] == ["-", "[0.2500]", "0.5000", "0.7500", "+0.5000", "+200.0%", "-", "-", "-"]


def test_six_stages_have_three_decimals_and_fit_a_wide_console(record):
    names = tuple(f"{name}-{half}" for half in ("day", "night") for name in ("seg", "det", "cls"))
    metrics = {"seg": {"mIoU": True}, "det": {"AP50": True, "AP": True}, "cls": {"Top1": True, "Top5": True}}
    learned = [Learned(name, "own", name, ("cat",), metrics[name[:3]], 8, 2) for name in names]
    every = {each.name: dict.fromkeys(each.metrics, 0.5) for each in learned}
    stages = tuple(Stage((name,), 1, 1.0, every) for name in names)
    intervals = {name: dict.fromkeys(values, (0.25, 0.75)) for name, values in every.items()}
    run = record("naive", 0, *ROWS, untrained=(0.25, 0.25, 0.25), single_task=every, stages=stages)
    run = replace(run, experiences=tuple(learned), order=names, intervals=intervals, untrained=every)
    table = results_table(run).splitlines()
    assert table[3].split() == [
        *("det-day", "AP50", "0.500", "0.500", "[0.500]", "0.500", "0.500", "0.500", "0.500"),
        *("+0.000", "+0.0%", "+0.000", "0.500", "0.250", "..", "0.750"),
    ]
    assert max(map(len, table)) <= 160
    assert len(table[2:12]) == sum(map(len, every.values()))
    assert table[12].startswith("Average share of single-task performance: final 1.000")


def test_an_average_of_which_a_part_is_unknown_is_not_shown(record):
    nothing_to_lose = record("naive", 0, ROWS[0], (0.25, 0.0, 0.2), ROWS[2], untrained=(0.0, 0.0, None))
    assert nothing_to_lose.outcome(nothing_to_lose.measures[0]).drop_from_just_learned > 0
    assert "Average" not in results_table(nothing_to_lose)


def test_networks_of_their_own_forget_nothing_and_have_no_average(record):
    run = record("from-scratch", 0, *ROWS, untrained=ROWS[0])
    assert cells(results_table(run))["det AP50"] == ["-", "-", "[0.2500]", "-", "-", "-", "-", "0.2500", "-"]
    assert "Average" not in results_table(run)


def test_values_of_classes_are_a_line_each(record):
    scores = {"seg": {"IoU": {"cat": 0.5, "a, b": None}}}
    stage = Stage(("seg",), 1, 1.0, {"seg": {"mIoU": 0.5}}, scores)
    assert per_class_csv(record("naive", 0, ROWS[0], order=("seg",), stages=(stage,))).splitlines() == [
        "experience,class,metric,stage,value",
        "seg,cat,IoU,seg,0.5",
        'seg,"a, b",IoU,seg,',
    ]


def classed(name, iou):
    return Stage((name,), 1, 1.0, {}, {"seg": {"IoU": {"cat": iou, "dining table": None}}, "cls": {}})


def test_classes_are_shown_just_learned_and_at_the_end(record):
    stages = (classed("cls", 0.125), classed("seg", 0.5), classed("det", 0.25))
    run = record("naive", 0, *ROWS, stages=stages)
    assert per_class_table(run).splitlines() == [
        "class                 just learned   final",
        "------------------------------------------",
        "seg IoU cat                 0.5000  0.2500",
        "seg IoU dining table             -       -",
    ]


def test_of_the_classes_of_a_network_that_is_gone_the_final_value_is_unknown(record):
    gone = record("from-scratch", 0, *ROWS, stages=(classed("seg", 0.5), classed("det", 0.25)))
    assert per_class_table(gone).splitlines()[2].split() == ["seg", "IoU", "cat", "0.5000", "-"]
    there = record("from-scratch", 0, *ROWS, stages=(classed("det", 0.5), classed("seg", 0.25)))
    assert per_class_table(there).splitlines()[2].split() == ["seg", "IoU", "cat", "0.2500", "0.2500"]


def test_the_checklist_table():
    rules = [
        Rule("parameters", "1.16 M", "< 8 M", True),
        Rule("replayed images a step", "11", "<= 10", False),
        Rule("mIoU drop from single task", None, "<= 5%", None),
    ]
    assert [line.rstrip() for line in checklist_table(rules).splitlines()] == [
        "rule                            measured  limit",
        "-----------------------------------------------------",
        "parameters                        1.16 M  < 8 M  pass",
        "replayed images a step                11  <= 10  FAIL",
        "mIoU drop from single task  not measured  <= 5%     -",
    ]


def test_columns_are_as_wide_as_their_widest_cell():
    assert layout_table([["a", "bb"], ["cccc", "d"]]) == "a     bb\n--------\ncccc   d"


def test_values_and_intervals_that_were_not_measured_are_a_dash():
    assert (number(0.0), number(None), number(0.25, "+.1%")) == ("0.0000", "-", "+25.0%")
    assert (span((0.0, 0.25)), span(None), span([0.5, 1], ".1f")) == ("0.000 .. 0.250", "-", "0.5 .. 1.0")


BENCHMARKS = {"by": "benchmark", "optimizer": "AdamW"}
STRATEGYS = {"by": "strategy", "optimizer": "SGD"}


def test_whose_optimizer_updated_the_weights_is_a_sentence():
    assert trained_by(BENCHMARKS) == "Weights are updated by the benchmark's AdamW and its schedule."
    assert trained_by(STRATEGYS) == (
        "Weights are updated by the strategy's own SGD, not by the benchmark's optimisation."
    )
    assert "own AdamW, not by the benchmark's" in trained_by(STRATEGYS | {"optimizer": "AdamW"})


def test_the_results_table_says_whose_optimizer_it_was_where_that_is_known(record):
    run = record("naive", 0, ROWS[0], ROWS[2], order=("seg", "cls"))
    assert "Weights are updated" not in results_table(run)
    for optimisation in (BENCHMARKS, STRATEGYS):
        lines = results_table(replace(run, optimisation=optimisation)).splitlines()
        assert lines.count(trained_by(optimisation)) == 1
        lines.remove(trained_by(optimisation))
        assert lines == results_table(run).splitlines()


def test_mistakes_stand_beside_the_value_that_they_cost(record):
    run = record("naive", 0, ROWS[0], ROWS[2], order=("seg", "cls"))
    assert mistakes_table(run) == ""
    run = replace(run, mistakes={"seg": {"missed": 0.25, "both": 0.0}, "cls": {"both": 0.125}})
    assert mistakes_table(run).splitlines() == [
        "lost to mistakes  missed    both",
        "--------------------------------",
        "seg mIoU          0.2500  0.0000",
        "cls Top1               -  0.1250",
    ]
