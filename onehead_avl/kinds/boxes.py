"""Boxes of the detector: from the output's parameters to pixels, and from annotations to cells.

Anchor-free and at a single resolution, in the manner of FCOS (Tian et al., ICCV 2019).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from onehead_avl.kinds.stride import STRIDE

RADIUS = 1.5
"""Cells within this many strides of a box's centre learn the box (FCOS's centre sampling)."""

_MAX_LOG = 4.0
"""Largest exponent: a side of ``exp(4) * 32`` = 1,747 pixels; keeps an untrained box finite."""

_EPSILON = 1e-7  # square pixels; of boxes without an area, the IoU is zero


def cell_centres(height: int, width: int, device: torch.device) -> Tensor:
    """``(H * W, 2)`` x and y of the centres of an ``H x W`` grid of cells, in network pixels."""
    x, y = _axes(height, width, device)
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([columns.flatten(), rows.flatten()], dim=1)


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


def assign(boxes: Tensor, wanted: Tensor, height: int, width: int) -> Tensor:
    """Say which box of its image each cell of an ``H x W`` grid learns.

    A cell learns the smallest of the boxes that contain its centre and whose own centre is within
    :data:`RADIUS` strides; a box that would get no cell gets the one nearest to its centre.

    Args:
        boxes: ``(B, M, 4)`` ``x1, y1, x2, y2`` in network pixels, at least one an image.
        wanted: ``(B, M)`` bool, false for boxes that no cell is to learn.
        height: H.
        width: W.

    Returns:
        ``(B, H * W)`` int64 index of a box, -1 for background.
    """
    x, y = _axes(height, width, boxes.device)
    across, down = ((boxes[..., axis, None] + boxes[..., axis + 2, None]) / 2 for axis in (0, 1))
    distance = _crossed((y - down).abs(), (x - across).abs(), torch.maximum)
    takes = inside(boxes, height, width) & (distance < RADIUS * STRIDE) & wanted[..., None]
    lost = wanted & ~takes.any(dim=2)
    nearest = distance.argmin(dim=2)
    takes = takes | (lost[..., None] & (torch.arange(height * width, device=boxes.device) == nearest[..., None]))
    area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    smallest, index = torch.where(takes, area[..., None], torch.inf).min(dim=1)
    return torch.where(smallest.isfinite(), index, -1)


def inside(boxes: Tensor, height: int, width: int) -> Tensor:
    """``(B, M, H * W)`` bool: in which of ``(B, M, 4)`` boxes the centre of which cell lies."""
    x, y = _axes(height, width, boxes.device)
    columns, rows = (
        (points >= boxes[..., axis, None]) & (points <= boxes[..., axis + 2, None])
        for axis, points in enumerate((x, y))
    )
    return _crossed(rows, columns, torch.logical_and)


def overlaps(boxes: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """The IoU of each box with the one at the same place, and the GIoU (Rezatofighi et al., CVPR 2019).

    Unlike torchvision's, it leaves no cell out, for which a GPU would have to be waited for.

    Args:
        boxes: ``(..., 4)`` ``x1, y1, x2, y2`` in pixels.
        others: The same.

    Returns:
        ``(...)`` and ``(...)``.
    """
    both = _area(torch.maximum(boxes[..., :2], others[..., :2]), torch.minimum(boxes[..., 2:], others[..., 2:]))
    around = _area(torch.minimum(boxes[..., :2], others[..., :2]), torch.maximum(boxes[..., 2:], others[..., 2:]))
    either = _area(boxes[..., :2], boxes[..., 2:]) + _area(others[..., :2], others[..., 2:]) - both
    iou = both / (either + _EPSILON)
    return iou, iou - (around - either) / (around + _EPSILON)


def _area(first: Tensor, last: Tensor) -> Tensor:
    """``(...)`` areas of boxes between corners ``(..., 2)``; of one that is turned inside out it is zero."""
    return (last - first).clamp(min=0).prod(dim=-1)


def _axes(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """``(W,)`` x and ``(H,)`` y of the centres of cells."""
    x, y = ((torch.arange(sides, device=device) + 0.5) * STRIDE for sides in (width, height))
    return x, y


def _crossed(rows: Tensor, columns: Tensor, both: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """``(..., H * W)`` for each cell what its row ``(..., H)`` and its column ``(..., W)`` make together."""
    return both(rows[..., :, None], columns[..., None, :]).flatten(-2)
