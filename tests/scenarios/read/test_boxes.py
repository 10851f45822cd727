import math
from pathlib import Path

import pytest
import torch

from scenarios.read.boxes import Box, cut_to, sample_of
from scenarios.samples.facts import Facts
from scenarios.samples.findings import Fault, Notes
from scenarios.samples.stored import StoredPicture

FILE = Path("boxes.json")
SIZE = (80, 100)


def cut(*boxes):
    """What is left of boxes in an image of 100 x 80 pixels, and what is noted."""
    findings = []
    with Notes(findings, FILE) as notes:
        left = [cut_to(FILE, f"box {i}", box, SIZE, notes) for i, box in enumerate(boxes)]
    return left, findings


@pytest.mark.parametrize(
    ("box", "corners"),
    [
        ([10, 20, 30, 40], (10, 20, 40, 60)),
        ([-0.75, -1, 20, 20], (0, 0, 19.25, 19)),
        ([50, 60, 51, 21], (50, 60, 100, 80)),
        ([5, 5, 0.125, 0.0625], (5, 5, 5.125, 5.0625)),
    ],
    ids=["inside", "a pixel over the upper left", "a pixel over the lower right", "tiny"],
)
def test_a_box_within_rounding_of_its_image_is_cut_without_a_word(box, corners):
    assert cut(box) == ([corners], [])


@pytest.mark.parametrize(
    ("box", "corners"),
    [
        ([-1.5, 0, 10, 10], (0, 0, 8.5, 10)),
        ([0, -1.5, 10, 10], (0, 0, 10, 8.5)),
        ([95, 0, 6.5, 10], (95, 0, 100, 10)),
        ([0, 75, 10, 6.5], (0, 75, 10, 80)),
    ],
)
def test_a_box_over_the_edge_is_cut_there_and_noted(box, corners):
    left, (finding,) = cut(box)
    assert left == [corners]
    assert (finding.fatal, finding.boxes) == (False, 0)
    assert (
        str(finding) == "boxes.json: boxes that reach over the edge of their image are cut there: there is one, box 0"
    )


@pytest.mark.parametrize(
    "box",
    [[10, 10, 0, 10], [10, 10, 10, -2], [-0.9, 10, 0.5, 10], [100.25, 10, 0.5, 10], [200, 10, 5, 5], [-50, 10, 5, 5]],
)
def test_a_box_without_area_in_its_image_is_skipped_and_counted(box):
    left, (finding,) = cut(box)
    assert left == [None]
    assert (finding.fatal, finding.boxes) == (False, 1)
    assert str(finding) == "boxes.json: boxes without area in their image are skipped: there is one, box 0"


def test_many_of_one_problem_are_one_finding():
    left, findings = cut([10, 10, 0, 10], [1, 1, 5, 5], [10, 10, 0, 10], [-5, 1, 10, 10], [10, 10, -1, 10])
    assert [box is None for box in left] == [True, False, True, False, True]
    assert [(finding.problem.split(": ")[1], finding.boxes) for finding in findings] == [
        ("there are 3, such as box 0, box 2, box 4", 3),
        ("there is one, box 3", 0),
    ]


@pytest.mark.parametrize(
    "box",
    [
        [math.nan, 0, 1, 1],
        [0, 0, math.inf, 1],
        [0, 0, 10**400, 1],
        [0, 0, "5", 1],
        [0, 0, True, 1],
        [0, 0, None, 1],
        [0, 0, 5],
        [],
    ],
)
def test_what_is_no_box_names_its_place(box):
    with pytest.raises(
        Fault, match=r"^boxes\.json: box 0: expected a bbox of four finite numbers x, y, w, h, found \["
    ):
        cut(box)


def picture():
    return StoredPicture(Path("a.png"), Facts(SIZE, "checksum"))


def test_a_sample_has_the_boxes_with_their_places():
    boxes = [Box((1, 2, 3.5, 4), 2, False, 7), Box((0, 0, 100, 80), 0, True, 3)]
    sample = sample_of(picture(), boxes)
    assert torch.equal(sample.parts["boxes"], torch.tensor([[1, 2, 3.5, 4], [0, 0, 100, 80]]))
    assert torch.equal(sample.parts["labels"], torch.tensor([2, 0]))
    assert torch.equal(sample.parts["crowd"], torch.tensor([False, True]))
    assert (sample.places, sample.name, sample.mask) == ((7, 3), "a.png", None)


def test_a_sample_without_boxes_has_none():
    parts = sample_of(picture(), []).parts
    assert (parts["boxes"].shape, parts["boxes"].dtype) == ((0, 4), torch.float32)
    assert (parts["labels"].shape, parts["labels"].dtype) == ((0,), torch.int64)
    assert (parts["crowd"].shape, parts["crowd"].dtype) == ((0,), torch.bool)
