"""Changes of appearance of whole images, which leave their annotations as they are.

Importing it is cheap: no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def grey(image: Tensor) -> Tensor:
    """Take the colours away: three equal channels of BT.601 luma, ``(3, H, W)`` uint8."""
    red, green, blue = image.int()
    return ((299 * red + 587 * green + 114 * blue + 500) // 1000).byte().expand_as(image).contiguous()


def night(image: Tensor) -> Tensor:
    """Darken an image ``(3, H, W)`` uint8: a fifth of the red, a quarter of the green and two fifths of the blue."""
    return (image.int() * image.new_tensor([20, 25, 40])[:, None, None].int() // 100).byte()


def negative(image: Tensor) -> Tensor:
    """Turn light to dark and colours to their opposites, ``(3, H, W)`` uint8."""
    return 255 - image


DOMAINS: dict[str, Callable[[Tensor], Tensor]] = {"grey": grey, "night": night, "negative": negative}
"""The changes by name."""

DOMAIN_NAMES = tuple(DOMAINS)
"""The names of the changes."""
