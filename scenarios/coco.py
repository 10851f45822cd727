"""Reader of the detection data: COCO pictures and their annotation file."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from onehead_avl.errors import DataError
from scenarios.pictures import read_each, read_rgb, require_folder
from scenarios.sample import Sample

NEEDED: dict[str, dict[str, type]] = {
    "images": {"id": int, "file_name": str, "width": int, "height": int},
    "categories": {"id": int, "name": str},
    "annotations": {"id": int, "image_id": int, "category_id": int, "bbox": list},
}
"""The lists of an annotation file, and the keys and types of their entries; other keys are not looked at."""

ROUNDING = 1.0
"""Pixels by which a box may reach over the edge of its picture; what reaches over is cut off."""

Entry = Mapping[str, Any]
Object = tuple[list[float], int, bool]
"""A box (``x1, y1, x2, y2``), its class index, and whether it is a crowd."""


def read_coco(root: Path, split: str, classes: Sequence[str] | None = None) -> tuple[list[Sample], tuple[str, ...]]:
    """Read one split of the detection data.

    The layout is ``root/mini_coco_det/<split>/*.jpg`` with their annotations in
    ``root/mini_coco_det/annotations/mini_instances_<split>2017.json``.

    Args:
        root: The data folder.
        split: ``train`` or ``val``.
        classes: Class names in index order, to which categories are mapped by name; ``None`` takes the
            categories of the file, ordered by id.

    Returns:
        Samples with ``boxes``, ``labels`` and ``crowd``, one for every listed picture, also for those without
        objects, sorted by file name; the class names in index order.

    Raises:
        DataError: The annotation file is missing, is no JSON, contradicts itself, or has a category that is
            not among ``classes``; a box lies outside its picture or has no area; a listed picture is missing,
            of another size, or cannot be decoded.
    """
    folder = root / "mini_coco_det"
    path = folder / "annotations" / f"mini_instances_{split}2017.json"
    content = load_annotations(path)
    pictures = require_folder(folder / split, "detection pictures (.jpg)")

    require_unique(path, "image id", [image["id"] for image in content["images"]])
    labels, classes = class_indices(path, content["categories"], classes)
    objects = objects_of(path, content["annotations"], content["images"], labels)

    def read(image: Entry) -> Sample:
        return read_image(path, pictures / image["file_name"], image, objects[image["id"]])

    ordered = sorted(content["images"], key=lambda image: image["file_name"])
    return read_each(ordered, read, f"detection {split}"), classes


def load_annotations(path: Path) -> dict[str, list[Entry]]:
    """Return an annotation file whose lists, keys and types are as ``NEEDED`` says.

    Raises:
        DataError: The file is missing, unreadable, no JSON, without pictures or categories, or of another form.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: the annotation file cannot be read ({error.strerror}); put it there") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected JSON, found something else ({error}); replace the file") from error

    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object with {', '.join(NEEDED)}, found {_shown(content)}; replace it")
    for part, needed in NEEDED.items():
        entries = content.get(part)
        if not isinstance(entries, list):
            raise DataError(f"{path}: expected a list {part!r}, found {_shown(entries)}; add it")
        if not entries and part != "annotations":
            raise DataError(f"{path}: expected entries in {part!r}, found none; add them")
        for position, entry in enumerate(entries):
            where = f"{path}: {part}[{position}]"
            if not isinstance(entry, dict):
                raise DataError(f"{where}: expected an object with {', '.join(needed)}, found {_shown(entry)}; mend it")
            for key, kind in needed.items():
                value = entry.get(key)
                if type(value) is not kind:  # not isinstance: true and false are no numbers
                    raise DataError(
                        f"{where} (id {_shown(entry.get('id'))}): expected {key!r} of type {kind.__name__}, "
                        f"found {_shown(value)}; mend it"
                    )
    return content


def require_unique(path: Path, what: str, values: Sequence[Any]) -> None:
    """Refuse a value that is there twice.

    Raises:
        DataError: It is.
    """
    twice = [value for value, times in Counter(values).items() if times > 1]
    if twice:
        raise DataError(f"{path}: expected every {what} once, found {twice[0]!r} more than once; remove one")


def class_indices(
    path: Path, categories: Sequence[Entry], classes: Sequence[str] | None
) -> tuple[dict[int, int], tuple[str, ...]]:
    """Return the class index of each category id, and the class names: the given ones, or those of the file.

    Raises:
        DataError: Two categories have the same id or the same name, or a name is not among ``classes``.
    """
    require_unique(path, "category id", [category["id"] for category in categories])
    require_unique(path, "category name", [category["name"] for category in categories])
    names = {category["id"]: category["name"] for category in sorted(categories, key=lambda entry: entry["id"])}
    classes = tuple(names.values()) if classes is None else tuple(classes)
    for key, name in names.items():
        if name not in classes:
            raise DataError(
                f"{path}: category {key} is called {name!r}, expected one of {', '.join(classes)}; rename or remove it"
            )
    return {key: classes.index(name) for key, name in names.items()}, classes


def objects_of(
    path: Path, annotations: Sequence[Entry], images: Sequence[Entry], labels: Mapping[int, int]
) -> dict[int, list[Object]]:
    """Return the objects of each image id, in the order of the file; an image without any has an empty list.

    Raises:
        DataError: An annotation names an image or a category that is not listed, or its box or crowd flag is
            impossible.
    """
    listed = {image["id"]: image for image in images}
    objects: dict[int, list[Object]] = {key: [] for key in listed}
    for entry in annotations:
        where = f"{path}: annotation {entry['id']}"
        key, category, crowd = entry["image_id"], entry["category_id"], entry.get("iscrowd", 0)
        if key not in listed:
            raise DataError(f"{where} names image {key}, which is not among images; list the image or remove it")
        if category not in labels:
            raise DataError(f"{where} has category {category}, which is not among categories; list it there")
        if crowd not in (0, 1):
            raise DataError(f"{where}: expected iscrowd 0 or 1, found {_shown(crowd)}; correct it")
        box = to_corners(where, entry["bbox"], listed[key]["width"], listed[key]["height"])
        objects[key].append((box, labels[category], bool(crowd)))
    return objects


def to_corners(where: str, box: Sequence[Any], width: int, height: int) -> list[float]:
    """Turn ``x, y, w, h`` into ``x1, y1, x2, y2``, cut to the picture; all in pixels.

    Raises:
        DataError: The box is not four finite numbers, lies outside the picture by more than ``ROUNDING``, or
            has no area within it.
    """
    # The limit refuses infinities, not-a-numbers and integers too large for a float alike.
    if len(box) != 4 or not all(type(value) in (int, float) and abs(value) < 1e9 for value in box):
        raise DataError(f"{where}: expected a bbox of four finite numbers x, y, w, h, found {box}; correct it")
    x, y, w, h = box
    if min(x, y) < -ROUNDING or x + w > width + ROUNDING or y + h > height + ROUNDING:
        raise DataError(
            f"{where}: the bbox x, y, w, h = {box} reaches outside its picture of {width} x {height} pixels; correct it"
        )
    corners = [max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)]
    x1, y1, x2, y2 = torch.tensor(corners, dtype=torch.float32).tolist()
    if not (x2 > x1 and y2 > y1):
        raise DataError(
            f"{where}: the bbox x, y, w, h = {box} has no area in its picture of {width} x {height} pixels; remove it"
        )
    return [x1, y1, x2, y2]


def read_image(path: Path, picture: Path, image: Entry, objects: Sequence[Object]) -> Sample:
    """Read one listed picture.

    Raises:
        DataError: The picture is missing, of another size than listed, or cannot be decoded.
    """
    listed = f"image {image['id']} of {path}"
    if not picture.is_file():
        raise DataError(f"{picture}: expected this picture, {listed}, found none; add it")
    pixels = read_rgb(picture)
    if pixels.shape[1:] != (image["height"], image["width"]):
        raise DataError(
            f"{picture}: the picture is {pixels.shape[2]} x {pixels.shape[1]} pixels but {listed} is "
            f"{image['width']} x {image['height']}; use the picture that was annotated"
        )
    return Sample(
        name=str(picture),
        image=pixels,
        boxes=torch.tensor([box for box, _, _ in objects], dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor([label for _, label, _ in objects], dtype=torch.int64),
        crowd=torch.tensor([crowd for _, _, crowd in objects], dtype=torch.bool),
    )


def _shown(value: Any) -> str:
    return "nothing" if value is None else f"{value!r:.40}"
