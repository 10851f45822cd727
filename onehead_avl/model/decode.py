"""From the network's output to masks, boxes and class scores."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.ops import batched_nms, clip_boxes_to_image

from onehead_avl.model.boxes import boxes_of
from onehead_avl.model.layout import STRIDE, Layout

SCORE_THRESHOLD = 0.01
NMS_IOU = 0.6
CANDIDATES = 1000
MAX_DETECTIONS = 100
"""COCO scores at most this many boxes a picture."""


class Detections(NamedTuple):
    """The boxes found in one picture, best first.

    Attributes:
        boxes: ``(N, 4)`` ``x1, y1, x2, y2`` in pixels of the original picture.
        scores: ``(N,)`` between 0 and 1.
        labels: ``(N,)`` int64 class indices.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


def decode_segmentation(output: Tensor, size: Tensor, layout: Layout) -> list[Tensor]:
    """Class masks at the original resolution.

    Args:
        output: ``(B, C, H/8, W/8)`` of the network.
        size: ``(B, 2)`` height and width of the original pictures.
        layout: The channels of the output.

    Returns:
        B masks ``(height, width)`` int64.
    """
    logits = layout.segmentation(output)
    return [
        interpolate(logits[i : i + 1], size=tuple(size[i].tolist()), mode="bilinear", align_corners=False)[0].argmax(0)
        for i in range(len(logits))
    ]


def decode_detection(output: Tensor, size: Tensor, layout: Layout) -> list[Detections]:
    """Boxes in the original pictures' coordinates, after non-maximum suppression per class.

    A box's score is the geometric mean of its class probability and its confidence. Arguments as for
    :func:`decode_segmentation`.
    """
    parameters, confidence, classes = layout.detection(output)
    boxes = boxes_of(parameters)
    scores = (classes.sigmoid() * confidence.sigmoid()[:, None]).sqrt().flatten(2).transpose(1, 2)
    height, width = (side * STRIDE for side in output.shape[-2:])
    scale = size.flip(1) / size.new_tensor([width, height])
    found = []
    for i in range(len(output)):
        rows, columns = size[i].tolist()
        score, flat = scores[i].flatten().topk(min(CANDIDATES, scores[i].numel()))
        keep = score > SCORE_THRESHOLD
        score, flat = score[keep], flat[keep]
        cell, label = flat // layout.n_det, flat % layout.n_det
        box = clip_boxes_to_image(boxes[i, cell] * scale[i].repeat(2), (rows, columns))
        kept = batched_nms(box, score, label, NMS_IOU)[:MAX_DETECTIONS]
        found.append(Detections(box[kept], score[kept], label[kept]))
    return found


def decode_classification(output: Tensor, layout: Layout) -> Tensor:
    """Class probabilities ``(B, C_cls)``."""
    return torch.softmax(layout.classification(output), dim=1)
