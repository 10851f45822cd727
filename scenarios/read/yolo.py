"""The layout of Ultralytics' YOLO: a ``data.yaml``, images, and a text file of boxes for each image.

A row of a text file is ``class cx cy w h``: a class id, and centre and size of a box as shares of the image's sides; or
the class id and the corners of a polygon, of which the box around it is read.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from scenarios.read.boxes import sample_of
from scenarios.read.joined import by_key
from scenarios.read.lines import load_lines
from scenarios.read.yolo_places import (
    description_at,
    descriptions_at,
    listings_of,
    load_description,
    names_of,
    text_of,
)
from scenarios.read.yolo_rows import Row, parse_rows
from scenarios.samples.findings import LEFT_OUT, Fault, Finding, Notes, collecting
from scenarios.samples.pictures import check_pictures, stored
from scenarios.samples.source import Source
from scenarios.samples.stored import StoredSample


def recognises(source: Source) -> bool:
    """Tell whether the path is a YAML file, or holds one."""
    return bool(descriptions_at(source.on_disk))


def read(
    source: Source, split: str, findings: list[Finding], classes: Sequence[str] | None
) -> tuple[list[StoredSample], tuple[str, ...]]:
    """Read one split.

    Args:
        source: Where it is: its path is the ``data.yaml``, or the folder that holds it.
        split: ``train`` or ``val``.
        findings: Is added to: two images have one name; an image cannot be decoded; a listed image is missing; a text
            file cannot be read; a row is of another form, or has an unknown class or an impossible box; worth knowing:
            how many images have no text file, and are read as images without objects, how many text files have no
            image, and what is read though it is not quite as the format says.
        classes: Class names in index order, to which those of the file are mapped by name; ``None`` takes the classes
            of the file, ordered by id.

    Returns:
        Samples with ``boxes``, ``labels`` and ``crowd`` (always false), sorted by file name; the class names in index
        order.

    Raises:
        Fault: The file cannot be read, lacks the split or the names, or has a name that is not among ``classes``; a
            folder is missing, or there are no images.
    """
    path = description_at(source.on_disk)
    content = load_description(path)
    names = names_of(path, content)
    classes = tuple(names.values()) if classes is None else tuple(classes)
    unknown = [name for name in names.values() if name not in classes]
    if unknown:
        problem = f"expected the classes {', '.join(classes)}, found {', '.join(unknown)} too; rename or remove them"
        raise Fault(path, problem)
    labels = {key: classes.index(name) for key, name in names.items()}

    listings = listings_of(path, content, split, findings)
    every = sorted({image for listing in listings for image in listing.images})
    files = {text for listing in listings for text in listing.texts}
    images = by_key(every, lambda image: text_of(path, image), findings, pictures=True)
    findings += _alone(path, images, every, files)
    samples = []
    with Notes(findings, path) as notes:
        known = check_pictures(images.values(), f"detection {split}", notes)
        for text, image in images.items():
            rows: list[Row] | None = None
            with collecting(findings, LEFT_OUT, pictures=1):
                rows = load_lines(text) if text in files else []
            if rows is None:
                continue
            with collecting(findings, LEFT_OUT, pictures=1, boxes=len(rows)):
                picture = stored(image, known[image], notes)
                samples.append(sample_of(picture, parse_rows(text, rows, picture.size, labels, findings, notes)))
    return samples, classes


def _alone(path: Path, images: Mapping[Path, Path], every: Collection[Path], files: Collection[Path]) -> list[Finding]:
    """Say which images have no text file, and which text files no image."""
    bare = sorted(image for text, image in images.items() if text not in files)
    lonely = sorted(set(files) - {text_of(path, image) for image in every})
    found = []
    if bare:
        problem = f"images without a text file have no objects: there are {len(bare)}, such as {bare[0].stem}"
        found.append(Finding(bare[0].parent, problem, fatal=False))
    if lonely:
        problem = f"text files without an image are not read: there are {len(lonely)}, such as {lonely[0].stem}"
        boxes = sum(_boxes_in(text) for text in lonely)
        found.append(Finding(lonely[0].parent, problem, fatal=False, boxes=boxes))
    return found


def _boxes_in(text: Path) -> int:
    """How many rows of a file may be boxes; it may be a list of anything."""
    try:
        return sum(len(row.split()) >= 5 for _, row in load_lines(text))
    except Fault:
        return 0
