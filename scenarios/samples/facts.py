"""What decoding a file once tells of it, without its pixels. Importing it is cheap: no torch."""

import hashlib
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np

from onehead_avl.kinds.colours import colour_of
from scenarios.samples.classes import VOC_CLASSES
from scenarios.samples.decoding import SIDEWAYS, UPRIGHT, DecodingError, decode_indices, decode_rgb

Size = tuple[int, int]
"""Height and width in pixels."""


Stamp = tuple[int, int]
"""The size of a file in bytes, and when it was changed, in nanoseconds."""


@dataclass(frozen=True)
class Facts:
    """What is known of a picture or of a mask.

    Attributes:
        size: Height and width in pixels, as it is stored.
        digest: Checksum of its pixels: two files are the same picture if their pixels are, whatever else they hold.
        orientation: How EXIF asks to turn it; 1 is not at all.
        frames: How many pictures there are in the file, of which the first one is read.
        values: The values that occur in a mask, ascending; empty for a picture.
        misplaced: Those of the values that the mask's palette gives the colour of another one of PASCAL VOC's classes.
        problem: Why it cannot be used; empty if it can.
        stamp: What the file was when this was found; ``None`` if nobody looked.
    """

    size: Size = (0, 0)
    digest: str = ""
    orientation: int = UPRIGHT
    frames: int = 1
    values: tuple[int, ...] = ()
    misplaced: tuple[int, ...] = ()
    problem: str = ""
    stamp: Stamp | None = field(default=None, compare=False)

    @property
    def turned_size(self) -> Size:
        """The size after turning it as EXIF asks for."""
        height, width = self.size
        return (width, height) if self.orientation in SIDEWAYS else (height, width)


def stamp_of(file: Path | str) -> Stamp | None:
    """What tells a file from itself after a change; ``None`` if there is none."""
    try:
        status = os.stat(file)
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def picture_facts(file: Path | BinaryIO) -> Facts:
    """Decode a picture completely, and tell what is known of it."""
    try:
        decoded = decode_rgb(file)
    except DecodingError as error:
        return Facts(problem=str(error))
    height, width, _ = decoded.pixels.shape
    return Facts((height, width), digest_of(decoded.pixels), decoded.orientation, decoded.frames)


def mask_facts(file: Path | BinaryIO) -> Facts:
    """Decode a mask completely, and tell what is known of it."""
    try:
        decoded = decode_indices(file)
    except DecodingError as error:
        return Facts(problem=str(error))
    pixels = decoded.pixels
    height, width = pixels.shape
    values = tuple(np.bincount(pixels.ravel(), minlength=256).nonzero()[0].tolist())
    misplaced = () if decoded.palette is None else _misplaced(values, decoded.palette)
    return Facts((height, width), digest_of(pixels), values=values, misplaced=misplaced)


def digest_of(pixels: np.ndarray) -> str:
    """A checksum of pixels ``(H, W)`` or ``(H, W, 3)``."""
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def _misplaced(values: tuple[int, ...], palette: np.ndarray) -> tuple[int, ...]:
    """The values whose colour is that of another class of PASCAL VOC."""
    known = _voc_colours()
    found = {value: known.get(tuple(palette[value].tolist()), value) for value in values}
    return tuple(value for value, meant in found.items() if meant != value)


@cache
def _voc_colours() -> dict[tuple[int, ...], int]:
    return {colour_of(index): index for index in range(1, len(VOC_CLASSES))}  # black is the colour of many a value
