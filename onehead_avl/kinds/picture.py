"""The image of a training sample: torchvision's transforms change it to the same values as any other, but sooner."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from onehead_avl.kinds import picture_colours, picture_geometry


class Picture(tv_tensors.Image):
    """An image ``(3, H, W)`` for which torchvision's transforms find the functions of this package.

    They are found by its type, so that any transform of torchvision's, by whomever it is put together, runs with them.
    """


def _register(functional: Callable, ours: Callable[..., Tensor], usual: Callable[..., Tensor]) -> None:
    """Have a functional of torchvision's change pictures of uint8 by ``ours``, and all others by its own ``usual``."""

    def change(picture: Picture, *args: Any, **kwargs: Any) -> Tensor:
        image = picture.as_subclass(Tensor)
        fits = image.dtype == torch.uint8 and image.device.type == "cpu" and image.dim() == 3 and len(image) == 3
        return tv_tensors.wrap((ours if fits else usual)(image, *args, **kwargs), like=picture)

    F.register_kernel(functional, Picture)(change)


_register(F.resized_crop, picture_geometry.resized_crop, F.resized_crop_image)
_register(F.affine, picture_geometry.affine, F.affine_image)
_register(F.rotate, picture_geometry.rotate, F.rotate_image)
_register(F.adjust_brightness, picture_colours.adjust_brightness, F.adjust_brightness_image)
_register(F.adjust_contrast, picture_colours.adjust_contrast, F.adjust_contrast_image)
_register(F.adjust_saturation, picture_colours.adjust_saturation, F.adjust_saturation_image)
_register(F.adjust_sharpness, picture_colours.adjust_sharpness, F.adjust_sharpness_image)
_register(F.solarize, picture_colours.solarize, F.solarize_image)
