"""One annotated picture, and the pictures of one task."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from onehead_avl.tasks import Task


@dataclass(frozen=True)
class Sample:
    """A decoded picture with the annotation of one task; what the task does not annotate is ``None``.

    Attributes:
        name: Where the picture comes from, for messages.
        image: ``(3, H, W)`` uint8 RGB.
        mask: ``(H, W)`` uint8 class indices, 0 = background, 255 = void (segmentation).
        boxes: ``(M, 4)`` float32 ``x1, y1, x2, y2`` in pixels (detection); M may be 0.
        labels: ``(M,)`` int64 class index of each box (detection).
        crowd: ``(M,)`` bool, true for a region that holds a group of objects (detection).
        label: Class index of the picture (classification).
    """

    name: str
    image: Tensor
    mask: Tensor | None = None
    boxes: Tensor | None = None
    labels: Tensor | None = None
    crowd: Tensor | None = None
    label: int | None = None


@dataclass(frozen=True)
class TaskData:
    """The pictures of one task.

    Attributes:
        task: The kind of task.
        classes: Class names in index order; for segmentation the first is the background.
        train: Samples to learn from.
        val: Samples to be scored on.
        root: The folder they were read from; ``None`` for the embedded data set.
    """

    task: Task
    classes: tuple[str, ...]
    train: list[Sample]
    val: list[Sample]
    root: Path | None = None
