"""A trained network in one safetensors file that says what it is: nothing in it can run code."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from onehead_avl.errors import OneHeadError, UsageError, WeightsError
from onehead_avl.kinds import KINDS
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.backbone import not_finite
from onehead_avl.model.layout import Layout, layout_of_heads
from onehead_avl.model.network import OneHeadNet
from onehead_avl.model.prediction import Prediction, predict
from onehead_avl.system.device_names import PRECISIONS
from onehead_avl.system.files import replacing
from onehead_avl.system.importing import call_attribute

_KEY = "onehead_avl"

VERSION = 3
"""Of the description in the file; files of other versions are refused."""


@dataclass(frozen=True)
class Origin:
    """What builds a network that is none of this package's.

    Attributes:
        path: The import path of what is called with the layout; where nothing is known to build the network, that of
            its class.
        options: What else it is called with.
    """

    path: str
    options: Mapping[str, int | float | str] = field(default_factory=dict)

    @classmethod
    def of(cls, model: nn.Module) -> "Origin":
        """That of a network that a strategy built by itself."""
        return cls(f"{type(model).__module__}:{type(model).__qualname__}")

    def build(self, layout: Layout) -> nn.Module:
        """Build the network.

        Raises:
            UsageError: The path leads nowhere, takes other arguments, or what it names builds no network.
            TrainingError: Somebody's own code raised an error.
        """
        model = call_attribute(self.path, {"layout": layout}, self.options)
        if not isinstance(model, nn.Module):
            raise UsageError(
                f"{self.path}: expected a network of PyTorch's, found {type(model).__name__}; name another"
            )
        return model


@dataclass(frozen=True)
class SavedModel:
    """A network with what is needed to use it.

    Attributes:
        model: The network, in eval mode.
        layout: The channels of its output, with the experiences, their kinds and classes.
        image_size: Side of the square it was trained on, in pixels.
        stream: The name of the stream it learned.
        origin: What builds it; ``None`` for a network of this package.
    """

    model: nn.Module
    layout: Layout
    image_size: int
    stream: str
    origin: Origin | None = None

    def predict(self, image: Any) -> dict[str, Prediction]:
        """Tell what each head sees in an image: masks, boxes, classes, in the image's own coordinates.

        Args:
            image: An image of Pillow's, an array ``(H, W, 3)`` uint8 or a tensor ``(3, H, W)`` uint8.

        Returns:
            A prediction for each head by its name, as the ``decode`` of its kind gives it.

        Raises:
            TypeError: The image is none.
        """
        return predict(self.model, self.layout, self.image_size, image)


def save_model(
    path: Path, model: nn.Module, layout: Layout, image_size: int, stream: str, origin: Origin | None = None
) -> None:
    """Write a network to a safetensors file.

    Args:
        path: The file.
        model: The network.
        layout: The channels of its output.
        image_size: Side of the square it was trained on, in pixels.
        stream: The name of the stream it learned.
        origin: What builds it; not needed for a network of this package.

    Raises:
        OutputError: The file cannot be written.
    """
    about: dict[str, Any] = {
        "version": VERSION,
        "stream": stream,
        "experiences": [
            {"name": name, "head": part.head, "kind": part.kind.path, "classes": list(part.classes)}
            for name, part in zip(layout.names, layout.parts, strict=True)
        ],
        "image_size": image_size,
    }
    if isinstance(model, OneHeadNet):
        about |= {
            "backbone": model.backbone.name,
            "pretrained": model.backbone.pretrained,
            "channels": model.width,
            "columns": [column.serves for column in model.grown],
            "precision": model.precision,
        }
    else:
        made = origin or Origin.of(model)
        about |= {"network": made.path, "options": dict(made.options)}
    # Copies: weights that two layers share are written twice, for the format knows no sharing.
    state = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in model.state_dict().items()
    }
    with replacing(path) as temporary:
        temporary.write_bytes(save(state, metadata={_KEY: json.dumps(about)}))


def load_model(path: Path, kinds: Collection[str] = (), network: str | None = None) -> SavedModel:
    """Read a network that :func:`save_model` wrote.

    Args:
        path: The file.
        kinds: Import paths of kinds that may be imported, beside those that have a name of their own: what a file
            names is not imported because the file says so.
        network: The import path of what builds the network from its layout, where that is none of this package's.

    Raises:
        UsageError: There is no such file, or the network cannot be built, or another one is named.
        WeightsError: It is no safetensors file, or none that this version of the package wrote, or it needs a kind or a
            network that was not named.
    """
    if not path.is_file():
        raise UsageError(f"expected a model.safetensors of a benchmark run, found no file at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})[_KEY])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        _require_description(path, about, kinds)
        _require_named(path, about, network)
        layout = layout_of_heads(
            [(each["name"], each["head"], kind_of(each["kind"]), each["classes"]) for each in about["experiences"]]
        )
        build = partial(_ours, about, layout) if network is None else partial(_anybodys, about, layout, network)
        if network is None:
            with torch.device("meta"):  # no memory is taken before the sizes that the file claims are its tensors'
                _require_forms(build(), state)
        model = build()  # anew, for it may hold constants that no file has
        _require_forms(model, state)
        model.load_state_dict(state)
        if not_finite(model):
            raise ValueError("numbers that are not finite")
        origin = None if network is None else Origin(network, about["options"])
        return SavedModel(model.eval(), layout, about["image_size"], about["stream"], origin)
    except Exception as error:  # a file that anybody may have written fails in any way
        if isinstance(error, WeightsError) or (network is not None and isinstance(error, OneHeadError)):
            raise
        if isinstance(error, UsageError):  # of a backbone that is not there
            raise WeightsError(f"{path}: {error}") from None
        raise WeightsError(
            f"{path}: expected weights that python -m onehead_avl.benchmark wrote, "
            f"found something else ({type(error).__name__}); use the model.safetensors of a run"
        ) from None


def _ours(about: Mapping[str, Any], layout: Layout) -> nn.Module:
    if type(about["pretrained"]) is not bool or type(about["channels"]) is not int or about["channels"] < 1:
        raise ValueError("the network is not described")
    if about.get("precision", "float32") not in PRECISIONS:
        raise ValueError("the network computes with what is not known")
    model = OneHeadNet(layout, about["backbone"], pretrained=about["pretrained"], channels=about["channels"])
    for head in about.get("columns", ()):
        model.grow(layout.part_of(head))
    model.precision = about.get("precision", model.precision)
    return model


def _anybodys(about: Mapping[str, Any], layout: Layout, network: str) -> nn.Module:
    options = about["options"]
    if type(options) is not dict or not all(type(value) in (int, float, str) for value in options.values()):
        raise ValueError("the options of the network are no numbers or texts")
    return Origin(network, options).build(layout)


def _require_forms(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    if _forms(model.state_dict()) != _forms(state):
        raise ValueError("tensors of another network")


def _require_named(path: Path, about: Mapping[str, Any], network: str | None) -> None:
    """Refuse to import a network because a file of weights says so, and to build another than the file's."""
    found = about.get("network")
    if found is not None and type(found) is not str:
        raise ValueError("the network is not named")
    if found is not None and network is None:
        raise WeightsError(
            f"{path}: the network is {found}, which is not imported because a file of weights says so; name what "
            "builds it from the layout with --model"
        )
    if found is None and network is not None:
        raise UsageError(f"{path}: expected weights of {network}, found those of this package's network; leave it out")


def _forms(state: Mapping[str, Tensor]) -> dict[str, tuple]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()}


def _require_description(path: Path, about: Mapping[str, Any], kinds: Collection[str]) -> None:
    """Refuse what would build a network, but not one that can be used."""
    if about.get("version") != VERSION:
        raise WeightsError(
            f"{path}: expected weights of version {VERSION}, found {about.get('version', 1)!r}: another version of "
            "onehead-avl wrote them; use them with that one, or train again"
        )
    for each in about["experiences"]:
        texts = [each["name"], each["head"], each["kind"], *each["classes"]]
        if type(each["classes"]) is not list or not all(type(text) is str for text in texts):
            raise ValueError("an experience is not described")
        if each["kind"] not in KINDS and each["kind"] not in kinds:
            raise WeightsError(
                f"{path}: the experience {each['name']!r} is of the kind {each['kind']!r}, which is not imported "
                "because a file of weights says so; name it yourself, by a stream that has it"
            )
    if len({each["name"] for each in about["experiences"]}) < len(about["experiences"]):
        raise ValueError("two experiences have one name")
    if type(about["stream"]) is not str:
        raise ValueError("the stream has no name")
    if type(about["image_size"]) is not int or about["image_size"] < 32 or about["image_size"] % 32:
        raise ValueError("the image size is no multiple of 32")
