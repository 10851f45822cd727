"""What a detector gets wrong, and how much AP50 each type of mistake costs.

The six types are those of TIDE (Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV
2020).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy
from numpy import ndarray
from pycocotools import mask
from pycocotools.cocoeval import Params

from onehead_avl.kinds.coco import Detections, Truth, xywh
from onehead_avl.kinds.precision import Matched, precision

FOREGROUND = 0.5
"""From this overlap (IoU) on, a box is where an object is."""

BACKGROUND = 0.1
"""Below this overlap, a box has to do with no object."""

TYPES = ("classification", "localisation", "both", "duplicate", "background", "missed")
"""What is wrong.

``classification``: a box is where an object of another class is. ``localisation``: a box of the right class overlaps
its object too little. ``both``: it is of a wrong class, too. ``duplicate``: a box with a higher score has found the
object. ``background``: a box has to do with no object. ``missed``: an object that no box found, nor would find if its
class or its place were mended.
"""

_RIGHT, _IGNORED = -1, -2
_CLASSIFICATION, _LOCALISATION, _BOTH, _DUPLICATE, _BACKGROUND, _MISSED = range(len(TYPES))


@dataclass(frozen=True)
class _Judged:
    """The boxes found in some images, best first in each, and the objects to be found.

    Attributes:
        image: ``(N,)`` position of each box's image.
        label: ``(N,)`` its class.
        score: ``(N,)``.
        verdict: ``(N,)`` its type of mistake by position in :data:`TYPES`, or that it is right or ignored.
        object: ``(N,)`` the object that it is, or would be if its class or place were mended; -1 for none.
        object_image: ``(M,)`` position of each object's image.
        object_label: ``(M,)`` its class.
    """

    image: ndarray
    label: ndarray
    score: ndarray
    verdict: ndarray
    object: ndarray
    object_image: ndarray
    object_label: ndarray


def mistakes(predictions: Sequence[Detections], truths: Sequence[Truth], n_classes: int) -> dict[str, float]:
    """By how much AP50 would rise if all mistakes of one type were mended, for each of :data:`TYPES`.

    A box of a wrong class gets the right one, and one in a wrong place the object's; of several that would find one
    object, the one with the highest score. All other wrong boxes are taken away, and objects that were missed are not
    asked for. Since each type is mended by itself, the values do not add up.

    Args:
        predictions: The boxes found, one entry an image.
        truths: The boxes annotated, in the same order.
        n_classes: How many classes there are.

    Returns:
        The rise of AP50 by type; nothing without objects to find.
    """
    judged = _judged(predictions, truths)
    if not len(judged.object_label):
        return {}
    counted = numpy.isin(numpy.arange(n_classes), judged.object_label)
    before = _ap50(judged, n_classes, counted)
    return {name: _ap50(_mended(judged, kind), n_classes, counted) - before for kind, name in enumerate(TYPES)}


def _judged(predictions: Sequence[Detections], truths: Sequence[Truth]) -> _Judged:
    columns: list[list[ndarray]] = [[] for _ in range(7)]
    objects = 0
    for image, (found, truth) in enumerate(zip(predictions, truths, strict=True)):
        label, crowd = found.labels.numpy(), truth.crowd.numpy()
        real = truth.labels.numpy()[~crowd]
        overlap = numpy.zeros((len(label), len(crowd)))
        if overlap.size:
            overlap = mask.iou(xywh(found.boxes), xywh(truth.boxes), crowd.tolist())
        same = label[:, None] == truth.labels.numpy()
        excused = (overlap >= FOREGROUND) & same & crowd
        verdict, chosen = _verdicts(overlap[:, ~crowd], same[:, ~crowd], excused.any(axis=1))
        rows = (
            numpy.full(len(label), image),
            label,
            found.scores.numpy(),
            verdict,
            numpy.where(chosen < 0, -1, chosen + objects),
            numpy.full(len(real), image),
            real,
        )
        objects += len(real)
        for column, row in zip(columns, rows, strict=True):
            column.append(row)
    nothing = numpy.zeros(0, dtype=int)
    return _Judged(*(numpy.concatenate([nothing, *column]) for column in columns))


def _verdicts(overlap: ndarray, same: ndarray, excused: ndarray) -> tuple[ndarray, ndarray]:
    """Judge the boxes of one image, best first.

    Args:
        overlap: ``(N, M)`` with each object.
        same: ``(N, M)`` bool: whether the class is the object's.
        excused: ``(N,)`` bool: whether a box that finds nothing lies in a crowd region of its class.

    Returns:
        The verdict ``(N,)``, and ``(N,)`` the object that the box is, or would be if mended.
    """
    verdict, chosen = numpy.full(len(overlap), _BACKGROUND), numpy.full(len(overlap), -1)
    taken = numpy.zeros(overlap.shape[1], dtype=bool)
    for box in range(len(overlap)) if overlap.shape[1] else ():
        of_class, of_others = numpy.where(same[box], overlap[box], 0), numpy.where(same[box], 0, overlap[box])
        free = numpy.where(taken, 0, of_class)
        if free.max() >= FOREGROUND:
            chosen[box] = len(free) - 1 - free[::-1].argmax()  # of equal ones the last, as COCO's evaluation does
            verdict[box] = _RIGHT
            taken[chosen[box]] = True
        elif BACKGROUND <= of_class.max() < FOREGROUND:
            verdict[box], chosen[box] = _LOCALISATION, of_class.argmax()
        elif of_others.max() >= FOREGROUND:
            verdict[box], chosen[box] = _CLASSIFICATION, of_others.argmax()
        elif of_class.max() >= FOREGROUND:
            verdict[box] = _DUPLICATE
        elif of_others.max() >= BACKGROUND:
            verdict[box] = _BOTH
    verdict[excused & (verdict != _RIGHT)] = _IGNORED
    return verdict, chosen


def _mended(judged: _Judged, kind: int) -> _Judged:
    """The boxes and objects without one type of mistake."""
    right = judged.verdict == _RIGHT
    found = numpy.zeros(len(judged.object_label), dtype=bool)
    found[judged.object[right]] = True
    # The best box for each object that none has found.
    mendable = numpy.isin(judged.verdict, (_CLASSIFICATION, _LOCALISATION)) & ~found[judged.object]
    ranked = numpy.flatnonzero(mendable)[numpy.argsort(-judged.score[mendable], kind="stable")]
    objects, first = numpy.unique(judged.object[ranked], return_index=True)
    if kind == _MISSED:
        found[objects] = True
        return replace(judged, object_image=judged.object_image[found], object_label=judged.object_label[found])
    best = numpy.zeros(len(judged.label), dtype=bool)
    best[ranked[first]] = True
    wrong = judged.verdict == kind
    verdict = numpy.where(wrong & best, _RIGHT, judged.verdict)
    label = numpy.where(wrong & best, judged.object_label[judged.object], judged.label)
    kept = ~wrong | best
    return replace(
        judged,
        **{name: getattr(judged, name)[kept] for name in ("image", "score", "object")},
        verdict=verdict[kept],
        label=label[kept],
    )


def _ap50(judged: _Judged, n_classes: int, counted: ndarray) -> float:
    """AP50, the mean over the classes that are counted; 0 for one without objects that are asked for."""
    images = max(judged.image.max(initial=0), judged.object_image.max(initial=0)) + 1
    order = numpy.lexsort((-judged.score, judged.label, judged.image))
    label, score = judged.label[order], judged.score[order]
    matched = Matched(
        n_classes=n_classes,
        first=numpy.searchsorted(judged.image[order], numpy.arange(images + 1)),
        label=label,
        place=numpy.unique(label - 1j * score, return_inverse=True)[1].astype(numpy.uint32),
        right=(judged.verdict[order] == _RIGHT)[None],
        ignored=(judged.verdict[order] == _IGNORED)[None],
        object_picture=judged.object_image,
        object_label=judged.object_label,
    )
    table = precision(matched, numpy.arange(images), Params("bbox").recThrs)[0]
    return float(table.clip(min=0).mean(axis=0)[counted].mean())
