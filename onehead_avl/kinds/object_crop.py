"""Crops of images with boxes."""

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any

import numpy
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
            with closing(self._crops(*boxes.canvas_size)) as crops:
                for crop in crops:
                    within = [crop[0] < x < crop[2] and crop[1] < y < crop[3] for _, (x, y) in objects]
                    overlaps = [_overlap(box, crop) for (box, _), inside in zip(objects, within, strict=True) if inside]
                    if overlaps and max(overlaps) >= least:
                        left, top, right, bottom = crop
                        place = {"top": top, "left": left, "height": bottom - top, "width": right - left}
                        return place | {"is_within_crop_area": torch.tensor(within)}
        return {}

    def _crops(self, height: int, width: int) -> Generator[tuple[int, int, int, int], None, None]:
        """Draw the corners of crops, some at a time, but for those that are too narrow or too flat.

        Numbers that are not needed in the end are not drawn: what follows is as if each was drawn by itself.
        """
        state = torch.get_rng_state()
        drawn = torch.rand(4 * self.trials)
        shares = self.min_scale + (self.max_scale - self.min_scale) * drawn
        numbers, widths, heights = drawn.tolist(), (shares * width).int().tolist(), (shares * height).int().tolist()
        used = 0
        try:
            for _ in range(self.trials):
                columns, rows = widths[used], heights[used + 1]
                used += 2
                if self.min_aspect_ratio <= columns / rows <= self.max_aspect_ratio:
                    left, top = _part(numbers[used], width - columns), _part(numbers[used + 1], height - rows)
                    used += 2
                    yield left, top, left + columns, top + rows
        finally:
            torch.set_rng_state(state)
            torch.rand(used)


def _part(share: float, of: int) -> int:
    """A share of a number, rounded in single precision and then down."""
    return int(numpy.float32(share * of))


def _overlap(box: Corners, crop: Corners) -> float:
    """The IoU of a box and a crop that overlap."""
    width = min(box[2], crop[2]) - max(box[0], crop[0])
    height = min(box[3], crop[3]) - max(box[1], crop[1])
    areas = ((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (box, crop))
    return width * height / (sum(areas) - width * height)
