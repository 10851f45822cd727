"""What a network emits, asked without leaving a trace: is it a network for a stream, and is it another one wrapped?"""

import torch
from avalanche.models import avalanche_forward
from torch import Tensor, nn

from onehead_avl.errors import UsageError
from onehead_avl.kinds.stride import STRIDE
from onehead_avl.model.layout import Layout
from onehead_avl.model.parts import device_of
from onehead_avl.system.blame import place_of
from onehead_avl.system.modes import evaluating
from onehead_avl.system.randomness import undisturbed


@torch.no_grad()
def emitted(model: nn.Module, layout: Layout, size: int) -> Tensor:
    """What a network emits in evaluation for noise, an image with each task label; always the same noise.

    Args:
        model: Of any make; one of Avalanche's multi-task modules is told the task labels.
        layout: The experiences.
        size: Side of the images in pixels.
    """
    device = device_of(model)
    images = torch.randn(len(layout.parts), 3, size, size, generator=torch.Generator().manual_seed(0)).to(device)
    with undisturbed(), evaluating(model):
        return avalanche_forward(model, images, torch.arange(len(layout.parts), device=device))


def require_network(model: nn.Module, layout: Layout, size: int, whose: str) -> None:
    """Refuse a network that does not emit the layout's channels, or that a file cannot hold.

    Args:
        model: The network.
        layout: The channels of the output.
        size: Side of the images in pixels.
        whose: What named or built it, for the message.

    Raises:
        UsageError: It emits something else, raises an error, or holds what is no tensor.
    """
    side = size // STRIDE
    wanted = f"({len(layout.parts)}, {layout.channels}, {side}, {side})"
    asked = f"{whose}: expected a network {type(model).__name__} that maps {len(layout.parts)} images of {size} px to"
    try:
        output = emitted(model, layout, size)
    except Exception as error:  # a network is anybody's code
        raise UsageError(
            f"{asked} a tensor {wanted}, found {type(error).__name__} in {place_of(error)} ({error}); correct it"
        ).showing(error) from error
    found = f"{tuple(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
    if found != wanted:
        raise UsageError(
            f"{asked} a tensor {wanted}, the channels of the layout at an eighth of the size, found {found}; correct it"
        )
    if not output.isfinite().all():
        raise UsageError(f"{asked} finite numbers, found others; correct its weights")
    others = [name for name, value in model.state_dict().items() if not isinstance(value, Tensor)]
    if others:
        raise UsageError(
            f"{whose}: expected a network {type(model).__name__} whose state is tensors, which a file of weights can "
            f"hold, found others in {others[0]}; keep them elsewhere"
        )


def unwrapped(model: nn.Module, known: nn.Module, layout: Layout, size: int) -> nn.Module:
    """The network of a known make in a wrapper that emits the same, as ``DataParallel`` does; else the whole.

    Args:
        model: What a strategy ends with.
        known: A network of the make.
        layout: The experiences.
        size: Side of the images in pixels.
    """
    inner = [module for module in model.modules() if type(module) is type(known)]
    if not inner or inner[0] is model:
        return model
    same = torch.equal(emitted(model, layout, size), emitted(inner[0], layout, size))
    return inner[0] if same else model
