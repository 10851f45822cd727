"""A trained network in one safetensors file that says what it is: nothing in it can run code."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from onehead_avl.errors import UsageError, WeightsError
from onehead_avl.files import replacing
from onehead_avl.model.backbones import not_finite
from onehead_avl.model.layout import Layout
from onehead_avl.model.network import OneHeadNet
from onehead_avl.tasks import Task

_KEY = "onehead_avl"


@dataclass(frozen=True)
class SavedModel:
    """A network with what is needed to use it.

    Attributes:
        model: The network, in eval mode.
        classes: Class names of each task, in index order.
        image_size: Side of the square it was trained on, in pixels.
    """

    model: OneHeadNet
    classes: dict[Task, tuple[str, ...]]
    image_size: int


def save_model(path: Path, model: OneHeadNet, classes: Mapping[Task, Sequence[str]], image_size: int) -> None:
    """Write a network to a safetensors file.

    Raises:
        OutputError: The file cannot be written.
    """
    about = {
        "backbone": model.backbone.name,
        "pretrained": model.backbone.pretrained,
        "channels": model.head[0].in_channels,
        "classes": {task.key: list(names) for task, names in classes.items()},
        "image_size": image_size,
    }
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(state, metadata={_KEY: json.dumps(about)}))


def load_model(path: Path) -> SavedModel:
    """Read a network that :func:`save_model` wrote.

    Raises:
        UsageError: There is no such file.
        WeightsError: It is no safetensors file, or none that this package wrote.
    """
    if not path.is_file():
        raise UsageError(f"expected a model.safetensors of a benchmark run, found no file at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})[_KEY])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        _require_description(about)
        classes = {task: tuple(about["classes"][task.key]) for task in Task}
        with torch.device("meta"):  # no memory is taken before the sizes that the file claims are those of its tensors
            model = OneHeadNet(
                Layout(*(len(classes[task]) for task in Task)),
                about["backbone"],
                pretrained=about["pretrained"],
                channels=about["channels"],
            )
        if _forms(model.state_dict()) != _forms(state):
            raise ValueError("tensors of another network")
        model.to_empty(device="cpu").load_state_dict(state)
        if not_finite(model):
            raise ValueError("numbers that are not finite")
        return SavedModel(model.eval(), classes, about["image_size"])
    except Exception as error:  # a file that anybody may have written fails in any way
        raise WeightsError(
            f"{path}: expected weights that python -m onehead_avl.benchmark wrote, "
            f"found something else ({type(error).__name__}); use the model.safetensors of a run"
        ) from None


def _forms(state: Mapping[str, Tensor]) -> dict[str, tuple]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()}


def _require_description(about: Mapping[str, Any]) -> None:
    """Refuse what would build a network, but not one that can be used."""
    for task in Task:
        each = about["classes"][task.key]
        if type(each) is not list or not each or not all(type(name) is str for name in each):
            raise ValueError("the classes of each task are not a list of names")
    if type(about["pretrained"]) is not bool or type(about["channels"]) is not int or about["channels"] < 1:
        raise ValueError("the network is not described")
    if type(about["image_size"]) is not int or about["image_size"] < 32 or about["image_size"] % 32:
        raise ValueError("the image size is no multiple of 32")
