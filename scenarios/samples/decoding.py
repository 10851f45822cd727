"""Decoding pictures and masks completely, with Pillow at its strictest. Importing it is cheap: no torch."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000")
"""What a picture may be stored as, whatever its name. Pillow knows more, but calls other programs for some of them."""

MOST_PIXELS = 2**30 // 4 // 3
"""What claims to be larger is taken for a decompression bomb: a quarter of a GiB as RGB, Pillow's own limit."""

UPRIGHT = 1
"""The EXIF orientation of a picture that is stored as it is shown."""

SIDEWAYS = (5, 6, 7, 8)
"""The EXIF orientations that exchange the sides of a picture."""

_ORIENTATION = 0x0112  # the tag

_BACK = {6: 8, 8: 6}  # what undoes an orientation, where it is another one

File = Path | BinaryIO


class DecodingError(Exception):
    """A picture cannot be used; the message is the problem and does not name the file."""


@dataclass(frozen=True)
class Decoded:
    """What a file holds.

    Attributes:
        pixels: ``(H, W, 3)`` uint8 RGB of a picture, ``(H, W)`` uint8 values of a mask.
        orientation: How the picture asks to be turned before it is shown, as EXIF 2.32 numbers it: 1 is not at all.
        frames: How many pictures there are in the file; the first one was decoded.
        palette: The colours ``(256, 3)`` uint8 of a mask's values; ``None`` without a palette.
    """

    pixels: np.ndarray
    orientation: int = UPRIGHT
    frames: int = 1
    palette: np.ndarray | None = None


def decode_rgb(file: File) -> Decoded:
    """Decode a picture; grey, palette and CMYK pictures are converted. It is not turned.

    Raises:
        DecodingError: It cannot be decoded completely, is suspiciously large, or has more than 8 bits a channel.
    """
    return _decode(file, _rgb_of, FORMATS)


def decode_indices(file: File) -> Decoded:
    """Decode a mask into its raw values: palette indices, not their colours.

    Raises:
        DecodingError: It cannot be decoded completely, or is no PNG of a palette or of 8 bits of grey.
    """
    return _decode(file, _indices_of, ("PNG",))  # JPEG would blur the values into others


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn pixels ``(H, W, ...)`` as an EXIF orientation asks for.

    Args:
        pixels: As they are stored.
        orientation: 1 to 8, as EXIF 2.32 numbers them.

    Returns:
        A view.
    """
    if orientation in SIDEWAYS:
        pixels = pixels.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return pixels[rows, columns]


def _rgb_of(picture: ImageFile.ImageFile) -> Decoded:
    if picture.mode.startswith(("I", "F")):  # 16 and 32 bits: Pillow would clip them to white
        raise DecodingError(f"expected a picture of 8 bits a channel, found mode {picture.mode}; convert it to RGB")
    orientation, frames = _orientation_of(picture), getattr(picture, "n_frames", 1)
    pixels = np.array(picture.convert("RGB"))
    if picture.format == "TIFF":  # the one format that Pillow turns by itself
        pixels = turned(pixels, _BACK.get(orientation, orientation))
    return Decoded(pixels, orientation, frames)


def _orientation_of(picture: ImageFile.ImageFile) -> int:
    try:
        found = picture.getexif().get(_ORIENTATION, UPRIGHT)
    except Exception:  # a broken block of EXIF is no part of the picture
        return UPRIGHT
    return found if found in range(1, 9) else UPRIGHT


def _indices_of(picture: ImageFile.ImageFile) -> Decoded:
    mode = picture.mode
    if mode == "L" and picture.tile:
        mode = str(picture.tile[0][3])  # how it is stored: Pillow would stretch 2 or 4 bits of grey ("L;4") to 8
    if picture.mode not in ("P", "L") or mode in ("L;2", "L;4"):
        raise DecodingError(
            f"expected a palette or grey mask of 8 bits (mode P or L), found mode {mode}; "
            "save the class indices as such"
        )
    colours = picture.getpalette("RGB") if picture.mode == "P" else None
    palette = None
    if colours:
        palette = np.zeros((256, 3), dtype=np.uint8)
        palette[: len(colours) // 3] = np.array(colours, dtype=np.uint8).reshape(-1, 3)
    return Decoded(np.array(picture), palette=palette)


def _decode(file: File, decoded: Callable[[ImageFile.ImageFile], Decoded], formats: tuple[str, ...]) -> Decoded:
    """Return what is made of an opened picture; Pillow's warnings are not shown."""
    try:
        with _strict_pillow(), _open(file, formats) as picture:
            return decoded(picture)
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
    if isinstance(file, Path) and file.exists() and not file.is_file():  # opening a pipe would wait for ever
        raise DecodingError("expected a picture, found a folder or a device; remove it")
    picture = Image.open(file, formats=formats)
    if picture.format == "PNG":
        with picture:
            picture.verify()  # checksums, which decoding leaves out; the picture must be opened again
        picture = Image.open(file, formats=formats)
    return picture


class _Strictness:
    """Refuse truncated files and decompression bombs whatever other packages have set; show no other warnings.

    What Pillow and Python go by is global, so threads that decode side by side enter together: the first one sets it,
    and the last one puts it back.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if self._inside == 0:
                self._before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
                self._warnings = warnings.catch_warnings()
                self._warnings.__enter__()
                ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = False, MOST_PIXELS
                warnings.simplefilter("ignore")
                warnings.simplefilter("error", Image.DecompressionBombWarning)
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = self._before
                    self._warnings.__exit__(None, None, None)


_strict_pillow = _Strictness()
