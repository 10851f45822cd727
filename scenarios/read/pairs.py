"""Images with a mask each, joined by their file names: what the layouts of segmentation have in common."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from onehead_avl.ignored import VOID
from onehead_avl.kinds.segmentation import BACKGROUND
from scenarios.read.joined import by_stem
from scenarios.read.mask_names import SAME, MaskNames, infer_mask_names
from scenarios.samples.checked import check
from scenarios.samples.classes import VOC_CLASSES
from scenarios.samples.facts import Facts, mask_facts
from scenarios.samples.findings import LEFT_OUT, Fault, Finding, Notes, collecting
from scenarios.samples.folders import list_files, require_folder, walk
from scenarios.samples.pictures import check_pictures, stored, undecodable, unread
from scenarios.samples.rules import values_without_class
from scenarios.samples.stored import StoredMask, StoredSample

_VALUES = 256  # of a uint8 mask


@dataclass(frozen=True)
class Values:
    """What the values of a mask mean.

    Attributes:
        known: The values that stand for a class or for void.
        classes: Those of a class that is no background.
        table: ``(256,)`` uint8 class index of each value, 255 = void.
        voc: Whether they are PASCAL VOC's.
    """

    known: frozenset[int]
    classes: frozenset[int]
    table: Tensor
    voc: bool


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
    of_classes = frozenset(value for value, name in names.items() if name != BACKGROUND)
    voc = all(VOC_CLASSES[value : value + 1] == (name,) for value, name in names.items())
    return Values(frozenset({*names, *ignore}), of_classes, table, voc), classes


def read_pairs(
    folders: tuple[Path, Path],
    suffixes: Sequence[str],
    values: Values,
    split: str,
    findings: list[Finding],
    naming: MaskNames | None = SAME,
) -> list[StoredSample]:
    """Read the images of a folder with their masks.

    Args:
        folders: Where the images and where the masks are; they may be one.
        suffixes: How the names of images end, in lower case.
        values: What the values of the masks mean.
        split: ``train`` or ``val``.
        findings: Is added to as by :func:`find_pairs` and :func:`join_pairs`.
        naming: What masks are called; ``None`` has it told from the files.

    Returns:
        Samples with ``mask``, sorted by file name.

    Raises:
        Fault: A folder is missing, or holds no images; it cannot be told what masks are called.
    """
    return join_pairs(find_pairs(folders, suffixes, findings, naming), folders, values, split, findings)


def join_pairs(
    pairs: Sequence[tuple[Path, Path]],
    folders: tuple[Path, Path],
    values: Values,
    split: str,
    findings: list[Finding],
) -> list[StoredSample]:
    """Make samples of images and their masks.

    Args:
        pairs: The files.
        folders: Where the images and where the masks are, for messages.
        values: What the values of the masks mean.
        split: ``train`` or ``val``.
        findings: Is added to: a mask differs in size from its image or holds an unknown value; a file cannot be
            decoded; worth knowing: images are turned, or masks hold no class, or have the colours of other classes.

    Returns:
        Samples with ``mask``, in the order of the pairs.
    """
    images_in, masks_in = folders
    with Notes(findings, images_in) as notes, Notes(findings, masks_in) as of_masks:
        images = check_pictures([image for image, _ in pairs], f"segmentation {split}", notes)
        masks = check([mask for _, mask in pairs], mask_facts, f"segmentation {split} masks")
        samples = []
        for (image, path), mask in zip(pairs, masks, strict=True):
            sample = pair_of((image, images[image]), (path, mask), values, findings, notes)
            if sample is not None:
                _remark(sample, values, of_masks)
                samples.append(sample)
    findings += _without_class(samples, values, masks_in)
    return samples


def find_pairs(
    folders: tuple[Path, Path], suffixes: Sequence[str], findings: list[Finding], naming: MaskNames | None = SAME
) -> list[tuple[Path, Path]]:
    """Return the ``(image, mask)`` files of two folders, sorted by name.

    Args:
        folders: Where the images and where the masks are.
        suffixes: How the names of images end, in lower case.
        findings: Is added to: an image or a mask stands alone, or is there twice; worth knowing: pictures elsewhere,
            and files that are not called as masks are.
        naming: What masks are called; ``None`` has it told from the files.

    Raises:
        Fault: A folder is missing, or holds no images; it cannot be told what masks are called.
    """
    images_in, masks_in = folders
    shown = ", ".join(suffixes)
    require_folder(images_in, f"segmentation images ({shown})")
    require_folder(masks_in, "masks (.png)")
    listed, listed_masks = list_files(images_in, suffixes), list_files(masks_in, (".png",))
    if naming not in (None, SAME):
        listed, listed_masks = _parted(folders, listed, listed_masks, naming, findings)
    if not listed:
        raise Fault(images_in, f"expected images ({shown}), found none; put the split's images there")
    images = by_stem(listed, findings, pictures=True)
    masks = by_stem(listed_masks, findings, pictures=False)
    taken = {path.stem for path in listed}
    several = {path.stem for path in listed_masks} - masks.keys()
    if naming is None:
        naming = infer_mask_names(masks_in, taken, masks.keys(), findings)

    for name in sorted(images.keys() - {naming.image_of(mask) for mask in masks}):
        wanted = naming.mask_of(name)
        found = "several; remove the others" if wanted in several else "none; add it"
        problem = f"expected a mask {masks_in / wanted}.png, found {found}"
        findings.append(Finding(images[name], problem, repair=LEFT_OUT, pictures=1))
    for mask in sorted(mask for mask in masks if naming.image_of(mask) not in taken):
        name = naming.image_of(mask) or mask
        problem = f"expected an image {images_in / name}{suffixes[0]}, found none; add it or remove the mask"
        findings.append(Finding(masks[mask], problem, repair=LEFT_OUT))
    elsewhere = [path for path in walk(images_in, suffixes) if path.parent != images_in and path.parent != masks_in]
    findings += unread(images_in, elsewhere, "in folders of their own") + undecodable(images_in)
    named = [(path, naming.mask_of(name)) for name, path in images.items()]
    return [(path, masks[mask]) for path, mask in named if mask in masks]


def _parted(
    folders: tuple[Path, Path], images: list[Path], masks: list[Path], naming: MaskNames, findings: list[Finding]
) -> tuple[list[Path], list[Path]]:
    """Tell images and masks, which may lie in one folder, by what masks are called."""
    images_in, masks_in = folders
    called_so = [path for path in masks if naming.image_of(path.stem) is not None]
    if os.path.realpath(images_in) == os.path.realpath(masks_in):
        names = {path.name for path in called_so}
        return [path for path in images if path.name not in names], called_so
    others = [path.name for path in masks if naming.image_of(path.stem) is None]
    if others:
        problem = f"files that are not called {naming} are no masks: there are {len(others)}, such as {others[0]}"
        findings.append(Finding(masks_in, problem, fatal=False))
    return images, called_so


def pair_of(
    picture: tuple[Path, Facts], mask: tuple[Path, Facts], values: Values, findings: list[Finding], notes: Notes
) -> StoredSample | None:
    """Join an image and its mask; both are looked at even if one of them is broken.

    Args:
        picture: The image, and what is known of it.
        mask: The mask, and what is known of it.
        values: What the values of the mask mean.
        findings: Is added to: a file cannot be decoded, the sizes differ, or the mask holds an unknown value.
        notes: Is told if the image is turned.

    Returns:
        A sample; ``None`` if a finding was added.
    """
    (file, facts), (path, of_mask) = picture, mask
    image = None
    start = len(findings)
    with collecting(findings, LEFT_OUT):
        image = stored(file, facts, notes, of_mask.size)
    with collecting(findings, LEFT_OUT):
        require_values(path, of_mask, values)
    if image is not None and not of_mask.problem and image.size != of_mask.size:
        (height, width), (rows, columns) = of_mask.size, image.size
        problem = (
            f"the mask is {width} x {height} pixels but its image {file} is {columns} x {rows}; make them the same size"
        )
        findings.append(Finding(path, problem, repair=LEFT_OUT))
    if image is None or len(findings) > start:
        findings[-1] = replace(findings[-1], pictures=1)
        return None
    return StoredSample(image, mask=StoredMask(path, of_mask, values.table))


def require_values(path: Path, mask: Facts, values: Values) -> None:
    """Refuse a mask that cannot be used.

    Raises:
        Fault: The file cannot be decoded, or holds a value that is neither a class nor void.
    """
    if mask.problem:
        raise Fault(path, mask.problem)
    unknown = values_without_class(mask.values, values.known)
    if unknown:
        raise Fault(
            path,
            f"expected mask values {_listed(values.known)}, found {', '.join(map(str, unknown))}; "
            "store class indices, not colours",
        )


def _remark(sample: StoredSample, values: Values, notes: Notes) -> None:
    """Note what is strange of a mask that can be used."""
    assert sample.mask is not None
    mask, name = sample.mask.facts, Path(sample.mask.file).name
    if values.voc and mask.misplaced:
        notes.add(
            f"masks whose palette has PASCAL VOC's colours at other indices, such as {mask.misplaced[0]}; the indices "
            "are read",
            name,
        )
    if not values.classes.intersection(mask.values):
        notes.add("masks that hold no class but background and void", name)


def _without_class(samples: Sequence[StoredSample], values: Values, folder: Path) -> list[Finding]:
    """Refuse masks that teach nothing: background alone would be learned, and score well."""
    found = set().union(*(sample.mask.facts.values for sample in samples if sample.mask is not None))
    if not samples or not values.classes or found & values.classes:
        return []
    problem = (
        f"expected masks with classes, found none of them with a value but {_listed(found)}, background and void; "
        "store class indices"
    )
    return [Finding(folder, problem)]


def _listed(values: Collection[int]) -> str:
    """Values in ascending order, runs of them by their ends: ``0 to 20 and 255``."""
    ordered = sorted(values)
    breaks = [i for i, (a, b) in enumerate(pairwise(ordered), start=1) if b != a + 1]
    runs = [ordered[i:j] for i, j in pairwise([0, *breaks, len(ordered)])]
    shown = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    return " and ".join([*([", ".join(shown[:-1])] if shown[1:] else []), shown[-1]])
