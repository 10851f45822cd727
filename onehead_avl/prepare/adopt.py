"""Adopting somebody's data folder: say what is wrong with it, and write a copy in which it is not."""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from onehead_avl.errors import DataError, OutputError, UsageError
from onehead_avl.prepare.arrange import publish, require_new, stage
from onehead_avl.prepare.existing import (
    Detection,
    Existing,
    Finding,
    read_classification,
    read_detection,
    read_segmentation,
)
from onehead_avl.prepare.instances import Entry
from onehead_avl.prepare.lock import exclusive
from onehead_avl.prepare.manifest import MANIFEST, VERSION, describe, manifest_of, read_manifest, require_same
from onehead_avl.prepare.official import NewFile
from onehead_avl.prepare.selection import SPLITS_BY_CARE
from onehead_avl.prepare.space import require_space
from scenarios.challenge import FOLDERS, KINDS
from scenarios.samples.classes import COCO_IDS
from scenarios.samples.source import SPLITS

BEYOND_COCO = 91
"""The first number for categories that are not COCO's."""

Pictures = dict[tuple[str, str], list[Existing]]


def adopt(source: Path, root: Path, tasks: Sequence[str], say: Callable[[str], None]) -> dict[str, Any]:
    """Check a data folder and write a repaired copy of it with a manifest.

    Pictures are copied as they are. What is left out: pictures and masks that cannot be used, annotations that mean
    nothing, classes that only one split has, and all but one of the files that show the same picture: those of
    validation stay rather than those of training, and those of earlier tasks rather than those of later ones.
    Detection categories get COCO's numbers by name.

    Args:
        source: The folder to check; it is not changed.
        root: The folder to write.
        tasks: The tasks to adopt.
        say: Is told each finding.

    Returns:
        The manifest of ``root``.

    Raises:
        UsageError: There is no such folder, or it is ``root`` itself.
        OutputError: Another process is at work in ``root``, it holds other data, or the disk is too full.
        DataError: Nothing usable is left of a split, or an annotation file cannot be read.
        OSError: ``root`` cannot be written.
    """
    if not source.is_dir():
        raise UsageError(f"--import expects a folder, found none at {source}")
    if source.resolve() == root.resolve():
        raise UsageError(f"--import writes a copy, but --root is {source} too; choose another --root")
    with exclusive(root) as work:
        staged = work / "tree"
        publish(staged, root)
        prepared = (root / MANIFEST).exists()
        if not prepared:
            require_new(root)
        head, pictures, detection = _plan(source, tasks, say)
        files = _files(source, pictures, detection)
        if prepared:
            if read_manifest(root) != manifest_of(head, {file.path: describe(file) for file in files}):
                raise OutputError(f"{root} already holds other prepared data; choose another --root")
            say(f"{root} is already prepared")
        else:
            paths = (path for found in pictures.values() for each in found for path in _paths(each))
            require_space(root, 0, sum(path.stat().st_size for path in paths))
            stage(staged, files, head)
            publish(staged, root)
        manifest = read_manifest(root)
        require_same(root, manifest)
    return manifest


def _plan(
    source: Path, tasks: Sequence[str], say: Callable[[str], None]
) -> tuple[dict[str, Any], Pictures, dict[str, Detection]]:
    """Read a folder, say what is wrong with it, and leave that out; the head of the manifest and what is left."""
    findings: list[Finding] = []
    pictures: Pictures = {}
    detection: dict[str, Detection] = {}
    for task, split in itertools.product(tasks, SPLITS):
        if task == "det":
            detection[split] = read_detection(source, split, findings)
            pictures[task, split] = detection[split].pictures
        else:
            read = read_segmentation if task == "seg" else read_classification
            pictures[task, split] = read(source, split, findings)
    if detection:
        findings += compare_categories(detection["train"].content, detection["val"].content)
    findings += drop_repeated(source, pictures)
    findings += drop_lonely_classes(pictures)
    for line in map(str, findings) if findings else ["nothing is wrong with it"]:
        say(f"{source}: {line}")
    for (task, split), found in pictures.items():
        if not found:
            raise DataError(
                f"{source / FOLDERS[task]}: expected {split} pictures that can be used, found none; leave the task out "
                "with --tasks"
            )
    head = {
        "version": VERSION,
        "options": {"import": True, "tasks": list(tasks)},
        "sets": {task: {split: _summary(pictures[task, split]) for split in SPLITS} for task in tasks},
        "findings": [{"what": each.what, "files": list(each.files)} for each in findings],
    }
    return head, pictures, detection


def category_numbers(names: Iterable[str]) -> dict[str, int]:
    """COCO's number of each category name; names that are not COCO's are numbered after them, alphabetically."""
    names = set(names)
    others = sorted(names - COCO_IDS.keys())
    numbers = {name: COCO_IDS[name] for name in names if name in COCO_IDS}
    return numbers | {name: BEYOND_COCO + position for position, name in enumerate(others)}


def compare_categories(train: dict[str, Any], val: dict[str, Any]) -> list[Finding]:
    """What is wrong with the category numbers of the two annotation files of a folder."""
    found = []
    ids = [{entry["name"]: entry["id"] for entry in content["categories"]} for content in (train, val)]
    differing = [name for name in ids[0] if ids[1].get(name, ids[0][name]) != ids[0][name]]
    if differing:
        shown = ", ".join(f"{name} is {ids[0][name]} and {ids[1][name]}" for name in differing[:3])
        found.append(f"train and val number their categories differently ({shown}); both get COCO's numbers by name")
    elif any(number != COCO_IDS.get(name) for name, number in (ids[0] | ids[1]).items()):
        found.append("categories are not numbered as COCO's; they get its numbers by name")
    for split, here, there in (("train", ids[0], ids[1]), ("val", ids[1], ids[0])):
        lonely = sorted(here.keys() - there.keys())
        if lonely:
            found.append(f"only {split} lists {', '.join(lonely)}; both files list all categories now")
    others = sorted((ids[0] | ids[1]).keys() - COCO_IDS.keys())
    if others:
        found.append(f"{', '.join(others)} are no categories of COCO; they are numbered after its own")
    return [Finding(f"detection: {what}") for what in found]


def drop_repeated(source: Path, pictures: Pictures) -> list[Finding]:
    """Leave all but the first of the files that show the same picture out, in place."""
    first: dict[bytes, tuple[str, str]] = {}
    findings = []
    for split, task in itertools.product(SPLITS_BY_CARE, FOLDERS):
        found = pictures.get((task, split), [])
        repeated: dict[tuple[str, str], list[str]] = {}
        kept = []
        for each in found:
            if each.digest in first:
                repeated.setdefault(first[each.digest], []).append(each.path.relative_to(source).as_posix())
            else:
                first[each.digest] = (task, split)
                kept.append(each)
        if repeated:
            pictures[task, split] = kept
        for (other, other_split), names in repeated.items():
            same = (other, other_split) == (task, split)
            what = "copies of others there" if same else f"also in {KINDS[other]} {other_split}"
            text = f"{KINDS[task]}: {len(names)} of {len(found)} {split} pictures are {what}; left out"
            findings.append(Finding(text, tuple(names)))
    return findings


def drop_lonely_classes(pictures: Pictures) -> list[Finding]:
    """Leave the classification classes that have pictures in one split only out, in place."""
    here = {split: pictures.get(("cls", split), []) for split in SPLITS}
    labels = {split: {name for each in found for name in each.classes} for split, found in here.items()}
    findings = []
    for split, other in (SPLITS, SPLITS[::-1]):
        lonely = labels[split] - labels[other]
        if lonely:
            pictures["cls", split] = [each for each in here[split] if not each.classes & lonely]
            shown = ", ".join(sorted(lonely))
            findings.append(Finding(f"classification: only {split} has pictures of {shown}; left out"))
    return findings


def _summary(pictures: Sequence[Existing]) -> dict[str, Any]:
    counts = Counter(name for each in pictures for name in each.classes)
    return {"pictures": len(pictures), "classes": dict(sorted(counts.items()))}


def _paths(each: Existing) -> list[Path]:
    return [each.path] if each.mask is None else [each.path, each.mask]


def _files(source: Path, pictures: Pictures, detection: dict[str, Detection]) -> Iterator[NewFile]:
    for (task, split), found in pictures.items():
        for path in (path for each in found for path in _paths(each)):
            place = f"{path.parent.name}/{path.name}" if task == "cls" else path.name
            origin = f"imported/{path.relative_to(source).as_posix()}"
            yield NewFile(f"{FOLDERS[task]}/{split}/{place}", path.read_bytes(), split, origin, None)
        if task == "det":
            name = f"{FOLDERS[task]}/annotations/mini_instances_{split}2017.json"
            content = (json.dumps(_annotations(found, detection, split)) + "\n").encode()
            yield NewFile(name, content, split, f"imported/{name}", None)


def _annotations(pictures: Sequence[Existing], detection: dict[str, Detection], split: str) -> dict[str, Any]:
    """The annotation file of the pictures that are left, with the categories of both splits."""
    entries = [entry for each in detection.values() for entry in each.content["categories"]]
    numbers = category_numbers(entry["name"] for entry in entries)
    categories = {numbers[entry["name"]]: entry | {"id": numbers[entry["name"]]} for entry in reversed(entries)}
    content = detection[split].content
    names = {entry["id"]: entry["name"] for entry in content["categories"]}
    images = [cast(Entry, each.image) for each in pictures]  # pictures of detection all have one
    ids = {image["id"] for image in images}
    return content | {
        "categories": [categories[number] for number in sorted(categories)],
        "images": images,
        "annotations": [
            entry | {"category_id": numbers[names[entry["category_id"]]]}
            for entry in content["annotations"]
            if entry["image_id"] in ids
        ],
    }
