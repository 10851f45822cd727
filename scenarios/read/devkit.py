"""PASCAL VOC's development kit: one folder of images for a year, and lists that say which of them are a split's."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from scenarios.read.joined import by_key, name_below
from scenarios.read.lines import load_lines
from scenarios.read.splits import called_otherwise, meaning
from scenarios.samples.findings import LEFT_OUT, Fault, Finding, Notes, shown
from scenarios.samples.folders import list_files, list_visible, require_folder, walk
from scenarios.samples.pictures import PICTURES, undecodable, unread
from scenarios.samples.source import SPLITS

IMAGES = "JPEGImages"
"""The folder of the images of a year."""

_YEAR = re.compile(r"VOC\d{4}", re.IGNORECASE)


class Wanted(NamedTuple):
    """What of a year is read.

    Attributes:
        lists: The folder of lists in ``ImageSets``.
        annotations: The folder of annotations.
        suffix: How their names end, in lower case.
        boxes_in: How many boxes an annotation has that is not read.
    """

    lists: str
    annotations: str
    suffix: str
    boxes_in: Callable[[Path], int] = lambda path: 0


def years_of(path: Path, lists: str) -> list[Path]:
    """The folders of years that a path may mean: itself, those in it, or those in the ``VOCdevkit`` in it.

    Args:
        path: Where to look; it need not exist.
        lists: The folder of lists in ``ImageSets`` that a year must have.
    """
    if _has_lists(path, lists):
        return [path]
    for parent in (path, path / "VOCdevkit"):
        entries = list_visible(parent) if parent.is_dir() else []
        found = [entry for entry in entries if _YEAR.fullmatch(entry.name) and _has_lists(entry, lists)]
        if found:
            return found
    return []


def year_of(path: Path, lists: str) -> Path:
    """The folder of the year that a path means.

    Raises:
        Fault: There is none, or there are several.
    """
    found = years_of(path, lists)
    if not found:
        raise Fault(path, f"expected a folder ImageSets/{lists} here, or in a VOC2012 or VOCdevkit/VOC2012; found none")
    if len(found) > 1:
        names = " and ".join(year.name for year in found)
        raise Fault(path, f"expected one year, found {names}; name the one to read as path, such as {found[-1]}")
    return found[0]


def listed_pairs(year: Path, split: str, wanted: Wanted, findings: list[Finding]) -> list[tuple[Path, Path]]:
    """Return the ``(image, annotation)`` files that the list of a split names, in the order of their names.

    Args:
        year: The folder of the year.
        split: ``train`` or ``val``.
        wanted: What of it is read.
        findings: Is added to: a file is missing, or there twice; worth knowing: names that are listed twice, and
            pictures that are in neither list.

    Raises:
        Fault: There is no list, it cannot be read or is empty; a folder is missing.
    """
    lists = year / "ImageSets" / wanted.lists
    path = list_of(lists, split, findings)
    names = load_list(path)
    if not names:
        raise Fault(path, "expected the name of an image in each line, found none; add the names")
    images_in, annotations_in = year / IMAGES, year / wanted.annotations
    require_folder(images_in, "the listed images")
    require_folder(annotations_in, f"their annotations ({wanted.suffix})")
    there = walk(images_in, PICTURES)
    read = _names_of_both(lists)
    findings += unread(
        images_in,
        [image for image in there if name_below(images_in, image) not in read],
        f"listed neither for train nor for val in ImageSets/{wanted.lists}",
    )
    findings += undecodable(images_in)
    listed = [image for image in there if name_below(images_in, image) in names]
    images = by_key(listed, lambda image: name_below(images_in, image), findings, pictures=True)
    twins = {name_below(images_in, image) for image in listed} - images.keys()
    pairs = []
    with Notes(findings, path) as notes:
        for name, lines in sorted(names.items()):
            if len(lines) > 1:
                notes.add("images that are listed more than once are read once", name)
            annotation = annotations_in / f"{name}{wanted.suffix}"
            where = f"line {lines[0]}"
            if name in twins:
                continue  # a finding already
            if name not in images:
                problem = f"{where}: expected an image {IMAGES}/{name}.jpg, found none; add it or remove the line"
                boxes = wanted.boxes_in(annotation) if os.path.isfile(annotation) else 0
                findings.append(Finding(path, problem, repair=LEFT_OUT, boxes=boxes))
            elif not os.path.isfile(annotation):  # unlike Path.is_file, it answers for names of any length
                problem = f"{where}: expected {wanted.annotations}/{name}{wanted.suffix}, found none; add it"
                findings.append(Finding(path, f"{problem} or remove the line", repair=LEFT_OUT, pictures=1))
            else:
                pairs.append((images[name], annotation))
    return pairs


def list_of(lists: Path, split: str, findings: list[Finding]) -> Path:
    """The list of a split.

    Args:
        lists: The folder of the lists.
        split: ``train`` or ``val``.
        findings: Is added to: worth knowing: it is called otherwise.

    Raises:
        Fault: There is none, or there are several.
    """
    found = meaning(split, [path.stem for path in list_files(lists, (".txt",))])
    if len(found) != 1:
        names = " and ".join(f"{name}.txt" for name in found) or "none"
        raise Fault(
            lists, f"expected one list {split}.txt, found {names}; {'remove all but one' if found else 'add it'}"
        )
    findings += called_otherwise(lists, split, found[0])
    return lists / f"{found[0]}.txt"


def load_list(path: Path) -> dict[str, list[int]]:
    """Return the lines, counted from 1, in which each name of a list is.

    Raises:
        Fault: The list cannot be read, is no text, or has a name that no image here can have.
    """
    names: dict[str, list[int]] = {}
    for number, name in load_lines(path):
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise Fault(path, f"line {number}: expected the name of an image, found {shown(name)}; correct it")
        names.setdefault(name, []).append(number)
    return names


def _names_of_both(lists: Path) -> set[str]:
    """The names that the lists of both splits have; whoever reads a split finds what is wrong with its list."""
    names: set[str] = set()
    for split in SPLITS:
        try:
            names |= load_list(list_of(lists, split, [])).keys()
        except Fault:
            continue
    return names


def _has_lists(path: Path, lists: str) -> bool:
    return (path / "ImageSets" / lists).is_dir()
