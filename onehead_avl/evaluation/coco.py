"""COCO's average precision, by COCO's own evaluation code, without files in between."""

import contextlib
import io
from collections.abc import Sequence
from typing import NamedTuple

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor

from onehead_avl.model.decode import Detections


class Truth(NamedTuple):
    """The annotated boxes of one picture.

    Attributes:
        boxes: ``(M, 4)`` ``x1, y1, x2, y2`` in pixels of the original picture.
        labels: ``(M,)`` int64 class indices.
        crowd: ``(M,)`` bool; a crowd region excuses false positives inside it and is never missed.
    """

    boxes: Tensor
    labels: Tensor
    crowd: Tensor


def coco_ap(predictions: Sequence[Detections], truths: Sequence[Truth], n_classes: int) -> dict[str, float | None]:
    """Average precision of a data set's detections.

    Lin et al., "Microsoft COCO", ECCV 2014; 101 recall points, at most 100 boxes a picture, all object sizes, the mean
    over the classes that occur in the ground truth.

    Args:
        predictions: The boxes found, one entry a picture.
        truths: The boxes annotated, in the same order.
        n_classes: How many classes there are.

    Returns:
        ``AP`` (mean over IoU .5 to .95) and ``AP50``; ``None`` if no object is annotated anywhere.

    Raises:
        ValueError: The two sequences differ in length.
    """
    if len(predictions) != len(truths):
        raise ValueError(f"expected as many predictions as truths, got {len(predictions)} and {len(truths)}")
    annotated = [
        {"image_id": image, "category_id": label, "bbox": box, "area": box[2] * box[3], "iscrowd": int(crowd)}
        for image, truth in enumerate(truths)
        for box, label, crowd in zip(_xywh(truth.boxes), truth.labels.tolist(), truth.crowd.tolist(), strict=True)
    ]
    found = [
        {"image_id": image, "category_id": label, "bbox": box, "area": box[2] * box[3], "iscrowd": 0, "score": score}
        for image, prediction in enumerate(predictions)
        for box, label, score in zip(
            _xywh(prediction.boxes), prediction.labels.tolist(), prediction.scores.tolist(), strict=True
        )
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(_coco(annotated, len(truths), n_classes), _coco(found, len(truths), n_classes), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # COCO marks "nothing to find" by -1.
    ap, ap50 = (float(value) if value >= 0 else None for value in evaluation.stats[:2])
    return {"AP": ap, "AP50": ap50}


def _xywh(boxes: Tensor) -> list[list[float]]:
    corner, far = boxes.double().split(2, dim=1)
    return [[*start, *size] for start, size in zip(corner.tolist(), (far - corner).tolist(), strict=True)]


def _coco(annotations: list[dict], n_images: int, n_classes: int) -> COCO:
    coco = COCO()
    coco.dataset = {
        "images": [{"id": image} for image in range(n_images)],
        "categories": [{"id": category} for category in range(n_classes)],
        # Ids start at 1: the evaluation takes an id of 0 for "unmatched".
        "annotations": [annotation | {"id": i} for i, annotation in enumerate(annotations, start=1)],
    }
    coco.createIndex()
    return coco
