"""The loss of a batch that may mix the three tasks."""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, interpolate
from torchvision.ops import box_iou, generalized_box_iou_loss, sigmoid_focal_loss

from onehead_avl.model.boxes import assign, boxes_of, cell_centres, inside
from onehead_avl.model.layout import STRIDE, Layout
from onehead_avl.target import ABSENT, VOID, Target
from onehead_avl.tasks import Task

_SEG_STRIDE = 4
"""Segmentation is learned at stride 4: finer costs more time than the backbone, coarser loses thin objects."""


class MultiTaskLoss:
    """The sum over the tasks in a batch of the mean loss over that task's samples.

    Each task weighs one however many of a batch's samples are its own, so replayed samples count as a task and not
    as a fraction of the batch.

    Args:
        layout: The channels of the output.
        reduction: ``"mean"`` as above; ``"none"`` for one loss per sample.

    Raises:
        ValueError: The reduction is neither.
    """

    def __init__(self, layout: Layout, reduction: str = "mean") -> None:
        if reduction not in ("mean", "none"):
            raise ValueError(f"expected reduction 'mean' or 'none', got {reduction!r}")
        self.layout = layout
        self.reduction = reduction

    def __call__(self, output: Tensor, target: Target) -> Tensor:
        """Compare an output ``(B, C, H/8, W/8)`` with a target of B; a scalar, or ``(B,)`` with ``"none"``."""
        losses = output.new_zeros(len(target))
        total = output.sum() * 0  # a batch without any annotation still has a gradient: zero
        for task, loss in (
            (Task.SEG, segmentation_loss),
            (Task.DET, detection_loss),
            (Task.CLS, classification_loss),
        ):
            chosen = target.of(task).nonzero().flatten()
            if len(chosen):
                part = loss(output[chosen], target[chosen], self.layout)
                losses = losses.index_put((chosen,), part)
                total = total + part.mean()
        return losses if self.reduction == "none" else total


def segmentation_loss(output: Tensor, target: Target, layout: Layout) -> Tensor:
    """Cross-entropy of each sample's pixels, void ignored, ``(B,)``; a sample that is all void has zero."""
    height, width = (side * STRIDE // _SEG_STRIDE for side in output.shape[-2:])
    logits = interpolate(layout.segmentation(output), size=(height, width), mode="bilinear", align_corners=False)
    mask = torch.cat([_resized_mask(target[i], height, width) for i in range(len(target))]).long()
    loss = cross_entropy(logits, mask, ignore_index=VOID, reduction="none")
    return loss.sum(dim=(1, 2)) / (mask != VOID).sum(dim=(1, 2)).clamp(min=1)


def _resized_mask(target: Target, height: int, width: int) -> Tensor:
    """The mask of one sample without its padding, ``(1, height, width)``."""
    rows, columns = target.size[0].tolist()
    return interpolate(target.mask[:, None, :rows, :columns], size=(height, width), mode="nearest-exact")[:, 0]


def detection_loss(output: Tensor, target: Target, layout: Layout) -> Tensor:
    """Focal loss of the classes, GIoU loss of the boxes and IoU-aware confidence, ``(B,)``.

    Focal loss: Lin et al., ICCV 2017. GIoU: Rezatofighi et al., CVPR 2019. The confidence learns the IoU of its own
    box, as in Wu et al., "IoU-aware single-stage object detector", 2020. All three are divided by the cells that
    learn a box in an average picture of the batch. Crowd regions are no objects to learn and no background either.
    """
    parameters, confidence, classes = layout.detection(output)
    boxes, confidence, classes = (
        boxes_of(parameters),
        confidence.flatten(1),
        classes.flatten(2).transpose(1, 2),
    )
    height, width = output.shape[-2:]
    centres = cell_centres(height, width, output.device)
    scale = output.new_tensor([height * STRIDE, width * STRIDE]) / target.size
    sums, learned = [], 0
    for i in range(len(target)):
        real = target.labels[i] != ABSENT
        truth = target.boxes[i][real] * scale[i].flip(0).repeat(2)
        labels, crowd = target.labels[i][real], target.crowd[i][real]
        ignored = inside(centres, truth[crowd]).any(dim=1)
        truth, labels = truth[~crowd], labels[~crowd]
        assigned = assign(truth, centres)
        cells = (assigned >= 0).nonzero().flatten()
        boxes_true = truth[assigned[cells]]

        wanted = torch.zeros_like(classes[i])
        wanted[cells, labels[assigned[cells]]] = 1
        focal = sigmoid_focal_loss(classes[i], wanted, alpha=0.25, gamma=2.0)
        ignored[cells] = False
        loss = focal[~ignored].sum()

        predicted = boxes[i, cells]
        loss = loss + 2 * generalized_box_iou_loss(predicted, boxes_true, reduction="sum")
        overlap = box_iou(predicted.detach(), boxes_true).diagonal()
        loss = loss + binary_cross_entropy_with_logits(confidence[i, cells], overlap, reduction="sum")
        sums.append(loss)
        learned += len(cells)
    return torch.stack(sums) * (len(target) / max(learned, 1))


def classification_loss(output: Tensor, target: Target, layout: Layout) -> Tensor:
    """Cross-entropy of each picture's class, ``(B,)``; zero where the class is absent."""
    return cross_entropy(
        layout.classification(output),
        target.label,
        ignore_index=ABSENT,
        reduction="none",
        label_smoothing=0.1,
    )
