"""Boxes in COCO's annotation format: a folder of images and an annotation file, found by their names or named."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from scenarios.read.boxes import Box, cut_to, sample_of
from scenarios.read.coco_file import AnnotationFile, Key, Listed, categories_of, load_annotations, understand
from scenarios.read.coco_places import places, places_noted, recognises
from scenarios.read.places import Pictures
from scenarios.samples.facts import Facts
from scenarios.samples.findings import LEFT_OUT, Fault, Finding, Notes, collecting, shown
from scenarios.samples.folders import require_folder, walk
from scenarios.samples.pictures import PICTURES, check_pictures, stored, undecodable, unread
from scenarios.samples.source import SPLITS, Source
from scenarios.samples.stored import StoredSample

__all__ = ["places", "read", "recognises", "renumbered_categories"]


def read(
    source: Source, split: str, findings: list[Finding], classes: Sequence[str] | None
) -> tuple[list[StoredSample], tuple[str, ...]]:
    """Read one split.

    Args:
        source: Where it is; the split's ``images`` is a folder, and its ``annotations`` a file.
        split: ``train`` or ``val``.
        findings: Is added to: an entry of the annotation file is of another form or contradicts another, or has a
            category that is not among ``classes``; a listed image is missing, of another size, or cannot be decoded;
            worth knowing: what is read though it is not as the format says, boxes that are cut or skipped, images that
            are not listed, and categories with other ids than in the training split.
        classes: Class names in index order, to which categories are mapped by name; ``None`` takes the categories of
            both splits, those of the training split first, ordered by id.

    Returns:
        Samples with ``boxes``, ``labels`` and ``crowd``, one for every listed image, also for those without objects,
        sorted by file name; the class names in index order.

    Raises:
        Fault: The annotation file is missing, is no JSON, or lacks a list; there is no folder of images.
    """
    folder, path = places_noted(source, split, findings)
    content = load_annotations(path)
    require_folder(folder, "detection images (.jpg)")
    there = walk(folder, PICTURES)
    with Notes(findings, path) as notes:
        file = understand(path, content, findings, notes)
        classes = _class_names(source) if classes is None else tuple(classes)
        labels = _labels(file, classes, notes)
        found = _files_of(path, file, Pictures(folder, there, notes), findings)
        known = check_pictures(found, f"detection {split}", notes)
        samples = []
        used: list[Listed] = []
        for image in sorted(found, key=os.fspath):
            boxes = sum(len(listed.objects) for listed in found[image])
            with collecting(findings, LEFT_OUT, pictures=1, boxes=boxes):
                samples.append(_sample(path, image, known[image], found[image], labels, findings, notes))
                used += found[image]
        findings += _strangers(path, file, classes, used)
    findings += unread(folder, set(there) - found.keys(), f"not listed in {path.name}") + undecodable(folder)
    if split == "val":
        findings += renumbered_categories(source)
    return samples, classes


def _class_names(source: Source) -> tuple[str, ...]:
    """One class list for both splits."""
    names: dict[str, None] = {}
    for split in SPLITS:
        with suppress(Fault):  # whoever reads that split finds it
            names.update(dict.fromkeys(categories_of(places(source, split)[1])))
    return tuple(names)


def _labels(file: AnnotationFile, classes: Sequence[str], notes: Notes) -> dict[Key, int]:
    """The class index of each category id."""
    used = {each.category for image in file.images for each in image.objects}
    for key, name in file.categories.items():
        if name not in classes and key not in used:
            notes.add("categories that are none of the classes, and have no objects, are ignored", name)
    return {key: classes.index(name) for key, name in file.categories.items() if name in classes}


def _strangers(path: Path, file: AnnotationFile, classes: Sequence[str], read: Iterable[Listed]) -> list[Finding]:
    """Refuse categories that are none of the classes, with their objects in the images that are read."""
    used = {each.category for image in file.images for each in image.objects}
    boxes = Counter(each.category for image in read for each in image.objects)
    strange = [key for key, name in file.categories.items() if name not in classes and key in used]
    called = {key: f"category {shown(key)} is called {shown(file.categories[key])}" for key in strange}
    problem = f"expected one of {', '.join(classes)}; rename or remove it"
    return [Finding(path, f"{called[key]}, {problem}", boxes=boxes[key]) for key in strange]


def _files_of(
    path: Path, file: AnnotationFile, pictures: Pictures, findings: list[Finding]
) -> dict[Path, list[Listed]]:
    """The entries of each picture that is there: more than one if it is listed more than once."""
    found: dict[Path, list[Listed]] = defaultdict(list)
    for listed in file.images:
        with collecting(findings, LEFT_OUT, boxes=len(listed.objects)):
            where = f"image {shown(listed.key)}"
            image = pictures.find(path, where, listed.name)
            if image is None:
                raise Fault(path, f"{where}: expected the file {shown(listed.name)}, found none; add it")
            found[image].append(listed)
    return found


def _sample(
    path: Path,
    image: Path,
    facts: Facts,
    listed: Sequence[Listed],
    labels: Mapping[Key, int],
    findings: list[Finding],
    notes: Notes,
) -> StoredSample:
    """Join an image and the objects of all entries that list it.

    Raises:
        Fault: The image cannot be decoded, or is of another size than listed.
    """
    if len(listed) > 1:
        notes.add("images that are listed more than once have the boxes of all entries", listed[0].name)
    sizes = list(dict.fromkeys(each.size for each in listed if each.size is not None))
    picture = stored(image, facts, notes, sizes[0] if sizes else None)
    for height, width in sizes:
        if (height, width) != picture.size:
            rows, columns = picture.size
            raise Fault(
                image,
                f"the file is {columns} x {rows} pixels but image {shown(listed[0].key)} of {path} is "
                f"{shown(width)} x {shown(height)}; use the image that was annotated",
            )
    boxes = []
    for each in (found for entry in listed for found in entry.objects):
        if each.category not in labels:
            continue  # a finding already, which nothing mends
        with collecting(findings, LEFT_OUT, boxes=1):
            corners = cut_to(path, each.where, each.bbox, picture.size, notes)
            if corners is not None:
                boxes.append(Box(corners, labels[each.category], each.crowd, each.place))
    return sample_of(picture, boxes)


def renumbered_categories(source: Source) -> list[Finding]:
    """Return a finding, only worth knowing, if a category has another id in the val split than in the train split."""
    try:
        paths = [places(source, split)[1] for split in SPLITS]
        train, val = map(categories_of, paths)
    except Fault:
        return []  # whoever reads the splits finds it
    moved = [name for name in train if name in val and train[name] != val[name]]
    if not moved:
        return []
    problem = f"other category ids than in train ({', '.join(moved)}): they are mapped by name"
    return [Finding(paths[1], problem, fatal=False)]
