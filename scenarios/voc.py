"""Reader of the segmentation data: PASCAL VOC pictures and their palette masks."""

from pathlib import Path

import torch
from torch import Tensor

from onehead_avl.errors import DataError
from onehead_avl.target import VOID
from scenarios.classes import VOC_CLASSES
from scenarios.pictures import list_files, read_each, read_indices, read_rgb, require_folder
from scenarios.sample import Sample


def read_voc(root: Path, split: str) -> list[Sample]:
    """Read one split of the segmentation data.

    The layout is ``root/mini_voc_seg/<split>/*.jpg`` with a ``.png`` mask of the same name beside each picture,
    or pictures in ``<split>/JPEGImages`` and masks in ``<split>/SegmentationClass``.

    Args:
        root: The data folder.
        split: ``train`` or ``val``.

    Returns:
        Samples with ``mask``, sorted by file name.

    Raises:
        DataError: A folder is missing; it holds no pictures; a picture or a mask stands alone; a mask differs
            in size from its picture or holds a value that is no class; a file cannot be decoded.
    """
    pairs = find_pairs(root / "mini_voc_seg" / split)
    return read_each(pairs, read_pair, f"segmentation {split}")


def find_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Return the ``(picture, mask)`` files of a split, sorted by name.

    Raises:
        DataError: A folder is missing, holds no pictures, or a picture or a mask stands alone.
    """
    require_folder(folder, "segmentation pictures (.jpg) and masks (.png)")
    pictures_in, masks_in = folder / "JPEGImages", folder / "SegmentationClass"
    if not (pictures_in.exists() or masks_in.exists()):
        pictures_in = masks_in = folder
    pictures = list_files(require_folder(pictures_in, "segmentation pictures (.jpg)"), (".jpg", ".jpeg"))
    masks = {mask.stem: mask for mask in list_files(require_folder(masks_in, "masks (.png)"), (".png",))}

    if not pictures:
        raise DataError(f"{pictures_in}: expected pictures (.jpg), found none; put the split's pictures there")
    for picture in pictures:
        if picture.stem not in masks:
            raise DataError(f"{picture}: expected a mask {masks_in / picture.stem}.png, found none; add it")
    lonely = sorted(masks.keys() - {picture.stem for picture in pictures})
    if lonely:
        raise DataError(
            f"{masks[lonely[0]]}: expected a picture {pictures_in / lonely[0]}.jpg, found none; "
            "add it or remove the mask"
        )
    return [(picture, masks[picture.stem]) for picture in pictures]


def read_pair(pair: tuple[Path, Path]) -> Sample:
    """Read a picture and its mask.

    Raises:
        DataError: A file cannot be decoded, the sizes differ, or the mask holds a value that is no class.
    """
    picture, path = pair
    image, mask = read_rgb(picture), read_indices(path)
    if mask.shape != image.shape[1:]:
        raise DataError(
            f"{path}: the mask is {mask.shape[1]} x {mask.shape[0]} pixels but its picture {picture} is "
            f"{image.shape[2]} x {image.shape[1]}; make them the same size"
        )
    unknown = values_without_class(mask)
    if unknown:
        raise DataError(
            f"{path}: expected mask values 0 to {len(VOC_CLASSES) - 1} and {VOID}, found "
            f"{', '.join(map(str, unknown))}; store class indices, not colours"
        )
    return Sample(name=str(picture), image=image, mask=mask)


def values_without_class(mask: Tensor) -> list[int]:
    """Return the values of a uint8 mask, ascending, that are neither a class of VOC nor void."""
    present = torch.bincount(mask.flatten(), minlength=256).nonzero().flatten().tolist()
    return [value for value in present if value >= len(VOC_CLASSES) and value != VOID]
