from pathlib import Path

import pytest

from scenarios.read.yolo_rows import parse_rows
from scenarios.samples.findings import Notes

SIZE = 50, 100


def parse(*rows):
    findings = []
    with Notes(findings, Path("data.yaml")) as notes:
        boxes = parse_rows(Path("a.txt"), list(enumerate(rows, start=1)), SIZE, {0: 0, 2: 1}, findings, notes)
    return boxes, findings


def test_a_polygon_is_read_as_the_box_around_it():
    (box, other), findings = parse("2 0.1 0.2 0.5 0.8 0.3 0.1", "0 0.5 0.5 0.2 0.4 0.6 0.7 0.1 0.9")
    assert box.corners == pytest.approx((10, 5, 50, 40))
    assert (box.label, box.place, other.label) == (1, 1, 0)
    assert other.corners == pytest.approx((10, 20, 60, 45))
    assert [each.problem for each in findings] == [
        "polygons are read as the boxes around them: there are 2, such as a.txt line 1, a.txt line 2"
    ]


def test_ids_written_as_decimals_are_noted():
    (box,), (note,) = parse("2.0 0.5 0.5 0.2 0.4")
    assert (box.label, box.corners) == (1, pytest.approx((40, 15, 60, 35)))
    assert note.problem == "class ids written as decimals are read as whole numbers: there is one, a.txt line 1"


def test_rows_that_are_there_twice_are_read_once_and_counted():
    boxes, (note,) = parse("0 0.5 0.5 0.2 0.4", "2 0.5 0.5 0.2 0.4", "0  0.5 0.5 0.2 0.4")
    assert [box.label for box in boxes] == [0, 1]
    assert (note.fatal, note.boxes) == (False, 1)
    assert note.problem == "rows that repeat another one of their file are read once: there is one, a.txt line 3"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("0 0.5 0.5 0.2 0.4 0.93", "found six numbers '0 0.5 0.5 0.2 0.4 0.93'; the sixth is a confidence"),
        ("0 0.5 0.5 0.2 0.4 0.6 0.7 0.1", "expected class cx cy w h, five numbers, found"),
        ("0 0.5 0.5", "expected class cx cy w h, five numbers, found"),
        ("0 0.1 0.2 0.5 0.8 0.3 x", "expected class cx cy w h, five numbers, found"),
        ("0.5 0.5 0.5 0.2 0.4", "expected a class id of names (0, 2), found '0.5'"),
        ("0 0.1 0.2 0.5 0.8 300 0.1", "reaches outside its image"),
    ],
)
def test_a_wrong_row_is_one_box_less(row, problem):
    boxes, (finding,) = parse("0 0.5 0.5 0.2 0.4", row)
    assert len(boxes) == 1
    assert (finding.fatal, finding.boxes) == (True, 1)
    assert str(finding).startswith("a.txt: line 2: ")
    assert problem in str(finding)


def test_what_is_cut_or_skipped_is_noted_for_all_files_together():
    (box,), findings = parse("0 0 0.5 0.2 0.4", "0 1.2 0.5 0.2 0.4", "0 0.5 0.5 0 0.4")
    assert box.corners == pytest.approx((0, 15, 10, 35))
    assert [each.problem.split(": ")[0] for each in findings] == [
        "boxes that reach over the edge of their image are cut there",
        "boxes without area in their image are skipped",
    ]
    assert sum(each.boxes for each in findings) == 2
