"""The manifest of a data folder: every file with its checksum and its origin, and whether they still are so."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from onehead_avl.errors import DataError
from onehead_avl.prepare.official import NewFile
from onehead_avl.prepare.progress import bar
from scenarios.challenge import FOLDERS

MANIFEST = "manifest.json"

VERSION = 1
"""Of the selection and the layout: raised when the same options would give other files."""


def manifest_digest(root: Path | None) -> str | None:
    """The checksum of a data folder's manifest, by which two people can know that they have the same data.

    Args:
        root: The data folder.

    Returns:
        The SHA-256 of ``manifest.json``; ``None`` if there is none.
    """
    path = None if root is None else root / MANIFEST
    return hashlib.sha256(path.read_bytes()).hexdigest() if path is not None and path.is_file() else None


def describe(file: NewFile) -> dict[str, Any]:
    """What the manifest says about a file."""
    return {
        "sha256": hashlib.sha256(file.content).hexdigest(),
        "size": len(file.content),
        "split": file.split,
        "source": file.source,
        "official_split": file.official_split,
    }


def manifest_of(head: dict[str, Any], described: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """A manifest.

    Args:
        head: What it says before it lists the files: options, sets, ...
        described: What it says about each file, in any order.
    """
    return head | {"files": dict(sorted(described.items()))}


def read_manifest(root: Path) -> dict[str, Any]:
    """Read the manifest of a data folder.

    Raises:
        DataError: There is none, or it is something else.
    """
    path = root / MANIFEST
    try:
        found = json.loads(path.read_bytes())
        files = {name: (entry["size"], entry["sha256"]) for name, entry in found["files"].items()}
        known = found["sets"].keys() <= FOLDERS.keys()
        if not files or not known or not isinstance(found["options"], dict):
            raise ValueError
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}); build a data folder with its manifest by "
            f"python -m onehead_avl.prepare --root {root}"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DataError(
            f"{path}: expected a manifest of onehead_avl.prepare, found something else; remove it"
        ) from None
    return found


def differences(root: Path, manifest: dict[str, Any]) -> list[str]:
    """Compare the files of a data folder with its manifest.

    Returns:
        A finding for each file that is missing, was changed, or is not in the manifest; sorted by file.
    """
    listed = manifest["files"]
    found = {path.relative_to(root).as_posix() for path in _files_in(root)}
    findings = {name: f"{name} is missing" for name in listed.keys() - found}
    findings |= {name: f"{name} is not in the manifest" for name in found - listed.keys()}
    present = sorted(found & listed.keys())
    with bar(f"verifying {root}", sum((root / name).stat().st_size for name in present), "B") as progress:
        for name in present:
            content = (root / name).read_bytes()
            if hashlib.sha256(content).hexdigest() != listed[name]["sha256"]:
                findings[name] = f"{name} was changed"
            progress.update(len(content))
    return [findings[name] for name in sorted(findings)]


def require_same(root: Path, manifest: dict[str, Any]) -> None:
    """Refuse a data folder that is not as its manifest says.

    Raises:
        DataError: It is not; the message names the first findings.
    """
    findings = differences(root, manifest)
    if findings:
        shown = ", ".join(findings[:3]) + (f" and {len(findings) - 3} more" if len(findings) > 3 else "")
        raise DataError(f"{root} is not as its manifest says: {shown}; restore the files or prepare a new folder")


def _files_in(root: Path) -> Iterable[Path]:
    """The visible files of the tasks' folders."""
    for folder in FOLDERS.values():
        for path in (root / folder).rglob("*"):
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts):
                yield path
