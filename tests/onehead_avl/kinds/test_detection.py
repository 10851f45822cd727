import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision import tv_tensors
from torchvision.ops import box_iou, generalized_box_iou_loss, sigmoid_focal_loss
from torchvision.transforms import v2

from onehead_avl.kinds.boxes import assign, boxes_of, cell_centres
from onehead_avl.kinds.coco import Detections
from onehead_avl.kinds.colours import colour_of
from onehead_avl.kinds.detection import CocoAP, Detection, detections, split
from onehead_avl.target import Target

DET = 1
N_DET = 3  # classes of the layout's experience
BOXES, CONFIDENCE, FIRST = slice(0, 4), 4, 5  # channels of the part: parameters, confidence, first class
KIND = Detection()
CLASSES = ("cat", "dog", "cow")


@pytest.fixture
def part(layout):
    return layout.parts[DET]


@pytest.fixture
def logits(noise, part):
    """Make random logits ``(B, 8, rows, columns)``."""
    return lambda *shape, **seed: part.of(noise(*shape, **seed)).clone()


@pytest.fixture
def found_in(part):
    """What is found in an output, in images of some sizes."""
    return lambda output, *sizes: detections(part.of(output), torch.tensor(sizes))


def loss(logits, target):
    """The mean loss of the images."""
    return KIND.loss(logits, target).mean()


def annotation_of(*boxes, labels=None, crowd=None):
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels or [0] * len(boxes), dtype=torch.int64),
        "crowd": torch.tensor(crowd or [False] * len(boxes), dtype=torch.bool),
    }


def annotated(*boxes, size=(32, 32), **values):
    return Target.single(DET, size, annotation_of(*boxes, **values))


def test_the_channels_are_four_parameters_a_confidence_and_the_classes():
    assert KIND.channels(CLASSES) == 8
    logits = torch.arange(8.0)[None, :, None, None].expand(2, 8, 3, 5)
    boxes, confidence, classes = split(logits)
    assert (boxes.shape, confidence.shape, classes.shape) == ((2, 4, 3, 5), (2, 3, 5), (2, 3, 3, 5))
    assert boxes[0, :, 0, 0].tolist() == [0, 1, 2, 3]
    assert confidence[0, 0, 0] == 4
    assert classes[0, :, 0, 0].tolist() == [5, 6, 7]


def test_an_untrained_detector_believes_in_each_class_to_one_percent():
    start = KIND.start(CLASSES)
    assert start[:FIRST].tolist() == [0.0] * 5
    assert start[FIRST:].sigmoid().tolist() == pytest.approx([0.01] * 3)


# Loss


def focal_of_nothing(logits):
    """Focal loss of background, summed: 0.75 * p^2 * -log(1 - p)."""
    p = logits.double().sigmoid()
    return -(0.75 * p**2 * (1 - p).log()).sum().item()


def test_an_image_without_objects_is_all_background(logits):
    output = logits(1)
    assert loss(output, annotated()).item() == pytest.approx(focal_of_nothing(output[:, FIRST:]), rel=1e-5)


def test_the_loss_of_one_box_by_hand():
    # In a 4 x 4 grid the box is learned by the four cells in the middle. With zero parameters each of them predicts
    # a box of side 32 that contains it: IoU = GIoU = 256 / 1024. All probabilities are one half.
    box = 2 * (1 - 0.25) + math.log(2)
    positive, negative = 0.25 * 0.25 * math.log(2), 0.75 * 0.25 * math.log(2)
    focal = 4 * positive + (16 * N_DET - 4) * negative
    expected = (4 * box + focal) / 4
    assert loss(torch.zeros(1, 8, 4, 4), annotated((8, 8, 24, 24))).item() == pytest.approx(expected, rel=1e-5)


def test_confidence_learns_the_overlap_of_its_box():
    values = []
    for overlap in (0.15, 0.25, 0.35):
        output = torch.zeros(1, 8, 4, 4)
        output[:, CONFIDENCE] = math.log(overlap / (1 - overlap))
        values.append(loss(output, annotated((8, 8, 24, 24))).item())
    assert values[1] < values[0]
    assert values[1] < values[2]


def test_the_overlap_that_confidence_learns_does_not_move_the_box():
    gradients = []
    for logit in (-3.0, 3.0):
        output = torch.zeros(1, 8, 4, 4)
        output[:, CONFIDENCE] = logit
        output.requires_grad_()
        loss(output, annotated((8, 8, 24, 24))).backward()
        gradients.append(output.grad[:, BOXES])
    assert gradients[0].abs().sum() > 0
    torch.testing.assert_close(*gradients)


def test_a_perfect_detection_costs_almost_nothing(part, blank, place):
    output, boxes, labels = blank(1, 8, 8), [(8, 8, 24, 40), (30, 6, 62, 20), (50, 50, 53, 54)], [2, 0, 1]
    target = annotated(*boxes, labels=labels, size=(64, 64))
    (assigned,) = assign(target.parts["boxes"], torch.ones(1, 3, dtype=torch.bool), 8, 8)
    for cell, box in enumerate(assigned.tolist()):
        if box >= 0:
            place(output[0], divmod(cell, 8), boxes[box], labels[box])
    assert sorted(set(assigned.tolist())) == [-1, 0, 1, 2]
    assert loss(part.of(output), target) < 1e-4
    assert loss(part.of(output), annotated(*boxes, labels=[2, 0, 2], size=(64, 64))) > 1


def test_boxes_may_have_coordinates_of_the_original_image(logits):
    output, boxes, labels = logits(1, 8, 8), [(5.0, 9.0, 30.0, 41.0), (33.0, 2.0, 61.0, 19.0)], [1, 2]
    expected = loss(output, annotated(*boxes, labels=labels, size=(64, 64)))
    for y, x in ((2, 2), (0.5, 3), (2.5, 1)):
        scaled = [(x1 * x, y1 * y, x2 * x, y2 * y) for x1, y1, x2, y2 in boxes]
        original = annotated(*scaled, labels=labels, size=(int(64 * y), int(64 * x)))
        torch.testing.assert_close(loss(output, original), expected)


def test_the_loss_is_divided_by_the_cells_that_learn_a_box():
    # The first image has four such cells, the second none: two in the average image.
    output = torch.zeros(2, 8, 4, 4)
    one, none = loss(output[:1], annotated((8, 8, 24, 24))) * 4, loss(output[:1], annotated())
    both = loss(output, Target.cat([annotated((8, 8, 24, 24)), annotated()]))
    torch.testing.assert_close(both, (one + none) / 4)


def test_the_padding_of_boxes_does_not_count(logits):
    output, target = logits(1), annotated((4, 4, 20, 28), labels=[1])
    padded = Target.cat([target, annotated((0, 0, 9, 9), (3, 3, 9, 9), (8, 8, 30, 30))])[0]
    before = loss(output, target)
    assert torch.equal(loss(output, padded), before)
    padded.parts["boxes"][0, 1:] = torch.tensor([0.0, 0.0, 32.0, 32.0])
    padded.parts["crowd"][0, 1:] = True
    assert torch.equal(loss(output, padded), before)


def test_a_crowd_is_neither_learned_nor_background(logits):
    # The crowd covers the centres of the two left columns of cells.
    output, crowd = logits(1), annotated((0, 0, 17, 32), crowd=[True])
    before = loss(output, crowd)
    assert before.item() == pytest.approx(focal_of_nothing(output[0, FIRST:, :, 2:]), rel=1e-5)
    inside, outside = output.clone(), output.clone()
    inside[..., :2] += 3
    outside[:, FIRST:, 0, 2] += 3
    assert torch.equal(loss(inside, crowd), before)
    assert loss(outside, crowd) > before


def test_an_object_inside_a_crowd_is_learned(logits):
    box = (1, 1, 7, 7)  # learned by the first cell
    target = annotated((0, 0, 32, 32), box, labels=[0, 1], crowd=[True, False])
    output = logits(1).requires_grad_()
    loss(output, target).backward()
    touched = output.grad[0].abs().sum(dim=0).nonzero().tolist()
    assert touched == [[0, 0]]
    better = output.detach().clone()
    better[:, FIRST + 1, 0, 0] += 5
    assert loss(better, target) < loss(output, target)


def sum_over_cells(logits, boxes, labels, crowd):
    """The loss of one image and the number of its cells that learn a box, one cell after the other."""
    boxes, crowds = boxes[~crowd], boxes[crowd]
    labels, centres = labels[~crowd], cell_centres(*logits.shape[1:], logits.device)
    predicted, (_, confidence, classes) = (
        boxes_of(logits[None, :4])[0],
        (part[0].flatten(-2) for part in split(logits[None])),
    )
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    distances = (centres[:, None] - middles).abs().amax(dim=2)
    near = [
        [
            bool(_is_in(centre, box)) and bool((middle - centre).abs().max() < 12)
            for box, middle in zip(boxes, middles, strict=True)
        ]
        for centre in centres
    ]
    for j in range(len(boxes)):
        if not any(row[j] for row in near):
            near[int(distances[:, j].argmin())][j] = True
    total, learned = torch.zeros(()), 0
    for cell, centre in enumerate(centres):
        taken = [j for j in range(len(boxes)) if near[cell][j]]
        wanted = torch.zeros(classes.shape[0])
        if taken:
            smallest = min(taken, key=lambda j: float((boxes[j, 2:] - boxes[j, :2]).prod()))
            wanted[labels[smallest]] = 1
            pair = predicted[cell][None], boxes[smallest][None]
            iou = box_iou(*pair)[0, 0].detach()
            total = total + 2 * generalized_box_iou_loss(*pair)[0]
            total = total + binary_cross_entropy_with_logits(confidence[cell], iou)
            learned += 1
        elif any(_is_in(centre, box) for box in crowds):
            continue
        total = total + sigmoid_focal_loss(classes[:, cell], wanted, reduction="sum")
    return total, learned


def _is_in(point, box):
    return (point >= box[:2]).all() and (point <= box[2:]).all()


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_of_a_batch_is_that_of_one_cell_after_the_other(logits, seed):
    generator = torch.Generator().manual_seed(seed)
    annotations = []
    for count in (5, 0, 9, 1):
        corners = torch.rand(2, count, 2, generator=generator) * torch.tensor([64.0, 48.0])
        annotations.append(
            {
                "boxes": torch.cat([corners.amin(dim=0), corners.amax(dim=0) + 0.5], dim=1),
                "labels": torch.randint(0, N_DET, (count,), generator=generator),
                "crowd": torch.rand(count, generator=generator) < 0.2,
            }
        )
    output = logits(4, 6, 8, seed=seed).requires_grad_()
    pairs = [sum_over_cells(each, **annotation) for each, annotation in zip(output, annotations, strict=True)]
    expected = torch.stack([total for total, _ in pairs]) * (4 / sum(learned for _, learned in pairs))
    target = Target.cat([Target.single(DET, (48, 64), each) for each in annotations])
    losses = KIND.loss(output, target)
    torch.testing.assert_close(losses, expected, rtol=1e-6, atol=1e-6)
    wanted, got = (torch.autograd.grad(each.sum(), output)[0] for each in (expected, losses))
    torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-6)


# Decoding

# Boxes in a network input 64 high and 96 wide, with the cell that finds each, its class and its score.
KNOWN = [
    ((0, 1), (2.0, 3.0, 21.0, 13.0), 2, 0.9),
    ((4, 8), (40.0, 8.0, 90.0, 60.0), 0, 0.6),
    ((6, 2), (5.0, 44.5, 37.0, 59.25), 1, 0.3),
]


@pytest.fixture
def seen(blank, place):
    """An output of one image in which the known boxes were written, worst first."""
    output = blank(1, 8, 12)
    for cell, box, label, score in reversed(KNOWN):
        place(output[0], cell, box, label, score)
    return output


@pytest.mark.parametrize("size", [(64, 96), (32, 48), (333, 250), (50, 401)])
def test_boxes_come_back_in_coordinates_of_the_original_image(found_in, seen, size):
    (found,) = found_in(seen, size)
    y, x = size[0] / 64, size[1] / 96
    expected = torch.tensor([box for _, box, _, _ in KNOWN]) * torch.tensor([x, y, x, y])
    torch.testing.assert_close(found.boxes, expected)
    torch.testing.assert_close(found.scores, torch.tensor([0.9, 0.6, 0.3]))
    assert found.labels.tolist() == [2, 0, 1]


def test_every_image_has_its_own_size_and_its_own_boxes(found_in, blank, place):
    output = blank(3, 8, 8)
    place(output[0], (1, 1), (8, 8, 24, 24), 0)
    place(output[2], (1, 1), (8, 8, 24, 24), 1)
    found = found_in(output, (64, 128), (10, 10), (32, 64))
    torch.testing.assert_close(found[0].boxes, torch.tensor([[16.0, 8.0, 48.0, 24.0]]))
    assert [len(values) for values in found[1]] == [0, 0, 0]
    assert found[1].boxes.shape == (0, 4)
    torch.testing.assert_close(found[2].boxes, torch.tensor([[8.0, 4.0, 24.0, 12.0]]))
    assert found[2].labels.tolist() == [1]


def test_a_score_is_the_geometric_mean_of_class_and_confidence(part, found_in, blank, place):
    output = blank(1, 4, 4)
    place(output[0], (1, 1), (8, 8, 24, 24), 0, score=0.5)
    part.of(output)[0, CONFIDENCE, 1, 1] = torch.tensor(0.08 / 0.92).log()
    (found,) = found_in(output, (32, 32))
    assert found.scores.tolist() == pytest.approx([0.2])  # sqrt(0.5 * 0.08)


def test_boxes_are_clipped_to_the_image(found_in, blank, place):
    output = blank(1, 4, 4)
    place(output[0], (1, 1), (-10, -6, 20, 50), 0)
    (found,) = found_in(output, (64, 32))
    torch.testing.assert_close(found.boxes, torch.tensor([[0.0, 0.0, 20.0, 64.0]]))


def test_a_repeated_box_of_the_same_class_is_suppressed(found_in, blank, place):
    output = blank(1, 4, 4)
    for column, score in ((1, 0.7), (2, 0.8)):
        place(output[0], (1, column), (8, 8, 24, 24), 1, score)
    (found,) = found_in(output, (32, 32))
    assert found.scores.tolist() == pytest.approx([0.8])


def test_a_repeated_box_of_another_class_stays(found_in, blank, place):
    output = blank(1, 4, 4)
    for label, score in ((1, 0.7), (2, 0.8)):
        place(output[0], (1, label), (8, 8, 24, 24), label, score)
    (found,) = found_in(output, (32, 32))
    assert found.labels.tolist() == [2, 1]


def test_boxes_that_overlap_by_less_than_half_stay_where_they_are(found_in, blank, place):
    output = blank(1, 4, 4)
    place(output[0], (1, 1), (0, 0, 24, 24), 0, 0.9)
    place(output[0], (2, 2), (9, 0, 31, 24), 0, 0.8)  # IoU 15 / 31
    (found,) = found_in(output, (32, 32))
    torch.testing.assert_close(found.boxes, torch.tensor([[0.0, 0, 24, 24], [9, 0, 31, 24]]))


def test_a_box_is_at_the_mean_of_those_of_its_class_around_it_weighted_by_their_scores(found_in, blank, place):
    output = blank(1, 4, 4)
    place(output[0], (1, 1), (0, 0, 24, 24), 0, 0.8)
    place(output[0], (1, 2), (4, 0, 28, 24), 0, 0.4)  # IoU 20 / 28
    place(output[0], (2, 2), (7, 0, 31, 24), 0, 0.2)  # IoU 17 / 31: suppressed, but too far away to have a say
    place(output[0], (2, 1), (4, 0, 28, 24), 1, 0.6)  # another class
    (found,) = found_in(output, (32, 32))
    assert found.scores.tolist() == pytest.approx([0.8, 0.6])
    expected = torch.tensor([[4 * 0.4 / 1.2, 0, (24 * 0.8 + 28 * 0.4) / 1.2, 24], [4, 0, 28, 24]])
    torch.testing.assert_close(found.boxes, expected)


def test_a_box_without_an_area_is_found_where_it_is(found_in, blank, place):
    output = blank(1, 4, 4)
    place(output[0], (1, 1), (40, 8, 56, 24), 0, 0.8)  # out of the image, and clipped to its border
    (found,) = found_in(output, (32, 32))
    torch.testing.assert_close(found.boxes, torch.tensor([[32.0, 8.0, 32.0, 24.0]]))


def test_at_most_the_hundred_best_are_kept(found_in, blank, place):
    output = blank(1, 16, 16)
    scores = [0.1 + 0.003 * i for i in range(256)]
    for i, score in enumerate(scores):
        row, column = divmod(i, 16)
        x, y = column * 8, row * 8
        place(output[0], (row, column), (x, y, x + 8, y + 8), 0, score)
    (found,) = found_in(output, (128, 128))
    assert found.scores.tolist() == pytest.approx(scores[:-101:-1])


def test_one_cell_may_find_two_classes(part, found_in, blank, place):
    output = blank(1, 4, 4)
    place(output[0], (1, 1), (8, 8, 24, 24), 0, 0.6)
    part.of(output)[0, FIRST + 2, 1, 1] = 0.0
    (found,) = found_in(output, (32, 32))
    assert found.labels.tolist() == [0, 2]
    assert found.scores.tolist() == pytest.approx([0.6, (0.5 * 0.6) ** 0.5])


def test_hopeless_boxes_are_dropped(found_in, blank, place):
    output = blank(1, 4, 4)
    place(output[0], (0, 0), (0, 0, 8, 8), 0, 0.012)
    place(output[0], (3, 3), (24, 24, 32, 32), 0, 0.008)
    (found,) = found_in(output, (32, 32))
    assert found.scores.tolist() == pytest.approx([0.012], rel=1e-3)


def test_a_prediction_holds_what_was_found(part, found_in, seen):
    (prediction,), (found,) = KIND.decode(part.of(seen), torch.tensor([[64, 96]])), found_in(seen, (64, 96))
    assert set(prediction) == {"boxes", "scores", "labels"}
    assert all(torch.equal(values, getattr(found, name)) for name, values in prediction.items())
    assert isinstance(found, Detections)


# Average precision


@pytest.fixture
def metric():
    return CocoAP(CLASSES)


@pytest.fixture
def measured(part, metric):
    """The values over some ``(output, target)``, counted anew."""

    def measured(*batches):
        metric.reset()
        for output, target in batches:
            metric.update(part.of(output), target)
        return metric.result()

    return measured


SIZE = (64, 64)  # of the network's input and of the images, unless they say otherwise


def test_boxes_are_compared_in_the_original_image(measured, blank, place):
    output = blank(1, 8, 8)
    place(output[0], (1, 1), (8, 8, 24, 16), 1)
    scaled = annotated((16, 24, 48, 48), labels=[1], size=(192, 128))
    assert measured((output, scaled)) == pytest.approx({"AP": 1, "AP50": 1})
    unscaled = annotated((8, 8, 24, 16), labels=[1], size=(192, 128))
    assert measured((output, unscaled)) == {"AP": 0, "AP50": 0}


def test_ap_is_that_of_all_batches_together(measured, blank, place):
    seen = blank(1, 8, 8)
    place(seen[0], (1, 1), (8, 8, 24, 24), 0, 0.6)
    box, nothing = annotated((8, 8, 24, 24), size=SIZE), annotated(size=SIZE)
    mistaken = seen.clone()
    place(mistaken[0], (1, 1), (8, 8, 24, 24), 0, 0.8)
    # The mistake has the better score: precision 1/2 at full recall.
    result = measured((seen, box), (mistaken, nothing))
    assert result == pytest.approx({"AP": 0.5, "AP50": 0.5})
    together = measured((torch.cat([mistaken, seen]), Target.cat([nothing, box])))
    assert together == pytest.approx(result)


def test_padded_boxes_are_no_objects(measured, blank, place):
    output = blank(2, 8, 8)
    place(output[0], (1, 1), (8, 8, 24, 24), 0)
    for row, column in ((0, 0), (4, 4)):
        x, y = 8 * column, 8 * row
        place(output[1], (row, column), (x, y, x + 16, y + 16), 0)
    target = Target.cat([annotated((8, 8, 24, 24), size=SIZE), annotated((0, 0, 16, 16), (32, 32, 48, 48), size=SIZE)])
    assert target.parts["labels"][0].tolist() == [0, -1]
    assert measured((output, target)) == pytest.approx({"AP": 1, "AP50": 1})


def test_crowds_are_honoured(measured, blank, place):
    output = blank(1, 8, 8)
    place(output[0], (1, 1), (8, 8, 24, 24), 0, 0.5)
    place(output[0], (5, 5), (40, 40, 50, 50), 0, 0.9)
    boxes = [(8, 8, 24, 24), (32, 32, 64, 64)]
    assert measured((output, annotated(*boxes, crowd=[False, True], size=SIZE)))["AP50"] == pytest.approx(1)
    assert measured((output, annotated(*boxes, size=SIZE)))["AP50"] < 0.6


def test_ap_without_any_object_is_not_measured(measured, blank):
    assert measured((blank(1, 4, 4), annotated())) == {"AP": None, "AP50": None}


def test_ap_of_objects_that_are_all_missed_is_zero(measured, blank):
    assert measured((blank(1, 4, 4), annotated((1, 1, 9, 9)))) == {"AP": 0.0, "AP50": 0.0}


@pytest.fixture
def two_images(blank, place):
    """Cats of which one of two is found; a dog that is found loosely; no cow, but one that is imagined."""
    output = blank(2, 8, 8)
    place(output[0], (1, 1), (8, 8, 24, 24), 0, 0.9)
    place(output[1], (1, 3), (0, 0, 50, 18), 1, 0.8)
    place(output[1], (6, 6), (40, 40, 60, 60), 2, 0.7)
    target = Target.cat(
        [
            annotated((8, 8, 24, 24), (40, 40, 60, 60), size=SIZE),
            annotated((0, 0, 50, 25), labels=[1], size=SIZE),
        ]
    )
    return output, target


def test_the_ap_of_each_class_by_hand(measured, metric, two_images):
    result = measured(two_images)
    # One cat of two: precision 1 at 51 of 101 recall points. The dog's IoU of .72 is enough for five of ten thresholds.
    expected = {
        "AP50": {"cat": pytest.approx(51 / 101), "dog": pytest.approx(1), "cow": None},
        "AP": {"cat": pytest.approx(51 / 101), "dog": pytest.approx(0.5), "cow": None},
    }
    assert metric.per_class() == expected
    assert result == pytest.approx({"AP50": (51 / 101 + 1) / 2, "AP": (51 / 101 + 0.5) / 2})


def test_images_count_as_often_as_they_are_named(measured, metric, two_images):
    measured(two_images)
    assert len(metric) == 2
    assert metric.compute([0]) == pytest.approx({"AP50": 51 / 101, "AP": 51 / 101})
    assert metric.compute([1, 1]) == pytest.approx({"AP50": 1, "AP": 0.5})
    assert metric.compute([0, 1]) == metric.result()
    assert metric.per_class()["AP"]["dog"] == pytest.approx(0.5)  # of all images again


def test_more_images_change_what_was_matched_before(part, metric, two_images):
    output, target = two_images
    metric.update(part.of(output[:1]), target[:1])
    assert metric.per_class()["AP50"] == {"cat": pytest.approx(51 / 101), "dog": None, "cow": None}
    metric.update(part.of(output[1:]), target[1:])
    assert metric.per_class()["AP50"]["dog"] == pytest.approx(1)


# Annotations


def test_the_classes_in_an_annotation_are_those_of_its_boxes():
    annotation = annotation_of((0, 0, 4, 4), (2, 2, 9, 9), (1, 1, 3, 3), labels=[2, 0, 2], crowd=[True, False, False])
    assert KIND.classes_in(annotation, CLASSES) == {0, 2}
    assert KIND.classes_in(annotation_of(), CLASSES) == set()


def test_the_classes_chosen_are_all_there_is():
    assert KIND.selected_classes(CLASSES, ("cow", "cat")) == ("cow", "cat")
    assert KIND.selected_classes(CLASSES, ()) == ()


def test_boxes_of_all_other_classes_are_dropped():
    boxes = [(0, 0, 4, 4), (2, 2, 9, 9), (1, 1, 3, 3), (5, 5, 8, 8)]
    annotation = annotation_of(*boxes, labels=[2, 0, 1, 2], crowd=[True, False, True, False])
    found = KIND.select(annotation, {2: 0, 0: 1})
    assert set(found) == set(KIND.parts)
    assert found["boxes"].tolist() == [list(map(float, boxes[i])) for i in (0, 1, 3)]
    assert found["labels"].tolist() == [0, 1, 0]
    assert found["crowd"].tolist() == [True, False, False]
    assert {name: values.dtype for name, values in found.items()} == {n: v.dtype for n, v in annotation.items()}
    assert annotation["labels"].tolist() == [2, 0, 1, 2]


@pytest.mark.parametrize("annotation", [annotation_of(), annotation_of((0, 0, 4, 4), labels=[1])])
def test_an_image_without_the_chosen_classes_is_one_without_objects(annotation):
    found = KIND.select(annotation, {0: 0})
    assert {name: (tuple(part.shape), part.dtype) for name, part in found.items()} == {
        "boxes": ((0, 4), torch.float32),
        "labels": ((0,), torch.int64),
        "crowd": ((0,), torch.bool),
    }


def test_boxes_move_with_their_image(image):
    annotation = annotation_of((10, 5, 30, 25), (50, 0, 96, 64), labels=[2, 0], crowd=[True, False])
    wrapped = KIND.wrap(annotation, image.shape[-2:])
    assert type(wrapped["boxes"]) is tv_tensors.BoundingBoxes
    assert wrapped["boxes"].canvas_size == (64, 96)
    moved = v2.Compose([v2.RandomHorizontalFlip(1.0), v2.Resize((32, 96))])(
        {"image": tv_tensors.Image(image)} | wrapped
    )
    assert moved["boxes"].tolist() == [[66, 2.5, 86, 12.5], [0, 0, 46, 32]]
    assert moved["labels"].tolist() == [2, 0]
    assert moved["crowd"].tolist() == [True, False]


# Drawing


def changed(drawn, image):
    return (drawn != image).any(dim=0)


def has_colour(drawn, index, pixels):
    colour = torch.tensor(colour_of(index), dtype=torch.uint8)[:, None]
    return bool((drawn[:, pixels[0], pixels[1]].reshape(3, -1) == colour).all())


def test_boxes_are_drawn_in_the_colours_of_their_classes_and_nothing_else_is(image):
    before = image.clone()
    drawn = KIND.draw(image, annotation_of((10, 5, 60, 40), (64, 20, 94, 60), labels=[0, 2]), CLASSES)
    assert (drawn.dtype, drawn.shape) == (torch.uint8, image.shape)
    # Text stands in the upper left corner of a box; the other sides are lines.
    assert has_colour(drawn, 1, (slice(5, 41), 10))
    assert has_colour(drawn, 1, (40, slice(10, 61)))
    assert has_colour(drawn, 3, (60, slice(64, 95)))
    within = torch.zeros(64, 96, dtype=torch.bool)
    within[3:43, 8:63] = within[18:63, 62:96] = True
    assert not changed(drawn, image)[~within].any()
    assert not changed(drawn, image)[30:38, 14:56].any()
    assert torch.equal(image, before)


def test_faint_guesses_are_left_out_of_a_drawing(image):
    boxes, labels = torch.tensor([[10.0, 5, 60, 40], [64, 20, 94, 60], [2, 45, 50, 62]]), torch.tensor([0, 2, 1])
    drawn = KIND.draw(image, {"boxes": boxes, "labels": labels, "scores": torch.tensor([0.9, 0.3, 0.29])}, CLASSES)
    assert has_colour(drawn, 1, (40, slice(10, 61)))
    assert has_colour(drawn, 3, (60, slice(64, 95)))
    assert not changed(drawn, image)[44:, :61].any()
    annotation = {"boxes": boxes, "labels": labels, "crowd": torch.zeros(3, dtype=torch.bool)}
    assert has_colour(KIND.draw(image, annotation, CLASSES), 2, (62, slice(2, 51)))


def test_a_drawing_with_faint_guesses_is_one_of_the_sure_ones_alone(image):
    boxes, labels = torch.tensor([[2.0, 45, 50, 62], [10, 5, 60, 40], [64, 20, 94, 60]]), torch.tensor([1, 0, 2])
    shown = {"boxes": boxes, "labels": labels, "scores": torch.tensor([0.2, 0.9, 0.5])}
    sure = {name: values[1:] for name, values in shown.items()}
    assert torch.equal(KIND.draw(image, shown, CLASSES), KIND.draw(image, sure, CLASSES))


@pytest.mark.parametrize("scores", [[], [0.1, 0.29]])
def test_without_a_sure_box_a_drawing_is_a_copy_of_the_image(image, scores):
    boxes = torch.tensor([[10.0, 5, 60, 40]]).expand(len(scores), 4)
    shown = {"boxes": boxes, "labels": torch.zeros(len(scores), dtype=torch.int64), "scores": torch.tensor(scores)}
    drawn = KIND.draw(image, shown, CLASSES)
    assert torch.equal(drawn, image)
    assert drawn.data_ptr() != image.data_ptr()


def test_a_drawing_tells_classes_scores_and_crowds_by_words():
    image, box = torch.zeros(3, 100, 200, dtype=torch.uint8), (10, 10, 190, 90)
    plain, other, crowd = (
        KIND.draw(image, annotation_of(box, crowd=[each]), names)
        for names, each in ((CLASSES, False), (("owl", *CLASSES[1:]), False), (CLASSES, True))
    )
    guess = {name: values for name, values in annotation_of(box).items() if name != "crowd"}
    sure, surer = (KIND.draw(image, guess | {"scores": torch.tensor([score])}, CLASSES) for score in (0.5, 0.75))
    drawings = [plain, other, crowd, sure, surer]
    assert len({drawn.numpy().tobytes() for drawn in drawings}) == 5
    assert all(torch.equal(drawn[:, 40:], plain[:, 40:]) for drawn in drawings)
    ink, *more = (changed(drawn, image).sum() for drawn in (plain, crowd, sure))
    assert min(more) > ink  # longer words


def test_a_box_without_an_area_can_be_drawn(image):
    drawn = KIND.draw(image, annotation_of((20, 20, 20, 40), (0, 0, 0, 0)), CLASSES)
    assert changed(drawn, image)[20:41, 20].all()


def test_no_more_than_ten_boxes_are_drawn_and_the_surest_over_the_others(image):
    boxes = torch.tensor([[4.0 * i, 2 * i, 4 * i + 30, 2 * i + 40] for i in range(12)])
    labels, scores = torch.arange(12) % 3, torch.linspace(0.9, 0.4, 12)
    shown = {"boxes": boxes, "labels": labels, "scores": scores}
    ten = KIND.draw(image, {key: each[:10] for key, each in shown.items()}, CLASSES)
    assert torch.equal(KIND.draw(image, shown, CLASSES), ten)
    same = {"boxes": boxes[:1].expand(2, 4), "labels": torch.tensor([2, 0]), "scores": torch.tensor([0.9, 0.5])}
    assert has_colour(KIND.draw(image, same, CLASSES), 3, (slice(20, 41), 30))


# Telling


def test_boxes_are_told_as_coco_has_its_results():
    boxes, labels = torch.tensor([[10.0, 5, 60, 40.5], [0, 0, 4, 8]]), torch.tensor([2, 0])
    prediction = {"boxes": boxes, "labels": labels, "scores": torch.tensor([0.5, 0.25])}
    assert KIND.as_json(prediction, CLASSES, 7) == {
        "boxes": [
            {"image_id": 7, "category_id": 3, "bbox": [10, 5, 50, 35.5], "score": 0.5},
            {"image_id": 7, "category_id": 1, "bbox": [0, 0, 4, 8], "score": 0.25},
        ]
    }
    assert KIND.as_picture(prediction) is None


def test_exported_outputs_are_the_box_and_the_scores_of_each_cell():
    logits = torch.randn(2, 5 + 3, 3, 4, generator=torch.Generator().manual_seed(0))
    found = KIND.outputs(logits)
    assert torch.equal(found["boxes"], boxes_of(logits[:, :4]))
    row, column = 2, 1
    sure, classes = logits[1, 4, row, column].sigmoid(), logits[1, 5:, row, column].sigmoid()
    assert found["scores"].shape == (2, 12, 3)
    assert torch.allclose(found["scores"][1, row * 4 + column], (sure * classes).sqrt())
