"""COCO's average precision, by COCO's own evaluation code, without files in between."""

import contextlib
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval, Params
from torch import Tensor

from onehead_avl.kinds.precision import Matched, precision

_BLOCK = 256  # pictures


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
        self._parameters = Params("bbox")
        self._matched = _matched(predictions, truths, n_classes)

    def ap(self, pictures: Sequence[int] | None = None) -> dict[str, float | None]:
        """Average precision with 101 recall points, the mean over the classes that occur in the ground truth.

        Args:
            pictures: Which to count, by position and as often as they are named; by default each once.

        Returns:
            ``AP`` (mean over IoU .5 to .95) and ``AP50``; ``None`` if no object is annotated in them.
        """
        table = self._precision(pictures)
        return {"AP": _mean(table), "AP50": _mean(table[self._at_50])}

    def ap_of_classes(self) -> dict[str, list[float | None]]:
        """``AP`` and ``AP50`` of each class; ``None`` for one that is nowhere annotated."""
        table = self._precision(None)
        classes = range(table.shape[2])
        return {
            "AP": [_mean(table[:, :, k]) for k in classes],
            "AP50": [_mean(table[self._at_50][:, :, k]) for k in classes],
        }

    def precision_at_50(self) -> list[list[float] | None]:
        """The best precision at each of 101 recalls or above, of each class; ``None`` for one that is not annotated."""
        table = self._precision(None)[self._at_50][0]
        return [None if curve[0] < 0 else curve.tolist() for curve in table.T]

    @property
    def _at_50(self) -> numpy.ndarray:
        return self._parameters.iouThrs == 0.5

    def _precision(self, pictures: Sequence[int] | None) -> numpy.ndarray:
        """COCO's table (IoU thresholds, recall points, classes); -1 for a class without objects."""
        chosen = range(self._matched.pictures) if pictures is None else pictures
        return precision(self._matched, numpy.asarray(chosen, dtype=int), self._parameters.recThrs)


def _mean(table: numpy.ndarray) -> float | None:
    """The mean of what was measured: COCO marks classes without objects by -1."""
    measured = table[table > -1]
    return float(measured.mean()) if measured.size else None


def _matched(predictions: Sequence[Detections], truths: Sequence[Truth], n_classes: int) -> Matched:
    """Match some pictures at a time, since COCO's own records of them take a hundred times the memory."""
    blocks = [
        _matched_block(predictions[start : start + _BLOCK], truths[start : start + _BLOCK], start, n_classes)
        for start in range(0, len(truths), _BLOCK)
    ]
    picture, label, score, right, ignored, object_picture, object_label = (
        numpy.concatenate(parts, axis=-1) for parts in zip(*blocks, strict=True)
    )
    return Matched(
        n_classes=n_classes,
        first=numpy.searchsorted(picture, numpy.arange(len(truths) + 1)),
        label=label,
        # Complex numbers are ordered by their real parts, equal ones by their imaginary parts.
        place=numpy.unique(label - 1j * score, return_inverse=True)[1].astype(numpy.uint32),
        right=right,
        ignored=ignored,
        object_picture=object_picture,
        object_label=object_label,
    )


def _matched_block(
    predictions: Sequence[Detections], truths: Sequence[Truth], first: int, n_classes: int
) -> tuple[numpy.ndarray, ...]:
    """Match pictures numbered from ``first``.

    Returns:
        Picture, label and score of each detection and, ``(T, N)``, whether it is right and whether it is ignored; the
        picture and label of each object that is to be found.
    """
    annotated = [
        {"image_id": image, "category_id": label, "bbox": box, "area": box[2] * box[3], "iscrowd": int(crowd)}
        for image, truth in enumerate(truths)
        for box, label, crowd in zip(xywh(truth.boxes), truth.labels.tolist(), truth.crowd.tolist(), strict=True)
    ]
    found = [
        {"image_id": image, "category_id": label, "bbox": box, "area": box[2] * box[3], "iscrowd": 0, "score": score}
        for image, prediction in enumerate(predictions)
        for box, label, score in zip(
            xywh(prediction.boxes), prediction.labels.tolist(), prediction.scores.tolist(), strict=True
        )
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(_coco(annotated, len(truths), n_classes), _coco(found, len(truths), n_classes), "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = evaluation.params.areaRng[:1], ["all"]
        evaluation.params.maxDets = evaluation.params.maxDets[-1:]
        evaluation.evaluate()
    # By class, then picture; those of neither objects nor detections are none.
    records = [each for each in evaluation.evalImgs if each is not None]
    records.sort(key=lambda each: each["image_id"])
    picture = numpy.array([first + each["image_id"] for each in records], dtype=int)
    label = numpy.array([each["category_id"] for each in records], dtype=int)
    detections = [len(each["dtScores"]) for each in records]
    objects = [numpy.count_nonzero(each["gtIgnore"] == 0) for each in records]
    none = numpy.zeros((len(evaluation.params.iouThrs), 0), dtype=bool)
    matched = numpy.concatenate([none, *(each["dtMatches"] > 0 for each in records)], axis=1)
    ignored = numpy.concatenate([none, *(each["dtIgnore"] for each in records)], axis=1)
    return (
        picture.repeat(detections),
        label.repeat(detections),
        numpy.array([score for each in records for score in each["dtScores"]], dtype=float),
        matched & ~ignored,
        ignored,
        picture.repeat(objects),
        label.repeat(objects),
    )


def xywh(boxes: Tensor) -> list[list[float]]:
    """Corners ``(N, 4)`` as COCO has boxes: ``x, y, width, height``."""
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
