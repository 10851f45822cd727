"""What somebody's data folder holds, read as forgivingly as can be: what cannot be used is left out and reported."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from onehead_avl.errors import DataError
from onehead_avl.prepare.imagenette import SUFFIXES
from onehead_avl.prepare.instances import Entry, fit_boxes, parse_instances
from onehead_avl.prepare.pictures import decode_mask, decode_picture
from onehead_avl.prepare.progress import bar
from onehead_avl.prepare.voc import require_classes
from scenarios.challenge import FOLDERS
from scenarios.samples.classes import VOC_CLASSES


class Finding(NamedTuple):
    """Something that is wrong with a data folder.

    Attributes:
        what: The problem, and what is done about it.
        files: The files it is about, relative to the folder; empty if it is about all.
    """

    what: str
    files: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = ", ".join(self.files[:3]) + (f" and {len(self.files) - 3} more" if len(self.files) > 3 else "")
        return f"{self.what}: {shown}" if shown else self.what


class Existing(NamedTuple):
    """A picture of a data folder.

    Attributes:
        path: Its file.
        digest: Checksum of its pixels.
        classes: The classes annotated in it.
        mask: Its mask, for segmentation.
        image: Its entry in the annotation file, for detection.
    """

    path: Path
    digest: bytes
    classes: frozenset[str]
    mask: Path | None = None
    image: Entry | None = None


class Detection(NamedTuple):
    """The detection data of one split.

    Attributes:
        pictures: The pictures that can be used.
        content: The annotation file with the annotations that can be used.
    """

    pictures: list[Existing]
    content: dict[str, Any]


def read_segmentation(root: Path, split: str, findings: list[Finding]) -> list[Existing]:
    """The pictures that have a mask, and both can be used.

    Args:
        root: The data folder.
        split: ``train`` or ``val``.
        findings: What is wrong is added to it.

    Raises:
        DataError: There is no such folder.
    """
    folder = _require(root / FOLDERS["seg"] / split)
    parts = [folder / "JPEGImages", folder / "SegmentationClass"]
    pictures_in, masks_in = parts if any(part.is_dir() for part in parts) else (folder, folder)
    pictures = _list(pictures_in, (".jpg", ".jpeg"))
    masks = {mask.stem: mask for mask in _list(masks_in, (".png",))}
    alone = [path for path in pictures if path.stem not in masks]
    alone += [masks[stem] for stem in sorted(masks.keys() - {path.stem for path in pictures})]
    _report(findings, "segmentation: a picture without its mask, or a mask without its picture; left out", root, alone)

    def read(path: Path, name: str) -> Existing:
        where = masks[path.stem].relative_to(root).as_posix()
        mask = require_classes(decode_mask(_read(masks[path.stem], where), where), where)
        picture = decode_picture(_read(path, name), name)
        if picture.size != mask.size:
            raise DataError(f"{where}: the mask has another size than its picture; replace one of them")
        classes = frozenset(VOC_CLASSES[value] for value in mask.values if 0 < value < len(VOC_CLASSES))
        return Existing(path, picture.digest, classes, mask=masks[path.stem])

    paired = [path for path in pictures if path.stem in masks]
    return list(_usable(root, paired, read, f"segmentation {split}", findings))


def read_detection(root: Path, split: str, findings: list[Finding]) -> Detection:
    """The listed pictures that can be used, and the annotations that can.

    Args:
        root: The data folder.
        split: ``train`` or ``val``.
        findings: What is wrong is added to it.

    Raises:
        DataError: There is no such folder, or the annotation file cannot be read or has the id of a picture or
            category twice.
    """
    folder = _require(root / FOLDERS["det"] / split)
    path = folder.parent / "annotations" / f"mini_instances_{split}2017.json"
    name = path.relative_to(root).as_posix()
    content = parse_instances(_read(path, str(path)), str(path))
    for part in ("images", "categories"):
        _require_unique(path, part, [entry["id"] for entry in content[part]])
    names = {entry["id"]: entry["name"] for entry in content["categories"]}
    images = {entry["id"]: entry for entry in content["images"]}

    sound = [
        entry
        for entry in content["annotations"]
        if entry["image_id"] in images and entry["category_id"] in names and entry.get("iscrowd", 0) in (0, 1)
    ]
    fitted = fit_boxes(sound, images)
    for number, what in (
        (
            len(content["annotations"]) - len(sound),
            "of an unknown picture or category, or with a strange iscrowd; left out",
        ),
        (fitted.dropped, "without area in their picture; left out"),
        (fitted.clipped, "reaching over the edge of their picture; cut there"),
    ):
        if number:
            findings.append(Finding(f"{name}: {number} of {len(content['annotations'])} annotations {what}"))
    kept = fitted.kept
    repeated = len(kept) - len({entry["id"] for entry in kept})
    if repeated:
        findings.append(Finding(f"{name}: {repeated} annotations have the id of another; all are numbered anew"))
        kept = [entry | {"id": number} for number, entry in enumerate(kept, start=1)]
    classes: dict[int, set[str]] = {key: set() for key in images}
    for entry in kept:
        if not entry.get("iscrowd"):
            classes[entry["image_id"]].add(names[entry["category_id"]])

    listed = {image["file_name"]: image for image in content["images"]}
    present = {each.name: each for each in _list(folder, SUFFIXES)}
    unlisted = [present[each] for each in sorted(present.keys() - listed.keys())]
    _report(findings, "detection: not listed in the annotation file; left out", root, unlisted)

    def read(path: Path, name: str) -> Existing:
        image = listed[path.name]
        picture = decode_picture(_read(path, name), name)
        if picture.size != (image["width"], image["height"]):
            raise DataError(f"{name}: the picture has another size than its annotations say; replace it")
        return Existing(path, picture.digest, frozenset(classes[image["id"]]), image=image)

    paths = [folder / file_name for file_name in sorted(listed)]
    usable = list(_usable(root, paths, read, f"detection {split}", findings))
    return Detection(usable, content | {"annotations": kept})


def read_classification(root: Path, split: str, findings: list[Finding]) -> list[Existing]:
    """The pictures of all classes that can be used.

    Args:
        root: The data folder.
        split: ``train`` or ``val``.
        findings: What is wrong is added to it.

    Raises:
        DataError: There is no such folder.
    """
    folder = _require(root / FOLDERS["cls"] / split)
    classes = sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))

    def read(path: Path, name: str) -> Existing:
        return Existing(path, decode_picture(_read(path, name), name).digest, frozenset([path.parent.name]))

    paths = [path for each in classes for path in _list(each, SUFFIXES)]
    return list(_usable(root, paths, read, f"classification {split}", findings))


def _usable(
    root: Path, paths: Sequence[Path], read: Callable[[Path, str], Existing], title: str, findings: list[Finding]
) -> Iterator[Existing]:
    """The pictures that ``read`` accepts; its complaint about another becomes a finding."""
    with bar(f"reading {title}", len(paths), "picture") as progress:
        for path in paths:
            try:
                yield read(path, path.relative_to(root).as_posix())
            except DataError as error:
                findings.append(Finding(f"{error} (left out of the copy)"))
            progress.update()


def _report(findings: list[Finding], what: str, root: Path, paths: Sequence[Path]) -> None:
    if paths:
        findings.append(Finding(what, tuple(path.relative_to(root).as_posix() for path in paths)))


def _require(folder: Path) -> Path:
    if not folder.is_dir():
        raise DataError(f"{folder}: expected this folder, there is none; name the tasks that are there with --tasks")
    return folder


def _require_unique(path: Path, part: str, ids: Sequence[int]) -> None:
    twice = [each for each, times in Counter(ids).items() if times > 1]
    if twice:
        raise DataError(f"{path}: expected every id in {part!r} once, found {twice[0]} more than once; mend it")


def _list(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(e for e in folder.iterdir() if e.suffix.lower() in suffixes and not e.name.startswith("."))


def _read(path: Path, where: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{where}: the file cannot be read ({error.strerror}); put it there") from error
