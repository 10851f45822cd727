"""Decoding pictures and masks completely, to know that they are whole and which of them are the same."""

import hashlib
import io
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

import numpy as np

from onehead_avl.errors import DataError
from scenarios.samples.decoding import DecodingError, decode_indices, decode_rgb


class Picture(NamedTuple):
    """A decoded picture.

    Attributes:
        size: Width and height in pixels.
        digest: Checksum of its pixels: two files are the same picture if their pixels are, whatever else they hold.
    """

    size: tuple[int, int]
    digest: bytes


class Mask(NamedTuple):
    """A decoded mask.

    Attributes:
        size: Width and height in pixels.
        values: The values that occur in it, ascending.
    """

    size: tuple[int, int]
    values: tuple[int, ...]


def decode_picture(content: bytes, where: str) -> Picture:
    """Decode a picture; grey, palette and CMYK pictures are converted to RGB.

    Args:
        content: The file.
        where: Its name, for the message.

    Raises:
        DataError: It cannot be decoded completely, is suspiciously large, or has more than 8 bits a channel.
    """
    pixels = _decode(content, where, decode_rgb)
    height, width, _ = pixels.shape
    return Picture((width, height), hashlib.sha256(repr((width, height)).encode() + pixels.tobytes()).digest())


def decode_mask(content: bytes, where: str) -> Mask:
    """Decode a mask: the palette indices of a palette picture, or the values of a grey one.

    Args:
        content: The file.
        where: Its name, for the message.

    Raises:
        DataError: It cannot be decoded completely, or is no PNG of a palette or of 8 bits of grey.
    """
    indices = _decode(content, where, decode_indices)
    height, width = indices.shape
    present = np.bincount(indices.ravel(), minlength=256).nonzero()[0]
    return Mask((width, height), tuple(present.tolist()))


def _decode(content: bytes, where: str, decode: Callable[[BinaryIO], np.ndarray]) -> np.ndarray:
    try:
        return decode(io.BytesIO(content))
    except DecodingError as error:
        raise DataError(f"{where}: {error}") from error
