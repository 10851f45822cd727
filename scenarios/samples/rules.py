"""What annotations have to be, whoever reads them: strictly, or to mend them. Importing it is cheap: no torch."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from onehead_avl.ignored import VOID
from scenarios.samples.classes import VOC_CLASSES

ROUNDING = 1.0
"""Pixels by which a box may reach over the edge of its image; what reaches over is cut off."""

VOC_VALUES = frozenset({*range(len(VOC_CLASSES)), VOID})
"""The values of a mask of PASCAL VOC: its classes and void."""


class Cut(NamedTuple):
    """A box, cut to its image.

    Attributes:
        corners: ``x1, y1, x2, y2`` of what lies within the image.
        outside: Whether the box reached over the edge by more than :data:`ROUNDING`.
        empty: Whether nothing is left, in the single precision that boxes are learned in.
    """

    corners: tuple[float, float, float, float]
    outside: bool
    empty: bool


def cut_box(box: Sequence[Any], width: int, height: int) -> Cut | None:
    """Turn a COCO box into corners within its image.

    Args:
        box: ``x, y, w, h`` in pixels, as a file holds it: it may be anything.
        width: Of the image, in pixels; an integer of any size.
        height: Of the image, in pixels; an integer of any size.

    Returns:
        The cut box; ``None`` if ``box`` is not four finite numbers.
    """
    # The limit refuses infinities, not-a-numbers and integers too large for a float alike.
    if len(box) != 4 or not all(type(value) in (int, float) and abs(value) < 1e9 for value in box):
        return None
    x, y, w, h = box
    x1, y1, x2, y2 = max(x, 0), max(y, 0), min(x + w, max(width, 0)), min(y + h, max(height, 0))
    # Comparing, unlike adding, works for a width too large for a float.
    outside = min(x, y) < -ROUNDING or x + w - ROUNDING > width or y + h - ROUNDING > height
    empty = not (np.float32(x2) > np.float32(x1) and np.float32(y2) > np.float32(y1))
    return Cut((x1, y1, x2, y2), outside, empty)


def values_without_class(values: Iterable[int], known: Collection[int] = VOC_VALUES) -> list[int]:
    """Return which of the values that occur in a mask are neither a class nor void, ascending and each once."""
    return sorted(set(values) - set(known))
