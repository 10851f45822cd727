"""Picture files: what is known of them, and how each is read."""

from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scenarios.samples.checked import check
from scenarios.samples.decoding import UPRIGHT, DecodingError, decode_rgb
from scenarios.samples.facts import Facts, Size, picture_facts
from scenarios.samples.findings import Fault, Finding, Notes
from scenarios.samples.folders import walk
from scenarios.samples.stored import StoredPicture

PICTURES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2")
"""How the names of pictures that are read end, in lower case."""

UNREAD_PICTURES = (".avif", ".heic", ".heif", ".jxl", ".svg", ".psd", ".dng", ".nef", ".cr2", ".arw", ".tga", ".ico")
"""How the names of pictures end that cannot be decoded here, in lower case."""


def unread(folder: Path, paths: Collection[Path], where: str) -> list[Finding]:
    """Return one finding, only worth knowing, about the pictures of ``folder`` that are not read, if there are any."""
    if not paths:
        return []
    name = min(path.relative_to(folder) for path in paths)
    problem = f"pictures {where} are not read: there are {len(paths)}, such as {name}"
    return [Finding(folder, problem, fatal=False, pictures=len(paths))]


def undecodable(folder: Path) -> list[Finding]:
    """Return a finding, only worth knowing, about the pictures below ``folder`` that no decoder is here for."""
    return unread(
        folder, walk(folder, UNREAD_PICTURES), f"that cannot be decoded ({', '.join(UNREAD_PICTURES[:4])} ...)"
    )


def check_pictures(files: Iterable[Path], title: str, notes: Notes) -> dict[Path, Facts]:
    """Tell what is known of pictures, decoding those that are new or were changed.

    Args:
        files: The pictures.
        title: What they are, such as ``detection train``.
        notes: Is told of files with more than one picture.
    """
    distinct = list(dict.fromkeys(files))
    known = dict(zip(distinct, check(distinct, picture_facts, title), strict=True))
    for file, facts in known.items():
        if facts.frames > 1 and not facts.problem:
            notes.add("of files with several pictures only the first one is read", file.name)
    return known


def stored(file: Path, facts: Facts, notes: Notes, annotated: Size | None = None) -> StoredPicture:
    """Say how a picture is read; whether it has the size of its annotation is for the caller to see.

    A picture that EXIF asks to turn is turned where its annotation has the turned size and no other, and read as it is
    stored otherwise.

    Args:
        file: The picture.
        facts: What is known of it.
        notes: Is told if it was turned, or if the annotation may mean either.
        annotated: Height and width of the annotation; ``None`` where it has none.

    Raises:
        Fault: It cannot be decoded.
    """
    if facts.problem:
        raise Fault(file, facts.problem)
    if facts.orientation == UPRIGHT:
        return StoredPicture(file, facts)
    either = annotated in (None, facts.size) and annotated in (None, facts.turned_size)
    upright = not either and annotated == facts.turned_size
    if upright:
        notes.add("pictures are turned as EXIF asks for, because their annotation has the turned size", file.name)
    elif either:
        notes.add(
            "EXIF asks to turn pictures whose annotation may mean either; they are read as they are stored", file.name
        )
    return StoredPicture(file, facts, upright)


def read_rgb(path: Path) -> Tensor:
    """Decode a picture; grey, palette and CMYK pictures are converted.

    The orientation stored in EXIF is not applied.

    Returns:
        ``(3, H, W)`` uint8 RGB.

    Raises:
        Fault: The picture cannot be decoded completely, is suspiciously large, or has more than 8 bits a channel.
    """
    try:
        pixels = decode_rgb(path).pixels
    except DecodingError as error:
        raise Fault(path, str(error)) from error
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
