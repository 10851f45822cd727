"""What a network says of itself: anybody's may have a backbone and a layout, and may be wrapped."""

import torch
from torch import nn

from onehead_avl.model.layout import Layout


def backbone_of(model: nn.Module) -> nn.Module | None:
    """The module that a network, or the network in a wrapper, calls ``backbone``; ``None`` if there is none."""
    found = (getattr(module, "backbone", None) for module in model.modules())
    return next((module for module in found if isinstance(module, nn.Module)), None)


def is_pretrained(model: nn.Module) -> bool:
    """Whether a network says that its backbone began with pretrained weights."""
    return bool(getattr(backbone_of(model), "pretrained", False))


def layout_of(model: nn.Module) -> Layout | None:
    """The layout of its output that a network, or the network in a wrapper, holds; ``None`` if it holds none."""
    found = (getattr(module, "layout", None) for module in model.modules())
    return next((layout for layout in found if isinstance(layout, Layout)), None)


def device_of(model: nn.Module) -> torch.device:
    """Where a network is; the CPU for one without parameters."""
    parameter = next(model.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device
