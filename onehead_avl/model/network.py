"""The network: a backbone, one FPN layer, and one branch that emits all experiences at once."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from onehead_avl.model.backbone import NORM_GROUPS, load_backbone
from onehead_avl.model.backbones import build_backbone
from onehead_avl.model.layout import Layout

HEAD_EXPANSION = 2
"""Hidden channels of the head for each channel of the neck: room for a task to come beside those that are kept."""


class FPN(nn.Module):
    """One feature pyramid layer at stride 8: lateral 1x1 convolutions summed from coarse to fine.

    Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017, without the outputs at strides 16 and 32
    and the smoothing convolutions that a single-resolution head has no use for; in their stead, the coarser features
    are upsampled bilinearly, which leaves no blocks.
    """

    def __init__(self, in_channels: list[int], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(n, channels, 1) for n in in_channels)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Merge features from fine to coarse into ``(B, channels, H/8, W/8)``."""
        *finer, merged = (lateral(feature) for lateral, feature in zip(self.lateral, features, strict=True))
        for feature in reversed(finer):
            merged = feature + interpolate(merged, size=feature.shape[-2:], mode="bilinear", align_corners=False)
        return merged


class OneHeadNet(nn.Module):
    """One small network with one head for all experiences of a stream.

    The head is one branch of three layers: a depthwise separable convolution (Howard et al., "MobileNets", 2017), which
    affords twice the width of a full one in less time, and the output layer.

    The forward pass returns one tensor, so that any Avalanche strategy can treat the network as it treats a
    classifier; :class:`~onehead_avl.model.layout.Layout` names the parts.

    Args:
        layout: The parts of the output.
        backbone: As :func:`~onehead_avl.model.backbones.build_backbone` takes it.
        weights: ``"imagenet"``, a weights file, or ``None`` for a random start.
        pretrained: Build the backbone for pretrained weights without loading any, because a whole state dict follows.
        channels: Width of the neck.

    Raises:
        UsageError: Unknown or unfit backbone, or missing weights file.
        WeightsError: The weights cannot be fetched, read or fitted.
    """

    def __init__(
        self,
        layout: Layout,
        backbone: str = "mobilenet_v3_small",
        weights: str | None = None,
        *,
        pretrained: bool | None = None,
        channels: int = 128,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.width = channels
        self.backbone = build_backbone(backbone, weights is not None if pretrained is None else pretrained)
        if weights is not None:
            load_backbone(self.backbone, weights)
        self.neck = FPN(self.backbone.channels, channels)
        self.head = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.Conv2d(channels, HEAD_EXPANSION * channels, 1, bias=False),
            nn.GroupNorm(NORM_GROUPS, HEAD_EXPANSION * channels),
            nn.Hardswish(),
            nn.Conv2d(HEAD_EXPANSION * channels, layout.channels, 1),
        )
        self._start_quietly()

    @property
    def output_layer(self) -> str:
        """The name of the module that emits the output, as ``named_modules`` has it."""
        return f"head.{len(self.head) - 1}"

    @property
    def last(self) -> nn.Conv2d:
        """The module that emits the output."""
        return cast(nn.Conv2d, self.head[-1])

    def _start_quietly(self) -> None:
        """Begin with small output weights, and with the biases that each kind of task asks for."""
        weight, bias = self.last.weight, self.last.bias
        assert bias is not None  # no normalisation follows
        nn.init.normal_(weight, std=0.01)
        nn.init.zeros_(bias)
        with torch.no_grad():
            for part in self.layout.heads:
                bias[part.channels.start : part.channels.stop] = part.kind.start(part.classes)

    def forward(self, image: Tensor) -> Tensor:
        """Map images to the output of all experiences.

        Args:
            image: ``(B, 3, H, W)`` float, normalised with ImageNet's mean and standard deviation; H and W are
                multiples of 32.

        Returns:
            ``(B, C, H/8, W/8)``: the parts of the layout, side by side

        Raises:
            ValueError: The image has another shape.
        """
        if image.dim() != 4 or image.shape[1] != 3 or image.shape[2] % 32 or image.shape[3] % 32:
            raise ValueError(f"expected images (B, 3, H, W) with H and W multiples of 32, got {tuple(image.shape)}")
        return self.head(self.get_features(image))

    def get_features(self, image: Tensor) -> Tensor:
        """What the head sees of images: ``(B, channels, H/8, W/8)``; the name is that of Avalanche's models."""
        return self.neck(self.backbone(image))
