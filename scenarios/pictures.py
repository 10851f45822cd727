"""Picture files: finding them in a folder, and decoding them completely, once."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from tqdm import tqdm

from onehead_avl.errors import DataError
from scenarios.sample import Sample

Item = TypeVar("Item")


def require_folder(folder: Path, content: str) -> Path:
    """Return ``folder`` if it is one.

    Args:
        folder: The folder that must exist.
        content: What belongs into it, for the message.

    Raises:
        DataError: There is no such folder, or it is a file.
    """
    if not folder.is_dir():
        found = "found a file" if folder.exists() else "there is none"
        raise DataError(f"{folder}: expected a folder of {content}, {found}; create it or correct the data folder")
    return folder


def list_visible(folder: Path) -> list[Path]:
    """Return what lies in ``folder``, sorted by name, without hidden entries (``.DS_Store``, ``._a.jpg``).

    Raises:
        DataError: The folder cannot be listed.
    """
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be listed ({error.strerror}); check it") from error


def list_files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Return the visible files of ``folder`` that end in one of ``suffixes`` (lower case), whatever their case.

    Raises:
        DataError: The folder cannot be listed.
    """
    return [entry for entry in list_visible(folder) if entry.suffix.lower() in suffixes]


def read_each(items: Iterable[Item], read: Callable[[Item], Sample], title: str) -> list[Sample]:
    """Return ``read(item)`` of every item, with a progress bar while standard error is a terminal.

    Args:
        items: What to read.
        read: Makes a sample of an item.
        title: What is read, such as ``segmentation train``.
    """
    # `with` clears the bar before an error that `read` raises is printed.
    with tqdm(items, desc=f"reading {title}", unit="picture", leave=False, disable=None) as bar:
        return [read(item) for item in bar]


def read_rgb(path: Path) -> Tensor:
    """Decode a picture; grey, palette and CMYK pictures are converted.

    The orientation stored in EXIF is not applied: annotations count the pixels of the file.

    Returns:
        ``(3, H, W)`` uint8 RGB.

    Raises:
        DataError: The picture cannot be decoded completely, is suspiciously large, or has more than 8 bits a
            channel.
    """
    return torch.from_numpy(_decode(path, _to_rgb)).permute(2, 0, 1).contiguous()


def read_indices(path: Path) -> Tensor:
    """Decode a mask into its raw values: the palette indices of a palette picture, not their colours.

    Returns:
        ``(H, W)`` uint8.

    Raises:
        DataError: The mask cannot be decoded completely, or is neither a palette nor an 8-bit grey picture.
    """
    return torch.from_numpy(_decode(path, _to_indices))


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith(("I", "F")):  # 16 and 32 bits: Pillow would clip them to white
        raise DataError(f"expected a picture of 8 bits a channel, found mode {picture.mode}; convert it to RGB")
    return picture.convert("RGB")


def _to_indices(picture: Image.Image) -> Image.Image:
    if picture.mode not in ("P", "L"):
        raise DataError(
            f"expected a palette or grey mask of 8 bits (mode P or L), found mode {picture.mode}; "
            "save the class indices as such"
        )
    return picture


def _decode(path: Path, convert: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    """Return the pixels of ``convert(picture)``; errors name the file, Pillow's warnings are not shown."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                return np.array(convert(picture))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: expected a picture, found no known format; replace or remove the file") from error
    except Exception as error:  # decoders raise almost anything on broken files: OSError, SyntaxError, ...
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: the picture cannot be decoded ({reason}); replace or remove the file") from error
