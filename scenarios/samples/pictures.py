"""Picture files: finding them in a folder, and reading them, once."""

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from scenarios.samples.decoding import DecodingError, decode_indices, decode_rgb
from scenarios.samples.findings import Fault, Finding, collecting
from scenarios.samples.sample import Sample

PICTURES = (".jpg", ".jpeg", ".png")
"""How the names of pictures end, in lower case."""

Item = TypeVar("Item")


def require_folder(folder: Path, content: str) -> Path:
    """Return ``folder`` if it is one.

    Args:
        folder: The folder that must exist.
        content: What belongs into it, for the message.

    Raises:
        Fault: There is no such folder, or it is a file.
    """
    if not os.path.isdir(folder):  # unlike Path.is_dir, it answers for names of any length
        found = "found a file" if os.path.exists(folder) else "there is none"
        raise Fault(folder, f"expected a folder of {content}, {found}; create it or correct the data folder")
    return folder


def list_visible(folder: Path) -> list[Path]:
    """Return what lies in ``folder``, sorted by name, without hidden entries (``.DS_Store``, ``._a.jpg``).

    Raises:
        Fault: The folder cannot be listed.
    """
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise Fault(folder, f"the folder cannot be listed ({error.strerror}); check it") from error


def list_files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Return the visible files of ``folder`` that end in one of ``suffixes`` (lower case), whatever their case.

    Raises:
        Fault: The folder cannot be listed.
    """
    return [entry for entry in list_visible(folder) if entry.suffix.lower() in suffixes]


def unread(folder: Path, paths: Collection[Path], where: str) -> list[Finding]:
    """Return one finding, only worth knowing, about the pictures of ``folder`` that are not read, if there are any."""
    if not paths:
        return []
    problem = f"pictures {where} are not read: there are {len(paths)}, such as {min(paths).name}"
    return [Finding(folder, problem, fatal=False)]


def read_each(
    items: Iterable[Item], read: Callable[[Item], Sample | None], title: str, findings: list[Finding]
) -> list[Sample]:
    """Return ``read(item)`` of every item that can be read, with a progress bar while standard error is a terminal.

    Args:
        items: What to read.
        read: Makes a sample of an item; raises a fault, or adds to the findings itself and returns ``None``.
        title: What is read, such as ``segmentation train``.
        findings: The faults that ``read`` raises are added.
    """
    samples = []
    # `with` clears the bar before an error that `read` raises is printed.
    with tqdm(items, desc=f"reading {title}", unit="picture", leave=False, disable=None) as bar:
        for item in bar:
            with collecting(findings):
                samples.append(read(item))
    return [sample for sample in samples if sample is not None]


def read_rgb(path: Path) -> Tensor:
    """Decode a picture; grey, palette and CMYK pictures are converted.

    The orientation stored in EXIF is not applied: annotations count the pixels of the file.

    Returns:
        ``(3, H, W)`` uint8 RGB.

    Raises:
        Fault: The picture cannot be decoded completely, is suspiciously large, or has more than 8 bits a channel.
    """
    return torch.from_numpy(_decode(path, decode_rgb)).permute(2, 0, 1).contiguous()


def read_indices(path: Path) -> Tensor:
    """Decode a mask into its raw values: the palette indices of a palette picture, not their colours.

    Returns:
        ``(H, W)`` uint8.

    Raises:
        Fault: The mask cannot be decoded completely, or is no PNG of a palette or of 8 bits of grey.
    """
    return torch.from_numpy(_decode(path, decode_indices))


def _decode(path: Path, decode: Callable[[Path], np.ndarray]) -> np.ndarray:
    """Return what ``decode`` makes of a file; errors name the file."""
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise Fault(path, "expected a picture, found a folder or a device; remove it")
    try:
        return decode(path)
    except DecodingError as error:
        raise Fault(path, str(error)) from error
