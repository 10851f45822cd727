import re
from dataclasses import replace

from onehead_avl.evaluation.record import Rule
from onehead_avl.report.page.run_page import _forgotten, _rules, matrix

ROWS = ((0.4, 0.0, 0.1), (0.5, 0.2, 0.1), (0.1, 0.25, 0.6))
UNTRAINED = (0.02, 0.0, 0.1)


def cells(row):
    """The classes, the depth and the text of each cell of a row."""
    found = re.findall(r'<td(?: class="([^"]*)")?(?: style="--share: ([^"]*)")?>(.*?)</td>', row)
    return [(classes, float(share) if share else None, text) for classes, share, text in found]


def rows_of(table):
    return {cells(row)[0][2]: cells(row)[1:] for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)[1:]}


def test_the_value_right_after_the_own_stage_is_framed(record):
    rows = rows_of(matrix(record("naive", 0, *ROWS, untrained=UNTRAINED)))
    for name, own in (("seg mIoU", 1), ("det AP50", 2), ("cls Top1", 3)):
        framed = [position for position, (classes, _, _) in enumerate(rows[name]) if "learned" in classes]
        assert framed == [own]


def test_a_cell_is_the_deeper_the_better_its_value_is_among_those_of_its_metric(record):
    rows = rows_of(matrix(record("naive", 0, *ROWS, untrained=UNTRAINED, single_task={"seg": {"mIoU": 0.45}})))
    assert [depth for _, depth, _ in rows["seg mIoU"][:4]] == [0.04, 0.8, 1.0, 0.2]
    assert [text for _, _, text in rows["seg mIoU"][:4]] == ["0.0200", "0.4000", "0.5000", "0.1000"]
    assert [text for _, _, text in rows["seg mIoU"][4:]] == ["+0.3000", "0.4500", "0.100 .. 0.900"]


def test_what_was_not_measured_has_no_colour(record):
    rows = rows_of(matrix(record("naive", 0, *ROWS)))
    assert rows["seg mIoU"][0] == ("", None, "-")
    assert all(depth is None for _, depth, _ in rows["cls Top5"])


def test_of_an_error_the_smallest_value_is_the_deepest(record):
    run = record("naive", 0, *ROWS, untrained=(1.0, 0.0, 0.1))
    seg = run.experiences[0]
    wrong = replace(run, experiences=(replace(seg, metrics={"mIoU": False}), *run.experiences[1:]))
    rows = rows_of(matrix(wrong))
    assert [depth for _, depth, _ in rows["seg mIoU (low is good)"][:4]] == [0.0, 0.6, 0.5, 0.9]


def test_losses_and_gains_are_told_apart_by_colour(record):
    (table,) = _forgotten(record("naive", 0, *ROWS))
    rows = rows_of(table)
    assert {classes for classes, _, _ in rows["seg mIoU"][2:4]} == {"worse"}
    assert {classes for classes, _, _ in rows["det AP50"][2:4]} == {"better"}
    assert "cls Top1" not in rows  # the last one has nothing to forget
    assert _forgotten(record("from-scratch", 0, *ROWS)) == []


def test_rules_say_whether_they_hold(record):
    rules = (Rule("a", "1", "< 2", True), Rule("b", "3", "< 2", False), Rule("c", None, "< 2", None))
    (table,) = _rules(record("naive", 0, *ROWS, checklist=rules))
    verdicts = {name: row[-1] for name, row in rows_of(table).items()}
    assert verdicts == {
        "a": ("better", None, "holds"),
        "b": ("worse", None, "does not hold"),
        "c": ("", None, "-"),
    }
    assert _rules(record("naive", 0, *ROWS)) == []
