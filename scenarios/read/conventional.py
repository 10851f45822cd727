"""Folders of images and folders of their annotations, found by the names that they have by convention.

``<split>/images`` and ``<split>/masks``, or ``images/<split>`` and ``masks/<split>``. Importing it is cheap: no torch.
"""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

from scenarios.read.splits import called_otherwise, meaning, split_folders
from scenarios.samples.findings import Fault, Finding
from scenarios.samples.folders import list_visible

Folders = tuple[Path, Path]
"""Where the images, and where the annotations of a split are."""


def folders_by_name(root: Path, split: str, called: Sequence[str]) -> list[Folders]:
    """The folders that may be those of a split; there should be one pair.

    Args:
        root: Where to look; it need not exist.
        split: ``train`` or ``val``.
        called: What folders of annotations are called, in lower case.
    """
    pairs: list[Folders] = []
    for folder in split_folders(root, split):
        pairs += product(_named(folder, ("images",)), _named(folder, called))
    for images, annotations in product(_named(root, ("images",)), _named(root, called)):
        pairs += product(split_folders(images, split), split_folders(annotations, split))
    return pairs


def only_folders(root: Path, split: str, called: Sequence[str], key: str, findings: list[Finding]) -> Folders:
    """Where the images and the annotations of a split are.

    Args:
        root: Where to look.
        split: ``train`` or ``val``.
        called: What folders of annotations are called, in lower case.
        key: What a description calls the folder of annotations.
        findings: Is added to: worth knowing: the split is called otherwise.

    Raises:
        Fault: There are no such folders, or more than two.
    """
    found = folders_by_name(root, split, called)
    way_out = f"name them in a description, {split}: {{images: FOLDER, {key}: FOLDER}}"
    if not found:
        wanted = f"expected {split}/images and {split}/{called[0]}, or images/{split} and {called[0]}/{split}"
        raise Fault(root, f"{wanted}, found neither; add the folders, or {way_out}")
    if len(found) > 1:
        pairs = ", ".join(" with ".join(folder.relative_to(root).as_posix() for folder in pair) for pair in found)
        raise Fault(
            root, f"expected one folder of {split} images with one of their {called[0]}, found {pairs}; {way_out}"
        )
    for folder in found[0]:
        name = meaning(split, folder.relative_to(root).parts)[0]
        findings += [each for each in called_otherwise(root, split, name) if each not in findings]
    return found[0]


def _named(parent: Path, names: Sequence[str]) -> list[Path]:
    entries = list_visible(parent) if parent.is_dir() else []
    return [entry for entry in entries if entry.name.lower() in names and entry.is_dir()]
