"""Reader of the segmentation data: PASCAL VOC pictures and their palette masks."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from onehead_avl.target import VOID
from scenarios.classes import VOC_CLASSES
from scenarios.findings import Fault, Finding, collecting
from scenarios.pictures import list_files, read_each, read_indices, read_rgb, require_folder
from scenarios.sample import Sample


def read_voc(root: Path, split: str, findings: list[Finding]) -> list[Sample]:
    """Read one split of the segmentation data.

    The layout is ``root/mini_voc_seg/<split>/*.jpg`` with a ``.png`` mask of the same name beside each picture,
    or pictures in ``<split>/JPEGImages`` and masks in ``<split>/SegmentationClass``.

    Args:
        root: The data folder.
        split: ``train`` or ``val``.
        findings: Is added to: a picture or a mask stands alone or is there twice; a mask differs in size from its
            picture or holds a value that is no class; a file cannot be decoded.

    Returns:
        Samples with ``mask``, sorted by file name.

    Raises:
        Fault: A folder is missing, or holds no pictures.
    """
    pairs = find_pairs(root / "mini_voc_seg" / split, findings)
    return read_each(pairs, lambda pair: read_pair(pair, findings), f"segmentation {split}", findings)


def find_pairs(folder: Path, findings: list[Finding]) -> list[tuple[Path, Path]]:
    """Return the ``(picture, mask)`` files of a split, sorted by name.

    Args:
        folder: The folder of the split.
        findings: Is added to: a picture or a mask stands alone, or is there twice.

    Raises:
        Fault: A folder is missing, or holds no pictures.
    """
    require_folder(folder, "segmentation pictures (.jpg) and masks (.png)")
    pictures_in, masks_in = folder / "JPEGImages", folder / "SegmentationClass"
    if not (pictures_in.exists() or masks_in.exists()):
        pictures_in = masks_in = folder
    require_folder(pictures_in, "segmentation pictures (.jpg)")
    require_folder(masks_in, "masks (.png)")
    pictures = _by_name(list_files(pictures_in, (".jpg", ".jpeg")), findings)
    masks = _by_name(list_files(masks_in, (".png",)), findings)
    if not pictures:
        raise Fault(pictures_in, "expected pictures (.jpg), found none; put the split's pictures there")

    for name in sorted(pictures.keys() - masks.keys()):
        findings.append(Finding(pictures[name], f"expected a mask {masks_in / name}.png, found none; add it"))
    for name in sorted(masks.keys() - pictures.keys()):
        problem = f"expected a picture {pictures_in / name}.jpg, found none; add it or remove the mask"
        findings.append(Finding(masks[name], problem))
    return [(path, masks[name]) for name, path in pictures.items() if name in masks]


def _by_name(paths: Sequence[Path], findings: list[Finding]) -> dict[str, Path]:
    """The files by their names without suffix, which join pictures and masks."""
    named: dict[str, Path] = {}
    for path in paths:
        if path.stem in named:
            findings.append(Finding(path, f"expected one file of this name, found {named[path.stem]} too; remove one"))
        named.setdefault(path.stem, path)
    return named


def read_pair(pair: tuple[Path, Path], findings: list[Finding]) -> Sample | None:
    """Read a picture and its mask; both are looked at even if one of them is broken.

    Args:
        pair: The two files.
        findings: Is added to: a file cannot be decoded, the sizes differ, or the mask holds a value that is no class.

    Returns:
        A sample; ``None`` if a finding was added.
    """
    picture, path = pair
    image = mask = None
    with collecting(findings):
        image = read_rgb(picture)
    with collecting(findings):
        mask = read_mask(path)
    if image is None or mask is None:
        return None
    if mask.shape != image.shape[1:]:
        problem = (
            f"the mask is {mask.shape[1]} x {mask.shape[0]} pixels but its picture {picture} is "
            f"{image.shape[2]} x {image.shape[1]}; make them the same size"
        )
        findings.append(Finding(path, problem))
        return None
    return Sample(name=str(picture), image=image, mask=mask)


def read_mask(path: Path) -> Tensor:
    """Read a mask: ``(H, W)`` uint8 class indices.

    Raises:
        Fault: The file cannot be decoded, or holds a value that is no class.
    """
    mask = read_indices(path)
    unknown = values_without_class(mask)
    if unknown:
        found = ", ".join(map(str, unknown))
        raise Fault(
            path,
            f"expected mask values 0 to {len(VOC_CLASSES) - 1} and {VOID}, found {found}; "
            "store class indices, not colours",
        )
    return mask


def values_without_class(mask: Tensor) -> list[int]:
    """Return the values of a uint8 mask, ascending, that are neither a class of VOC nor void."""
    present = torch.bincount(mask.flatten(), minlength=256).nonzero().flatten().tolist()
    return [value for value in present if value >= len(VOC_CLASSES) and value != VOID]
