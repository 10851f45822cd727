"""COCO's average precision, by COCO's own evaluation code, without files in between."""

import contextlib
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor


class Detections(NamedTuple):
    """The boxes found in one image, best first.

    Attributes:
        boxes: ``(N, 4)`` ``x1, y1, x2, y2`` in pixels of the original image.
        scores: ``(N,)`` between 0 and 1.
        labels: ``(N,)`` int64 class indices.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


class Truth(NamedTuple):
    """The annotated boxes of one image.

    Attributes:
        boxes: ``(M, 4)`` ``x1, y1, x2, y2`` in pixels of the original image.
        labels: ``(M,)`` int64 class indices.
        crowd: ``(M,)`` bool; a crowd region excuses false positives inside it and is never missed.
    """

    boxes: Tensor
    labels: Tensor
    crowd: Tensor


class CocoMatches:
    """Detections matched to annotations, picture by picture: the part of the evaluation that takes time.

    Lin et al., "Microsoft COCO", ECCV 2014; at most 100 boxes a picture, all object sizes.

    Args:
        predictions: The boxes found, one entry a picture.
        truths: The boxes annotated, in the same order.
        n_classes: How many classes there are.

    Raises:
        ValueError: The two sequences differ in length.
    """

    def __init__(self, predictions: Sequence[Detections], truths: Sequence[Truth], n_classes: int) -> None:
        if len(predictions) != len(truths):
            raise ValueError(f"expected as many predictions as truths, got {len(predictions)} and {len(truths)}")
        annotated = [
            {"image_id": image, "category_id": label, "bbox": box, "area": box[2] * box[3], "iscrowd": int(crowd)}
            for image, truth in enumerate(truths)
            for box, label, crowd in zip(_xywh(truth.boxes), truth.labels.tolist(), truth.crowd.tolist(), strict=True)
        ]
        found = [
            {
                "image_id": image,
                "category_id": label,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": 0,
                "score": score,
            }
            for image, prediction in enumerate(predictions)
            for box, label, score in zip(
                _xywh(prediction.boxes), prediction.labels.tolist(), prediction.scores.tolist(), strict=True
            )
        ]
        self.pictures = len(truths)
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(
                _coco(annotated, len(truths), n_classes), _coco(found, len(truths), n_classes), "bbox"
            )
            evaluation.params.areaRng, evaluation.params.areaRngLbl = evaluation.params.areaRng[:1], ["all"]
            evaluation.params.maxDets = evaluation.params.maxDets[-1:]
            evaluation.evaluate()
        self._evaluation = evaluation
        # By class and picture, in this order; COCO's list also goes round the object sizes, of which there is one.
        self._matches = [
            evaluation.evalImgs[k : k + self.pictures] for k in range(0, len(evaluation.evalImgs), len(truths))
        ]

    def ap(self, pictures: Sequence[int] | None = None) -> dict[str, float | None]:
        """Average precision with 101 recall points, the mean over the classes that occur in the ground truth.

        Args:
            pictures: Which to count, by position and as often as they are named; by default each once.

        Returns:
            ``AP`` (mean over IoU .5 to .95) and ``AP50``; ``None`` if no object is annotated in them.
        """
        precision = self._precision(pictures)
        return {"AP": _mean(precision), "AP50": _mean(precision[self._at_50])}

    def ap_of_classes(self) -> dict[str, list[float | None]]:
        """``AP`` and ``AP50`` of each class; ``None`` for one that is nowhere annotated."""
        precision = self._precision(None)
        classes = range(precision.shape[2])
        return {
            "AP": [_mean(precision[:, :, k]) for k in classes],
            "AP50": [_mean(precision[self._at_50][:, :, k]) for k in classes],
        }

    @property
    def _at_50(self) -> numpy.ndarray:
        return self._evaluation.params.iouThrs == 0.5

    def _precision(self, pictures: Sequence[int] | None) -> numpy.ndarray:
        """COCO's table (IoU thresholds, recall points, classes, 1, 1); -1 for a class without objects."""
        chosen = range(self.pictures) if pictures is None else pictures
        evaluation = self._evaluation
        evaluation.evalImgs = [of_class[picture] for of_class in self._matches for picture in chosen]
        evaluation.params.imgIds = evaluation._paramsEval.imgIds = list(range(len(chosen)))
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.accumulate()
        return evaluation.eval["precision"]


def _mean(precision: numpy.ndarray) -> float | None:
    """The mean of what was measured: COCO marks classes without objects by -1."""
    measured = precision[precision > -1]
    return float(measured.mean()) if measured.size else None


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
