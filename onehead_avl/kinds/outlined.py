"""Objects that a mask outlines, as examples of object detection: boxes around them, and themselves to paste elsewhere.

What one experience annotates by outlines is what another one needs boxes of, if both know the same classes.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy
import torch
from scipy.ndimage import find_objects, label
from torch import Tensor
from torch.nn.functional import interpolate

from onehead_avl.ignored import ABSENT
from onehead_avl.kinds.kind import Annotation
from onehead_avl.kinds.stride import STRIDE

PASTED_SIDES = (0.25, 0.9)
"""An image whose objects are pasted is shrunk to a random share of its sides between these."""

COVERED = 0.5
"""Objects of which more than this share of the box is pasted over are no longer annotated."""

_NEIGHBOURS = numpy.ones((3, 3))  # pixels that touch at a corner belong together


class Outlined(NamedTuple):
    """Objects of an image ``(3, H, W)``. All but the image is on the CPU, where it is known without waiting.

    Attributes:
        image: The image.
        pixels: ``(H, W)`` bool, true for the pixels of the objects.
        boxes: ``(M, 4)`` float32 ``x1, y1, x2, y2`` in pixels.
        labels: ``(M,)`` int64.
    """

    image: Tensor
    pixels: Tensor
    boxes: Tensor
    labels: Tensor

    @property
    def annotation(self) -> dict[str, Tensor]:
        """The annotation of the image for detection, as :class:`~onehead_avl.kinds.detection.Detection` says."""
        return _annotation(self.boxes, self.labels)


def shared_classes(masks: Sequence[str], boxes: Sequence[str]) -> dict[int, int]:
    """Find the classes of segmentation that detection knows, too: the index of each there, by its index in masks.

    Names are compared without case and spaces: PASCAL VOC's ``diningtable`` is COCO's ``dining table``.
    """
    known = {_plain(name): index for index, name in enumerate(boxes)}
    return {index: known[_plain(name)] for index, name in enumerate(masks) if _plain(name) in known}


def _plain(name: str) -> str:
    return "".join(name.casefold().split())


def outlined(image: Tensor, mask: Tensor, classes: Mapping[int, int]) -> Outlined:
    """Find the objects of a mask: its connected regions of one class.

    Objects of a class that touch are one, unless void separates them, as it does in PASCAL VOC, and one that is seen in
    two pieces is two. Regions narrower than a cell of the output are left out.

    Args:
        image: ``(3, H, W)``.
        mask: ``(H, W)`` uint8 class indices, on the CPU.
        classes: The classes that count, each with the label of its objects.
    """
    values = mask.numpy()
    pixels = numpy.zeros(values.shape, dtype=bool)
    boxes, labels = [], []
    for value in sorted(set(numpy.unique(values).tolist()) & set(classes)):
        of_class = values == value
        pixels |= of_class
        regions, _ = label(of_class, structure=_NEIGHBOURS)
        for rows, columns in find_objects(regions):
            if min(rows.stop - rows.start, columns.stop - columns.start) >= STRIDE:
                boxes.append((columns.start, rows.start, columns.stop, rows.stop))
                labels.append(classes[value])
    return Outlined(
        image,
        torch.from_numpy(pixels),
        torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        torch.tensor(labels, dtype=torch.int64),
    )


def pasted(image: Tensor, annotation: Annotation, objects: Outlined) -> tuple[Tensor, dict[str, Tensor]]:
    """Paste the objects of one image into another one, smaller and somewhere else, as drawn from torch's random state.

    Ghiasi et al., "Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation", CVPR 2021.

    Args:
        image: ``(3, H, W)``, which stays as it is.
        annotation: Its annotation for detection, on the CPU; padding is dropped.
        objects: Of another image of the same size.

    Returns:
        The new image and its annotation, in which objects that are covered now are missing.
    """
    height, width = image.shape[-2:]
    low, high = PASTED_SIDES
    share, across, down = torch.rand(3).tolist()
    share = low + (high - low) * share
    rows, columns = max(1, round(height * share)), max(1, round(width * share))
    top, left = int(down * (height - rows + 1)), int(across * (width - columns + 1))
    place = (..., slice(top, top + rows), slice(left, left + columns))
    small = interpolate(objects.image[None], (rows, columns), mode="bilinear", antialias=True)[0]
    pixels = interpolate(objects.pixels[None, None].float(), (rows, columns), mode="nearest-exact")[0, 0] > 0

    new, covering = image.clone(), torch.zeros(height, width, dtype=torch.bool)
    new[place] = torch.where(pixels.to(image.device, non_blocking=True), small, image[place])
    covering[place] = pixels
    boxes = objects.boxes * objects.boxes.new_tensor([columns / width, rows / height] * 2)
    boxes = boxes + boxes.new_tensor([left, top] * 2)
    large = (boxes[:, 2:] - boxes[:, :2]).amin(dim=1) >= STRIDE
    seen = (annotation["labels"] != ABSENT) & (_covered(annotation["boxes"], covering) <= COVERED)
    old = {name: annotation[name][seen] for name in ("boxes", "labels", "crowd")}
    more = _annotation(boxes[large], objects.labels[large])
    return new, {name: torch.cat([old[name], more[name]]) for name in old}


def _annotation(boxes: Tensor, labels: Tensor) -> dict[str, Tensor]:
    return {"boxes": boxes, "labels": labels, "crowd": torch.zeros_like(labels, dtype=torch.bool)}


def _covered(boxes: Tensor, covering: Tensor) -> Tensor:
    """``(M,)`` which share of each box is covered, to a pixel."""
    height, width = covering.shape
    sums = torch.zeros(height + 1, width + 1)
    sums[1:, 1:] = covering.float().cumsum(dim=0).cumsum(dim=1)
    corners = boxes.nan_to_num().round().long()
    x1, x2 = corners[:, 0].clamp(0, width), corners[:, 2].clamp(0, width)
    y1, y2 = corners[:, 1].clamp(0, height), corners[:, 3].clamp(0, height)
    inside = sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1]
    return inside / ((x2 - x1) * (y2 - y1)).clamp(min=1)
