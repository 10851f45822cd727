"""Where the images and the annotation file of COCO's format are, by the names that people give them.

Importing it is cheap: no torch.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from scenarios.read.splits import OTHER_NAMES, meaning, split_folders
from scenarios.samples.findings import Fault, Finding
from scenarios.samples.folders import list_files
from scenarios.samples.source import SPLITS, Source

Places = tuple[Path, Path]
"""A folder of images, and their annotation file."""

CHALLENGE = "annotations/mini_instances_{split}2017.json"
"""Where the challenge has the annotations of a split; its images are in a folder with the split's name."""

ROBOFLOW = "_annotations.coco.json"
"""What Roboflow calls the annotation file, which it puts beside the images of a split."""


def recognises(source: Source) -> bool:
    """Tell whether annotation files are named, or some are where people put them."""
    root, named = source.on_disk, [parts for parts in (source.train, source.val) if parts]
    if named:
        return any("annotations" in parts and not (root / parts["annotations"]).is_dir() for parts in named)
    return any(annotation_files(root, split) for split in SPLITS)


def places(source: Source, split: str) -> Places:
    """Where the folder of images and the annotation file of a split are.

    Where there is none, it is said where the challenge has them.

    Raises:
        Fault: A description names one of them only; there are several that may be meant.
    """
    root, parts = source.on_disk, source.split(split)
    if parts:
        if not {"images", "annotations"} <= parts.keys():
            problem = f"expected {split}: {{images: FOLDER, annotations: FILE}}, got {dict(parts)}; name both"
            raise Fault(root, problem)
        return root / parts["images"], root / parts["annotations"]
    files = annotation_files(root, split)
    if not files:
        if any(annotation_files(root, each) not in ([], [_challenge(root, each)]) for each in SPLITS):
            raise Fault(root, f"expected an annotation file of the split {split}, found none; {_way_out(split)}")
        return root / split, _challenge(root, split)
    file = _only(root, split, "annotation file", files)
    return _images_of(root, split, file), file


def places_noted(source: Source, split: str, findings: list[Finding]) -> Places:
    """The same, and which files these are, where the challenge has others; it is only worth knowing.

    Raises:
        Fault: As :func:`places`.
    """
    root = source.on_disk
    folder, file = places(source, split)
    if not source.split(split) and file != _challenge(root, split):
        problem = f"{split} is read from {folder.relative_to(root) or '.'} and {file.relative_to(root)}"
        findings.append(Finding(root, problem, fatal=False))
    return folder, file


def annotation_files(root: Path, split: str) -> list[Path]:
    """The files that may be the annotations of a split; there should be one.

    The challenge's come first, then COCO's own, then others; those of the other two are passed over where there is one.

    Args:
        root: Where to look; it need not exist.
        split: ``train`` or ``val``.
    """
    if _challenge(root, split).is_file():
        return [_challenge(root, split)]
    folder = root / "annotations"
    listed = list_files(folder, (".json",)) if folder.is_dir() else []
    found = [path for path in listed if _speaks_of(split, path.stem)]
    official = [path for path in found if re.fullmatch(rf"instances_{split}20\d\d", path.stem)]
    beside = [each / ROBOFLOW for each in split_folders(root, split)]
    return [*(official or found), *(path for path in beside if path.is_file())]


def _challenge(root: Path, split: str) -> Path:
    return root / CHALLENGE.format(split=split)


def _speaks_of(split: str, stem: str) -> bool:
    """Whether a word of a name means a split, as in ``instances_train2017``, and not as in ``constraint``."""
    return bool(meaning(split, re.split(r"[^a-zA-Z]+", stem)))


def _images_of(root: Path, split: str, file: Path) -> Path:
    """The folder of images that belongs to an annotation file.

    Raises:
        Fault: There are several, or none.
    """
    if file.name == ROBOFLOW and file.parent != root / "annotations":
        return file.parent
    if file == _challenge(root, split):
        return root / split
    year = re.search(r"20\d\d$", file.stem)
    names = [
        f"{name}{suffix}" for name in (split, *OTHER_NAMES[split]) for suffix in ("", year.group() if year else "")
    ]
    tried = [parent / name for parent in (root, root / "images") for name in dict.fromkeys(names)]
    found = [folder for folder in tried if folder.is_dir()] or [each for each in [root / "images"] if each.is_dir()]
    if not found:
        wanted = f"expected a folder of the images of {file.name}, such as {split} or images/{split}"
        raise Fault(root, f"{wanted}, found none; {_way_out(split)}")
    return _only(root, split, f"folder of the images of {file.name}", found)


def _only(root: Path, split: str, called: str, found: Sequence[Path]) -> Path:
    if len(found) > 1:
        names = ", ".join(path.relative_to(root).as_posix() for path in found)
        raise Fault(root, f"expected one {called} for the split {split}, found {names}; {_way_out(split)}")
    return found[0]


def _way_out(split: str) -> str:
    return f"name them in a description, {split}: {{images: FOLDER, annotations: FILE}}"
