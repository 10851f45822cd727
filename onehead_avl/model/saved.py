"""A trained network in one safetensors file that says what it is: nothing in it can run code."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from onehead_avl.errors import UsageError, WeightsError
from onehead_avl.kinds import KINDS
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.backbone import not_finite
from onehead_avl.model.layout import layout_of_heads
from onehead_avl.model.network import OneHeadNet
from onehead_avl.system.files import replacing

_KEY = "onehead_avl"

VERSION = 2
"""Of the description in the file; files of other versions are refused."""


@dataclass(frozen=True)
class SavedModel:
    """A network with what is needed to use it.

    Attributes:
        model: The network, in eval mode; its layout holds the experiences with their kinds and classes.
        image_size: Side of the square it was trained on, in pixels.
        stream: The name of the stream it learned.
    """

    model: OneHeadNet
    image_size: int
    stream: str


def save_model(path: Path, model: OneHeadNet, image_size: int, stream: str) -> None:
    """Write a network to a safetensors file.

    Raises:
        OutputError: The file cannot be written.
    """
    about = {
        "version": VERSION,
        "backbone": model.backbone.name,
        "pretrained": model.backbone.pretrained,
        "channels": model.width,
        "stream": stream,
        "experiences": [
            {"name": name, "head": part.head, "kind": part.kind.path, "classes": list(part.classes)}
            for name, part in zip(model.layout.names, model.layout.parts, strict=True)
        ],
        "image_size": image_size,
    }
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(state, metadata={_KEY: json.dumps(about)}))


def load_model(path: Path, kinds: Collection[str] = ()) -> SavedModel:
    """Read a network that :func:`save_model` wrote.

    Args:
        path: The file.
        kinds: Import paths of kinds that may be imported, beside those that have a name of their own: what a file
            names is not imported because the file says so.

    Raises:
        UsageError: There is no such file.
        WeightsError: It is no safetensors file, or none that this version of the package wrote, or it needs a kind that
            was not named.
    """
    if not path.is_file():
        raise UsageError(f"expected a model.safetensors of a benchmark run, found no file at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})[_KEY])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        _require_description(path, about, kinds)
        layout = layout_of_heads(
            [(each["name"], each["head"], kind_of(each["kind"]), each["classes"]) for each in about["experiences"]]
        )
        network = partial(
            OneHeadNet, layout, about["backbone"], pretrained=about["pretrained"], channels=about["channels"]
        )
        with torch.device("meta"):  # no memory is taken before the sizes that the file claims are those of its tensors
            claimed = network()
        if _forms(claimed.state_dict()) != _forms(state):
            raise ValueError("tensors of another network")
        model = network()  # anew, for it may hold constants that no file has
        model.load_state_dict(state)
        if not_finite(model):
            raise ValueError("numbers that are not finite")
        return SavedModel(model.eval(), about["image_size"], about["stream"])
    except WeightsError:
        raise
    except UsageError as error:  # of a backbone that is not there
        raise WeightsError(f"{path}: {error}") from None
    except Exception as error:  # a file that anybody may have written fails in any way
        raise WeightsError(
            f"{path}: expected weights that python -m onehead_avl.benchmark wrote, "
            f"found something else ({type(error).__name__}); use the model.safetensors of a run"
        ) from None


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
    if type(about["pretrained"]) is not bool or type(about["channels"]) is not int or about["channels"] < 1:
        raise ValueError("the network is not described")
    if type(about["image_size"]) is not int or about["image_size"] < 32 or about["image_size"] % 32:
        raise ValueError("the image size is no multiple of 32")
