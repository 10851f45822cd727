"""The networks of timm as backbones: all that have features at strides 8, 16 and 32. Importing it needs no timm."""

from collections.abc import Mapping
from difflib import get_close_matches
from math import gcd
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from onehead_avl.errors import UsageError, WeightsError
from onehead_avl.model.backbone import NORM_GROUPS, Backbone, reason_of
from onehead_avl.model.backbone_names import TIMM
from onehead_avl.model.input import IMAGENET_MEAN, IMAGENET_STD
from onehead_avl.system.savable import savable

STRIDES = (8, 16, 32)

_PROBE = (64, 96)
"""Sides of an image that a network which takes any multiples of 32 can take."""


class TimmBackbone(Backbone):
    """A network of timm, as its ``features_only`` gives it.

    Where its weights were trained on images with another mean and standard deviation than ImageNet's, images are
    brought to these first.

    Args:
        name: ``timm:NAME``; a name with a tag, such as ``resnet18.a1_in1k``, says which of timm's weights are meant.
        pretrained: Whether weights will be loaded: BatchNorm if so, GroupNorm otherwise.

    Raises:
        UsageError: timm has no network of that name, or it has no features at strides 8, 16 and 32.
    """

    def __init__(self, name: str, pretrained: bool) -> None:
        super().__init__(name, pretrained)
        self.scale: Tensor
        self.shift: Tensor
        self._taps, self.channels, self._stem = _look(name, pretrained)
        self.features = _build(name, pretrained)
        expected = self.features.pretrained_cfg
        mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (IMAGENET_MEAN, IMAGENET_STD))
        own_mean, own_std = (torch.tensor(expected[each]).view(1, 3, 1, 1) for each in ("mean", "std"))
        self.register_buffer("scale", std / own_std, persistent=False)
        self.register_buffer("shift", (mean - own_mean) / own_std, persistent=False)

    @property
    def stem(self) -> nn.ParameterList:
        """What the features at stride 8 are made of."""
        return nn.ParameterList(self.features.get_parameter(name) for name in self._stem)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Map ``(B, 3, H, W)`` normalised images to features at strides 8, 16 and 32."""
        return _tapped(self.features, self._taps, image * self.scale + self.shift)

    def own(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of a whole network of timm, or of its features alone, that are the backbone's."""
        inner = {name for name, _ in self.features.named_children()}
        wrapped = f"{inner.pop()}." if inner in ({"body"}, {"model"}) else ""  # timm's wrappers of a whole network
        # Others of its wrappers take stages out of their list: layers.0.weight becomes layers_0.weight.
        names = {key.removeprefix(f"features.{wrapped}").replace(".", "_"): key for key in self.state_dict()}
        given = {key.removeprefix(wrapped).replace(".", "_"): value for key, value in state.items()}
        return {names[flat]: value for flat, value in given.items() if flat in names}

    def download(self) -> dict[str, Tensor]:
        """Fetch the weights that timm has, once."""
        import timm

        name = self.name.removeprefix(TIMM)
        if not getattr(timm.get_pretrained_cfg(name), "has_weights", None):
            raise WeightsError(
                f"timm has no weights for {name}; give --backbone-weights a file with some, or none for a random start"
            )
        return timm.create_model(name, pretrained=True, features_only=True).state_dict()


def _build(name: str, pretrained: bool) -> Any:
    """Build a network of timm without weights, with GroupNorm in place of BatchNorm unless it is ``pretrained``."""
    import timm
    from timm.layers import Format

    savable(Format)  # which timm's networks hold
    short = name.removeprefix(TIMM)
    if not timm.is_model(short.partition(".")[0]):
        near = get_close_matches(short, timm.list_models())
        hint = f"did you mean {' or '.join(TIMM + each for each in near)}?" if near else "see timm.list_models()"
        raise UsageError(f"unknown backbone {name!r}: timm has no network of that name; {hint}")
    try:
        network = timm.create_model(short, pretrained=False, features_only=True)
    except Exception as error:  # each network is built in its own way
        raise UsageError(
            f"backbone {name!r}: timm cannot give its features ({reason_of(error)}); choose another"
        ) from None
    if not pretrained:
        for path, module in list(network.named_modules()):
            if isinstance(module, _BatchNorm):
                network.set_submodule(path, _group_norm(module))
    return network


def _group_norm(norm: _BatchNorm) -> nn.Module:
    """GroupNorm with the parameters of a BatchNorm, and with the activation that timm makes a part of some."""
    from timm.layers import BatchNormAct2d, GroupNormAct

    groups = gcd(NORM_GROUPS, norm.num_features)
    made: Any
    if isinstance(norm, BatchNormAct2d):
        made = GroupNormAct(norm.num_features, groups)
        made.drop, made.act = norm.drop, norm.act
    else:
        made = nn.GroupNorm(groups, norm.num_features)
    made.weight, made.bias = norm.weight, norm.bias
    return made


def _look(name: str, pretrained: bool) -> tuple[list[int], list[int], list[str]]:
    """Find out about a network: which outputs have strides 8, 16 and 32, their channels, what the first is made of."""
    with torch.device("meta"), torch.enable_grad():
        network = _build(name, pretrained).eval()
        strides = network.feature_info.reduction()
        if not set(STRIDES) <= set(strides):
            found = ", ".join(map(str, sorted(set(strides))))
            raise UsageError(
                f"backbone {name!r}: expected features at strides 8, 16 and 32, found {found}; choose another"
            )
        taps = [max(i for i, each in enumerate(strides) if each == stride) for stride in STRIDES]
        try:
            outputs = _tapped(network, taps, torch.zeros(1, 3, *_PROBE))
        except Exception as error:  # each network fails in its own way
            raise UsageError(
                f"backbone {name!r}: expected a network for images of any size ({reason_of(error)}); choose another"
            ) from None
        sizes = [tuple(output.shape[2:]) for output in outputs]
        if sizes != [tuple(side // stride for side in _PROBE) for stride in STRIDES]:
            raise UsageError(
                f"backbone {name!r}: expected features at strides 8, 16 and 32 of an image of {_PROBE}, found sizes "
                f"{', '.join(map(str, sizes))}; choose another"
            )
        parameters = dict(network.named_parameters())
        reached = torch.autograd.grad(outputs[0].sum(), list(parameters.values()), allow_unused=True)
    stem = [name for name, gradient in zip(parameters, reached, strict=True) if gradient is not None]
    return taps, [output.shape[1] for output in outputs], stem


def _tapped(network: Any, taps: list[int], image: Tensor) -> list[Tensor]:
    """Some of a network's outputs ``(B, C, H, W)``."""
    outputs = network(image)
    channels_last = getattr(network, "output_fmt", "NCHW") == "NHWC"
    return [outputs[tap].permute(0, 3, 1, 2) if channels_last else outputs[tap] for tap in taps]
