"""Convolutional backbones of torchvision, tapped at strides 8, 16 and 32."""

from collections.abc import Callable, Mapping
from functools import partial

import torchvision
from torch import Tensor, nn

from onehead_avl.model.backbone import NORM_GROUPS, Backbone

TAPS: dict[str, tuple[int, int, int]] = {
    "mobilenet_v3_small": (3, 8, 12),
    "mobilenet_v3_large": (6, 12, 16),
    "efficientnet_b0": (3, 5, 8),
}
"""Known backbones, and the stages of torchvision's ``features`` whose outputs have stride 8, 16 and 32."""


class TorchvisionBackbone(Backbone):
    """The ``features`` of a torchvision classifier.

    Args:
        name: A key of :data:`TAPS`.
        pretrained: Whether weights will be loaded: BatchNorm if so, GroupNorm otherwise.
    """

    def __init__(self, name: str, pretrained: bool) -> None:
        super().__init__(name, pretrained)
        # NORM_GROUPS divides every channel count of these backbones.
        norm: Callable[..., nn.Module] | None = None if pretrained else partial(nn.GroupNorm, NORM_GROUPS)
        features = getattr(torchvision.models, name)(norm_layer=norm).features
        self.taps = TAPS[name]
        self.features = features[: self.taps[-1] + 1]
        self.channels = [_out_channels(self.features[tap]) for tap in self.taps]

    @property
    def stem(self) -> nn.Sequential:
        """The stages up to stride 8."""
        return self.features[: self.taps[0] + 1]

    def forward(self, image: Tensor) -> list[Tensor]:
        """Map ``(B, 3, H, W)`` normalised images to features at strides 8, 16 and 32."""
        outputs = []
        for index, stage in enumerate(self.features):
            image = stage(image)
            if index in self.taps:
                outputs.append(image)
        return outputs

    def own(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The ``features.*`` tensors of a classifier, or of the backbone alone."""
        return {key: value for key, value in state.items() if key.startswith("features.")}

    def download(self) -> dict[str, Tensor]:
        """Fetch the weights that torchvision has, once."""
        return dict(
            torchvision.models.get_model_weights(self.name).DEFAULT.get_state_dict(progress=False, check_hash=True)
        )


def _out_channels(stage: nn.Module) -> int:
    """The output channels of a stage: those of its last convolution."""
    return [module for module in stage.modules() if isinstance(module, nn.Conv2d)][-1].out_channels
