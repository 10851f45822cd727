"""Object detection: boxes with classes, anchor-free and at a single resolution."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, pad
from torchvision import tv_tensors
from torchvision.ops import batched_nms, box_iou, clip_boxes_to_image, sigmoid_focal_loss
from torchvision.transforms import v2
from torchvision.utils import draw_bounding_boxes

from onehead_avl.ignored import ABSENT
from onehead_avl.kinds.augmentation import colours
from onehead_avl.kinds.boxes import assign, boxes_of, inside, overlaps
from onehead_avl.kinds.caption import captioned
from onehead_avl.kinds.coco import CocoMatches, Detections, Truth
from onehead_avl.kinds.colours import colour_of
from onehead_avl.kinds.kind import SHARE, Annotation, Kind, Metric, MetricName, Values
from onehead_avl.kinds.mistakes import mistakes
from onehead_avl.kinds.object_crop import ObjectCrop
from onehead_avl.kinds.stride import STRIDE
from onehead_avl.target import Target

PRIOR = 0.01
"""Score of every class in an untrained network, which keeps the focal loss stable (Lin et al., ICCV 2017)."""

MIN_BOX_SIDE = 2.0
"""Boxes cut narrower than this many pixels by a crop are dropped: too little is left of the object."""

MAX_ZOOM_OUT = 2.0
"""Training images are put on a black canvas of up to this many times their sides."""

SCORE_THRESHOLD = 0.01
NMS_IOU = 0.5
VOTING_IOU = 0.6
"""Boxes of the same class that overlap one which is kept by this much (IoU) have a say in where it is."""

CANDIDATES = 1000
MAX_DETECTIONS = 100
"""COCO scores at most this many boxes an image."""

_BOX_CHANNELS = 5  # four parameters and the confidence
_SHOWN_SCORE = 0.3  # boxes below it would cover a drawing
_SHOWN_BOXES = 10  # and so would more than these


class CocoAP(Metric):
    """Average precision as COCO defines it: ``AP`` (mean over IoU .5 to .95) and ``AP50``.

    Boxes are compared in the coordinates of the original images, and crowd regions are honoured.

    Args:
        classes: Class names in index order.
    """

    values = (MetricName("AP50", limits=SHARE), MetricName("AP", limits=SHARE))
    _matches: CocoMatches | None

    def count(self, logits: Tensor, target: Target) -> None:
        """Keep the boxes found and annotated."""
        self._matches = None
        for found in detections(logits, target.size):
            self._predictions.append(Detections(*(part.cpu() for part in found)))
        boxes, labels, crowd = (target.parts[name].cpu() for name in Detection.parts)
        for i in range(len(target)):
            real = labels[i] != ABSENT
            self._truths.append(Truth(boxes[i][real], labels[i][real], crowd[i][real]))

    def clear(self) -> None:
        """Drop the boxes."""
        self._predictions: list[Detections] = []
        self._truths: list[Truth] = []
        self._matches = None

    def __len__(self) -> int:
        return len(self._truths)

    def compute(self, images: Sequence[int]) -> Values:
        """Compute AP over some images."""
        return self._matched().ap(images)

    def per_class(self) -> dict[str, Values]:
        """Compute AP and AP50 of each class; ``None`` for one that is nowhere annotated."""
        if not self._truths:
            return {name: dict.fromkeys(self.classes) for name in self.names}
        of_classes = self._matched().ap_of_classes()
        return {name: dict(zip(self.classes, of_classes[name], strict=True)) for name in self.names}

    def precision_recall(self) -> Mapping[str, Sequence[float]]:
        """Compute the precision at an IoU of 0.5 at COCO's 101 recalls, of each class that is annotated."""
        if not self._truths:
            return {}
        curves = zip(self.classes, self._matched().precision_at_50(), strict=True)
        return {name: curve for name, curve in curves if curve is not None}

    def mistakes(self) -> Mapping[str, float]:
        """Compute what each type of mistake costs AP50, as :func:`~onehead_avl.kinds.mistakes.mistakes` says."""
        return mistakes(self._predictions, self._truths, len(self.classes))

    def _matched(self) -> CocoMatches:
        if self._matches is None:
            self._matches = CocoMatches(self._predictions, self._truths, len(self.classes))
        return self._matches


class Detection(Kind):
    """Object detection, measured by COCO's AP50 and AP.

    An annotation holds ``boxes`` ``(M, 4)`` float32 ``x1, y1, x2, y2`` in pixels, ``labels`` ``(M,)`` int64 and
    ``crowd`` ``(M,)`` bool, true for a region around a group of objects. A prediction holds ``boxes``, ``labels`` and
    ``scores``, best first.

    The channels are four box parameters, which :func:`~onehead_avl.kinds.boxes.boxes_of` explains, the confidence,
    and the classes.
    """

    name = "detection"
    measured_by = (CocoAP,)
    parts = ("boxes", "labels", "crowd")

    def channels(self, classes: Sequence[str]) -> int:
        """Count four box parameters, a confidence, and one for each class."""
        return _BOX_CHANNELS + len(classes)

    def start(self, classes: Sequence[str]) -> Tensor:
        """Begin as a detector that sees nothing."""
        start = torch.zeros(self.channels(classes))
        start[_BOX_CHANNELS:] = -math.log((1 - PRIOR) / PRIOR)
        return start

    def loss(self, logits: Tensor, target: Target) -> Tensor:
        """Compute the focal loss of the classes, the GIoU loss of the boxes and the loss of the confidence.

        Focal loss: Lin et al., ICCV 2017. GIoU: Rezatofighi et al., CVPR 2019. The confidence learns the IoU of its own
        box, as in Wu et al., "IoU-aware single-stage object detector", 2020. All three are divided by the cells that
        learn a box in an average image of the batch. Crowd regions are no objects to learn and no background either.
        """
        parameters, confidence, classes = split(logits)
        predicted, confidence, classes = boxes_of(parameters), confidence.flatten(1), classes.flatten(2)
        height, width = logits.shape[-2:]
        boxes, labels, crowd = (target.parts[name] for name in self.parts)
        # One more that is absent: there is a box then, also where none of the images has one.
        boxes, labels, crowd = pad(boxes, (0, 0, 0, 1)), pad(labels, (0, 1), value=ABSENT), pad(crowd, (0, 1))
        scale = torch.tensor([width * STRIDE, height * STRIDE]) / target.size.flip(1)
        boxes = boxes * scale.repeat(1, 2)[:, None].to(boxes.device, non_blocking=True)
        real = labels != ABSENT
        assigned = assign(boxes, real & ~crowd, height, width)
        learns, box = assigned >= 0, assigned.clamp(min=0)

        counts = learns | ~(inside(boxes, height, width) & (real & crowd)[..., None]).any(dim=1)
        label = labels.gather(1, box).clamp(min=0)
        wanted = torch.zeros_like(classes).scatter_(1, label[:, None], learns[:, None].to(classes))
        loss = (sigmoid_focal_loss(classes, wanted, alpha=0.25, gamma=2.0).sum(dim=1) * counts).sum(dim=1)
        # Where nothing is learned, a box is compared with itself.
        truth = torch.where(learns[..., None], boxes.gather(1, box[..., None].expand(-1, -1, 4)), predicted.detach())
        iou, giou = overlaps(predicted, truth)
        known = binary_cross_entropy_with_logits(confidence, iou.detach(), reduction="none")
        loss = loss + ((2 * (1 - giou) + known) * learns).sum(dim=1)
        return loss * (len(target) / learns.sum().clamp(min=1))

    def decode(self, logits: Tensor, size: Tensor) -> list[dict[str, Tensor]]:
        """Find boxes in the original images' coordinates, after non-maximum suppression per class.

        A box's score is the geometric mean of its class probability and its confidence. Its place is the mean of those
        of its class around it, weighted by their scores: box voting (Gidaris and Komodakis, ICCV 2015) evens out what
        single cells get wrong.
        """
        return [found._asdict() for found in detections(logits, size)]

    def outputs(self, logits: Tensor) -> dict[str, Tensor]:
        """Give each cell a box and the score of each class; non-maximum suppression is left to the reader.

        Returns:
            ``boxes`` ``(B, N, 4)`` ``x1, y1, x2, y2`` in pixels of the network's input, ``scores`` ``(B, N, C)``
        """
        parameters, confidence, classes = split(logits)
        return {"boxes": boxes_of(parameters), "scores": cell_scores(confidence, classes)}

    def distillation(self, logits: Tensor, teacher: Tensor) -> Tensor:
        """Keep what the teacher detects, where it detects it, and that it detects nothing elsewhere.

        Class probabilities are learned by the quality focal loss (Li et al., NeurIPS 2020) with the teacher's as its
        soft labels, and GIoU and confidence losses count for a cell as much as the teacher's best class probability
        there. All three are divided by the sum of these probabilities, as the detection loss is by the number of cells
        that learn a box: an image in which the teacher sees little has a small say.
        """
        parameters, confidence, classes = split(logits)
        old_parameters, old_confidence, old_classes = split(teacher)
        probability = old_classes.sigmoid()
        sure = probability.amax(dim=1)
        cross_entropy = binary_cross_entropy_with_logits(classes, probability, reduction="none")
        loss = ((classes.sigmoid() - probability).detach().square() * cross_entropy).sum()
        _, giou = overlaps(boxes_of(parameters), boxes_of(old_parameters))
        loss = loss + 2 * (sure.flatten(1) * (1 - giou)).sum()
        known = binary_cross_entropy_with_logits(confidence, old_confidence.sigmoid(), reduction="none")
        return (loss + (sure * known).sum()) / sure.sum().clamp(min=1)

    def augmentation(self, size: int) -> v2.Transform:
        """Zoom out of half of the images, crop around objects, flip and change colours.

        Boxes that lose their centre or nearly all of their area go, with their labels and crowd flags.
        """
        return v2.Compose(
            [
                v2.RandomZoomOut(side_range=(1.0, MAX_ZOOM_OUT)),
                ObjectCrop(),
                v2.Resize((size, size), antialias=True),
                v2.RandomHorizontalFlip(),
                colours(),
                v2.SanitizeBoundingBoxes(min_size=MIN_BOX_SIDE, labels_getter=_per_box),
            ]
        )

    def wrap(self, annotation: Annotation, size: Sequence[int]) -> dict[str, Any]:
        """Make the boxes some of torchvision's."""
        boxes = tv_tensors.BoundingBoxes(annotation["boxes"], format="XYXY", canvas_size=tuple(size))
        return {"boxes": boxes, "labels": annotation["labels"], "crowd": annotation["crowd"]}

    def draw(self, image: Tensor, shown: Annotation, classes: Sequence[str]) -> Tensor:
        """Draw boxes with their classes, and with their scores if they have some; all but the surest are left out."""
        boxes, labels = shown["boxes"], shown["labels"].tolist()
        texts = [classes[label] for label in labels]
        kept = list(range(len(labels)))
        if "scores" in shown:
            scores = shown["scores"].tolist()
            kept = [i for i in kept if scores[i] >= _SHOWN_SCORE][:_SHOWN_BOXES]
            texts = [f"{text} {score:.2f}" for text, score in zip(texts, scores, strict=True)]
        elif "crowd" in shown:
            texts = [f"{text} (crowd)" if crowd else text for text, crowd in zip(texts, shown["crowd"], strict=True)]
        if not kept:
            return image.clone()
        kept.reverse()  # the surest come last, over the others
        colours = [colour_of(labels[i] + 1) for i in kept]
        drawn = draw_bounding_boxes(image, boxes[kept], colors=colours, width=max(2, min(image.shape[1:]) // 160))
        for i, colour in zip(kept, colours, strict=True):
            drawn = captioned(drawn, texts[i], colour, tuple(boxes[i, :2].tolist()), lines=28)
        return drawn

    def as_json(self, prediction: Annotation, classes: Sequence[str], image_id: int) -> dict[str, Any]:
        """Tell the boxes in COCO's format of results; category ids count the classes from 1."""
        boxes = prediction["boxes"].double()
        sides = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1).tolist()
        labels, scores = prediction["labels"].tolist(), prediction["scores"].tolist()
        return {
            "boxes": [
                {"image_id": image_id, "category_id": label + 1, "bbox": box, "score": score}
                for label, box, score in zip(labels, sides, scores, strict=True)
            ]
        }

    def classes_in(self, annotation: Annotation, classes: Sequence[str]) -> set[int]:
        """The classes of its boxes."""
        return set(annotation["labels"].tolist())

    def select(self, annotation: Annotation, new: Mapping[int, int]) -> dict[str, Any]:
        """Drop the boxes of all other classes."""
        labels = annotation["labels"].tolist()
        kept = [i for i, label in enumerate(labels) if label in new]
        return {
            "boxes": annotation["boxes"][kept],
            "labels": torch.tensor([new[labels[i]] for i in kept], dtype=torch.int64),
            "crowd": annotation["crowd"][kept],
        }


def _per_box(sample: dict) -> tuple[Tensor, Tensor]:
    return sample["labels"], sample["crowd"]


def split(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Take ``(B, 5 + C, H, W)`` apart: boxes ``(B, 4, H, W)``, confidence ``(B, H, W)``, classes ``(B, C, H, W)``."""
    return logits[:, : _BOX_CHANNELS - 1], logits[:, _BOX_CHANNELS - 1], logits[:, _BOX_CHANNELS:]


def cell_scores(confidence: Tensor, classes: Tensor) -> Tensor:
    """The score ``(B, N, C)`` of each class in each cell: the geometric mean of its probability and the confidence.

    Args:
        confidence: Logits ``(B, H, W)``.
        classes: Logits ``(B, C, H, W)``.
    """
    return (classes.sigmoid() * confidence.sigmoid()[:, None]).sqrt().flatten(2).transpose(1, 2)


def detections(logits: Tensor, size: Tensor) -> list[Detections]:
    """Find boxes, as :meth:`Detection.decode` says."""
    parameters, confidence, classes = split(logits)
    boxes = boxes_of(parameters)
    scores = cell_scores(confidence, classes)
    height, width = (side * STRIDE for side in logits.shape[-2:])
    scale = (size.flip(1) / size.new_tensor([width, height])).to(logits.device)
    n_classes = classes.shape[1]
    found = []
    for i in range(len(logits)):
        rows, columns = size[i].tolist()
        score, flat = scores[i].flatten().topk(min(CANDIDATES, scores[i].numel()))
        keep = score > SCORE_THRESHOLD
        score, flat = score[keep], flat[keep]
        cell, label = flat // n_classes, flat % n_classes
        box = clip_boxes_to_image(boxes[i, cell] * scale[i].repeat(2), (rows, columns))
        kept = batched_nms(box, score, label, NMS_IOU)[:MAX_DETECTIONS]
        voting = (box_iou(box[kept], box) >= VOTING_IOU) & (label[kept][:, None] == label)
        voting |= kept[:, None] == torch.arange(len(box), device=box.device)  # also one without an area
        weights = voting * score
        place = weights @ box / weights.sum(dim=1, keepdim=True)
        found.append(Detections(place, score[kept], label[kept]))
    return found
