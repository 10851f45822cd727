import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassJaccardIndex

from onehead_avl.evaluation.metrics import CocoAP, MeanIoU, TopAccuracy, mean_iou, task_metrics
from onehead_avl.model.layout import Layout
from onehead_avl.target import VOID, Target
from onehead_avl.tasks import Task


def measured(metric, *batches):
    metric.reset()
    for output, target in batches:
        metric.update(output, target)
    return metric.result()


# Mean intersection over union


def enlarged(logits, height, width):
    """Bilinear interpolation between the centres of cells, ``(C, h, w)`` to ``(C, height, width)``."""
    for axis, size in ((1, height), (2, width)):
        n = logits.shape[axis]
        position = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, None)
        low = np.minimum(np.floor(position).astype(int), n - 1)
        high = np.minimum(low + 1, n - 1)
        share = (position - low).reshape((-1, 1) if axis == 1 else (1, -1))
        logits = np.take(logits, low, axis) * (1 - share) + np.take(logits, high, axis) * share
    return logits


def voc_score(predictions, masks, n_classes):
    """PASCAL VOC's score from a confusion matrix over all pixels that are not void."""
    confusion = np.zeros((n_classes, n_classes), dtype=np.int64)
    for prediction, mask in zip(predictions, masks, strict=True):
        for row, column in zip(mask[mask != VOID], prediction[mask != VOID], strict=True):
            confusion[row, column] += 1
    scores = []
    for k in range(n_classes):
        union = confusion[k].sum() + confusion[:, k].sum() - confusion[k, k]
        if union:
            scores.append(confusion[k, k] / union)
    return float(np.mean(scores))


def segmentation(mask):
    mask = torch.as_tensor(mask)
    return Target.single(Task.SEG, mask.shape, mask=mask)


def painted(layout, prediction):
    """An output whose decoded mask, at the size of the output, is the prediction."""
    prediction = torch.as_tensor(prediction)
    output = torch.zeros(1, layout.channels, *prediction.shape)
    return output.scatter(1, prediction[None, None], 9.0)


def random_segmentation(rng, layout, sizes, classes):
    """Outputs ``(B, C, 5, 7)`` of nine classes, and masks of ragged sizes with classes in blobs and with void."""
    output = rng.normal(size=(len(sizes), layout.channels, 5, 7)).astype(np.float32)
    output[:, 7:9] = -50  # never predicted, and in no mask
    masks = []
    for i, (height, width) in enumerate(sizes):
        blobs = enlarged(output[i, : layout.n_seg] + rng.normal(0, 0.7, (layout.n_seg, 5, 7)), height, width)
        mask = np.array(classes)[blobs[classes].argmax(axis=0)].astype(np.uint8)
        mask[rng.random((height, width)) < 0.1] = VOID
        masks.append(mask)
    return output, masks


SIZES = [(5, 7), (20, 11), (9, 33), (3, 4), (16, 16), (41, 26)]


@pytest.mark.parametrize("classes", [[0, 1, 2, 3, 4, 5, 6], [0, 2, 5], [1, 3]], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_miou_agrees_with_a_confusion_matrix(seed, classes):
    layout = Layout(9, 2, 2)
    output, masks = random_segmentation(np.random.default_rng(seed), layout, SIZES, classes)
    predictions = [
        enlarged(logits[:9].astype(np.float64), *size).argmax(axis=0)
        for logits, size in zip(output, SIZES, strict=True)
    ]
    expected = voc_score(predictions, masks, 9)
    assert 0.05 < expected < 0.95
    target = Target.cat([segmentation(mask) for mask in masks])
    assert target.mask.shape == (6, 41, 33)
    result = measured(MeanIoU(layout), (torch.tensor(output), target))
    assert result == {"mIoU": pytest.approx(expected, abs=1e-6)}


def test_miou_of_several_batches_is_that_of_one():
    layout = Layout(9, 2, 2)
    output, masks = random_segmentation(np.random.default_rng(9), layout, SIZES, list(range(7)))
    output, targets = torch.tensor(output), [segmentation(mask) for mask in masks]
    whole = measured(MeanIoU(layout), (output, Target.cat(targets)))
    parts = [(output[i:j], Target.cat(targets[i:j])) for i, j in ((0, 1), (1, 4), (4, 6))]
    assert measured(MeanIoU(layout), *parts) == pytest.approx(whole, abs=1e-6)
    each = [measured(MeanIoU(layout), part)["mIoU"] for part in parts]
    assert sum(each) / 3 != pytest.approx(whole["mIoU"], abs=1e-3), "a mean of batches would pass"


def test_a_right_mask_scores_one_whatever_classes_are_absent(layout):
    mask = np.array([[0, 0, 2], [2, 2, 0]])
    assert measured(MeanIoU(layout), (painted(layout, mask), segmentation(mask))) == {"mIoU": 1.0}


def test_a_class_absent_in_truth_but_predicted_counts_zero(layout):
    truth, prediction = np.array([[0, 0, 0, 0]]), np.array([[0, 0, 1, 1]])
    # Class 0 has an IoU of 1/2, class 1 of 0; classes 2 and 3 do not occur.
    result = measured(MeanIoU(layout), (painted(layout, prediction), segmentation(truth)))
    assert result["mIoU"] == pytest.approx(0.25)


def test_a_class_that_is_missed_counts_zero(layout):
    truth, prediction = np.array([[0, 0, 0, 3]]), np.array([[0, 0, 0, 0]])
    result = measured(MeanIoU(layout), (painted(layout, prediction), segmentation(truth)))
    assert result["mIoU"] == pytest.approx((3 / 4 + 0) / 2)


def test_what_is_predicted_on_void_does_not_count(layout):
    truth, prediction = np.array([[0, 1, VOID, VOID]]), np.array([[0, 1, 2, 0]])
    assert measured(MeanIoU(layout), (painted(layout, prediction), segmentation(truth))) == {"mIoU": 1.0}


def test_the_padding_of_masks_does_not_count(layout):
    mask = np.array([[0, 1]])
    target = Target.cat([segmentation(mask), segmentation(np.ones((4, 5), dtype=int))])[0]
    target.mask[0, 1:] = 3
    target.mask[0, :, 2:] = 3
    assert measured(MeanIoU(layout), (painted(layout, mask), target)) == {"mIoU": 1.0}


def test_miou_of_nothing_but_void_is_not_measured(layout):
    void = segmentation(np.full((2, 3), VOID))
    output = painted(layout, np.zeros((2, 3), dtype=int))
    assert measured(MeanIoU(layout), (output, void)) == {"mIoU": None}
    mask = np.array([[0, 0, 0], [1, 1, 1]])
    both = [(painted(layout, mask), segmentation(mask)), (output, void)]
    assert measured(MeanIoU(layout), *both) == measured(MeanIoU(layout), *both[::-1]) == {"mIoU": 1.0}


@pytest.mark.parametrize("classes", [5, 21])
@pytest.mark.parametrize("seed", range(3))
def test_the_score_of_a_confusion_matrix_is_that_of_torchmetrics(classes, seed):
    torch.manual_seed(seed)
    # The last two classes occur nowhere, the one before them in predictions only.
    truth, prediction = torch.randint(classes - 3, (4, 20, 20)), torch.randint(classes - 2, (4, 20, 20))
    truth[torch.rand(truth.shape) < 0.1] = VOID
    prediction = torch.where(torch.rand(truth.shape) < 0.5, truth.clamp(max=classes - 3), prediction)
    confusion = torch.zeros(classes, classes, dtype=torch.long)
    for row, column in zip(truth[truth != VOID].tolist(), prediction[truth != VOID].tolist(), strict=True):
        confusion[row, column] += 1
    expected = MulticlassJaccardIndex(classes, ignore_index=VOID)(prediction, truth).item()
    assert 0.1 < expected < 0.9
    assert mean_iou(confusion) == pytest.approx(expected, abs=1e-6)


def test_a_confusion_matrix_by_hand():
    # Rows are truth: class 0 has 3 pixels right, 1 missed; class 1 has 2 right; class 2 does not occur.
    confusion = torch.tensor([[3, 1, 0], [0, 2, 0], [0, 0, 0]])
    assert mean_iou(confusion) == pytest.approx((3 / 4 + 2 / 3) / 2)
    assert mean_iou(torch.zeros(3, 3, dtype=torch.long)) is None


# Average precision


def detection(*boxes, labels=None, crowd=None, size=(64, 64)):
    return Target.single(
        Task.DET,
        size,
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels or [0] * len(boxes), dtype=torch.long),
        crowd=torch.tensor(crowd or [False] * len(boxes), dtype=torch.bool),
    )


def test_boxes_are_compared_in_the_original_picture(layout, blank, place):
    output = blank(1, 8, 8)
    place(output[0], (1, 1), (8, 8, 24, 16), 1)
    scaled = detection((16, 24, 48, 48), labels=[1], size=(192, 128))
    assert measured(CocoAP(layout), (output, scaled)) == pytest.approx({"AP": 1, "AP50": 1})
    unscaled = detection((8, 8, 24, 16), labels=[1], size=(192, 128))
    assert measured(CocoAP(layout), (output, unscaled)) == {"AP": 0, "AP50": 0}


def test_ap_is_that_of_all_batches_together(layout, blank, place):
    seen = blank(1, 8, 8)
    place(seen[0], (1, 1), (8, 8, 24, 24), 0, 0.6)
    box, nothing = detection((8, 8, 24, 24)), detection()
    mistaken = seen.clone()
    place(mistaken[0], (1, 1), (8, 8, 24, 24), 0, 0.8)
    # The mistake has the better score: precision 1/2 at full recall.
    result = measured(CocoAP(layout), (seen, box), (mistaken, nothing))
    assert result == pytest.approx({"AP": 0.5, "AP50": 0.5})
    together = measured(CocoAP(layout), (torch.cat([mistaken, seen]), Target.cat([nothing, box])))
    assert together == pytest.approx(result)


def test_padded_boxes_are_no_objects(layout, blank, place):
    output = blank(2, 8, 8)
    place(output[0], (1, 1), (8, 8, 24, 24), 0)
    for row, column in ((0, 0), (4, 4)):
        x, y = 8 * column, 8 * row
        place(output[1], (row, column), (x, y, x + 16, y + 16), 0)
    target = Target.cat([detection((8, 8, 24, 24)), detection((0, 0, 16, 16), (32, 32, 48, 48))])
    assert target.labels[0].tolist() == [0, -1]
    assert measured(CocoAP(layout), (output, target)) == pytest.approx({"AP": 1, "AP50": 1})


def test_crowds_are_honoured(layout, blank, place):
    output = blank(1, 8, 8)
    place(output[0], (1, 1), (8, 8, 24, 24), 0, 0.5)
    place(output[0], (5, 5), (40, 40, 50, 50), 0, 0.9)
    boxes = [(8, 8, 24, 24), (32, 32, 64, 64)]
    assert measured(CocoAP(layout), (output, detection(*boxes, crowd=[False, True])))["AP50"] == pytest.approx(1)
    assert measured(CocoAP(layout), (output, detection(*boxes)))["AP50"] < 0.6


def test_ap_without_any_object_is_not_measured(layout, blank):
    assert measured(CocoAP(layout), (blank(1, 4, 4), detection())) == {"AP": None, "AP50": None}


def test_ap_of_objects_that_are_all_missed_is_zero(layout, blank):
    assert measured(CocoAP(layout), (blank(1, 4, 4), detection((1, 1, 9, 9)))) == {"AP": 0.0, "AP50": 0.0}


# Accuracy


def ranked(layout, *rankings):
    """An output that ranks the classes as told, best first."""
    output = torch.zeros(len(rankings), layout.channels, 2, 2)
    for i, ranking in enumerate(rankings):
        for place, label in enumerate(ranking):
            output[i, layout.of(Task.CLS)[label]] = 6.0 - place
    return output


def classification(*labels):
    return Target.cat([Target.single(Task.CLS, (8, 8), label=label) for label in labels])


def test_accuracy_by_hand(layout):
    ranking = [2, 5, 0, 1, 3, 4]
    # Of the labels, 2 comes first (twice), 3 fifth, 4 sixth.
    batch = ranked(layout, *[ranking] * 4), classification(2, 3, 4, 2)
    assert measured(TopAccuracy(layout), batch) == {"Top1": 2 / 4, "Top5": 3 / 4}


def test_accuracy_is_over_all_samples_of_all_batches(layout):
    batches = [
        (ranked(layout, [0, 1, 2, 3, 4, 5]), classification(0)),
        (ranked(layout, *[[1, 0, 2, 3, 4, 5]] * 3), classification(0, 1, 5)),
    ]
    assert measured(TopAccuracy(layout), *batches) == {"Top1": 2 / 4, "Top5": 3 / 4}


def test_with_fewer_than_five_classes_one_of_the_five_is_always_right():
    layout = Layout(2, 1, 3)
    batch = ranked(layout, [0, 1, 2], [2, 0, 1]), classification(2, 2)
    assert measured(TopAccuracy(layout), batch) == {"Top1": 1 / 2, "Top5": 1.0}


# All metrics


def test_there_are_metrics_of_all_tasks(layout):
    metrics = task_metrics(layout)
    assert [metric.task for metric in metrics] == list(Task)
    assert [metric.names for metric in metrics] == [("mIoU",), ("AP", "AP50"), ("Top1", "Top5")]
    assert all(metric.task.metric in metric.names for metric in metrics)


@pytest.fixture
def mixed(layout, blank, place):
    """A batch of two samples of each task, half of them right."""
    output = blank(6, 8, 8)
    for i, value in ((0, 1), (3, 2)):
        output[i, value] = 9
    place(output[1], (1, 1), (8, 8, 24, 24), 2, 0.9)
    place(output[4], (1, 1), (32, 8, 48, 24), 2, 0.8)
    output[2, layout.of(Task.CLS)[3]] = 9
    output[5, layout.of(Task.CLS)[4]] = 9
    samples = [
        segmentation(np.full((10, 12), 1)),
        detection((8, 8, 24, 24), labels=[2]),
        *classification(3),
        segmentation(np.full((10, 12), 3)),
        detection((8, 8, 24, 24), labels=[2]),
        *classification(3),
    ]
    return output, Target.cat(samples)


def test_each_metric_counts_the_samples_of_its_own_task(layout, mixed):
    results = [measured(metric, mixed) for metric in task_metrics(layout)]
    assert results[0] == pytest.approx({"mIoU": 1 / 3})
    # Of two objects one is found, and no mistake has a better score.
    assert results[1] == pytest.approx({"AP": 51 / 101, "AP50": 51 / 101}, abs=1e-6)
    assert results[2]["Top1"] == 0.5


def test_what_was_never_measured_is_none_and_not_zero(layout, mixed):
    output, target = mixed
    for metric in task_metrics(layout):
        assert metric.result() == dict.fromkeys(metric.names)
        others = ~target.of(metric.task)
        metric.update(output[others], target[others])
        assert metric.result() == dict.fromkeys(metric.names)


def test_reset_forgets_everything(layout, mixed):
    for metric in task_metrics(layout):
        before = measured(metric, mixed)
        metric.reset()
        assert metric.result() == dict.fromkeys(metric.names)
        assert measured(metric, mixed) == before


def test_a_result_may_be_asked_for_between_batches(layout, mixed):
    output, target = mixed
    for metric in task_metrics(layout):
        metric.update(output[:3], target[:3])
        first = metric.result()
        metric.update(output[3:], target[3:])
        assert metric.result() == measured(metric, mixed) != first
        assert metric.result() == metric.result()


def test_metrics_need_no_gradient(layout, mixed):
    output, target = mixed
    for metric in task_metrics(layout):
        assert measured(metric, (output.clone().requires_grad_(), target)) == measured(metric, mixed)
