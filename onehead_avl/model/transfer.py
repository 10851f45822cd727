"""Beginning with the weights of a network that was trained before, on the same experiences or on others."""

import torch
from torch import Tensor, nn

from onehead_avl.errors import UsageError
from onehead_avl.model.layout import Layout, Part
from onehead_avl.model.network import OneHeadNet
from onehead_avl.model.saved import SavedModel


def begin_with(saved: SavedModel, layout: Layout) -> tuple[nn.Module, list[str]]:
    """Build a network for a layout that begins with what another one has learned.

    A network of this package keeps its backbone, its neck and the hidden layers of its head, and of the output the
    channels of heads that have the same name, kind and classes, with the columns that serve them; other heads begin as
    they usually do. One of another make is used as it is.

    Args:
        saved: What was trained before; it may become the network itself.
        layout: The channels that the network is to emit.

    Returns:
        The network, and the names of the heads that it knows.

    Raises:
        UsageError: The network is of another make, and its layout is not this one.
    """
    if saved.layout == layout:
        return saved.model, [part.head for part in layout.heads]
    if not isinstance(saved.model, OneHeadNet):
        raise UsageError(
            f"--start-from: expected a network {type(saved.model).__name__} of the experiences "
            f"{', '.join(layout.names)} with their classes, found one of {', '.join(saved.layout.names)}; only "
            "networks of this package can go on with other experiences"
        )
    old = saved.model
    model = OneHeadNet(layout, old.backbone.name, pretrained=old.backbone.pretrained, channels=old.width)
    before = {part.head: part for part in saved.layout.heads}
    known = [part for part in layout.heads if _is_the_same(part, before.get(part.head))]
    for name in ("backbone", "neck", *(f"head.{i}" for i in range(len(old.head) - 1))):
        model.get_submodule(name).load_state_dict(old.get_submodule(name).state_dict())
    with torch.no_grad():
        for part in known:
            for new, trained in zip(_output(model), _output(old), strict=True):
                new[_rows(part)] = trained[_rows(before[part.head])]
    heads = [part.head for part in known]
    for column in old.grown:
        if column.serves in heads:
            model.grow(layout.part_of(column.serves)).load_state_dict(column.state_dict())
    return model, heads


def _is_the_same(part: Part, other: Part | None) -> bool:
    return other is not None and (part.kind.path, part.classes) == (other.kind.path, other.classes)


def _output(model: OneHeadNet) -> tuple[Tensor, Tensor]:
    assert model.last.bias is not None  # no normalisation follows
    return model.last.weight, model.last.bias


def _rows(part: Part) -> slice:
    return slice(part.channels.start, part.channels.stop)
