"""Images in one folder and their masks in another, with the meaning of the masks' values.

The folders are named by a description, or have the names that they have by convention: ``<split>/images`` and
``<split>/masks``, or ``images/<split>`` and ``masks/<split>``.
"""

from collections.abc import Sequence
from pathlib import Path

from scenarios.read.conventional import folders_by_name, only_folders
from scenarios.read.mask_names import mask_names_of
from scenarios.read.pairs import read_pairs, values_of
from scenarios.samples.findings import Fault, Finding
from scenarios.samples.pictures import PICTURES
from scenarios.samples.source import SPLITS, Source
from scenarios.samples.stored import StoredSample

MASKS = ("masks", "labels", "gt", "annotations")
"""What folders of masks are called by convention."""


def recognises(source: Source) -> bool:
    """Tell whether the folders of images and of masks are named, or are called so."""
    named = _named(source)
    if named:
        return {"images", "masks"} <= named
    return any(folders_by_name(source.on_disk, split, MASKS) for split in SPLITS)


def read(
    source: Source, split: str, findings: list[Finding], classes: Sequence[str] | None
) -> tuple[list[StoredSample], tuple[str, ...]]:
    """Read one split.

    Args:
        source: Where it is: the split's ``images`` and ``masks`` are folders, and ``names`` is what values mean;
            ``mask_name`` is what a mask is called, such as ``{stem}_mask.png``: by default as its image is, or in the
            only way that fits all files.
        split: ``train`` or ``val``.
        findings: Is added to: an image or a mask stands alone or is there twice; a mask differs in size from its
            image or holds a value that is neither named nor ignored; a file cannot be decoded; worth knowing: what
            masks are called, and which files are not called so.
        classes: The class names that the set must have, in index order; ``None`` orders them by value.

    Returns:
        Samples with ``mask``, sorted by file name; the class names in index order.

    Raises:
        Fault: A folder is not named, is missing, or holds no images; values have no names, or other than ``classes``;
            it cannot be told which mask is whose.
    """
    parts = source.split(split)
    folders = _folders(source, split, findings)
    if not source.names:
        raise Fault(
            source.on_disk,
            "expected names: {VALUE: NAME} for the values of the masks, got none; name them, such as "
            "names: {0: background, 1: road}",
        )
    values, classes = values_of(source.on_disk, source.names, source.ignore, classes)
    naming = mask_names_of(source.on_disk, parts["mask_name"]) if "mask_name" in parts else None
    return read_pairs(folders, PICTURES, values, split, findings, naming), classes


def _named(source: Source) -> set[str]:
    """What folders a description names."""
    return {*source.train, *source.val} - {"mask_name"}


def _folders(source: Source, split: str, findings: list[Finding]) -> tuple[Path, Path]:
    parts = {key: place for key, place in source.split(split).items() if key != "mask_name"}
    if not parts and not _named(source):
        return only_folders(source.on_disk, split, MASKS, "masks", findings)
    if not {"images", "masks"} <= parts.keys():
        raise Fault(source.on_disk, f"expected {split}: {{images: FOLDER, masks: FOLDER}}, got {parts}; name both")
    return source.on_disk / parts["images"], source.on_disk / parts["masks"]
