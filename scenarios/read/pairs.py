"""Images with a mask each, joined by their file names: what the layouts of segmentation have in common."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from onehead_avl.ignored import VOID
from scenarios.read.joined import by_stem
from scenarios.samples.findings import Fault, Finding, collecting
from scenarios.samples.pictures import list_files, read_each, read_indices, read_rgb, require_folder
from scenarios.samples.rules import values_without_class
from scenarios.samples.sample import Sample

_VALUES = 256  # of a uint8 mask


@dataclass(frozen=True)
class Values:
    """What the values of a mask mean.

    Attributes:
        known: The values that stand for a class or for void.
        table: ``(256,)`` uint8 class index of each value, 255 = void.
    """

    known: frozenset[int]
    table: Tensor


def values_of(
    path: Path, names: Mapping[int, str], ignore: Collection[int], classes: Sequence[str] | None
) -> tuple[Values, tuple[str, ...]]:
    """Say what the values of a set's masks mean, and name its classes in index order.

    Args:
        path: The set, for messages.
        names: Class names by value; those of the indices follow the values.
        ignore: Values that are void.
        classes: The class names in index order, if they are given.

    Raises:
        Fault: A value is impossible or has two meanings, a name stands for two values, or the names are not those of
            ``classes``.
    """
    impossible = [value for value in (*names, *ignore) if not 0 <= value < _VALUES]
    if impossible:
        raise Fault(
            path, f"expected mask values 0 to {_VALUES - 1}, got {_listed(impossible)}; correct names or ignore"
        )
    both = sorted(set(names) & set(ignore))
    if both:
        raise Fault(
            path, f"expected mask values with one meaning, got a name for {_listed(both)}, which is ignored too"
        )
    own = tuple(names[value] for value in sorted(names))
    if not own or len(own) >= VOID or len(set(own)) < len(own):
        raise Fault(path, f"expected 1 to {VOID - 1} different class names, got {', '.join(own) or 'none'}")
    if classes is not None and set(classes) != set(own):
        raise Fault(
            path,
            f"the masks have the classes {', '.join(own)}, expected {', '.join(classes)}; use data of these classes",
        )
    classes = own if classes is None else tuple(classes)
    table = torch.full((_VALUES,), VOID, dtype=torch.uint8)
    for value, name in names.items():
        table[value] = classes.index(name)
    return Values(frozenset({*names, *ignore}), table), classes


def read_pairs(
    folders: tuple[Path, Path], suffixes: Sequence[str], values: Values, split: str, findings: list[Finding]
) -> list[Sample]:
    """Read the images of a folder with their masks.

    Args:
        folders: Where the images and where the masks are; they may be one.
        suffixes: How the names of images end, in lower case.
        values: What the values of the masks mean.
        split: ``train`` or ``val``.
        findings: Is added to: an image or a mask stands alone or is there twice; a mask differs in size from its image
            or holds an unknown value; a file cannot be decoded.

    Returns:
        Samples with ``mask``, sorted by file name.

    Raises:
        Fault: A folder is missing, or holds no images.
    """
    pairs = find_pairs(folders, suffixes, findings)
    return read_each(pairs, lambda pair: read_pair(pair, values, findings), f"segmentation {split}", findings)


def find_pairs(folders: tuple[Path, Path], suffixes: Sequence[str], findings: list[Finding]) -> list[tuple[Path, Path]]:
    """Return the ``(image, mask)`` files of two folders, sorted by name.

    Args:
        folders: Where the images and where the masks are.
        suffixes: How the names of images end, in lower case.
        findings: Is added to: an image or a mask stands alone, or is there twice.

    Raises:
        Fault: A folder is missing, or holds no images.
    """
    images_in, masks_in = folders
    shown = ", ".join(suffixes)
    require_folder(images_in, f"segmentation images ({shown})")
    require_folder(masks_in, "masks (.png)")
    images = by_stem(list_files(images_in, suffixes), findings)
    masks = by_stem(list_files(masks_in, (".png",)), findings)
    if not images:
        raise Fault(images_in, f"expected images ({shown}), found none; put the split's images there")

    for name in sorted(images.keys() - masks.keys()):
        findings.append(Finding(images[name], f"expected a mask {masks_in / name}.png, found none; add it"))
    for name in sorted(masks.keys() - images.keys()):
        problem = f"expected an image {images_in / name}{suffixes[0]}, found none; add it or remove the mask"
        findings.append(Finding(masks[name], problem))
    return [(path, masks[name]) for name, path in images.items() if name in masks]


def read_pair(pair: tuple[Path, Path], values: Values, findings: list[Finding]) -> Sample | None:
    """Read an image and its mask; both are looked at even if one of them is broken.

    Args:
        pair: The two files.
        values: What the values of the mask mean.
        findings: Is added to: a file cannot be decoded, the sizes differ, or the mask holds an unknown value.

    Returns:
        A sample; ``None`` if a finding was added.
    """
    picture, path = pair
    image = mask = None
    with collecting(findings):
        image = read_rgb(picture)
    with collecting(findings):
        mask = read_mask(path, values)
    if image is None or mask is None:
        return None
    if mask.shape != image.shape[1:]:
        problem = (
            f"the mask is {mask.shape[1]} x {mask.shape[0]} pixels but its image {picture} is "
            f"{image.shape[2]} x {image.shape[1]}; make them the same size"
        )
        findings.append(Finding(path, problem))
        return None
    return Sample(str(picture), image, {"mask": mask})


def read_mask(path: Path, values: Values) -> Tensor:
    """Read a mask: ``(H, W)`` uint8 class indices, 255 = void.

    Raises:
        Fault: The file cannot be decoded, or holds a value that is neither a class nor void.
    """
    mask = read_indices(path)
    present = torch.bincount(mask.flatten(), minlength=_VALUES).nonzero().flatten().tolist()
    unknown = values_without_class(present, values.known)
    if unknown:
        raise Fault(
            path,
            f"expected mask values {_listed(values.known)}, found {', '.join(map(str, unknown))}; "
            "store class indices, not colours",
        )
    return values.table[mask.long()]


def _listed(values: Collection[int]) -> str:
    """Values in ascending order, runs of them by their ends: ``0 to 20 and 255``."""
    ordered = sorted(values)
    breaks = [i for i, (a, b) in enumerate(pairwise(ordered), start=1) if b != a + 1]
    runs = [ordered[i:j] for i, j in pairwise([0, *breaks, len(ordered)])]
    shown = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    return " and ".join([*([", ".join(shown[:-1])] if shown[1:] else []), shown[-1]])
