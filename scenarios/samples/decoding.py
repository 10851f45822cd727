"""Decoding pictures and masks completely, with Pillow at its strictest. Importing it is cheap: no torch."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
"""What a picture may be stored as, whatever its name. Pillow knows more, but calls other programs for some of them."""

MOST_PIXELS = 2**30 // 4 // 3
"""What claims to be larger is taken for a decompression bomb: a quarter of a GiB as RGB, Pillow's own limit."""

File = Path | BinaryIO


class DecodingError(Exception):
    """A picture cannot be used; the message is the problem and does not name the file."""


def decode_rgb(file: File) -> np.ndarray:
    """Decode a picture into ``(H, W, 3)`` uint8 RGB; grey, palette and CMYK pictures are converted.

    Raises:
        DecodingError: It cannot be decoded completely, is suspiciously large, or has more than 8 bits a channel.
    """
    return _decode(file, _to_rgb, FORMATS)


def decode_indices(file: File) -> np.ndarray:
    """Decode a mask into its raw values, ``(H, W)`` uint8: palette indices, not their colours.

    Raises:
        DecodingError: It cannot be decoded completely, or is no PNG of a palette or of 8 bits of grey.
    """
    return _decode(file, _to_indices, ("PNG",))  # JPEG would blur the values into others


def _to_rgb(picture: ImageFile.ImageFile) -> Image.Image:
    if picture.mode.startswith(("I", "F")):  # 16 and 32 bits: Pillow would clip them to white
        raise DecodingError(f"expected a picture of 8 bits a channel, found mode {picture.mode}; convert it to RGB")
    return picture.convert("RGB")


def _to_indices(picture: ImageFile.ImageFile) -> Image.Image:
    mode = picture.mode
    if mode == "L" and picture.tile:
        mode = str(picture.tile[0][3])  # how it is stored: Pillow would stretch 2 or 4 bits of grey ("L;4") to 8
    if picture.mode not in ("P", "L") or mode in ("L;2", "L;4"):
        raise DecodingError(
            f"expected a palette or grey mask of 8 bits (mode P or L), found mode {mode}; "
            "save the class indices as such"
        )
    return picture


def _decode(file: File, convert: Callable[[ImageFile.ImageFile], Image.Image], formats: tuple[str, ...]) -> np.ndarray:
    """Return the pixels of ``convert(picture)``; Pillow's warnings are not shown."""
    try:
        with _strict_pillow(), _open(file, formats) as picture:
            return np.array(convert(picture))
    except DecodingError:
        raise
    except UnidentifiedImageError as error:
        expected = f"expected a picture ({', '.join(formats)})"
        raise DecodingError(f"{expected}, found no such format; replace or remove the file") from error
    except Exception as error:  # decoders raise almost anything on broken files: OSError, SyntaxError, ...
        reason = getattr(error, "strerror", None) or error
        raise DecodingError(f"the picture cannot be decoded ({reason}); replace or remove the file") from error


def _open(file: File, formats: tuple[str, ...]) -> ImageFile.ImageFile:
    """Open a picture; only the header is read, and sizes that are suspiciously large are refused."""
    picture = Image.open(file, formats=formats)
    if picture.format == "PNG":
        with picture:
            picture.verify()  # checksums, which decoding leaves out; the picture must be opened again
        picture = Image.open(file, formats=formats)
    return picture


@contextmanager
def _strict_pillow() -> Iterator[None]:
    """Refuse truncated files and decompression bombs whatever other packages have set; show no other warnings."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = False, MOST_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = before
