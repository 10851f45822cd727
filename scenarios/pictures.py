"""Picture files: finding them in a folder, and decoding them completely, once."""

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image, ImageFile, UnidentifiedImageError
from torch import Tensor
from tqdm import tqdm

from scenarios.findings import Fault, Finding, collecting
from scenarios.sample import Sample

PICTURES = (".jpg", ".jpeg", ".png")
"""How the names of pictures end, in lower case."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
"""What a picture may be stored as, whatever its name. Pillow knows more, but calls other programs for some of them."""

MOST_PIXELS = 2**30 // 4 // 3
"""What claims to be larger is taken for a decompression bomb: a quarter of a GiB as RGB, Pillow's own limit."""

Item = TypeVar("Item")


def require_folder(folder: Path, content: str) -> Path:
    """Return ``folder`` if it is one.

    Args:
        folder: The folder that must exist.
        content: What belongs into it, for the message.

    Raises:
        Fault: There is no such folder, or it is a file.
    """
    if not folder.is_dir():
        found = "found a file" if folder.exists() else "there is none"
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
    return torch.from_numpy(_decode(path, _to_rgb, FORMATS)).permute(2, 0, 1).contiguous()


def read_indices(path: Path) -> Tensor:
    """Decode a mask into its raw values: the palette indices of a palette picture, not their colours.

    Returns:
        ``(H, W)`` uint8.

    Raises:
        Fault: The mask cannot be decoded completely, or is no PNG of a palette or of 8 bits of grey.
    """
    return torch.from_numpy(_decode(path, _to_indices, ("PNG",)))  # JPEG would blur the values into others


class _UnusableError(Exception):
    """The file is of a kind that cannot be used; the message is the problem."""


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith(("I", "F")):  # 16 and 32 bits: Pillow would clip them to white
        raise _UnusableError(f"expected a picture of 8 bits a channel, found mode {picture.mode}; convert it to RGB")
    return picture.convert("RGB")


def _to_indices(picture: Image.Image) -> Image.Image:
    mode = picture.mode
    if mode == "L" and picture.tile:
        mode = picture.tile[0][3]  # how it is stored: Pillow would stretch 2 or 4 bits of grey ("L;4") to 8
    if picture.mode not in ("P", "L") or mode in ("L;2", "L;4"):
        raise _UnusableError(
            f"expected a palette or grey mask of 8 bits (mode P or L), found mode {mode}; "
            "save the class indices as such"
        )
    return picture


def _decode(path: Path, convert: Callable[[Image.Image], Image.Image], formats: Sequence[str]) -> np.ndarray:
    """Return the pixels of ``convert(picture)``; errors name the file, Pillow's warnings are not shown."""
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise _UnusableError("expected a picture, found a folder or a device; remove it")
        with _strict_pillow(), _open(path, formats) as picture:
            return np.array(convert(picture))
    except _UnusableError as error:
        raise Fault(path, str(error)) from None
    except UnidentifiedImageError as error:
        expected = f"expected a picture ({', '.join(formats)})"
        raise Fault(path, f"{expected}, found no such format; replace or remove the file") from error
    except Exception as error:  # decoders raise almost anything on broken files: OSError, SyntaxError, ...
        reason = getattr(error, "strerror", None) or error
        raise Fault(path, f"the picture cannot be decoded ({reason}); replace or remove the file") from error


def _open(path: Path, formats: Sequence[str]) -> Image.Image:
    """Open a picture; only the header is read, and sizes that are suspiciously large are refused."""
    picture = Image.open(path, formats=formats)
    if picture.format == "PNG":
        with picture:
            picture.verify()  # checksums, which decoding leaves out; the picture must be opened again
        picture = Image.open(path, formats=formats)
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
