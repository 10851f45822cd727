"""The network: a backbone, one FPN layer, and one branch that emits all experiences at once."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from onehead_avl.model.backbone import NORM_GROUPS, load_backbone
from onehead_avl.model.backbones import build_backbone
from onehead_avl.model.layout import Layout, Part
from onehead_avl.system.device_names import PRECISIONS
from onehead_avl.system.ranks import RANKS
from onehead_avl.system.savable import savable

HEAD_EXPANSION = 2
"""Hidden channels of the head for each channel of the neck: room for a task to come beside those that are kept."""

for each in (nn.ModuleList, nn.Sequential, nn.Conv2d, nn.GroupNorm, nn.Hardswish):
    savable(each)  # what a column is made of


@savable
class FPN(nn.Module):
    """One feature pyramid layer at stride 8: lateral 1x1 convolutions summed from coarse to fine.

    Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017, without the outputs at strides 16 and 32
    and the smoothing convolutions that a single-resolution head has no use for; in their stead, the coarser features
    are upsampled bilinearly, which leaves no blocks.

    What the image shows as a whole says which of the coarsest channels count: the mean of the coarsest features gates
    them, as in the segmentation head of Howard et al., "Searching for MobileNetV3", ICCV 2019. The gates lie between 0
    and 2 and begin near 1.

    Args:
        in_channels: Of the backbone's features, from fine to coarse.
        channels: Of what comes out.
    """

    def __init__(self, in_channels: list[int], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(n, channels, 1) for n in in_channels)
        self.gate = nn.Conv2d(in_channels[-1], channels, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Merge features from fine to coarse into ``(B, channels, H/8, W/8)``."""
        *finer, merged = (lateral(feature) for lateral, feature in zip(self.lateral, features, strict=True))
        merged = merged * 2 * self.gate(features[-1].mean(dim=(2, 3), keepdim=True)).sigmoid()
        for feature in reversed(finer):
            merged = feature + interpolate(merged, size=feature.shape[-2:], mode="bilinear", align_corners=False)
        return merged


def branch(channels: int, outputs: int) -> nn.Sequential:
    """Make a head: a depthwise separable convolution, and the output layer with small weights and no bias yet.

    The convolution (Howard et al., "MobileNets", 2017) affords twice the width of a full one in less time.

    Args:
        channels: Of the neck.
        outputs: Of the output.
    """
    hidden = HEAD_EXPANSION * channels
    head = nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.Conv2d(channels, hidden, 1, bias=False),
        nn.GroupNorm(NORM_GROUPS, hidden),
        nn.Hardswish(),
        last := nn.Conv2d(hidden, outputs, 1),
    )
    nn.init.normal_(last.weight, std=0.01)
    assert last.bias is not None  # no normalisation follows
    nn.init.zeros_(last.bias)
    return head


@savable
class Column(nn.Module):
    """Channels of the neck and of the head that serve one part of the output, and no other.

    Unlike the columns of progressive networks (Rusu et al., "Progressive Neural Networks", 2016), it reads the backbone
    and no other column.

    Args:
        in_channels: Of the backbone's features.
        channels: Width of its share of the neck.
        part: What it serves.

    Attributes:
        serves: The name of the head that the part belongs to.
    """

    def __init__(self, in_channels: list[int], channels: int, part: Part) -> None:
        super().__init__()
        self.serves = part.head
        self.neck = FPN(in_channels, channels)
        self.head = branch(channels, len(part.channels))

    def forward(self, features: list[Tensor]) -> Tensor:
        """Map the backbone's features to what is added to its part of the output: ``(B, C, H/8, W/8)``."""
        return self.head(self.neck(features))


class OneHeadNet(nn.Module):
    """One small network with one head for all experiences of a stream.

    The head is one branch of three layers: see :func:`branch`. Neck and head may grow by columns, and stay one neck and
    one branch: a column is more channels in every layer, with weights of zero between them and those of others.

    The forward pass returns one tensor, so that any Avalanche strategy can treat the network as it treats a
    classifier; :class:`~onehead_avl.model.layout.Layout` names the parts.

    Args:
        layout: The parts of the output.
        backbone: As :func:`~onehead_avl.model.backbones.build_backbone` takes it.
        weights: ``"imagenet"``, a weights file, or ``None`` for a random start.
        pretrained: Build the backbone for pretrained weights without loading any, because a whole state dict follows.
        channels: Width of the neck.

    Attributes:
        precision: What it computes with: ``"float32"``, or ``"bf16"`` for bfloat16 where PyTorch's autocast holds it to
            be safe (Micikevicius et al., "Mixed Precision Training", ICLR 2018). Weights and output are float32.

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
        self.precision = PRECISIONS[0]
        self.backbone = build_backbone(backbone, weights is not None if pretrained is None else pretrained)
        if weights is not None:
            load_backbone(self.backbone, weights)
        self.neck = FPN(self.backbone.channels, channels)
        self.head = branch(channels, layout.channels)
        self.columns = nn.ModuleList()
        self._start_quietly()

    @property
    def output_layer(self) -> str:
        """The name of the module that emits the output, as ``named_modules`` has it."""
        return f"head.{len(self.head) - 1}"

    @property
    def last(self) -> nn.Conv2d:
        """The module that emits the output."""
        return cast(nn.Conv2d, self.head[-1])

    @property
    def grown(self) -> list[Column]:
        """What neck and head have grown by, in the order of growth."""
        return cast(list[Column], list(self.columns))

    def _start_quietly(self) -> None:
        """Begin with the biases that each kind of task asks for."""
        assert self.last.bias is not None
        with torch.no_grad():
            for part in self.layout.heads:
                self.last.bias[part.channels.start : part.channels.stop] = part.kind.start(part.classes)

    def grow(self, part: Part) -> Column:
        """Add a column that serves a part of the output, beside what serves it already.

        The other parts are what they were, bit for bit, as long as nothing but columns of this part changes.

        Returns:
            The column, on the device of the network.
        """
        column = Column(self.backbone.channels, self.width, part).to(self.last.weight.device)
        self.columns.append(column.to(memory_format=torch.channels_last))
        return column

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
        return RANKS.shared(self._computed, image, self)

    def _computed(self, image: Tensor) -> Tensor:
        """The output, in single precision whatever it is computed with."""
        if self.precision == "float32":
            return self._output(image)
        with torch.autocast(image.device.type, torch.bfloat16):
            return self._output(image).float()

    def _output(self, image: Tensor) -> Tensor:
        features = self.backbone(image)
        output = self.head(self.neck(features))
        for column in self.grown:
            self.layout.part_of(column.serves).of(output).add_(column(features))
        return output

    def get_features(self, image: Tensor) -> Tensor:
        """What the head sees of images: ``(B, channels, H/8, W/8)``; the name is that of Avalanche's models."""
        return self.neck(self.backbone(image))
