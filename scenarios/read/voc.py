"""The layout of the challenge's segmentation data: images and masks of PASCAL VOC, in a folder for each split.

``<split>/*.jpg`` with a ``.png`` mask of the same name beside each image, or images in ``<split>/JPEGImages`` and masks
in ``<split>/SegmentationClass``.
"""

from collections.abc import Sequence
from pathlib import Path

from scenarios.read.pairs import read_pairs, values_of
from scenarios.samples.classes import VOC_CLASSES
from scenarios.samples.findings import Finding
from scenarios.samples.pictures import list_files, require_folder
from scenarios.samples.sample import Sample
from scenarios.samples.source import SPLITS, Source

SUFFIXES = (".jpg", ".jpeg")
"""How the names of images end, in lower case."""

_FOLDERS = ("JPEGImages", "SegmentationClass")


def recognises(source: Source) -> bool:
    """Tell whether a split has VOC's two sub-folders, or holds masks and images side by side."""
    return any(_holds_pairs(source.on_disk / split) for split in SPLITS)


def read(
    source: Source, split: str, findings: list[Finding], classes: Sequence[str] | None
) -> tuple[list[Sample], tuple[str, ...]]:
    """Read one split; the classes are VOC's where ``source`` names none.

    Args:
        source: Where it is.
        split: ``train`` or ``val``.
        findings: Is added to: an image or a mask stands alone or is there twice; a mask differs in size from its
            image or holds a value that is no class; a file cannot be decoded.
        classes: The class names that the set must have, in index order; ``None`` orders them by value.

    Returns:
        Samples with ``mask``, sorted by file name; the class names in index order.

    Raises:
        Fault: A folder is missing, or holds no images; the names are not those of ``classes``.
    """
    names = source.names
    if names is None:
        names = {value: name for value, name in enumerate(VOC_CLASSES) if value not in source.ignore}
    values, classes = values_of(source.on_disk, names, source.ignore, classes)
    folder = require_folder(source.on_disk / split, "segmentation images (.jpg) and masks (.png)")
    return read_pairs(folders_of(folder), SUFFIXES, values, split, findings), classes


def folders_of(folder: Path) -> tuple[Path, Path]:
    """Where the images and where the masks of a split are: in VOC's sub-folders if one of them is there."""
    images, masks = (folder / name for name in _FOLDERS)
    return (images, masks) if images.exists() or masks.exists() else (folder, folder)


def _holds_pairs(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    return folders_of(folder) != (folder, folder) or bool(
        list_files(folder, SUFFIXES) and list_files(folder, (".png",))
    )
