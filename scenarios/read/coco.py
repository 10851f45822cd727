"""Boxes in COCO's annotation format, in the challenge's folders or where a description says.

``<split>/*.jpg`` with their annotations in ``annotations/mini_instances_<split>2017.json``; or any folder of images and
any annotation file, named for each split.
"""

import json
import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from scenarios.samples.findings import Fault, Finding, collecting, shown
from scenarios.samples.pictures import PICTURES, list_files, read_each, read_rgb, require_folder, unread
from scenarios.samples.rules import NEEDED, cut_box
from scenarios.samples.sample import Sample
from scenarios.samples.source import SPLITS, Source

Entry = Mapping[str, Any]
Object = tuple[list[float], int, bool]
"""A box (``x1, y1, x2, y2``), its class index, and whether it is a crowd."""


def recognises(source: Source) -> bool:
    """Tell whether annotation files are named, or one of the challenge's is there."""
    named = {*source.train, *source.val}
    return "annotations" in named or (not named and any(places(source, split)[1].is_file() for split in SPLITS))


def read(
    source: Source, split: str, findings: list[Finding], classes: Sequence[str] | None
) -> tuple[list[Sample], tuple[str, ...]]:
    """Read one split.

    Args:
        source: Where it is; the split's ``images`` is a folder, and its ``annotations`` a file.
        split: ``train`` or ``val``.
        findings: Is added to: an entry of the annotation file is of another form, contradicts another, is there
            twice, or has a category that is not among ``classes``; a box lies outside its image or has no area; a
            listed image is missing, of another size, or cannot be decoded; worth knowing: images not listed, and
            categories with other ids than in the training split.
        classes: Class names in index order, to which categories are mapped by name; ``None`` takes the
            categories of the file, ordered by id.

    Returns:
        Samples with ``boxes``, ``labels`` and ``crowd``, one for every listed image, also for those without objects,
        sorted by file name; the class names in index order.

    Raises:
        Fault: The annotation file is missing, is no JSON, or lacks a list; there is no folder of images.
    """
    folder, path = places(source, split)
    content = load_annotations(path)
    require_folder(folder, "detection images (.jpg)")

    entries = {part: well_formed(path, part, content[part], findings) for part in NEEDED}
    findings += [
        *repeated(path, "image id", [image["id"] for image in entries["images"]]),
        *repeated(path, "image file name", [image["file_name"] for image in entries["images"]]),
        *repeated(path, "category id", [category["id"] for category in entries["categories"]]),
        *repeated(path, "category name", [category["name"] for category in entries["categories"]]),
        *repeated(path, "annotation id", [annotation["id"] for annotation in entries["annotations"]]),
    ]
    labels, classes = class_indices(path, entries["categories"], findings, classes)
    known = {part: ids_of(content[part]) for part in ("images", "categories")}
    objects = objects_of(path, entries, known, labels, findings)

    def read_listed(image: Entry) -> Sample:
        return read_image(path, folder, image, objects[image["id"]])

    ordered = sorted(entries["images"], key=lambda image: image["file_name"])
    listed = {image["file_name"] for image in ordered}
    unlisted = [image for image in list_files(folder, PICTURES) if image.name not in listed]
    findings += unread(folder, unlisted, f"not listed in {path.name}")
    if split == "val":
        findings += renumbered_categories(source)
    return read_each(ordered, read_listed, f"detection {split}", findings), classes


def places(source: Source, split: str) -> tuple[Path, Path]:
    """Where the folder of images and the annotation file of a split are.

    Raises:
        Fault: A description names one of them only.
    """
    parts = source.split(split)
    if not parts:
        return source.on_disk / split, source.on_disk / "annotations" / f"mini_instances_{split}2017.json"
    if not {"images", "annotations"} <= parts.keys():
        problem = f"expected {split}: {{images: FOLDER, annotations: FILE}}, got {dict(parts)}; name both"
        raise Fault(source.on_disk, problem)
    return source.on_disk / parts["images"], source.on_disk / parts["annotations"]


def load_annotations(path: Path) -> dict[str, list]:
    """Return an annotation file that has the lists of ``NEEDED``; their entries may be anything.

    Raises:
        Fault: The file is missing, unreadable, no JSON, lacks a list, or has no images or no categories.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Fault(path, f"the annotation file cannot be read ({error.strerror}); put it there") from error
    except (ValueError, RecursionError) as error:
        raise Fault(path, f"expected JSON, found something else ({error}); replace the file") from error

    if not isinstance(content, dict):
        raise Fault(path, f"expected an object with {', '.join(NEEDED)}, found {shown(content)}; replace it")
    for part in NEEDED:
        entries = content.get(part)
        if not isinstance(entries, list):
            raise Fault(path, f"expected a list {part!r}, found {shown(entries)}; add it")
        if not entries and part != "annotations":
            raise Fault(path, f"expected entries in {part!r}, found none; add them")
    return content


def well_formed(path: Path, part: str, entries: Sequence[Any], findings: list[Finding]) -> list[Entry]:
    """Return the entries of a list whose keys and types are as ``NEEDED`` says; the others become findings."""
    good = []
    for position, entry in enumerate(entries):
        with collecting(findings):
            _require_form(path, part, position, entry)
            good.append(entry)
    return good


def _require_form(path: Path, part: str, position: int, entry: Any) -> None:
    needed = NEEDED[part]
    where = f"{part}[{position}]"
    if not isinstance(entry, dict):
        raise Fault(path, f"{where}: expected an object with {', '.join(needed)}, found {shown(entry)}; mend it")
    for key, kind in needed.items():
        value = entry.get(key)
        if type(value) is not kind:  # not isinstance: true and false are no numbers
            raise Fault(
                path,
                f"{where} (id {shown(entry.get('id'))}): expected {key!r} of type {kind.__name__}, "
                f"found {shown(value)}; mend it",
            )


def ids_of(entries: Sequence[Any]) -> set[int]:
    """The ids in a list of an annotation file, also of entries that are not well formed otherwise."""
    return {entry["id"] for entry in entries if isinstance(entry, dict) and type(entry.get("id")) is int}


def repeated(path: Path, what: str, values: Sequence[Any]) -> list[Finding]:
    """Return a finding for each value that is there more than once."""
    return [
        Finding(path, f"expected every {what} once, found {shown(value)} more than once; remove one")
        for value, times in Counter(values).items()
        if times > 1
    ]


def class_indices(
    path: Path, categories: Sequence[Entry], findings: list[Finding], classes: Sequence[str] | None
) -> tuple[dict[int, int], tuple[str, ...]]:
    """Return the class index of each category id, and the class names: the given ones, or those of the file.

    Args:
        path: The annotation file, for messages.
        categories: Its categories.
        findings: Is added to: a name is not among ``classes``.
        classes: The class names in index order, if they are given.
    """
    names = {category["id"]: category["name"] for category in sorted(categories, key=lambda entry: entry["id"])}
    classes = tuple(dict.fromkeys(names.values())) if classes is None else tuple(classes)
    for key, name in names.items():
        if name not in classes:
            called = f"category {shown(key)} is called {shown(name)}"
            findings.append(Finding(path, f"{called}, expected one of {', '.join(classes)}; rename or remove it"))
    return {key: classes.index(name) for key, name in names.items() if name in classes}, classes


def renumbered_categories(source: Source) -> list[Finding]:
    """Return a finding, only worth knowing, if a category has another id in the val split than in the train split."""
    try:
        paths = [places(source, split)[1] for split in SPLITS]
        train, val = map(_numbering, paths)
    except Fault:
        return []  # whoever reads the splits finds it
    moved = [name for name in train if name in val and train[name] != val[name]]
    if not moved:
        return []
    problem = f"other category ids than in train ({', '.join(moved)}): they are mapped by name"
    return [Finding(paths[1], problem, fatal=False)]


def _numbering(path: Path) -> dict[str, int]:
    categories = well_formed(path, "categories", load_annotations(path)["categories"], findings=[])
    return {category["name"]: category["id"] for category in categories}


def objects_of(
    path: Path,
    entries: Mapping[str, Sequence[Entry]],
    known: Mapping[str, Collection[int]],
    labels: Mapping[int, int],
    findings: list[Finding],
) -> dict[int, list[Object]]:
    """Return the objects of each image id, in the order of the file; an image without any has an empty list.

    Args:
        path: The annotation file, for messages.
        entries: Its well-formed entries.
        known: All ids of images and of categories, those of entries with another fault included.
        labels: The class index of each category id.
        findings: Is added to: an annotation names an image or a category that is not listed, or its box or crowd
            flag is impossible.
    """
    listed = {image["id"]: image for image in entries["images"]}
    objects: dict[int, list[Object]] = {key: [] for key in listed}
    for entry in entries["annotations"]:
        with collecting(findings):
            where = f"annotation {shown(entry['id'])}"
            key, category, crowd = entry["image_id"], entry["category_id"], entry.get("iscrowd", 0)
            if key not in known["images"]:
                problem = f"{where} names image {shown(key)}, which is not among images; list the image or remove it"
                raise Fault(path, problem)
            if category not in known["categories"]:
                problem = f"{where} has category {shown(category)}, which is not among categories; list it there"
                raise Fault(path, problem)
            if crowd not in (0, 1):
                raise Fault(path, f"{where}: expected iscrowd 0 or 1, found {shown(crowd)}; correct it")
            if key not in listed or category not in labels:
                continue  # that image or category is a finding already
            box = to_corners(path, where, entry["bbox"], listed[key]["width"], listed[key]["height"])
            objects[key].append((box, labels[category], bool(crowd)))
    return objects


def to_corners(path: Path, where: str, box: Sequence[Any], width: int, height: int) -> list[float]:
    """Turn ``x, y, w, h`` into ``x1, y1, x2, y2``, cut to the image; all in pixels.

    Raises:
        Fault: The box is not four finite numbers, reaches outside the image by more than rounding, or has no area
            within it.
    """
    cut = cut_box(box, width, height)
    if cut is None:
        raise Fault(path, f"{where}: expected a bbox of four finite numbers x, y, w, h, found {shown(box)}; mend it")
    box_shown, size = f"{where}: the bbox x, y, w, h = {box}", f"{shown(width)} x {shown(height)} pixels"
    if cut.outside:
        raise Fault(path, f"{box_shown} reaches outside its image of {size}; correct it")
    if cut.empty:
        raise Fault(path, f"{box_shown} has no area in its image of {size}; remove it")
    return list(cut.corners)


def read_image(path: Path, folder: Path, image: Entry, objects: Sequence[Object]) -> Sample:
    """Read one listed image.

    Args:
        path: The annotation file, for messages.
        folder: Where the images are.
        image: The entry of the image.
        objects: What is annotated in it.

    Raises:
        Fault: The image is missing, of another size than listed, outside the folder, or cannot be decoded.
    """
    name = image["file_name"]
    listed = f"image {shown(image['id'])} of {path}"
    file = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise Fault(path, f"{listed}: expected a file name within {folder}, found {shown(name)}; correct it")
    if not os.path.isfile(file):  # unlike Path.is_file, it answers for names of any length
        raise Fault(file, f"expected this file, {listed}, found none; add it")
    pixels = read_rgb(file)
    if pixels.shape[1:] != (image["height"], image["width"]):
        raise Fault(
            file,
            f"the file is {pixels.shape[2]} x {pixels.shape[1]} pixels but {listed} is "
            f"{shown(image['width'])} x {shown(image['height'])}; use the image that was annotated",
        )
    return Sample(
        str(file),
        pixels,
        {
            "boxes": torch.tensor([box for box, _, _ in objects], dtype=torch.float32).reshape(-1, 4),
            "labels": torch.tensor([label for _, label, _ in objects], dtype=torch.int64),
            "crowd": torch.tensor([crowd for _, _, crowd in objects], dtype=torch.bool),
        },
    )
