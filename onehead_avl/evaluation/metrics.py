"""Standalone metrics of the three tasks: they take the network's output and the target of any mixed batch.

Each follows Avalanche's ``Metric`` protocol (``update``, ``result``, ``reset``), counts only samples of its own task,
and answers ``None`` as long as it has measured nothing: never 0.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from onehead_avl.evaluation.coco import CocoMatches, Truth
from onehead_avl.model.decode import Detections, decode_classification, decode_detection, decode_segmentation
from onehead_avl.model.layout import Layout
from onehead_avl.target import ABSENT, VOID, Target
from onehead_avl.tasks import Task


class TaskMetric(ABC):
    """A metric of one task, between 0 and 1 with 1 the best.

    Args:
        layout: The channels of the network's output.

    Attributes:
        task: The task whose samples count.
        names: The names of the values in the result.
    """

    task: Task
    names: tuple[str, ...]

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.reset()

    @torch.no_grad()
    def update(self, output: Tensor, target: Target) -> None:
        """Count a batch: ``output`` is ``(B, C, H/8, W/8)``, ``target`` holds B samples of any tasks."""
        chosen = target.of(self.task).nonzero().flatten()
        if len(chosen):
            self._result = None
            self._update(output[chosen], target[chosen])

    def result(self) -> dict[str, float | None]:
        """A value for each of :attr:`names`; ``None`` where nothing could be measured."""
        if self._result is None:
            self._result = self._compute(range(len(self)))
        return self._result

    def resampled(self, pictures: Sequence[int]) -> dict[str, float | None]:
        """The values over some of the pictures counted, by position, each as often as it is named."""
        return self._compute(pictures)

    @abstractmethod
    def __len__(self) -> int:
        """How many pictures were counted."""

    def reset(self) -> None:
        """Forget everything counted."""
        self._result: dict[str, float | None] | None = dict.fromkeys(self.names)
        self._start()

    @abstractmethod
    def _start(self) -> None:
        """Begin to count."""

    @abstractmethod
    def _update(self, output: Tensor, target: Target) -> None:
        """Count samples of the metric's own task."""

    @abstractmethod
    def _compute(self, pictures: Sequence[int]) -> dict[str, float | None]:
        """Compute the values over pictures that were counted, at least one."""


class MeanIoU(TaskMetric):
    """Mean intersection over union, as PASCAL VOC defines it: ``mIoU``.

    One confusion matrix over all pixels of the data set, at the masks' own resolution, void left out; the mean is over
    the classes (background included) that occur in the ground truth or in the predictions.
    """

    task = Task.SEG
    names = ("mIoU",)

    def _start(self) -> None:
        self._confusion: list[Tensor] = []

    def _update(self, output: Tensor, target: Target) -> None:
        predicted = decode_segmentation(output, target.size, self.layout)
        for prediction, mask, (rows, columns) in zip(predicted, target.mask, target.size.tolist(), strict=True):
            truth = mask[:rows, :columns].long()
            confusion = multiclass_confusion_matrix(
                prediction, truth, self.layout.n_seg, ignore_index=VOID, validate_args=False
            )
            self._confusion.append(confusion.cpu())

    def __len__(self) -> int:
        return len(self._confusion)

    def _compute(self, pictures: Sequence[int]) -> dict[str, float | None]:
        return {"mIoU": mean_iou(sum(self._confusion[picture] for picture in pictures))}


def mean_iou(confusion: Tensor) -> float | None:
    """The mean over classes that occur of intersection over union, from a ``(C, C)`` matrix of truth and prediction.

    ``None`` if the matrix counts no pixel.
    """
    both = confusion.diag().double()
    either = confusion.sum(dim=0) + confusion.sum(dim=1) - both
    occurs = either > 0
    return (both[occurs] / either[occurs]).mean().item() if occurs.any() else None


class CocoAP(TaskMetric):
    """Average precision as COCO defines it: ``AP`` (mean over IoU .5 to .95) and ``AP50``.

    Boxes are compared in the coordinates of the original pictures, and crowd regions are honoured.
    """

    task = Task.DET
    names = ("AP", "AP50")

    def _start(self) -> None:
        self._predictions: list[Detections] = []
        self._truths: list[Truth] = []
        self._matches: CocoMatches | None = None

    def _update(self, output: Tensor, target: Target) -> None:
        self._matches = None
        for found in decode_detection(output, target.size, self.layout):
            self._predictions.append(Detections(*(part.cpu() for part in found)))
        for boxes, labels, crowd in zip(target.boxes, target.labels, target.crowd, strict=True):
            real = labels != ABSENT
            self._truths.append(Truth(boxes[real].cpu(), labels[real].cpu(), crowd[real].cpu()))

    def __len__(self) -> int:
        return len(self._truths)

    def _compute(self, pictures: Sequence[int]) -> dict[str, float | None]:
        if self._matches is None:
            self._matches = CocoMatches(self._predictions, self._truths, self.layout.n_det)
        return self._matches.ap(pictures)


class TopAccuracy(TaskMetric):
    """The share of pictures whose class is the best guess, ``Top1``, or among the best five, ``Top5``."""

    task = Task.CLS
    names = ("Top1", "Top5")

    def _start(self) -> None:
        self._hits: list[Tensor] = []

    def _update(self, output: Tensor, target: Target) -> None:
        guesses = decode_classification(output, self.layout).topk(min(5, self.layout.n_cls), dim=1).indices
        self._hits += (guesses == target.label[:, None]).cpu()

    def __len__(self) -> int:
        return len(self._hits)

    def _compute(self, pictures: Sequence[int]) -> dict[str, float | None]:
        hits = torch.stack([self._hits[picture] for picture in pictures])
        return {"Top1": hits[:, 0].double().mean().item(), "Top5": hits.any(dim=1).double().mean().item()}


def task_metrics(layout: Layout) -> list[TaskMetric]:
    """The metrics of all three tasks, in the order of :class:`~onehead_avl.tasks.Task`."""
    return [MeanIoU(layout), CocoAP(layout), TopAccuracy(layout)]
