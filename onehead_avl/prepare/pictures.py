"""Decoding pictures and masks completely, to know that they are whole and which of them are the same."""

import hashlib
import io
import warnings
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from onehead_avl.errors import DataError


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
    with _opened(content, where) as picture:
        if picture.mode.startswith(("I", "F")):
            raise DataError(
                f"{where}: expected a picture of 8 bits a channel, found mode {picture.mode}; replace the file"
            )
        pixels = _decoded(picture.convert, where, "RGB")
    digest = hashlib.sha256(repr(pixels.size).encode() + pixels.tobytes()).digest()
    return Picture(pixels.size, digest)


def decode_mask(content: bytes, where: str) -> Mask:
    """Decode a mask: the palette indices of a palette picture, or the values of a grey one.

    Args:
        content: The file.
        where: Its name, for the message.

    Raises:
        DataError: It cannot be decoded completely, or is neither a palette nor an 8-bit grey picture.
    """
    with _opened(content, where) as mask:
        if mask.mode not in ("P", "L"):
            raise DataError(
                f"{where}: expected a palette or grey mask (mode P or L), found mode {mask.mode}; replace the file"
            )
        _decoded(mask.load, where)
        present = np.bincount(np.asarray(mask).ravel(), minlength=256).nonzero()[0]
        return Mask(mask.size, tuple(present.tolist()))


def _opened(content: bytes, where: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(content))
    except UnidentifiedImageError as error:
        raise DataError(f"{where}: expected a picture, found no known format; replace the file") from error
    except Exception as error:  # decoders raise almost anything on broken files
        raise DataError(f"{where}: the picture cannot be decoded ({error}); replace the file") from error


def _decoded(decode, where: str, *arguments):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return decode(*arguments)
    except Exception as error:  # decoders raise almost anything on broken files
        raise DataError(f"{where}: the picture cannot be decoded ({error}); replace the file") from error
