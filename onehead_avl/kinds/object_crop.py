"""Crops of images with boxes."""

from collections.abc import Sequence
from typing import Any

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

Corners = Sequence[float]
"""``x1, y1, x2, y2``."""


class ObjectCrop(v2.RandomIoUCrop):
    """Crop at random, with the centre of an object inside, as torchvision's transform does by default, but sooner.

    The crops are those of Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016; boxes whose centre is outside
    become empty, for ``v2.SanitizeBoundingBoxes`` to drop. An image without objects stays whole, for which torchvision
    searches long, and so does one of so few pixels that torchvision divides by zero.
    """

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Choose a crop: that of torchvision, from the same random numbers."""
        boxes = next(part for part in flat_inputs if isinstance(part, tv_tensors.BoundingBoxes))
        if len(boxes) == 0 or min(boxes.canvas_size) * self.min_scale < 1:
            return {}
        corners = boxes.as_subclass(torch.Tensor)
        middles = (0.5 * (corners[:, :2] + corners[:, 2:])).tolist()
        # Torchvision computes with tensors, which takes ten times as long for the few boxes of an image.
        objects = list(zip(corners.tolist(), middles, strict=True))
        while (least := self.options[int(torch.randint(len(self.options), (1,)))]) < 1:
            for _ in range(self.trials):
                crop = self._draw(*boxes.canvas_size)
                if crop is None:
                    continue
                within = [crop[0] < x < crop[2] and crop[1] < y < crop[3] for _, (x, y) in objects]
                overlaps = [_overlap(box, crop) for (box, _), inside in zip(objects, within, strict=True) if inside]
                if overlaps and max(overlaps) >= least:
                    left, top, right, bottom = crop
                    place = {"top": top, "left": left, "height": bottom - top, "width": right - left}
                    return place | {"is_within_crop_area": torch.tensor(within)}
        return {}

    def _draw(self, height: int, width: int) -> tuple[int, int, int, int] | None:
        """Draw the corners of a crop; ``None`` if it is too narrow or too flat."""
        share = self.min_scale + (self.max_scale - self.min_scale) * torch.rand(2)
        columns, rows = (share * torch.tensor([width, height])).int().tolist()
        if not self.min_aspect_ratio <= columns / rows <= self.max_aspect_ratio:
            return None
        left, top = (torch.rand(2) * torch.tensor([width - columns, height - rows])).int().tolist()
        return left, top, left + columns, top + rows


def _overlap(box: Corners, crop: Corners) -> float:
    """The IoU of a box and a crop that overlap."""
    width = min(box[2], crop[2]) - max(box[0], crop[0])
    height = min(box[3], crop[3]) - max(box[1], crop[1])
    areas = ((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (box, crop))
    return width * height / (sum(areas) - width * height)
