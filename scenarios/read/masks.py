"""Images in one folder and their masks in another, where a description says, with the meaning of the masks' values."""

from collections.abc import Sequence

from scenarios.read.pairs import read_pairs, values_of
from scenarios.samples.findings import Fault, Finding
from scenarios.samples.pictures import PICTURES
from scenarios.samples.sample import Sample
from scenarios.samples.source import Source


def recognises(source: Source) -> bool:
    """Tell whether the folders of images and of masks are named."""
    return {"images", "masks"} <= {*source.train, *source.val}


def read(
    source: Source, split: str, findings: list[Finding], classes: Sequence[str] | None
) -> tuple[list[Sample], tuple[str, ...]]:
    """Read one split; an image and its mask have the same name but for the suffix.

    Args:
        source: Where it is: the split's ``images`` and ``masks`` are folders, and ``names`` is what values mean.
        split: ``train`` or ``val``.
        findings: Is added to: an image or a mask stands alone or is there twice; a mask differs in size from its
            image or holds a value that is neither named nor ignored; a file cannot be decoded.
        classes: The class names that the set must have, in index order; ``None`` orders them by value.

    Returns:
        Samples with ``mask``, sorted by file name; the class names in index order.

    Raises:
        Fault: A folder is not named, is missing, or holds no images; values have no names, or other than ``classes``.
    """
    parts = source.split(split)
    if not {"images", "masks"} <= parts.keys():
        raise Fault(
            source.on_disk, f"expected {split}: {{images: FOLDER, masks: FOLDER}}, got {dict(parts)}; name both"
        )
    if not source.names:
        raise Fault(source.on_disk, "expected names: {VALUE: NAME} for the values of the masks, got none; name them")
    values, classes = values_of(source.on_disk, source.names, source.ignore, classes)
    folders = source.on_disk / parts["images"], source.on_disk / parts["masks"]
    return read_pairs(folders, PICTURES, values, split, findings), classes
