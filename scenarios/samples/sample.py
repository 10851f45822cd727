"""One annotated image."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Sample:
    """A decoded image with its annotation.

    Attributes:
        name: Where the image comes from, for messages.
        image: ``(3, H, W)`` uint8 RGB.
        annotation: The parts that the kind of task reads, by name. Segmentation: ``mask`` ``(H, W)`` uint8 class
            indices, 255 = void. Detection: ``boxes`` ``(M, 4)`` float32 ``x1, y1, x2, y2`` in pixels, ``labels``
            ``(M,)`` int64 and ``crowd`` ``(M,)`` bool; M may be 0. Classification: ``label``, an integer.
    """

    name: str
    image: Tensor
    annotation: Mapping[str, Tensor | int] = field(default_factory=dict)
