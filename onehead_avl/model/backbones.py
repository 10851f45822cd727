"""The choice of a backbone by its name."""

import torch

from onehead_avl.errors import UsageError
from onehead_avl.model.backbone import Backbone
from onehead_avl.model.backbone_names import TIMM, wrong_backbone
from onehead_avl.model.timm_backbone import TimmBackbone
from onehead_avl.model.torchvision_backbone import TorchvisionBackbone


def build_backbone(name: str, pretrained: bool) -> Backbone:
    """Build a backbone; nothing is downloaded.

    Args:
        name: One of :data:`~onehead_avl.model.backbone_names.BACKBONES`, or ``timm:NAME``.
        pretrained: Whether weights will be loaded.

    Raises:
        UsageError: There is none of that name, or it has no features at strides 8, 16 and 32.
    """
    if wrong := wrong_backbone(name):
        raise UsageError(*wrong)
    return (TimmBackbone if name.startswith(TIMM) else TorchvisionBackbone)(name, pretrained)


def require_backbone(name: str) -> None:
    """Refuse what :func:`build_backbone` would, and take no memory for weights.

    Raises:
        UsageError: As there.
    """
    with torch.device("meta"):
        build_backbone(name, pretrained=False)
