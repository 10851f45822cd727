"""The annotation files of a copy: what was read of somebody's boxes, as COCO writes and numbers it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from scenarios.read import coco
from scenarios.read.coco_file import Key, categories_of, load_annotations
from scenarios.read.places import Pictures
from scenarios.samples.classes import COCO_IDS
from scenarios.samples.findings import Fault, Finding, Notes
from scenarios.samples.folders import walk
from scenarios.samples.pictures import PICTURES
from scenarios.samples.rules import cut_box
from scenarios.samples.source import SPLITS, Source
from scenarios.samples.stored import StoredSample

BEYOND_COCO = 91
"""The first number for categories that are not COCO's."""


def category_numbers(names: Iterable[str]) -> dict[str, int]:
    """COCO's number of each category name; names that are not COCO's are numbered after them, alphabetically."""
    names = set(names)
    others = sorted(names - COCO_IDS.keys())
    numbers = {name: COCO_IDS[name] for name in names if name in COCO_IDS}
    return numbers | {name: BEYOND_COCO + position for position, name in enumerate(others)}


def renumbered(source: Source, classes: Sequence[str]) -> list[Finding]:
    """Say which categories get other numbers in the copy, or are listed by one file only.

    Args:
        source: The data set; one that is not of COCO's layout has no numbers.
        classes: Its class names.
    """
    if not coco.recognises(source):
        return []
    ids: dict[str, dict[str, Key]] = {split: categories_of(coco.places(source, split)[1]) for split in SPLITS}
    numbers = category_numbers(classes)
    found = []
    for split in SPLITS:
        moved = [f"{name} is {key}" for name, key in ids[split].items() if name in numbers and key != numbers[name]]
        if moved:
            shown = ", ".join(moved[:3]) + (" ..." if len(moved) > 3 else "")
            found.append(f"{split} does not number its categories as COCO does ({shown}); they get its numbers by name")
        lonely = sorted(numbers.keys() - ids[split].keys())
        if lonely:
            found.append(f"{split} does not list {', '.join(lonely)}; both files list all categories now")
    others = sorted(numbers.keys() - COCO_IDS.keys())
    if others:
        found.append(f"{', '.join(others)} are no categories of COCO; they are numbered after its own")
    return [Finding(source.on_disk, what, fatal=False) for what in found]


def annotations_of(
    source: Source, split: str, classes: Sequence[str], samples: Sequence[StoredSample], names: Mapping[str, str]
) -> bytes:
    """Write the annotation file of a split.

    What an entry of a file of COCO's format holds beside what is read, such as polygons and licences, is kept.

    Args:
        source: The data set that was read.
        split: ``train`` or ``val``.
        classes: Its class names in index order.
        samples: What is left of the split.
        names: The file name of each sample in the copy.
    """
    content: dict[str, Any] = {}
    listed: dict[str, dict[str, Any]] = {}
    if coco.recognises(source):
        folder, path = coco.places(source, split)
        content = load_annotations(path)
        listed = _entries(folder, path, content["images"])
    numbers = category_numbers(classes)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    found = [listed.get(sample.name, {}) for sample in samples]
    for number, image, sample in zip(_ids(found), found, samples, strict=True):
        height, width = sample.size
        images.append(image | {"id": number, "file_name": names[sample.name], "width": width, "height": height})
        boxes, labels, crowd = (sample.parts[part].tolist() for part in ("boxes", "labels", "crowd"))
        for place, box, label, is_crowd in zip(sample.places, boxes, labels, crowd, strict=True):
            entry = content["annotations"][place] if content else {}
            annotations.append(
                entry
                | {
                    "image_id": number,
                    "category_id": numbers[classes[label]],
                    "bbox": _bbox(entry.get("bbox"), box, sample),
                    "iscrowd": int(is_crowd),
                }
            )
    annotations = [entry | {"id": number} for number, entry in zip(_ids(annotations), annotations, strict=True)]
    known = {entry["name"].strip(): entry for entry in content.get("categories", []) if _has_name(entry)}
    categories = [known.get(name, {}) | {"id": numbers[name], "name": name} for name in classes]
    made = {
        **{key: value for key, value in content.items() if key not in ("images", "annotations", "categories")},
        "categories": sorted(categories, key=lambda entry: entry["id"]),
        "images": images,
        "annotations": annotations,
    }
    return (json.dumps(made) + "\n").encode()


def _ids(entries: Sequence[Mapping[str, Any]]) -> list[int]:
    """The ids of entries, or the numbers from 1 if one of them has none, or that of another one."""
    ids = [entry.get("id") for entry in entries]
    sound = all(type(each) is int for each in ids) and len(set(ids)) == len(ids)
    return cast(list[int], ids) if sound else list(range(1, len(ids) + 1))


def _bbox(before: Any, corners: Sequence[float], sample: StoredSample) -> list[float]:
    """The box as it was written if it was read so, otherwise as it was read."""
    height, width = sample.size
    cut = cut_box(before, width, height) if isinstance(before, list) else None
    if cut is not None and not cut.outside:
        return before
    left, top, right, bottom = corners
    return [left, top, right - left, bottom - top]


def _entries(folder: Path, path: Path, images: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """The entry of each file, which is found as the reader finds it; the first one of those that list it."""
    found: dict[str, dict[str, Any]] = {}
    pictures = Pictures(folder, walk(folder, PICTURES), Notes([], path))
    for entry in images:
        if isinstance(entry, dict) and isinstance(entry.get("file_name"), str):
            with suppress(Fault):  # the reader said so
                found.setdefault(str(pictures.find(path, "", entry["file_name"])), entry)
    return found


def _has_name(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("name"), str)
