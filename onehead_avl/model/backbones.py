"""Convolutional backbones of torchvision, tapped at strides 8, 16 and 32."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torchvision
from safetensors.torch import load_file
from torch import Tensor, nn

from onehead_avl.errors import UsageError, WeightsError

TAPS: dict[str, tuple[int, int, int]] = {
    "mobilenet_v3_small": (3, 8, 12),
    "mobilenet_v3_large": (6, 12, 16),
    "efficientnet_b0": (3, 5, 8),
}
"""Known backbones, and the stages of torchvision's ``features`` whose outputs have stride 8, 16 and 32."""

NORM_GROUPS = 8
"""Groups of GroupNorm; 8 divides every channel count of these backbones."""


class Backbone(nn.Module):
    """The ``features`` of a torchvision classifier, returning three resolutions.

    A pretrained backbone has BatchNorm, which stays in eval mode while training: sequential tasks would shift its
    running statistics, a silent source of forgetting. A random start has no statistics worth keeping, so there
    GroupNorm takes its place (Wu and He, "Group Normalization", ECCV 2018).

    Args:
        name: A key of :data:`TAPS`.
        pretrained: Whether weights will be loaded: BatchNorm if so, GroupNorm otherwise.

    Attributes:
        channels: Channels of the three outputs.

    Raises:
        UsageError: The name is unknown.
    """

    def __init__(self, name: str, pretrained: bool) -> None:
        super().__init__()
        if name not in TAPS:
            raise UsageError(f"unknown backbone {name!r}: expected one of {', '.join(TAPS)}")
        norm: Callable[..., nn.Module] | None = None if pretrained else partial(nn.GroupNorm, NORM_GROUPS)
        features = getattr(torchvision.models, name)(norm_layer=norm).features
        self.name = name
        self.pretrained = pretrained
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

    def train(self, mode: bool = True) -> "Backbone":
        """Switch between training and evaluation, leaving BatchNorm in evaluation."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


def _out_channels(stage: nn.Module) -> int:
    """The output channels of a stage: those of its last convolution."""
    return [module for module in stage.modules() if isinstance(module, nn.Conv2d)][-1].out_channels


def load_backbone(backbone: Backbone, source: str) -> None:
    """Load ImageNet weights into a backbone, in place.

    Args:
        backbone: A backbone built with ``pretrained=True``.
        source: ``"imagenet"`` for torchvision's weights (downloaded once), or the path of a ``.safetensors``,
            ``.pth`` or ``.pt`` file with the whole classifier's or the backbone's ``features.*`` tensors.

    Raises:
        UsageError: There is no such file.
        WeightsError: The download failed, or the file cannot be read or belongs to another backbone.
    """
    state = _download(backbone.name) if source == "imagenet" else _read(Path(source))
    state = {key: value for key, value in state.items() if key.startswith("features.")}
    try:
        missing = backbone.load_state_dict(state, strict=False).missing_keys
    except RuntimeError as error:
        raise WeightsError(
            f"{source}: the weights do not fit {backbone.name} ({str(error).splitlines()[-1].strip()}); "
            "choose the file that belongs to this backbone"
        ) from None
    broken = not_finite(backbone)
    if broken:
        raise WeightsError(
            f"{source}: expected finite numbers, but {broken[0]!r} holds others; choose a file that is not damaged"
        )
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    if missing:
        raise WeightsError(
            f"{source}: expected every 'features.*' tensor of {backbone.name}, but {len(missing)} are missing "
            f"(the first is {missing[0]!r}); choose the file that belongs to this backbone"
        )


def not_finite(module: nn.Module) -> list[str]:
    """Return the names of a module's tensors that hold not-a-numbers or infinities."""
    tensors = module.state_dict().items()
    return [name for name, tensor in tensors if tensor.is_floating_point() and not tensor.isfinite().all()]


def _download(name: str) -> dict[str, Tensor]:
    weights = torchvision.models.get_model_weights(name).DEFAULT
    try:
        return weights.get_state_dict(progress=False, check_hash=True)
    except Exception as error:  # a broken file among those downloaded before fails in as many ways as unpickling can
        raise WeightsError(
            f"the ImageNet weights of {name} could not be downloaded ({error}); connect to the internet, or give "
            "--backbone-weights a file with them, or --backbone-weights none for a random start"
        ) from None


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UsageError(f"--backbone-weights: expected 'imagenet', 'none' or an existing file, got {str(path)!r}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # weights_only: a file that a user was given must not be able to run code.
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path}: not a readable weights file ({reason}); download it again") from None
    if not isinstance(state, dict) or not all(_is_named_tensor(*item) for item in state.items()):
        raise WeightsError(f"{path}: expected a state dict of tensors, found {type(state).__name__}")
    return state


def _is_named_tensor(name: object, value: object) -> bool:
    # Copying complex numbers would lose their imaginary part with no more than a warning.
    return isinstance(name, str) and isinstance(value, Tensor) and not value.is_complex()
