"""Crops and turns of uint8 images ``(3, H, W)``: the same values as torchvision's functions, but sooner.

The signatures are torchvision's. What is asked for besides what this project's kinds do is left to torchvision.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import grid_sample
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from onehead_avl.kinds.picture_colours import to_bytes


def resized_crop(image: Tensor, top: int, left: int, height: int, width: int, *args: Any, **kwargs: Any) -> Tensor:
    """Cut out and resize; a crop that is contiguous, however the image lies in memory, is resized fastest."""
    rows, columns = image.shape[-2:]
    if top < 0 or left < 0 or top + height > rows or left + width > columns:
        return F.resized_crop_image(image, top, left, height, width, *args, **kwargs)  # fills in what is outside
    crop = image[:, top : top + height, left : left + width]
    interleaved = image.stride(0) == 1
    crop = crop[None].contiguous(memory_format=torch.channels_last)[0] if interleaved else crop.contiguous()
    return F.resized_crop_image(crop, 0, 0, height, width, *args, **kwargs).contiguous()


def affine(
    image: Tensor,
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: Sequence[float],
    interpolation: InterpolationMode | str | int = InterpolationMode.NEAREST,
    fill: Any = None,
    center: Sequence[float] | None = None,
) -> Tensor:
    """Turn, move, scale and shear."""
    if fill is not None or interpolation not in (InterpolationMode.NEAREST, InterpolationMode.NEAREST.value):
        return F.affine_image(image, angle, translate, scale, shear, interpolation, fill, center)
    rows, columns = image.shape[-2:]
    middle = (0.0, 0.0) if center is None else (center[0] - columns * 0.5, center[1] - rows * 0.5)
    return _sampled(image, _inverse(angle, translate, scale, shear, middle))


def rotate(
    image: Tensor,
    angle: float,
    interpolation: InterpolationMode | str | int = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Sequence[float] | None = None,
    fill: Any = None,
) -> Tensor:
    """Turn."""
    if expand or angle % 90 == 0:
        return F.rotate_image(image, angle, interpolation, expand, center, fill)
    return affine(image, -(angle % 360), (0, 0), 1.0, (0, 0), interpolation, fill, center)


def _inverse(
    angle: float, translate: Sequence[float], scale: float, shear: Sequence[float], middle: Sequence[float]
) -> list[list[float]]:
    """The matrix ``(2, 3)`` that leads from a pixel of the outcome to that of the image, both from its middle."""
    turn, shear_x, shear_y = math.radians(angle), math.radians(shear[0]), math.radians(shear[1])
    a = math.cos(turn - shear_y) / math.cos(shear_y)
    b = -(a * math.tan(shear_x) + math.sin(turn))
    c = math.sin(turn - shear_y) / math.cos(shear_y)
    d = math.cos(turn) - c * math.tan(shear_x)
    x, y = middle[0] + translate[0], middle[1] + translate[1]
    first, second = (d / scale, -b / scale), (-c / scale, a / scale)
    return [
        [*first, middle[0] - first[0] * x - first[1] * y],
        [*second, middle[1] - second[0] * x - second[1] * y],
    ]


def _sampled(image: Tensor, matrix: list[list[float]]) -> Tensor:
    """Take each pixel from the nearest place that a matrix leads to; what lies outside is black."""
    rows, columns = image.shape[-2:]
    x = torch.linspace((1 - columns) * 0.5, (columns - 1) * 0.5, columns)
    y = torch.linspace((1 - rows) * 0.5, (rows - 1) * 0.5, rows)[:, None]
    # Torchvision multiplies a matrix of all pixels, which takes longer than sampling them.
    places = [(x * a).add(y * b).add_(c) for a, b, c in torch.tensor(matrix) / torch.tensor([[columns], [rows]]) * 2]
    grid = torch.stack(places).permute(1, 2, 0)[None]
    return to_bytes(grid_sample(image.float()[None], grid, "nearest", "zeros", align_corners=False)[0])
