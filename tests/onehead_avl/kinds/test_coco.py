import json
import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from onehead_avl.kinds import coco
from onehead_avl.kinds.coco import CocoMatches, Detections, Truth

BOX = (10.0, 10.0, 30.0, 40.0)
FAR = (100.0, 100.0, 140.0, 120.0)


def truth(*boxes, labels=None, crowd=None):
    return Truth(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(labels or [0] * len(boxes), dtype=torch.long),
        torch.tensor(crowd or [False] * len(boxes), dtype=torch.bool),
    )


def found(*boxes, labels=None, scores=None):
    return Detections(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(scores or [0.9 - 0.1 * i for i in range(len(boxes))], dtype=torch.float32),
        torch.tensor(labels or [0] * len(boxes), dtype=torch.long),
    )


def ap(predictions, truths, n_classes=1):
    result = CocoMatches(predictions, truths, n_classes).ap()
    assert set(result) == {"AP", "AP50"}
    return result["AP"], result["AP50"]


# Against the reference implementation, fed with files


def random_boxes(rng, n):
    corner, side = rng.uniform(0, 150, (n, 2)), rng.uniform(4, 80, (n, 2))
    return np.concatenate([corner, corner + side], axis=1)


def random_data(rng, n_images, n_classes):
    """Truths with crowds and detections of every quality; pictures 0, 1 and 2 lack one, the other and both."""
    predictions, truths = [], []
    for image in range(n_images):
        n = 0 if image in (0, 2) else int(rng.integers(1, 7))
        boxes, labels, crowd = random_boxes(rng, n), rng.integers(0, n_classes - 1, n), rng.random(n) < 0.2
        near = np.repeat(boxes, 2, axis=0)
        near = near + rng.normal(0, 3, near.shape)
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        wrong = rng.random(2 * n) < 0.2
        near_labels = np.where(wrong, rng.integers(0, n_classes, 2 * n), np.repeat(labels, 2))
        stray = random_boxes(rng, 150 if image == 3 else 5)  # more than the evaluation looks at
        stray_labels = rng.integers(0, n_classes if image != 3 else 1, len(stray))
        all_boxes, all_labels = np.concatenate([near, stray]), np.concatenate([near_labels, stray_labels])
        scores = np.concatenate([rng.uniform(0.2, 1, 2 * n), rng.uniform(0, 0.6, len(stray))])
        if image in (1, 2):
            all_boxes, all_labels, scores = all_boxes[:0], all_labels[:0], scores[:0]
        truths.append(Truth(torch.tensor(boxes).float(), torch.tensor(labels), torch.tensor(crowd)))
        predictions.append(
            Detections(torch.tensor(all_boxes).float(), torch.tensor(scores).float(), torch.tensor(all_labels))
        )
    return predictions, truths


def ap_from_files(folder, predictions, truths, n_classes):
    """COCO's evaluation of an annotation file and a results file, with ids as odd as COCO's own, in the same order."""
    annotations, results = [], []
    for image, part in enumerate(truths):
        for (x1, y1, x2, y2), label, crowd in zip(*(each.tolist() for each in part), strict=True):
            bbox = [x1, y1, x2 - x1, y2 - y1]
            annotations.append(
                {
                    "id": 500 + len(annotations),
                    "image_id": 1000 + 3 * image,
                    "category_id": 7 + 3 * label,
                    "bbox": bbox,
                    "area": bbox[2] * bbox[3],
                    "iscrowd": int(crowd),
                }
            )
    for image, part in enumerate(predictions):
        for (x1, y1, x2, y2), score, label in zip(*(each.tolist() for each in part), strict=True):
            bbox = [x1, y1, x2 - x1, y2 - y1]
            results.append({"image_id": 1000 + 3 * image, "category_id": 7 + 3 * label, "bbox": bbox, "score": score})
    content = {
        "images": [{"id": 1000 + 3 * image, "width": 240, "height": 240} for image in range(len(truths))],
        "categories": [{"id": 7 + 3 * label, "name": str(label)} for label in range(n_classes)],
        "annotations": annotations,
    }
    (folder / "annotations.json").write_text(json.dumps(content))
    (folder / "results.json").write_text(json.dumps(results))
    reference = COCO(str(folder / "annotations.json"))
    evaluation = COCOeval(reference, reference.loadRes(str(folder / "results.json")), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[:2].tolist()


@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_the_reference_on_files(tmp_path, seed):
    predictions, truths = random_data(np.random.default_rng(seed), n_images=12, n_classes=4)
    expected = ap_from_files(tmp_path, predictions, truths, 4)
    assert 0.05 < expected[0] < expected[1] < 0.95, "random data that tests nothing"
    assert any(truth.crowd.any() for truth in truths)
    assert list(ap(predictions, truths, 4)) == expected


@pytest.mark.parametrize("seed", range(3))
def test_pictures_count_as_often_as_they_are_named(tmp_path, seed):
    rng = np.random.default_rng(seed)
    predictions, truths = random_data(rng, n_images=12, n_classes=4)
    matches = CocoMatches(predictions, truths, 4)
    for chosen in (rng.integers(12, size=12).tolist(), [5, 5, 5, 3], [7]):
        expected = ap_from_files(tmp_path, [predictions[i] for i in chosen], [truths[i] for i in chosen], 4)
        assert list(matches.ap(chosen).values()) == expected
    assert matches.ap() == matches.ap(range(12)) == CocoMatches(predictions, truths, 4).ap()


@pytest.mark.parametrize("seed", range(3))
def test_equal_scores_count_in_the_order_in_which_their_pictures_are_named(tmp_path, seed):
    rng = np.random.default_rng(seed)
    predictions, truths = random_data(rng, n_images=12, n_classes=4)
    predictions = [each._replace(scores=(each.scores * 4).round() / 4) for each in predictions]
    matches = CocoMatches(predictions, truths, 4)
    assert matches.ap() != matches.ap(range(11, -1, -1)), "an order that does not matter tests nothing"
    for chosen in (rng.integers(12, size=12).tolist(), range(11, -1, -1), [9, 4, 9, 4, 5, 9], range(12)):
        expected = ap_from_files(tmp_path, [predictions[i] for i in chosen], [truths[i] for i in chosen], 4)
        assert list(matches.ap(chosen).values()) == expected


@pytest.mark.parametrize("size", [1, 5, 12, 13])
def test_pictures_are_matched_some_at_a_time_as_they_are_all_at_once(monkeypatch, size):
    seen = []

    class Watched(COCOeval):
        def evaluate(self):
            seen.append(len(self.params.imgIds))
            super().evaluate()

    predictions, truths = random_data(np.random.default_rng(7), n_images=12, n_classes=4)
    whole = CocoMatches(predictions, truths, 4)
    monkeypatch.setattr(coco, "COCOeval", Watched)
    monkeypatch.setattr(coco, "_BLOCK", size)
    blocks = CocoMatches(predictions, truths, 4)
    assert max(seen) <= size
    assert sum(seen) == 12
    assert blocks.ap_of_classes() == whole.ap_of_classes()
    assert blocks.ap([3, 3, 11, 0]) == whole.ap([3, 3, 11, 0])


def test_what_is_kept_of_a_detection_is_small():
    predictions, truths = random_data(np.random.default_rng(3), n_images=40, n_classes=80)
    boxes = sum(len(each.scores) for each in predictions) + sum(len(each.labels) for each in truths)
    assert len(pickle.dumps(CocoMatches(predictions, truths, 80))) < 64 * boxes + 4096


def test_pictures_without_objects_measure_nothing_however_often_they_are_named():
    matches = CocoMatches([found(BOX), found(BOX)], [truth(BOX), truth()], 1)
    assert matches.ap([1, 1]) == {"AP": None, "AP50": None}
    assert matches.ap([0, 0, 0]) == {"AP": pytest.approx(1), "AP50": pytest.approx(1)}


# By hand


def test_a_perfect_box_scores_one():
    assert ap([found(BOX)], [truth(BOX)]) == pytest.approx((1, 1))


def test_one_object_of_two_found():
    # Precision is 1 up to a recall of one half: 51 of the 101 recall points.
    result = ap([found(BOX)], [truth(BOX, FAR)])
    assert result == pytest.approx((51 / 101, 51 / 101), abs=1e-6)


def test_a_better_scored_mistake_halves_the_precision():
    assert ap([found(FAR, BOX)], [truth(BOX)]) == pytest.approx((0.5, 0.5))


def test_a_worse_scored_mistake_costs_nothing():
    assert ap([found(BOX, FAR)], [truth(BOX)]) == pytest.approx((1, 1))


def test_a_repeated_detection_is_a_mistake():
    # Both objects' detections follow the repetition: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1.
    result = ap([found(BOX, BOX, FAR)], [truth(BOX, FAR)])
    assert result == pytest.approx([(51 + 50 * 2 / 3) / 101] * 2, abs=1e-6)


def test_a_loose_box_counts_up_to_its_overlap():
    # An IoU of .72 is enough for five of the ten thresholds: .5, .55, .6, .65 and .7.
    assert ap([found((0, 0, 72, 50))], [truth((0, 0, 100, 50))]) == pytest.approx((0.5, 1))


def test_a_box_of_another_class_does_not_count():
    assert ap([found(BOX, labels=[1])], [truth(BOX)], n_classes=2) == (0, 0)


def test_a_box_in_another_picture_does_not_count():
    assert ap([found(), found(BOX)], [truth(BOX), truth()]) == (0, 0)


def test_the_mean_is_over_the_classes_in_the_ground_truth():
    # Class 0 is found, class 1 is not, class 2 is only imagined.
    prediction, objects = found(BOX, BOX, labels=[0, 2]), truth(BOX, FAR, labels=[0, 1])
    assert ap([prediction], [objects], n_classes=3) == pytest.approx((0.5, 0.5))


def test_the_ap_of_each_class_by_hand():
    # Class 0: one object of two is found. Class 1: an IoU of .72 is enough for five of the ten thresholds. Class 2 is
    # only imagined, class 3 is a crowd, class 4 is missed.
    loose, wide = (0, 0, 72, 50), (0, 0, 100, 50)
    predictions = [found(BOX, loose, labels=[0, 1]), found(FAR, labels=[2])]
    truths = [truth(BOX, wide, FAR, labels=[0, 1, 4]), truth(FAR, BOX, labels=[0, 3], crowd=[False, True])]
    matches = CocoMatches(predictions, truths, 5)
    half = pytest.approx(51 / 101)
    expected = {"AP": [half, pytest.approx(0.5), None, None, 0.0], "AP50": [half, pytest.approx(1), None, None, 0.0]}
    assert matches.ap_of_classes() == expected
    matches.ap([0])
    assert matches.ap_of_classes() == expected  # over all pictures, whatever was asked before


@pytest.mark.parametrize("seed", range(2))
def test_the_ap_of_a_class_is_that_of_its_boxes_alone(tmp_path, seed):
    predictions, truths = random_data(np.random.default_rng(seed), n_images=12, n_classes=4)
    of_classes = CocoMatches(predictions, truths, 4).ap_of_classes()
    for label in range(3):  # the last class is nowhere annotated
        alone = [type(each)(*(values[each.labels == label] for values in each)) for each in (*predictions, *truths)]
        expected = ap_from_files(tmp_path, alone[:12], alone[12:], 4)
        assert [of_classes["AP"][label], of_classes["AP50"][label]] == expected
    assert (of_classes["AP"][3], of_classes["AP50"][3]) == (None, None)


def test_a_detection_inside_a_crowd_is_no_mistake():
    predictions = [found(FAR, BOX)]
    region = (90, 90, 200, 200)
    assert ap(predictions, [truth(region, BOX, crowd=[True, False])]) == pytest.approx((1, 1))
    assert ap(predictions, [truth(BOX)]) == pytest.approx((0.5, 0.5))


def test_a_crowd_excuses_any_number_of_detections():
    inside = [(100 + i, 100, 120 + i, 130) for i in range(4)]
    objects = truth((90, 90, 200, 200), BOX, crowd=[True, False])
    assert ap([found(*inside, BOX)], [objects]) == pytest.approx((1, 1))


def test_a_crowd_is_never_missed():
    assert ap([found(BOX)], [truth(BOX, FAR, crowd=[False, True])]) == pytest.approx((1, 1))


@pytest.mark.parametrize("prediction", [found(), found(BOX)], ids=["nothing found", "something found"])
@pytest.mark.parametrize("objects", [truth(), truth(BOX, crowd=[True])], ids=["no truth", "a crowd only"])
def test_without_objects_nothing_is_measured(prediction, objects):
    assert CocoMatches([prediction], [objects], 2).ap() == {"AP": None, "AP50": None}


def test_objects_without_detections_score_zero():
    assert CocoMatches([found(), found()], [truth(BOX), truth()], 2).ap() == {"AP": 0.0, "AP50": 0.0}


def test_as_many_predictions_as_truths_are_expected():
    with pytest.raises(ValueError, match="got 1 and 2"):
        CocoMatches([found()], [truth(), truth()], 1).ap()


def test_nothing_is_printed(capfd):
    ap([found(BOX)], [truth(BOX)])
    assert capfd.readouterr() == ("", "")


def test_precision_at_each_recall_is_that_of_the_reference():
    rng = np.random.default_rng(5)
    predictions, truths = random_data(rng, 12, 4)
    curves = CocoMatches(predictions, truths, 4).precision_at_50()
    of_classes = CocoMatches(predictions, truths, 4).ap_of_classes()["AP50"]
    assert [curve is None for curve in curves] == [value is None for value in of_classes]
    assert any(curve is None for curve in curves)  # a class that is nowhere annotated
    for curve, value in zip(curves, of_classes, strict=True):
        if curve is not None:
            assert len(curve) == 101
            assert np.mean(curve) == pytest.approx(value)
            assert all(one >= other for one, other in pairwise(curve))
