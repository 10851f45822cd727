"""Text on an image."""

import numpy
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.transforms.v2.functional import to_pil_image


def captioned(image: Tensor, text: str, colour: tuple[int, int, int]) -> Tensor:
    """Write a line of text into the upper left corner of an image ``(3, H, W)`` uint8, on a ground of a colour."""
    picture: Image.Image = to_pil_image(image)
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=max(10, picture.height // 16))
    left, top, right, bottom = pen.textbbox((3, 2), text, font=font)
    pen.rectangle((left - 3, top - 2, right + 3, bottom + 2), fill=colour)
    pen.text((3, 2), text, font=font, fill="black" if sum(colour) > 382 else "white")
    return torch.from_numpy(numpy.array(picture)).permute(2, 0, 1)
