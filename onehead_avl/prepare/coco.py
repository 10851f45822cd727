"""COCO 2017: pictures of two splits, and one annotation file for each."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from onehead_avl.errors import DataError
from onehead_avl.prepare.archives import Tree
from onehead_avl.prepare.instances import Entry, Fitted, fit_boxes, parse_official
from onehead_avl.prepare.official import NewFile, OfficialSet
from onehead_avl.prepare.pictures import decode_picture
from onehead_avl.prepare.progress import bar
from onehead_avl.prepare.selection import Candidate
from scenarios.challenge import FOLDERS
from scenarios.samples.facts import Facts

_KEPT_KEYS = ("id", "image_id", "category_id", "bbox", "area", "iscrowd")  # no polygons: they are most of the file


class Coco(OfficialSet):
    """The detection data.

    A picture is a candidate if one of the wanted categories is annotated in it; a crowd region alone is no reason to
    draw a picture, but stays where it is.

    Args:
        annotations: The folder ``annotations``.
        pictures: The folders ``val2017`` and, for all of COCO, ``train2017``, by official split. Without ``train`` both
            splits are drawn from ``val``: 1 GB to fetch instead of 20.
        categories: The categories wanted.

    Raises:
        DataError: An annotation file cannot be read, or lacks a category.
    """

    def __init__(self, annotations: Tree, pictures: Mapping[str, Tree], categories: Sequence[str]) -> None:
        self._pictures = pictures
        self.pools = {"train": "train" if "train" in pictures else "val", "val": "val"}
        self._parts = {}
        with bar("reading COCO annotations", len(pictures), "file") as progress:
            for split in pictures:
                name = _instances(split)
                self._parts[split] = _Part(annotations.read(name), f"{annotations.where}: {name}", categories)
                progress.update()
        self.candidates = [
            Candidate(f"{split}2017/{image['file_name']}", split, part.classes_in(image["id"]))
            for split, part in self._parts.items()
            for image in part.annotated()
        ]

    def decode(self, candidate: Candidate) -> Facts:
        """Decode a picture; it must have the size that the annotations say."""
        tree, image = self._pictures[candidate.split], self._image(candidate)
        where = f"{tree.where}: {image['file_name']}"
        picture = decode_picture(tree.read(image["file_name"]), where)
        if picture.size != (image["height"], image["width"]):
            raise DataError(f"{where} has another size than its annotations say; fetch or extract it again")
        return picture

    def files(self, split: str, chosen: Sequence[Candidate]) -> Iterator[NewFile]:
        """Pictures under their own names, and one annotation file for all of them."""
        for candidate in chosen:
            file_name = self._image(candidate)["file_name"]
            path = f"{FOLDERS['det']}/{split}/{file_name}"
            content = self._pictures[candidate.split].read(file_name)
            yield NewFile(path, content, split, f"COCO2017/{candidate.name}", candidate.split)
        official = self.pools[split]
        part = self._parts[official]
        images = [self._image(candidate) for candidate in chosen]
        found: dict[str, Any] = {
            **part.about,
            "categories": part.categories,
            "images": images,
            "annotations": [entry for image in images for entry in part.fitted[image["id"]].kept],
        }
        path = f"{FOLDERS['det']}/annotations/mini_instances_{split}2017.json"
        source = f"COCO2017/annotations/{_instances(official)}"
        yield NewFile(path, (json.dumps(found) + "\n").encode(), split, source, official)

    def summary(self, chosen: Sequence[Candidate]) -> dict[str, Any]:
        """Adds the number of boxes, and of those that were cut at the edge of their picture or dropped."""
        fitted = [self._parts[each.split].fitted[self._image(each)["id"]] for each in chosen]
        boxes = {
            "kept": sum(len(each.kept) for each in fitted),
            "clipped": sum(each.clipped for each in fitted),
            "dropped": sum(each.dropped for each in fitted),
        }
        return super().summary(chosen) | {"boxes": boxes}

    def _image(self, candidate: Candidate) -> Entry:
        return self._parts[candidate.split].images[PurePosixPath(candidate.name).name]


class _Part:
    """One official annotation file, reduced to the wanted categories.

    Attributes:
        about: COCO's info and licences, as they are.
        categories: The wanted entries of ``categories``, ordered by id.
        images: The entries of ``images`` by file name.
        fitted: The usable annotations of each image id that has annotations of the wanted categories.
    """

    def __init__(self, content: bytes, where: str, categories: Sequence[str]) -> None:
        found = parse_official(content, where)
        self.about: dict[str, Any] = {key: found[key] for key in ("info", "licenses") if key in found}
        wanted = (each for each in found["categories"] if each["name"] in categories)
        self.categories = sorted(wanted, key=lambda each: each["id"])
        self._names = {each["id"]: each["name"] for each in self.categories}
        missing = sorted(set(categories) - set(self._names.values()))
        if missing:
            raise DataError(f"{where}: expected the category {missing[0]}, found none of that name; fetch it again")
        self.images = {image["file_name"]: image for image in found["images"]}
        by_id = {image["id"]: image for image in found["images"]}
        grouped: dict[int, list[Entry]] = {}
        for entry in found["annotations"]:
            if entry["category_id"] in self._names:
                kept = {key: entry[key] for key in _KEPT_KEYS if key in entry}
                grouped.setdefault(entry["image_id"], []).append(kept)
        self.fitted: dict[int, Fitted] = {key: fit_boxes(entries, by_id) for key, entries in grouped.items()}

    def annotated(self) -> list[Entry]:
        """The images in which something usable is annotated."""
        return [image for image in self.images.values() if image["id"] in self.fitted and self.fitted[image["id"]].kept]

    def classes_in(self, image: int) -> frozenset[str]:
        """The categories of the objects of an image; crowds do not count."""
        entries = self.fitted[image].kept
        return frozenset(self._names[each["category_id"]] for each in entries if not each.get("iscrowd"))


def _instances(split: str) -> str:
    return f"instances_{split}2017.json"
