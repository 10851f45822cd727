from onehead_avl.report.checklist import Rule
from onehead_avl.report.results import Stage, outcomes
from onehead_avl.report.table import checklist_table, layout_table, number, results_table, span
from onehead_avl.tasks import Task


def test_the_results_table():
    stages = [
        Stage((Task.SEG,), 3, 10.0, {"mIoU": 0.5, "Top1": 0.1, "Top5": 0.5}),
        Stage((Task.CLS,), 1, 30.0, {"mIoU": 0.4, "Top1": 0.75}),
    ]
    assert results_table(stages, outcomes(stages, {"Top1": 0.875})) == "\n".join(
        [
            "metric               after seg  after cls  forgetting  relative  single task",
            "----------------------------------------------------------------------------",
            "segmentation mIoU     [0.5000]    0.4000      +0.1000    +20.0%       0.5000",
            "classification Top1    0.1000    [0.7500]           -         -       0.8750",
            "classification Top5    0.5000         [-]           -         -            -",
            "[x]: right after the task's own stage. Forgetting: just learned minus final, so a gain is negative.",
            "-: not measured, or without meaning for the last task.",
        ]
    )


def test_a_gain_shows_as_negative_forgetting():
    stages = [
        Stage((Task.DET,), 1, 1.0, {"AP50": 0.25, "AP": 0.0}),
        Stage((Task.SEG,), 1, 1.0, {"AP50": 0.5, "AP": 0.0}),
    ]
    rows = [line.split() for line in results_table(stages, outcomes(stages)).splitlines()]
    assert rows[2] == ["detection", "AP50", "[0.2500]", "0.5000", "-0.2500", "-100.0%", "0.2500"]
    assert rows[3] == ["detection", "AP", "[0.0000]", "0.0000", "+0.0000", "-", "0.0000"]


def test_intervals_over_pictures_have_a_column_if_there_are_any():
    stages = [Stage((Task.CLS,), 1, 30.0, {"Top1": 0.75, "Top5": 1.0})]
    header, _, top1, top5, *notes = results_table(stages, outcomes(stages), {"Top1": (0.6, 0.85)}).splitlines()
    assert header.endswith("final, 95 %")
    assert top1.endswith("0.600 .. 0.850")
    assert top5.split()[-1] == "-"
    assert any("other validation pictures" in note for note in notes)


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
