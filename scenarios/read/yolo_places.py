"""What a ``data.yaml`` of Ultralytics' says: class names, and where the images and the text files of a split are."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scenarios.read.lines import load_lines
from scenarios.read.splits import called_otherwise, meaning
from scenarios.samples.findings import LEFT_OUT, Fault, Finding, Notes, shown
from scenarios.samples.folders import list_files, require_folder, walk
from scenarios.samples.pictures import PICTURES, undecodable, unread
from scenarios.samples.source import SPLITS

_NAMED = ("data", "dataset")
"""What a description is called where it lies beside other YAML files."""

_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Listing:
    """What an entry of a split stands for.

    Attributes:
        images: The images.
        texts: The text files that lie where those of these images do; of a list only those of its images.
    """

    images: Sequence[Path]
    texts: Sequence[Path]


def descriptions_at(path: Path) -> list[Path]:
    """The files that may be the description at a path, the file or the folder that holds it; there should be one."""
    if path.is_file():
        return [path] if path.suffix.lower() in _SUFFIXES else []
    listed = list_files(path, _SUFFIXES) if path.is_dir() else []
    return [file for file in listed if file.stem.lower() in _NAMED] or listed


def description_at(path: Path) -> Path:
    """The description at a path.

    Raises:
        Fault: There is none, or there are several.
    """
    found = descriptions_at(path)
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise Fault(path, f"expected one description such as data.yaml, found {names}; name the one to read as path")
    return found[0] if found else path


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which takes the last of two equal keys, made to refuse them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Build a mapping whose keys differ."""
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if (key.tag, key.value) in seen:
                problem = f"found the key {key.value} more than once"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def load_description(path: Path) -> Mapping[str, Any]:
    """Return the content of a ``data.yaml``.

    Raises:
        Fault: It cannot be read, is no mapping, or describes poses.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8-sig"), _Loader)
    except OSError as error:
        raise Fault(path, f"the file cannot be read ({error.strerror}); put it there") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise Fault(path, f"expected YAML, found something else ({reason}); mend the file") from error
    if not isinstance(content, dict):
        raise Fault(path, f"expected a mapping with train, val and names, found {shown(content)}; replace the file")
    if "kpt_shape" in content:
        raise Fault(path, "expected boxes, found poses (kpt_shape); write class cx cy w h only, and remove the key")
    return content


def names_of(path: Path, content: Mapping[str, Any]) -> dict[int, str]:
    """Return the class names by id, ordered by id.

    Raises:
        Fault: There are none, one is no text or is there twice, an id is no whole number, or ``nc`` counts otherwise.
    """
    names = content.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise Fault(path, f"expected names, a list or a mapping of ids to class names, found {shown(names)}; add them")
    for key, name in names.items():
        if type(key) is not int or key < 0:
            raise Fault(path, f"names: expected ids 0, 1, 2, ..., found {shown(key)}; correct it")
        if not isinstance(name, str) or not name:
            raise Fault(path, f"names: expected a text for {key}, found {shown(name)}; write it in quotes")
    if len(set(names.values())) < len(names):
        raise Fault(path, f"names: expected every name once, found {', '.join(names.values())}; rename one")
    if content.get("nc", len(names)) != len(names):
        raise Fault(
            path, f"expected nc to be the number of names, {len(names)}, found {shown(content['nc'])}; correct it"
        )
    return dict(sorted(names.items()))


def listings_of(path: Path, content: Mapping[str, Any], split: str, findings: list[Finding]) -> list[Listing]:
    """Return what a split consists of: a folder of images, a file that lists images, or several of either.

    Args:
        path: The ``data.yaml``; relative paths start at its folder, or at ``path`` from there.
        content: What it holds.
        split: ``train`` or ``val``.
        findings: Is added to: a listed image is missing; worth knowing: the split is called otherwise, a path is not
            quite where it is said to be, and pictures that are not read.

    Raises:
        Fault: It does not say where; a folder or a list is missing; there are no images.
    """
    entries = _entries(path, content, split, findings)
    places = [_resolved(path, content, entry, findings) for entry in entries]
    listings = [
        _listed(path, content, place, split, findings)
        if os.path.isfile(place)
        else _in_folder(path, place, split, findings)
        for place in places
    ]
    if not any(listing.images for listing in listings):
        problem = f"expected images ({', '.join(PICTURES)}), found none; put the split's images there"
        raise Fault(places[0], problem)
    return listings


def text_of(path: Path, image: Path) -> Path:
    """Where the text file of an image is: where the last folder ``images`` of its path is called ``labels``.

    Args:
        path: The ``data.yaml``; of images below its folder, only what is below it counts.
        image: The image.
    """
    root = _absolute(path.parent)
    below = image.relative_to(root) if image.is_relative_to(root) else image
    parts = list(below.parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return root.joinpath(*parts).with_suffix(".txt")


def _entries(path: Path, content: Mapping[str, Any], split: str, findings: list[Finding]) -> list[str]:
    """What is said of a split."""
    found = meaning(split, [key for key in content if isinstance(key, str)])
    if len(found) > 1:
        raise Fault(path, f"expected one key for the split {split}, found {' and '.join(found)}; remove all but one")
    said = content[found[0]] if found else None
    listed = said if isinstance(said, list) else [said]
    entries = [entry for entry in listed if isinstance(entry, str) and entry]
    if not entries or len(entries) < len(listed):
        wanted = f"expected {split} to be a folder of images, a .txt that lists images, or a list of those"
        raise Fault(path, f"{wanted}, found {shown(said)}; name it")
    findings += called_otherwise(path, split, found[0])
    return entries


def _resolved(path: Path, content: Mapping[str, Any], entry: str, findings: list[Finding]) -> Path:
    """The place that an entry means; the one that it says if there is nothing anywhere."""
    root = content.get("path")
    if root is not None and not isinstance(root, str):
        raise Fault(path, f"expected path to be a folder, found {shown(root)}; correct it")
    inner = entry.removeprefix("../")
    tried = [Path(root or "", entry), Path(entry), Path(root or "", inner), Path(inner)]
    for number, place in enumerate(_absolute(path.parent / each) for each in tried):
        if os.path.exists(place):
            if place != _absolute(path.parent / tried[0]):
                said = f"{shown(str(tried[0]))} is not there"
                without = ("path:", "path:", "../", "path: and ../")[number]
                findings.append(
                    Finding(path, f"{said}: {place} is read, which is there without {without}", fatal=False)
                )
            return place
    return _absolute(path.parent / tried[0])


def _in_folder(path: Path, folder: Path, split: str, findings: list[Finding]) -> Listing:
    """All images below a folder."""
    require_folder(folder, f"{split} images")
    images = walk(folder, PICTURES)
    findings += undecodable(folder)
    folders = {text_of(path, image).parent for image in images}
    mirrored = text_of(path, folder / "any.jpg").parent
    if images and not any(each.is_dir() for each in (mirrored, *folders)):
        require_folder(min(folders), f"the text files of the {split} images")
    texts = {text for each in folders if each.is_dir() for text in list_files(each, (".txt",))}
    texts |= set(walk(mirrored, (".txt",)) if mirrored.is_dir() else ())
    return Listing(images, sorted(texts))


def _listed(path: Path, content: Mapping[str, Any], file: Path, split: str, findings: list[Finding]) -> Listing:
    """The images that a file lists, one in a line."""
    names = load_lines(file)
    found: dict[Path, None] = {}
    with Notes(findings, file) as notes:
        for number, name in names:
            image = _find(path, content, file, name)
            if image is None:
                problem = f"line {number}: expected an image, found none at {shown(name)}; add it or remove the line"
                findings.append(Finding(file, problem, repair=LEFT_OUT))
            elif image in found:
                notes.add("images that are listed more than once are read once", name)
            else:
                found[image] = None
    read = {*found, *_listed_otherwise(path, content)}
    for folder in sorted({image.parent for image in found}):
        others = [image for image in list_files(folder, PICTURES) if image not in read]
        findings += unread(folder, others, f"that {path.name} lists neither for train nor for val")
    texts = [text for image in found if os.path.isfile(text := text_of(path, image))]
    return Listing(list(found), texts)


def _find(path: Path, content: Mapping[str, Any], file: Path, name: str) -> Path | None:
    """The image of a line: from the folder of the list, or from that of the description."""
    root = content.get("path")
    for start in (file.parent, path.parent / (root if isinstance(root, str) else ""), path.parent):
        if os.path.isfile(start / name):
            return _absolute(start / name)
    return None


def _listed_otherwise(path: Path, content: Mapping[str, Any]) -> set[Path]:
    """What the lists of both splits name; whoever reads a split finds what is wrong with it."""
    images: set[Path] = set()
    for split in SPLITS:
        try:
            for entry in _entries(path, content, split, []):
                place = _resolved(path, content, entry, [])
                names = load_lines(place) if place.is_file() else []
                images |= {image for _, name in names if (image := _find(path, content, place, name))}
                images |= set() if place.is_file() else set(walk(require_folder(place, "images"), PICTURES))
        except Fault:
            continue
    return images


def _absolute(place: Path) -> Path:
    return Path(os.path.normpath(place))
