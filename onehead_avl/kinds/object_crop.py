"""Crops of images with boxes."""

from typing import Any

from torchvision import tv_tensors
from torchvision.transforms import v2


class ObjectCrop(v2.RandomIoUCrop):
    """Crop at random, with the centre of an object inside, as torchvision's transform does by default.

    The crops are those of Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016; boxes whose centre is outside
    become empty, for ``v2.SanitizeBoundingBoxes`` to drop. An image without objects stays whole, for which torchvision
    searches long, and so does one of so few pixels that torchvision divides by zero.
    """

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Choose a crop."""
        boxes = next(part for part in flat_inputs if isinstance(part, tv_tensors.BoundingBoxes))
        if len(boxes) == 0 or min(boxes.canvas_size) * self.min_scale < 1:
            return {}
        return super().make_params(flat_inputs)
