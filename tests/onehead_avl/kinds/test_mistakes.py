import numpy as np
import pytest
import torch

from onehead_avl.kinds.coco import CocoMatches, Detections, Truth
from onehead_avl.kinds.mistakes import TYPES, _ap50, _judged, mistakes

CAT, DOG = 0, 1
OBJECT = (0.0, 0.0, 100.0, 100.0)
NEAR = (0.0, 0.0, 100.0, 40.0)  # overlaps it by 0.4
AROUND = (0.0, 0.0, 100.0, 80.0)  # by 0.8
CORNER = (90.0, 90.0, 150.0, 150.0)  # by less than 0.01
FAR = (200.0, 200.0, 260.0, 260.0)


def found(*boxes):
    """Boxes ``(corners, label)`` with falling scores."""
    corners, labels = zip(*boxes, strict=True) if boxes else ((), ())
    scores = [0.9 - 0.1 * i for i in range(len(boxes))]
    return Detections(torch.tensor(corners).reshape(-1, 4), torch.tensor(scores), torch.tensor(labels).long())


def truth(*objects, crowd=()):
    corners, labels = zip(*[*objects, *crowd], strict=True) if objects or crowd else ((), ())
    flags = [False] * len(objects) + [True] * len(crowd)
    return Truth(torch.tensor(corners).reshape(-1, 4), torch.tensor(labels).long(), torch.tensor(flags).bool())


def costs(predictions, truths):
    return {name: value for name, value in mistakes(predictions, truths, 2).items() if value}


def test_one_box_of_a_wrong_class_costs_all_of_its_class():
    # AP50 is the mean over the classes of the objects, here one.
    assert costs([found((AROUND, DOG))], [truth((OBJECT, CAT))]) == {"classification": pytest.approx(1)}


def test_one_box_in_a_wrong_place_costs_all_of_its_class():
    assert costs([found((NEAR, CAT))], [truth((OBJECT, CAT))]) == {"localisation": pytest.approx(1)}


@pytest.mark.parametrize(
    ("box", "label", "kind"),
    [(NEAR, DOG, "both"), (CORNER, CAT, "background"), (FAR, CAT, "background"), (FAR, DOG, "background")],
)
def test_a_box_before_the_right_one_costs_half_of_its_precision(box, label, kind):
    predictions = [found((box, label), (AROUND, CAT))]
    lost = 0.5 if label == CAT else 0  # of another class, it stands in the way of nothing
    assert mistakes(predictions, [truth((OBJECT, CAT))], 2)[kind] == pytest.approx(lost)


def test_a_duplicate_costs_the_precision_of_what_comes_after_it():
    predictions = [found((AROUND, CAT), (AROUND, CAT), (FAR, CAT))]
    truths = [truth((OBJECT, CAT), (FAR, CAT))]
    # Found are 1 of 1, 1 of 2 and 2 of 3: precision 1 up to recall 0.5 (51 of 101 points), then 2/3.
    assert costs(predictions, truths) == {"duplicate": pytest.approx(50 / 101 / 3)}


def test_a_missed_object_costs_the_recall_above_what_is_found():
    predictions, truths = [found((AROUND, CAT))], [truth((OBJECT, CAT), (FAR, CAT))]
    assert costs(predictions, truths) == {"missed": pytest.approx(50 / 101)}


def test_an_object_that_a_mended_box_would_find_is_not_missed():
    kinds = mistakes([found((NEAR, CAT))], [truth((OBJECT, CAT), (FAR, DOG))], 2)
    assert kinds["missed"] == pytest.approx(0)  # of dogs none is left to be found, and the cat is not missed
    assert kinds["localisation"] == pytest.approx(0.5)


def test_an_object_that_a_mended_box_would_find_is_still_asked_for_when_missed_ones_are_not():
    predictions, truths = [found((FAR, CAT), (NEAR, CAT))], [truth((OBJECT, CAT), (FAR, CAT))]
    assert costs(predictions, truths) == {"localisation": pytest.approx(50 / 101)}


def test_of_several_boxes_the_best_is_mended_and_the_others_are_taken_away():
    assert costs([found((NEAR, CAT), (NEAR, CAT))], [truth((OBJECT, CAT))]) == {"localisation": pytest.approx(1)}
    # One whose object is found by another box is taken away, too.
    # Left is 1 of 1, and half of the objects: without it precision is 1/2 up to recall 0.5.
    told = mistakes([found((NEAR, CAT), (AROUND, CAT))], [truth((OBJECT, CAT), (FAR, CAT))], 2)
    assert told["localisation"] == pytest.approx(51 / 101 / 2)


def test_a_box_in_a_crowd_region_is_no_mistake():
    objects = {"crowd": [(FAR, CAT)]}
    assert costs([found((FAR, CAT), (AROUND, CAT))], [truth((OBJECT, CAT), **objects)]) == {}


def test_nothing_is_told_without_objects():
    assert mistakes([found((FAR, CAT))], [truth(crowd=[(FAR, CAT)])], 2) == {}
    assert mistakes([], [], 2) == {}


def random_scene(rng):
    n, extra = int(rng.integers(0, 6)), int(rng.integers(0, 12))
    corner = rng.uniform(0, 150, (n, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(4, 80, (n, 2))], axis=1)
    labels, crowd = rng.integers(0, 4, n), rng.random(n) < 0.2
    near = np.repeat(boxes, 3, axis=0) + rng.normal(0, 6, (3 * n, 4))
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
    corner = rng.uniform(0, 150, (extra, 2))
    stray = np.concatenate([corner, corner + rng.uniform(4, 80, (extra, 2))], axis=1)
    label = np.concatenate([np.repeat(labels, 3), rng.integers(0, 4, extra)])
    label = np.where(rng.random(len(label)) < 0.2, rng.integers(0, 4, len(label)), label)
    score = np.sort(rng.random(len(label)).round(2))[::-1].copy()
    order = rng.permutation(len(label))
    box = np.concatenate([near, stray])[order]
    predicted = Detections(torch.tensor(box).float(), torch.tensor(score).float(), torch.tensor(label[order]).long())
    return predicted, Truth(torch.tensor(boxes).float(), torch.tensor(labels).long(), torch.tensor(crowd).bool())


@pytest.mark.parametrize("seed", range(5))
def test_what_is_right_and_what_is_excused_is_what_coco_says(seed):
    rng = np.random.default_rng(seed)
    predictions, truths = zip(*(random_scene(rng) for _ in range(40)), strict=True)
    judged = _judged(predictions, truths)
    assert _ap50(judged, 4, np.ones(4, dtype=bool)) == pytest.approx(
        CocoMatches(predictions, truths, 4).ap()["AP50"], abs=1e-12
    )


def test_of_two_objects_that_a_box_overlaps_alike_it_finds_the_one_that_coco_says():
    right, between = (60.0, 0.0, 160.0, 100.0), (30.0, 0.0, 130.0, 100.0)
    predictions, truths = [found((between, CAT), (right, CAT))], [truth((OBJECT, CAT), (right, CAT))]
    assert _ap50(_judged(predictions, truths), 1, np.ones(1, dtype=bool)) == pytest.approx(
        CocoMatches(predictions, truths, 1).ap()["AP50"], abs=1e-12
    )


def test_no_type_of_mistake_is_worth_less_than_nothing():
    rng = np.random.default_rng(7)
    predictions, truths = zip(*(random_scene(rng) for _ in range(60)), strict=True)
    told = mistakes(predictions, truths, 4)
    assert list(told) == list(TYPES)
    assert min(told.values()) >= 0
    assert max(told.values()) > 0.01
