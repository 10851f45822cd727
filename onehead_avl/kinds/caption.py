"""Text on an image."""

import numpy
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.transforms.v2.functional import to_pil_image

LEAST_LETTERS = 10
"""The height of letters in pixels that can still be read."""


def captioned(
    image: Tensor, text: str, colour: tuple[int, int, int], corner: tuple[float, float] = (0, 0), lines: int = 16
) -> Tensor:
    """Write a line of text on an image ``(3, H, W)`` uint8, on a ground of a colour.

    Args:
        image: What is written on; it stays as it is.
        text: What is written.
        colour: Of the ground, in RGB.
        corner: Where the upper left corner of the ground is to be, x and y in pixels; it is moved as far to the left
            and up as the text needs.
        lines: How many lines of text the image is high, unless letters would be too small.
    """
    picture: Image.Image = to_pil_image(image)
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=max(LEAST_LETTERS, picture.height // lines))
    _, _, right, bottom = pen.textbbox((3, 2), text, font=font)
    most = int(picture.width - right) - 4, int(picture.height - bottom) - 3
    x, y = (max(0, min(round(wanted), end)) for wanted, end in zip(corner, most, strict=True))
    left, top, right, bottom = pen.textbbox((x + 3, y + 2), text, font=font)
    pen.rectangle((left - 3, top - 2, right + 3, bottom + 2), fill=colour)
    pen.text((x + 3, y + 2), text, font=font, fill="black" if sum(colour) > 382 else "white")
    return torch.from_numpy(numpy.array(picture)).permute(2, 0, 1)
