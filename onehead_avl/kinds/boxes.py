"""Boxes of the detector: from the output's parameters to pixels, and from annotations to cells.

Anchor-free and at a single resolution, in the manner of FCOS (Tian et al., ICCV 2019).
"""

import torch
from torch import Tensor

from onehead_avl.kinds.stride import STRIDE

RADIUS = 1.5
"""Cells within this many strides of a box's centre learn the box (FCOS's centre sampling)."""

_MAX_LOG = 4.0
"""Largest exponent: a side of ``exp(4) * 32`` = 1,747 pixels; keeps an untrained box finite."""


def cell_centres(height: int, width: int, device: torch.device) -> Tensor:
    """``(H * W, 2)`` x and y of the centres of an ``H x W`` grid of cells, in network pixels."""
    y, x = torch.meshgrid(
        (torch.arange(height, device=device) + 0.5) * STRIDE,
        (torch.arange(width, device=device) + 0.5) * STRIDE,
        indexing="ij",
    )
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def boxes_of(parameters: Tensor) -> Tensor:
    """Turn ``(B, 4, H, W)`` parameters (cx, cy, w, h) into boxes.

    The centre is an offset from the cell's centre in strides; width and height are logarithms in units of four
    strides (32 pixels).

    Returns:
        ``(B, H * W, 4)`` ``x1, y1, x2, y2`` in network pixels.
    """
    height, width = parameters.shape[-2:]
    centres = cell_centres(height, width, parameters.device)
    offset, log_size = parameters.flatten(2).transpose(1, 2).split(2, dim=2)
    centre = centres + offset * STRIDE
    half = log_size.clamp(max=_MAX_LOG).exp() * (4 * STRIDE / 2)
    return torch.cat([centre - half, centre + half], dim=2)


def assign(boxes: Tensor, centres: Tensor) -> Tensor:
    """Say which box each cell learns.

    A cell learns the smallest of the boxes that contain its centre and whose own centre is within
    :data:`RADIUS` strides; a box that would get no cell gets the one nearest to its centre.

    Args:
        boxes: ``(M, 4)`` ``x1, y1, x2, y2`` in network pixels.
        centres: ``(N, 2)`` from :func:`cell_centres`.

    Returns:
        ``(N,)`` int64 index of a box, -1 for background.
    """
    if len(boxes) == 0:
        return torch.full((len(centres),), -1, dtype=torch.long, device=centres.device)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    distance = (centres[:, None] - middle[None]).abs().amax(dim=2)
    takes = (distance < RADIUS * STRIDE) & inside(centres, boxes)
    lost = ~takes.any(dim=0)
    takes[distance.argmin(dim=0)[lost], lost.nonzero().flatten()] = True
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    smallest, index = torch.where(takes, area[None], torch.inf).min(dim=1)
    return torch.where(smallest.isfinite(), index, -1)


def inside(points: Tensor, boxes: Tensor) -> Tensor:
    """``(N, M)`` bool: which of ``(N, 2)`` points lie in which of ``(M, 4)`` boxes."""
    return ((points[:, None] >= boxes[None, :, :2]) & (points[:, None] <= boxes[None, :, 2:])).all(dim=2)
