"""Reader of the detection data: COCO pictures and their annotation file."""

import json
import os
import reprlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from scenarios.annotations import NEEDED, ROUNDING
from scenarios.findings import Fault, Finding, collecting
from scenarios.pictures import PICTURES, list_files, read_each, read_rgb, require_folder, unread
from scenarios.sample import Sample

_REPR = reprlib.Repr()  # unlike repr, it ends soon whatever the length and the depth of what a file holds
_REPR.maxstring = _REPR.maxother = 40

Entry = Mapping[str, Any]
Object = tuple[list[float], int, bool]
"""A box (``x1, y1, x2, y2``), its class index, and whether it is a crowd."""


def read_coco(
    root: Path, split: str, findings: list[Finding], classes: Sequence[str] | None = None
) -> tuple[list[Sample], tuple[str, ...]]:
    """Read one split of the detection data.

    The layout is ``root/mini_coco_det/<split>/*.jpg`` with their annotations in
    ``root/mini_coco_det/annotations/mini_instances_<split>2017.json``.

    Args:
        root: The data folder.
        split: ``train`` or ``val``.
        findings: Is added to: an entry of the annotation file is of another form, contradicts another, is there
            twice, or has a category that is not among ``classes``; a box lies outside its picture or has no area; a
            listed picture is missing, of another size, or cannot be decoded; worth knowing: pictures not listed.
        classes: Class names in index order, to which categories are mapped by name; ``None`` takes the
            categories of the file, ordered by id.

    Returns:
        Samples with ``boxes``, ``labels`` and ``crowd``, one for every listed picture, also for those without
        objects, sorted by file name; the class names in index order.

    Raises:
        Fault: The annotation file is missing, is no JSON, or lacks a list; there is no folder of pictures.
    """
    folder = root / "mini_coco_det"
    path = annotations_path(root, split)
    content = load_annotations(path)
    pictures = require_folder(folder / split, "detection pictures (.jpg)")

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

    def read(image: Entry) -> Sample:
        return read_image(path, pictures, image, objects[image["id"]])

    ordered = sorted(entries["images"], key=lambda image: image["file_name"])
    listed = {image["file_name"] for image in ordered}
    unlisted = [picture for picture in list_files(pictures, PICTURES) if picture.name not in listed]
    findings += unread(pictures, unlisted, f"not listed in {path.name}")
    return read_each(ordered, read, f"detection {split}", findings), classes


def annotations_path(root: Path, split: str) -> Path:
    """Where the annotations of a split are."""
    return root / "mini_coco_det" / "annotations" / f"mini_instances_{split}2017.json"


def load_annotations(path: Path) -> dict[str, list]:
    """Return an annotation file that has the lists of ``NEEDED``; their entries may be anything.

    Raises:
        Fault: The file is missing, unreadable, no JSON, lacks a list, or has no pictures or no categories.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Fault(path, f"the annotation file cannot be read ({error.strerror}); put it there") from error
    except (ValueError, RecursionError) as error:
        raise Fault(path, f"expected JSON, found something else ({error}); replace the file") from error

    if not isinstance(content, dict):
        raise Fault(path, f"expected an object with {', '.join(NEEDED)}, found {_shown(content)}; replace it")
    for part in NEEDED:
        entries = content.get(part)
        if not isinstance(entries, list):
            raise Fault(path, f"expected a list {part!r}, found {_shown(entries)}; add it")
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
        raise Fault(path, f"{where}: expected an object with {', '.join(needed)}, found {_shown(entry)}; mend it")
    for key, kind in needed.items():
        value = entry.get(key)
        if type(value) is not kind:  # not isinstance: true and false are no numbers
            raise Fault(
                path,
                f"{where} (id {_shown(entry.get('id'))}): expected {key!r} of type {kind.__name__}, "
                f"found {_shown(value)}; mend it",
            )


def ids_of(entries: Sequence[Any]) -> set[int]:
    """The ids in a list of an annotation file, also of entries that are not well formed otherwise."""
    return {entry["id"] for entry in entries if isinstance(entry, dict) and type(entry.get("id")) is int}


def repeated(path: Path, what: str, values: Sequence[Any]) -> list[Finding]:
    """Return a finding for each value that is there more than once."""
    return [
        Finding(path, f"expected every {what} once, found {_shown(value)} more than once; remove one")
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
            called = f"category {_shown(key)} is called {_shown(name)}"
            findings.append(Finding(path, f"{called}, expected one of {', '.join(classes)}; rename or remove it"))
    return {key: classes.index(name) for key, name in names.items() if name in classes}, classes


def renumbered_categories(root: Path) -> list[Finding]:
    """Return a finding, only worth knowing, if a category has another id in the val split than in the train split."""
    paths = annotations_path(root, "train"), annotations_path(root, "val")
    try:
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
            where = f"annotation {_shown(entry['id'])}"
            key, category, crowd = entry["image_id"], entry["category_id"], entry.get("iscrowd", 0)
            if key not in known["images"]:
                problem = f"{where} names image {_shown(key)}, which is not among images; list the image or remove it"
                raise Fault(path, problem)
            if category not in known["categories"]:
                problem = f"{where} has category {_shown(category)}, which is not among categories; list it there"
                raise Fault(path, problem)
            if crowd not in (0, 1):
                raise Fault(path, f"{where}: expected iscrowd 0 or 1, found {_shown(crowd)}; correct it")
            if key not in listed or category not in labels:
                continue  # that image or category is a finding already
            box = to_corners(path, where, entry["bbox"], listed[key]["width"], listed[key]["height"])
            objects[key].append((box, labels[category], bool(crowd)))
    return objects


def to_corners(path: Path, where: str, box: Sequence[Any], width: int, height: int) -> list[float]:
    """Turn ``x, y, w, h`` into ``x1, y1, x2, y2``, cut to the picture; all in pixels.

    Raises:
        Fault: The box is not four finite numbers, lies outside the picture by more than ``ROUNDING``, or
            has no area within it.
    """
    # The limit refuses infinities, not-a-numbers and integers too large for a float alike.
    if len(box) != 4 or not all(type(value) in (int, float) and abs(value) < 1e9 for value in box):
        raise Fault(path, f"{where}: expected a bbox of four finite numbers x, y, w, h, found {_shown(box)}; mend it")
    x, y, w, h = box
    shown, size = f"{where}: the bbox x, y, w, h = {box}", f"{_shown(width)} x {_shown(height)} pixels"
    # Comparing, unlike adding, works for a width too large for a float.
    if min(x, y) < -ROUNDING or x + w - ROUNDING > width or y + h - ROUNDING > height:
        raise Fault(path, f"{shown} reaches outside its picture of {size}; correct it")
    corners = [max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)]
    x1, y1, x2, y2 = torch.tensor(corners, dtype=torch.float32).tolist()
    if not (x2 > x1 and y2 > y1):
        raise Fault(path, f"{shown} has no area in its picture of {size}; remove it")
    return [x1, y1, x2, y2]


def read_image(path: Path, folder: Path, image: Entry, objects: Sequence[Object]) -> Sample:
    """Read one listed picture.

    Args:
        path: The annotation file, for messages.
        folder: Where the pictures are.
        image: The entry of the picture.
        objects: What is annotated in it.

    Raises:
        Fault: The picture is missing, of another size than listed, outside the folder, or cannot be decoded.
    """
    name = image["file_name"]
    listed = f"image {_shown(image['id'])} of {path}"
    picture = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise Fault(path, f"{listed}: expected a file name within {folder}, found {_shown(name)}; correct it")
    if not os.path.isfile(picture):  # unlike Path.is_file, it answers for names of any length
        raise Fault(picture, f"expected this picture, {listed}, found none; add it")
    pixels = read_rgb(picture)
    if pixels.shape[1:] != (image["height"], image["width"]):
        raise Fault(
            picture,
            f"the picture is {pixels.shape[2]} x {pixels.shape[1]} pixels but {listed} is "
            f"{_shown(image['width'])} x {_shown(image['height'])}; use the picture that was annotated",
        )
    return Sample(
        name=str(picture),
        image=pixels,
        boxes=torch.tensor([box for box, _, _ in objects], dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor([label for _, label, _ in objects], dtype=torch.int64),
        crowd=torch.tensor([crowd for _, _, crowd in objects], dtype=torch.bool),
    )


def _shown(value: Any) -> str:
    return "nothing" if value is None else _REPR.repr(value)
