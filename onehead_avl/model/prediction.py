"""What a trained network says of one image."""

from typing import Any

import numpy
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torchvision.transforms.v2.functional import pil_to_tensor, resize

from onehead_avl.model.input import network_input
from onehead_avl.model.layout import Layout
from onehead_avl.system.modes import evaluating

Prediction = dict[str, Tensor]
"""The parts of one kind's prediction by name, in the coordinates of the image."""


@torch.no_grad()
def predict(model: nn.Module, layout: Layout, size: int, image: Any) -> dict[str, Prediction]:
    """Tell what each head of a network sees in an image.

    Args:
        model: Emits ``(1, C, size/8, size/8)``; it computes where its parameters are.
        layout: The channels of its output.
        size: Side of the square that the image is stretched to, in pixels.
        image: As :func:`as_tensor` takes it.

    Returns:
        A prediction for each head by its name, on the CPU.

    Raises:
        TypeError: The image is none.
    """
    pixels = as_tensor(image)
    sides = torch.tensor([pixels.shape[-2:]])
    device = next(model.parameters()).device
    stretched = network_input(resize(pixels, [size, size], antialias=True))[None].to(device)
    with evaluating(model):
        output = model(stretched).float()
    return {
        part.head: {name: torch.as_tensor(value).cpu() for name, value in found.items()}
        for part in layout.heads
        for found in part.kind.decode(part.of(output), sides.to(device))
    }


def as_tensor(image: Any) -> Tensor:
    """Give an image as ``(3, H, W)`` uint8 RGB.

    Args:
        image: An image of Pillow's, which is turned as its EXIF data asks for; an array ``(H, W, 3)`` uint8 or a tensor
            ``(3, H, W)`` uint8, both RGB.

    Raises:
        TypeError: It is something else.
    """
    if isinstance(image, Image.Image) and not image.mode.startswith(("I", "F")):  # Pillow would clip these to white
        return pil_to_tensor(ImageOps.exif_transpose(image).convert("RGB"))
    if isinstance(image, numpy.ndarray) and image.dtype == numpy.uint8 and image.ndim == 3 and image.shape[2] == 3:
        return torch.from_numpy(numpy.ascontiguousarray(image.transpose(2, 0, 1)))
    if isinstance(image, Tensor) and image.dtype == torch.uint8 and image.dim() == 3 and image.shape[0] == 3:
        return image.cpu()
    found = type(image).__name__
    if isinstance(image, numpy.ndarray | Tensor):
        found = f"{found} of {image.dtype}, {tuple(image.shape)}"
    elif isinstance(image, Image.Image):
        found = f"{found} of mode {image.mode}"
    raise TypeError(
        f"expected an image of Pillow's with 8 bits a channel, an array (H, W, 3) or a tensor (3, H, W) of uint8, "
        f"found {found}"
    )
