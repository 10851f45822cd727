"""The layout of Ultralytics' YOLO: a ``data.yaml``, folders of images, and a text file of boxes for each image.

A row of a text file is ``class cx cy w h``: a class id, and centre and size of a box as shares of the image's sides.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from scenarios.read.joined import by_stem
from scenarios.samples.findings import Fault, Finding, collecting, shown
from scenarios.samples.pictures import PICTURES, list_files, read_each, read_rgb, require_folder
from scenarios.samples.rules import cut_box
from scenarios.samples.sample import Sample
from scenarios.samples.source import Source

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

Box = tuple[list[float], int]
"""Corners ``x1, y1, x2, y2`` in pixels, and a class index."""


def recognises(source: Source) -> bool:
    """Tell whether the path is a YAML file."""
    return source.on_disk.suffix.lower() in (".yaml", ".yml") and source.on_disk.is_file()


def read(
    source: Source, split: str, findings: list[Finding], classes: Sequence[str] | None
) -> tuple[list[Sample], tuple[str, ...]]:
    """Read one split.

    Args:
        source: Where it is: its path is the ``data.yaml``.
        split: ``train`` or ``val``.
        findings: Is added to: two images have one name; an image cannot be decoded; a row is of another form, has an
            unknown class, or its box reaches outside its image or has no area; worth knowing: how many images have no
            text file, and are read as images without objects, and how many text files have no image.
        classes: Class names in index order, to which those of the file are mapped by name; ``None`` takes the classes
            of the file, ordered by id.

    Returns:
        Samples with ``boxes``, ``labels`` and ``crowd`` (always false), sorted by file name; the class names in index
        order.

    Raises:
        Fault: The file cannot be read, lacks the split or the names, or has a name that is not among ``classes``; a
            folder is missing or holds no images.
    """
    content = load_description(source.on_disk)
    names = names_of(source.on_disk, content)
    classes = tuple(names.values()) if classes is None else tuple(classes)
    unknown = [name for name in names.values() if name not in classes]
    if unknown:
        problem = f"expected the classes {', '.join(classes)}, found {', '.join(unknown)} too; rename or remove them"
        raise Fault(source.on_disk, problem)
    labels = {str(key): classes.index(name) for key, name in names.items()}

    images_in, labels_in = folders_of(source.on_disk, content, split)
    require_folder(images_in, f"{split} images")
    require_folder(labels_in, f"the text files of the {split} images")
    images = by_stem(list_files(images_in, PICTURES), findings)
    if not images:
        raise Fault(images_in, f"expected images ({', '.join(PICTURES)}), found none; put the split's images there")
    texts = by_stem(list_files(labels_in, (".txt",)), findings)
    findings += _alone(images_in, images.keys() - texts.keys(), "images without a text file have no objects")
    findings += _alone(labels_in, texts.keys() - images.keys(), "text files without an image are not read")

    def read_image(stem: str) -> Sample | None:
        return _read_image(images[stem], texts.get(stem), labels, findings)

    return read_each(images, read_image, f"detection {split}", findings), classes


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
        Fault: It cannot be read, or is no mapping.
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


def folders_of(path: Path, content: Mapping[str, Any], split: str) -> tuple[Path, Path]:
    """Return where the images and the text files of a split are.

    Relative paths start at the folder of the file. The text files are where the last folder ``images`` of the path is
    called ``labels``; beside the images if there is none.

    Raises:
        Fault: The file does not say where, by one path.
    """
    root, within = content.get("path"), content.get(split)
    if root is not None and not isinstance(root, str):
        raise Fault(path, f"expected path to be a folder, found {shown(root)}; correct it")
    if not isinstance(within, str):
        raise Fault(path, f"expected {split} to be one folder of images, found {shown(within)}; name it")
    parts = Path(root or "", within).parts
    renamed = list(parts)
    if "images" in parts:
        renamed[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return path.parent.joinpath(*parts), path.parent.joinpath(*renamed)


def parse_rows(path: Path, size: tuple[int, int], labels: Mapping[str, int], findings: list[Finding]) -> list[Box]:
    """Read the rows of a text file.

    Args:
        path: The file.
        size: Width and height of its image in pixels.
        labels: The class index of each class id, as it is written.
        findings: Is added to: a row is of another form, or has an unknown class or an impossible box.

    Raises:
        Fault: The file cannot be read.
    """
    try:
        rows = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise Fault(path, f"the file cannot be read ({error.strerror}); check it") from error
    except ValueError as error:
        raise Fault(path, f"expected text, found something else ({error}); replace the file") from error
    boxes = []
    for number, row in enumerate(rows, start=1):
        if row.strip():
            with collecting(findings):
                boxes.append(_parse_row(path, number, row, size, labels))
    return boxes


def _parse_row(path: Path, number: int, row: str, size: tuple[int, int], labels: Mapping[str, int]) -> Box:
    where = f"line {number}"
    fields = row.split()
    if len(fields) != 5 or not all(_NUMBER.fullmatch(field) for field in fields):
        raise Fault(path, f"{where}: expected class cx cy w h, five numbers, found {shown(row)}; mend it")
    if fields[0] not in labels:
        raise Fault(
            path, f"{where}: expected a class id of names ({', '.join(labels)}), found {shown(fields[0])}; correct it"
        )
    width, height = size
    cx, cy, w, h = map(float, fields[1:])
    cut = cut_box([(cx - w / 2) * width, (cy - h / 2) * height, w * width, h * height], width, height)
    if cut is None or cut.outside:
        problem = "reaches outside its image; centre and size are shares of the image's sides, from 0 to 1"
        raise Fault(path, f"{where}: the box {shown(row)} {problem}")
    if cut.empty:
        raise Fault(path, f"{where}: the box {shown(row)} has no area in its image; remove it")
    return list(cut.corners), labels[fields[0]]


def _read_image(image: Path, text: Path | None, labels: Mapping[str, int], findings: list[Finding]) -> Sample:
    pixels = read_rgb(image)
    _, height, width = pixels.shape
    boxes = [] if text is None else parse_rows(text, (width, height), labels, findings)
    return Sample(
        str(image),
        pixels,
        {
            "boxes": torch.tensor([corners for corners, _ in boxes], dtype=torch.float32).reshape(-1, 4),
            "labels": torch.tensor([label for _, label in boxes], dtype=torch.int64),
            "crowd": torch.zeros(len(boxes), dtype=torch.bool),
        },
    )


def _alone(folder: Path, stems: set[str], problem: str) -> list[Finding]:
    if not stems:
        return []
    return [Finding(folder, f"{problem}: there are {len(stems)}, such as {min(stems)}", fatal=False)]
