"""Precision at given recalls, of detections that are matched once and counted over any choice of their pictures."""

from dataclasses import dataclass
from functools import cached_property

import numpy
from numpy import ndarray


@dataclass(frozen=True)
class Matched:
    """The detections of some pictures, matched to the annotated objects at T thresholds of overlap.

    They are in the order of their pictures, those of one class in one picture best first.

    Attributes:
        n_classes: How many classes there are.
        first: ``(P + 1,)`` where the detections of each picture begin, and how many there are.
        label: ``(N,)`` class of each detection.
        place: ``(N,)`` uint32: its place among all by class, then by score from the best; equal ones share a place.
        right: ``(T, N)`` bool: matched to an object.
        ignored: ``(T, N)`` bool: neither right nor wrong, as within a crowd region.
        object_picture: ``(M,)`` picture of each object that is to be found; crowd regions are not.
        object_label: ``(M,)`` its class.
    """

    n_classes: int
    first: ndarray
    label: ndarray
    place: ndarray
    right: ndarray
    ignored: ndarray
    object_picture: ndarray
    object_label: ndarray

    @property
    def pictures(self) -> int:
        """How many pictures there are."""
        return len(self.first) - 1

    @cached_property
    def told(self) -> ndarray:
        """``(N,)`` bool: right or ignored at some threshold; all others are mistakes, which only have to be counted."""
        return (self.right | self.ignored).any(axis=0)


def precision(matched: Matched, pictures: ndarray, recalls: ndarray) -> ndarray:
    """The best precision at each of R recalls or above, as COCO's ``accumulate`` computes it, to the bit.

    Equal scores stay in the order in which their pictures are named.

    Args:
        matched: The detections of all pictures.
        pictures: Which to count, by position, each as often as it is named.
        recalls: ``(R,)`` ascending, between 0 and 1.

    Returns:
        ``(T, R, C)``; -1 for a class without objects.
    """
    classes = numpy.arange(matched.n_classes)
    times = numpy.bincount(pictures, minlength=matched.pictures)
    objects = numpy.bincount(matched.object_label, times[matched.object_picture], len(classes)).astype(int)

    rows = _ranked(matched, pictures)
    label = matched.label[rows]
    before = numpy.searchsorted(label, classes)
    # Precision is at its best at right ones, and the mistakes before one follow from where it stands.
    stands = numpy.flatnonzero(matched.told[rows])
    rows, label = rows[stands], label[stands]
    ignored = numpy.cumsum(matched.ignored[:, rows], axis=1)
    ignored_before = numpy.pad(ignored, ((0, 0), (1, 0)))[:, numpy.searchsorted(label, classes)]
    counted = (stands + 1 - before[label]) - (ignored - ignored_before[:, label])

    # Right ones by threshold, then class, best first: one run for each threshold and class.
    threshold, at = numpy.nonzero(matched.right[:, rows])
    run = threshold * len(classes) + label[at]
    found = numpy.bincount(run, minlength=len(counted) * len(classes))
    start = numpy.cumsum(found) - found
    right = numpy.arange(1, len(at) + 1) - start[run]
    precise = right / (counted[threshold, at] + numpy.spacing(1))

    found, start = (each.reshape(-1, len(classes), 1) for each in (found, start))
    wanted = _wanted(recalls, objects)
    pieces = start + numpy.minimum(wanted - 1, found)  # each begins where its recall is reached, if it is
    best = numpy.maximum.reduceat(numpy.append(precise, 0.0), pieces.ravel()).reshape(pieces.shape)
    best[wanted > found] = 0
    best = numpy.maximum.accumulate(best[..., ::-1], axis=2)[..., ::-1]
    best[:, objects == 0] = -1
    return best.transpose(0, 2, 1)


def _ranked(matched: Matched, pictures: ndarray) -> ndarray:
    """The detections of the pictures by class, best first; equal ones in the order of the pictures."""
    many = numpy.diff(matched.first)[pictures]
    rows = numpy.arange(many.sum()) + numpy.repeat(matched.first[pictures] - (numpy.cumsum(many) - many), many)
    place = matched.place[rows]
    halves = (place & 0xFFFF).astype(numpy.uint16), (place >> 16).astype(numpy.uint16)
    return rows[numpy.lexsort(halves)]  # stable, and of 16 bits at a time ten times as fast


def _wanted(recalls: ndarray, objects: ndarray) -> ndarray:
    """How many objects of each class have to be found for each recall: ``(C, R)``, one at least."""
    objects = numpy.maximum(objects, 1)[:, None]
    wanted = numpy.maximum(numpy.ceil(recalls * objects).astype(int) - 1, 1)
    for _ in range(2):  # the product is rounded, and COCO compares the quotient
        wanted += wanted / objects < recalls
    return wanted
