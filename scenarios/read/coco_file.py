"""What an annotation file of COCO's format says, entry by entry: before a picture is looked at.

The format is described at https://cocodataset.org/#format-data.
"""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from scenarios.read.numbers import decimal, whole
from scenarios.samples.facts import Size
from scenarios.samples.findings import LEFT_OUT, Fault, Finding, Notes, collecting, shown

PARTS = ("images", "categories", "annotations")
"""The lists of a file."""

AS_NUMBERS = "numbers written as text, as decimals or as true and false are read as whole numbers"

TEXT_IDS = "ids of images and categories that are texts are read as they are"

OTHER_ID = "annotations are read though their id is missing, no number, or that of another"

Key = int | str
"""An id: a whole number, or any text."""

Entry = Mapping[str, Any]


@dataclass
class Object:
    """An annotation.

    Attributes:
        place: Its position in the file.
        where: How messages call it.
        bbox: ``x, y, w, h`` in pixels, as the file has it.
        category: The id of its category.
        crowd: Whether it is a crowd region.
    """

    place: int
    where: str
    bbox: Sequence[Any]
    category: Key
    crowd: bool


@dataclass
class Listed:
    """An image that the file lists.

    Attributes:
        place: Its position in the file.
        key: Its id.
        name: Its ``file_name``.
        size: Height and width; ``None`` where the file does not say.
        objects: What is annotated in it.
    """

    place: int
    key: Key
    name: str
    size: Size | None
    objects: list[Object] = field(default_factory=list)


@dataclass
class AnnotationFile:
    """A file, understood.

    Attributes:
        images: The listed images with their objects, in the order of the file.
        categories: The name of each category by its id, ordered by id.
    """

    images: list[Listed]
    categories: dict[Key, str]


def load_annotations(path: Path) -> dict[str, list]:
    """Return an annotation file that has the three lists; their entries may be anything.

    Raises:
        Fault: The file is missing, unreadable, no JSON, lacks a list, or has no images or no categories.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # the latter for names that no file can have
        reason = getattr(error, "strerror", None) or error
        raise Fault(path, f"the annotation file cannot be read ({reason}); put it there") from error
    return parse_annotations(path, data)


def parse_annotations(path: Path, data: bytes) -> dict[str, list]:
    """Return what a file holds, as :func:`load_annotations` does.

    Args:
        path: The file, for messages.
        data: Its bytes.

    Raises:
        Fault: It is no JSON, lacks a list, or has no images or no categories.
    """
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Fault(path, f"expected JSON, found something else ({error}); replace the file") from error

    if not isinstance(content, dict):
        raise Fault(path, f"expected an object with {', '.join(PARTS)}, found {shown(content)}; replace it")
    for part in PARTS:
        entries = content.get(part)
        if not isinstance(entries, list):
            raise Fault(path, f"expected a list {part!r}, found {shown(entries)}; add it")
        if not entries and part != "annotations":
            raise Fault(path, f"expected entries in {part!r}, found none; add them")
    return content


def understand(path: Path, content: Mapping[str, list], findings: list[Finding], notes: Notes) -> AnnotationFile:
    """Say what a file's entries mean.

    Every annotation is an object of a listed image, or counted in a finding.

    Args:
        path: The file, for messages.
        content: Its lists.
        findings: Is added to: an entry is of another form or contradicts another one.
        notes: Is told what is read though it is not as the format says.
    """
    images, lost_images = _images(path, content["images"], findings, notes)
    categories, lost_categories = _categories(path, content["categories"], _used(content), findings, notes)
    blamed: Counter[int] = Counter()
    seen: set[Key] = set()
    for place, entry in enumerate(content["annotations"]):
        with collecting(findings, LEFT_OUT, boxes=1):
            key, made = _object(path, place, entry, notes)
            own = _key(entry.get("id"))
            if type(entry.get("id")) is not int or own in seen:
                notes.add(OTHER_ID, made.where)
            seen.update([] if own is None else [own])
            lost = lost_images.get(key, lost_categories.get(made.category))
            if lost is not None:
                blamed[lost] += 1
                continue
            if key not in images:
                problem = f"{made.where} names image {shown(key)}, which is not among images; list the image or remove"
                raise Fault(path, f"{problem} it")
            if made.category not in categories:
                problem = f"{made.where} has category {shown(made.category)}, which is not among categories"
                raise Fault(path, f"{problem}; list it there")
            images[key].objects.append(made)
    for position, boxes in blamed.items():
        findings[position] = replace(findings[position], boxes=boxes)
    return AnnotationFile(list(images.values()), categories)


def _images(
    path: Path, entries: Sequence[Any], findings: list[Finding], notes: Notes
) -> tuple[dict[Key, Listed], dict[Key, int]]:
    """The images by id, and for each id of an entry that cannot be used the position of its finding."""
    images: dict[Key, Listed] = {}
    lost: dict[Key, int] = {}
    for place, entry in enumerate(entries):
        key = _key(_get(entry, "id"))
        if key in lost:
            continue  # one finding says so of all entries with this id
        where = f"images[{place}] (id {shown(_get(entry, 'id'))})"
        start = len(findings)
        with collecting(findings, LEFT_OUT):
            _require_object(path, f"images[{place}]", entry)
            if key is None:
                raise Fault(path, f"{where}: expected an id, a whole number or a text; mend it")
            name = entry.get("file_name")
            if not isinstance(name, str):
                raise Fault(path, f"{where}: expected a text 'file_name', found {shown(name)}; mend it")
            made = Listed(place, key, name, _size(path, where, entry, notes))
            if type(entry["id"]) is not int:
                notes.add(AS_NUMBERS if isinstance(key, int) else TEXT_IDS, where)
            other = images.setdefault(key, made)
            if other is not made:
                if other.name != name:
                    raise Fault(
                        path,
                        f"expected every image id once, found {shown(key)} of {shown(other.name)} and of {shown(name)};"
                        " number one of them anew",
                    )
                notes.add("images that are listed twice under one id are read once", name)
        if len(findings) > start and key is not None:
            lost[key] = start
            images.pop(key, None)
    return images, lost


def _size(path: Path, where: str, entry: Entry, notes: Notes) -> Size | None:
    found = [entry.get(side) for side in ("height", "width")]
    if None in found:
        notes.add("images without width or height are taken to have those of their file", where)
        return None
    sides = [whole(side) for side in found]
    if None in sides or min(side for side in sides if side is not None) < 1:
        raise Fault(path, f"{where}: expected whole numbers 'width' and 'height', found {shown(found[::-1])}; mend it")
    if any(type(side) is not int for side in found):
        notes.add(AS_NUMBERS, where)
    height, width = sides
    assert height is not None
    assert width is not None
    return height, width


def categories_of(path: Path) -> dict[str, Key]:
    """The id of each category of a file by its name, in the order of the ids; those that cannot be used are left out.

    Raises:
        Fault: The file cannot be read.
    """
    status = os.stat(path) if os.path.isfile(path) else None  # unlike Path.is_file, it answers for any name
    return _read_categories(path, status and (status.st_size, status.st_mtime_ns))


@lru_cache(maxsize=4)  # asked for again while the other split is read
def _read_categories(path: Path, stamp: tuple[int, int] | None) -> dict[str, Key]:
    content = load_annotations(path)
    names, _ = _categories(path, content["categories"], _used(content), [], Notes([], path))
    return {name: key for key, name in names.items()}


def _used(content: Mapping[str, list]) -> Counter[Key]:
    """How many annotations there are of each category id."""
    return Counter(key for entry in content["annotations"] if (key := _key(_get(entry, "category_id"))) is not None)


def _categories(
    path: Path, entries: Sequence[Any], used: Mapping[Key, int], findings: list[Finding], notes: Notes
) -> tuple[dict[Key, str], dict[Key, int]]:
    """The names of the categories by id, ordered by id, and the findings of those that cannot be used."""
    names: dict[Key, str] = {}
    lost: dict[Key, int] = {}
    for place, entry in enumerate(entries):
        key = _key(_get(entry, "id"))
        if key in lost:
            continue
        where = f"categories[{place}] (id {shown(_get(entry, 'id'))})"
        start = len(findings)
        with collecting(findings, LEFT_OUT):
            _require_object(path, f"categories[{place}]", entry)
            if key is None:
                raise Fault(path, f"{where}: expected an id, a whole number or a text; mend it")
            name = entry.get("name")
            if not isinstance(name, str) or not name.strip():
                raise Fault(path, f"{where}: expected a text 'name', found {shown(name)}; mend it")
            if type(entry["id"]) is not int:
                notes.add(AS_NUMBERS if isinstance(key, int) else TEXT_IDS, where)
            if name != name.strip():
                notes.add("names of categories are read without the spaces around them", name.strip())
            if names.get(key) == name.strip():
                notes.add("categories that are listed twice are read once", name.strip())
            if names.setdefault(key, name.strip()) != name.strip():
                problem = f"expected every category id once, found {shown(key)} of {shown(names[key])}"
                raise Fault(path, f"{problem} and of {shown(name)}; number one of them anew")
        if len(findings) > start and key is not None:
            lost[key] = start
            names.pop(key, None)
    _drop_twins(path, names, used, findings, notes)
    ordered = sorted(names, key=lambda key: (isinstance(key, str), key))
    return {key: names[key] for key in ordered}, lost


def _drop_twins(
    path: Path, names: dict[Key, str], used: Mapping[Key, int], findings: list[Finding], notes: Notes
) -> None:
    """Of categories with one name keep the one that has objects, in place."""
    same: dict[str, list[Key]] = defaultdict(list)
    for key, name in names.items():
        same[name].append(key)
    for name, keys in same.items():
        having = [key for key in keys if used.get(key)]
        if len(having) > 1:
            listed = " and ".join(map(shown, having))
            problem = f"expected every category name once, found {shown(name)} of {listed}, which all have objects"
            findings.append(Finding(path, f"{problem}; rename or unite them"))
        for key in keys:
            if len(keys) > 1 and key not in having and key != (having or keys)[0]:
                notes.add("categories without objects that have the name of another one are ignored", f"{name} ({key})")
                del names[key]


def _object(path: Path, place: int, entry: Any, notes: Notes) -> tuple[Key, Object]:
    """The id of an annotation's image, and the annotation."""
    _require_object(path, f"annotations[{place}]", entry)
    key = entry.get("id")
    where = f"annotations[{place}]" if key is None else f"annotation {shown(key)}"
    ids: list[Key] = []
    odd = set()
    for name in ("image_id", "category_id"):
        found = _key(entry.get(name))
        if found is None:
            raise Fault(path, f"{where}: expected {name!r}, an id, found {shown(entry.get(name))}; mend it")
        if type(entry[name]) is not int:
            odd.add(AS_NUMBERS if isinstance(found, int) else TEXT_IDS)
        ids.append(found)
    for problem in sorted(odd):
        notes.add(problem, where)
    bbox = entry.get("bbox")
    if not isinstance(bbox, list):
        raise Fault(path, f"{where}: expected a list 'bbox', found {shown(bbox)}; mend it")
    numbers = [decimal(value) for value in bbox]
    if any(isinstance(value, str) and number is not None for value, number in zip(bbox, numbers, strict=True)):
        notes.add("boxes written as text are read as numbers", where)
        bbox = [value if number is None else number for value, number in zip(bbox, numbers, strict=True)]
    return ids[0], Object(place, where, bbox, ids[1], _crowd(path, where, entry, notes))


def _crowd(path: Path, where: str, entry: Entry, notes: Notes) -> bool:
    found = entry.get("iscrowd", 0)
    if found is None:
        notes.add("an iscrowd of null is read as 0", where)
        return False
    number = int(found) if isinstance(found, bool) else whole(found)
    if number not in (0, 1):
        raise Fault(path, f"{where}: expected iscrowd 0 or 1, found {shown(found)}; correct it")
    if type(found) is not int:
        notes.add(AS_NUMBERS, where)
    return bool(number)


def _key(value: Any) -> Key | None:
    """An id: numbers written as text or as decimals are numbers; ``None`` for what is none."""
    number = whole(value)
    if number is not None:
        return number
    return value if isinstance(value, str) and value else None


def _get(entry: Any, key: str) -> Any:
    return entry.get(key) if isinstance(entry, dict) else None


def _require_object(path: Path, where: str, entry: Any) -> None:
    if not isinstance(entry, dict):
        raise Fault(path, f"{where}: expected an object, found {shown(entry)}; mend it")
