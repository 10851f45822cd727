"""What a network is built on, and weights for it."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from onehead_avl.errors import UsageError, WeightsError

NORM_GROUPS = 8
"""Groups of GroupNorm."""


class Backbone(nn.Module):  # no ABC, of which higher, for meta-learning, cannot derive
    """What a network is built on: a network of a library that gives features at three resolutions.

    A pretrained backbone has BatchNorm, which stays in eval mode while training: sequential tasks would shift its
    running statistics, a silent source of forgetting. A random start has no statistics worth keeping, so there
    GroupNorm takes its place (Wu and He, "Group Normalization", ECCV 2018).

    Args:
        name: What it is called on the command line.
        pretrained: Whether weights will be loaded: BatchNorm if so, GroupNorm otherwise.

    Attributes:
        channels: Channels of the three outputs.
    """

    channels: list[int]

    def __init__(self, name: str, pretrained: bool) -> None:
        super().__init__()
        self.name = name
        self.pretrained = pretrained

    @property
    @abstractmethod
    def stem(self) -> nn.Module:
        """A module with the parameters up to stride 8."""

    @abstractmethod
    def forward(self, image: Tensor) -> list[Tensor]:
        """Map ``(B, 3, H, W)`` normalised images to features at strides 8, 16 and 32."""

    @abstractmethod
    def own(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Those tensors of the library's whole network that are the backbone's, by the backbone's names for them."""

    @abstractmethod
    def download(self) -> dict[str, Tensor]:
        """Fetch the library's pretrained weights."""

    def train(self, mode: bool = True) -> "Backbone":
        """Switch between training and evaluation, leaving BatchNorm in evaluation."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
        return self


def load_backbone(backbone: Backbone, source: str) -> None:
    """Load ImageNet weights into a backbone, in place.

    Args:
        backbone: A backbone built with ``pretrained=True``.
        source: ``"imagenet"`` for the library's weights (downloaded once), or the path of a ``.safetensors``,
            ``.pth`` or ``.pt`` file with the tensors of its whole network.

    Raises:
        UsageError: There is no such file.
        WeightsError: The download failed, or the file cannot be read or belongs to another backbone.
    """
    state = _download(backbone) if source == "imagenet" else _read(Path(source))
    try:
        missing = backbone.load_state_dict(backbone.own(state), strict=False).missing_keys
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
            f"{source}: expected every tensor of the features of {backbone.name}, but {len(missing)} are missing "
            f"(the first is {missing[0]!r}); choose the file that belongs to this backbone"
        )


def not_finite(module: nn.Module) -> list[str]:
    """Return the names of a module's tensors that hold not-a-numbers or infinities."""
    tensors = module.state_dict().items()
    return [name for name, tensor in tensors if tensor.is_floating_point() and not tensor.isfinite().all()]


def _download(backbone: Backbone) -> dict[str, Tensor]:
    try:
        return backbone.download()
    except WeightsError:
        raise
    except Exception as error:  # a broken file among those downloaded before fails in as many ways as unpickling can
        raise WeightsError(
            f"the ImageNet weights of {backbone.name} could not be downloaded ({reason_of(error)}); connect to the "
            "internet, or give --backbone-weights a file with them, or --backbone-weights none for a random start"
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
        raise WeightsError(f"{path}: not a readable weights file ({reason_of(error)}); download it again") from None
    if not isinstance(state, dict) or not all(_is_named_tensor(*item) for item in state.items()):
        raise WeightsError(f"{path}: expected a state dict of tensors, found {type(state).__name__}")
    return state


def _is_named_tensor(name: object, value: object) -> bool:
    # Copying complex numbers would lose their imaginary part with no more than a warning.
    return isinstance(name, str) and isinstance(value, Tensor) and not value.is_complex()


def reason_of(error: Exception) -> str:
    """The first line of an error's message, or the kind of one without."""
    return (str(error).splitlines() or [type(error).__name__])[0]
