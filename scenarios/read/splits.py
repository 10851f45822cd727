"""Splits under the names that people give them. Importing it is cheap: no torch."""

from collections.abc import Iterable
from pathlib import Path

from scenarios.samples.findings import Fault, Finding
from scenarios.samples.folders import list_visible

OTHER_NAMES = {"train": ("training",), "val": ("valid", "validation")}
"""What a split may be called where nothing has its own name."""


def meaning(split: str, names: Iterable[str]) -> list[str]:
    """Those of some names that mean a split, whatever their case; its own first.

    Args:
        split: ``train`` or ``val``.
        names: Of folders, files, columns or whatever else there is one of for each split.
    """
    known = (split, *OTHER_NAMES[split])
    return sorted((name for name in names if name.lower() in known), key=lambda name: known.index(name.lower()))


def split_folders(parent: Path, split: str) -> list[Path]:
    """The folders that may be those of a split; there should be one.

    Args:
        parent: Where they are; it need not exist.
        split: ``train`` or ``val``.
    """
    folders = [entry.name for entry in list_visible(parent) if entry.is_dir()] if parent.is_dir() else []
    return [parent / name for name in meaning(split, folders)]


def split_folder(parent: Path, split: str, findings: list[Finding]) -> Path:
    """The folder of a split; the one that it should be if there is none.

    Args:
        parent: Where it is.
        split: ``train`` or ``val``.
        findings: Is added to: worth knowing: the folder has another name.

    Raises:
        Fault: There are several.
    """
    found = split_folders(parent, split)
    if len(found) > 1:
        names = " and ".join(folder.name for folder in found)
        raise Fault(parent, f"expected one folder of the split {split}, found {names}; rename or remove all but one")
    if not found:
        return parent / split
    findings += called_otherwise(parent, split, found[0].name)
    return found[0]


def called_otherwise(where: Path, split: str, name: str) -> list[Finding]:
    """A finding, only worth knowing, if what is read as a split has another name than that.

    Args:
        where: The file or folder it is in.
        split: ``train`` or ``val``.
        name: What it is called.
    """
    return [] if name == split else [Finding(where, f"{name} is read as the split {split}", fatal=False)]
