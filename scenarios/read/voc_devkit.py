"""The layout of PASCAL VOC's development kit, for segmentation.

``JPEGImages``, ``SegmentationClass`` and the lists ``ImageSets/Segmentation/{train,val}.txt``, in the path itself, in a
``VOC2012`` in it, or in a ``VOCdevkit/VOC2012``.
"""

from collections.abc import Sequence

from scenarios.read.devkit import IMAGES, Wanted, listed_pairs, year_of, years_of
from scenarios.read.pairs import join_pairs, values_of
from scenarios.read.voc import names_of
from scenarios.samples.findings import Finding
from scenarios.samples.source import Source
from scenarios.samples.stored import StoredSample

WANTED = Wanted("Segmentation", "SegmentationClass", ".png")


def recognises(source: Source) -> bool:
    """Tell whether there are lists for segmentation, and no folders are named."""
    return not {*source.train, *source.val} and bool(years_of(source.on_disk, WANTED.lists))


def read(
    source: Source, split: str, findings: list[Finding], classes: Sequence[str] | None
) -> tuple[list[StoredSample], tuple[str, ...]]:
    """Read the images that the list of a split names; the classes are VOC's where ``source`` names none.

    Args:
        source: Where it is.
        split: ``train`` or ``val``.
        findings: Is added to: an image or its mask is missing or there twice; a mask differs in size from its image
            or holds a value that is no class; a file cannot be decoded; worth knowing: names that are listed twice,
            and pictures that neither list names.
        classes: The class names that the set must have, in index order; ``None`` orders them by value.

    Returns:
        Samples with ``mask``, sorted by file name; the class names in index order.

    Raises:
        Fault: There are several years; a list or a folder is missing; the names are not those of ``classes``.
    """
    values, classes = values_of(source.on_disk, names_of(source), source.ignore, classes)
    year = year_of(source.on_disk, WANTED.lists)
    pairs = listed_pairs(year, split, WANTED, findings)
    folders = year / IMAGES, year / WANTED.annotations
    return join_pairs(pairs, folders, values, split, findings), classes
