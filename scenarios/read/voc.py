"""The layout of the challenge's segmentation data: images and masks of PASCAL VOC, in a folder for each split.

``<split>/*.jpg`` with a ``.png`` mask of the same name beside each image, or images in ``<split>/JPEGImages`` and masks
in ``<split>/SegmentationClass``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from scenarios.read.pairs import read_pairs, values_of
from scenarios.read.splits import split_folder, split_folders
from scenarios.samples.classes import VOC_CLASSES
from scenarios.samples.findings import Finding
from scenarios.samples.folders import list_files, require_folder
from scenarios.samples.pictures import PICTURES
from scenarios.samples.source import SPLITS, Source
from scenarios.samples.stored import StoredSample

SUFFIXES = tuple(suffix for suffix in PICTURES if suffix != ".png")
"""How the names of images end, in lower case: those of masks end otherwise."""

_FOLDERS = ("JPEGImages", "SegmentationClass")


def recognises(source: Source) -> bool:
    """Tell whether a split has VOC's two sub-folders, or holds masks and images side by side."""
    return any(_holds_pairs(folder) for split in SPLITS for folder in split_folders(source.on_disk, split))


def read(
    source: Source, split: str, findings: list[Finding], classes: Sequence[str] | None
) -> tuple[list[StoredSample], tuple[str, ...]]:
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
    values, classes = values_of(source.on_disk, names_of(source), source.ignore, classes)
    folder = split_folder(source.on_disk, split, findings)
    require_folder(folder, "segmentation images (.jpg) and masks (.png)")
    return read_pairs(folders_of(folder), SUFFIXES, values, split, findings), classes


def names_of(source: Source) -> Mapping[int, str]:
    """The class names by value: those of ``source``, or VOC's but for the values that are ignored."""
    if source.names is not None:
        return source.names
    return {value: name for value, name in enumerate(VOC_CLASSES) if value not in source.ignore}


def folders_of(folder: Path) -> tuple[Path, Path]:
    """Where the images and where the masks of a split are: in VOC's sub-folders if one of them is there."""
    images, masks = (folder / name for name in _FOLDERS)
    return (images, masks) if images.exists() or masks.exists() else (folder, folder)


def _holds_pairs(folder: Path) -> bool:
    return folders_of(folder) != (folder, folder) or bool(
        list_files(folder, SUFFIXES) and list_files(folder, (".png",))
    )
