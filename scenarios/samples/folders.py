"""What lies in folders. Importing it is cheap: no torch."""

import os
from collections.abc import Sequence
from pathlib import Path

from scenarios.samples.findings import Fault


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
    return [folder / entry.name for entry in _visible(folder)]


def list_files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Return the visible files of ``folder`` that end in one of ``suffixes`` (lower case), whatever their case.

    Raises:
        Fault: The folder cannot be listed.
    """
    return [folder / entry.name for entry in _visible(folder) if _ends(entry, suffixes) and not _is_folder(entry)]


def walk(folder: Path, suffixes: Sequence[str] | None = None) -> list[Path]:
    """Return the visible files of ``folder`` and of all folders in it, sorted.

    Links to folders are followed; a folder that several links lead to is listed once. A link that leads nowhere is a
    file, which cannot be read.

    Args:
        folder: Where to begin.
        suffixes: How their names end, in lower case; by default anyhow.

    Raises:
        Fault: A folder cannot be listed.
    """
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    folders, links = [folder], list[Path]()
    while folders or links:
        inner = folders.pop() if folders else links.pop(0)  # a folder is found by its own name, not by that of a link
        status = os.stat(inner)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in _visible(inner):
            if _is_folder(entry):
                (links if entry.is_symlink() else folders).append(inner / entry.name)
            elif suffixes is None or _ends(entry, suffixes):
                found.append(inner / entry.name)
    return sorted(found, key=lambda path: path.parts)


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    """The visible entries of a folder, which know of themselves whether they are folders."""
    try:
        with os.scandir(folder) as entries:
            return sorted((each for each in entries if not each.name.startswith(".")), key=lambda each: each.name)
    except OSError as error:
        raise Fault(folder, f"the folder cannot be listed ({error.strerror}); check it") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _ends(entry: os.DirEntry[str], suffixes: Sequence[str]) -> bool:
    return os.path.splitext(entry.name)[1].lower() in suffixes
