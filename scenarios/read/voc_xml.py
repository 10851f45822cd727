"""Boxes in PASCAL VOC's XML files, one for each image.

``Annotations``, ``JPEGImages`` and the lists ``ImageSets/Main/{train,val}.txt``, as in PASCAL VOC's development kit; or
without lists: the files beside the images in ``<split>``, or in folders by the names that they have by convention, or
where a description says.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from xml.etree.ElementTree import Element

from scenarios.read.boxes import Box, cut_to, sample_of
from scenarios.read.conventional import folders_by_name, only_folders
from scenarios.read.devkit import Wanted, listed_pairs, year_of, years_of
from scenarios.read.joined import by_key, name_below
from scenarios.read.splits import split_folder, split_folders
from scenarios.read.xml_file import load_xml, name_of, objects_of, size_of, understand_object
from scenarios.samples.facts import Facts
from scenarios.samples.findings import LEFT_OUT, Fault, Finding, Notes, collecting
from scenarios.samples.folders import list_files, require_folder, walk
from scenarios.samples.pictures import PICTURES, check_pictures, stored, undecodable
from scenarios.samples.source import SPLITS, Source
from scenarios.samples.stored import StoredSample

ANNOTATIONS = ("annotations", "labels", "xml", "xmls")
"""What folders of XML files are called by convention."""


def boxes_in(path: Path) -> int:
    """How many objects a file has; none if it cannot be read."""
    with suppress(Fault):
        return len(objects_of(load_xml(path)))
    return 0


WANTED = Wanted("Main", "Annotations", ".xml", boxes_in)


def recognises(source: Source) -> bool:
    """Tell whether there are lists for detection, or XML files where those of a split are."""
    root = source.on_disk
    if {*source.train, *source.val}:
        return any((root / parts["annotations"]).is_dir() for parts in (source.train, source.val) if _both(parts))
    return bool(years_of(root, WANTED.lists)) or any(
        list_files(folder, (".xml",))
        for split in SPLITS
        for folder in (*split_folders(root, split), *(each for _, each in folders_by_name(root, split, ANNOTATIONS)))
    )


def read(
    source: Source, split: str, findings: list[Finding], classes: Sequence[str] | None
) -> tuple[list[StoredSample], tuple[str, ...]]:
    """Read one split; an image and its XML file have the same name but for the suffix.

    Objects that are marked as difficult are read as any other, though PASCAL VOC leaves them out of its scores.

    Args:
        source: Where it is: a description may say where the split's ``images`` and ``annotations`` are.
        split: ``train`` or ``val``.
        findings: Is added to: an image or its file is missing or there twice; a file is no XML, or has another size
            than its image; an object has no name, none of ``classes``, or no box; worth knowing: what is read though it
            is not as the format says, boxes that are cut or skipped, difficult objects, and pictures that no list has.
        classes: Class names in index order; ``None`` takes the names of the objects of both splits, in alphabetical
            order.

    Returns:
        Samples with ``boxes``, ``labels`` and ``crowd`` (always false), sorted by file name; the class names in index
        order.

    Raises:
        Fault: A folder or a list is missing, or there are several that may be meant; no object is annotated.
    """
    pairs = _pairs(source, split, findings)
    roots: dict[Path, Element | None] = {}
    for image, path in pairs:
        roots[image] = None
        with collecting(findings, LEFT_OUT, pictures=1):
            roots[image] = load_xml(path)
    if classes is None:
        classes = _class_names(source, split, [root for root in roots.values() if root is not None])
    classes = tuple(classes)
    samples = []
    with Notes(findings, source.on_disk) as notes:
        known = check_pictures(roots, f"detection {split}", notes)
        for image, path in pairs:
            root = roots[image]
            if root is not None:
                with collecting(findings, LEFT_OUT, pictures=1, boxes=len(objects_of(root))):
                    samples.append(_sample(image, known[image], path, root, classes, findings, notes))
    return samples, classes


def _pairs(source: Source, split: str, findings: list[Finding]) -> list[tuple[Path, Path]]:
    """The images with their XML files, in the order of their names."""
    root, parts = source.on_disk, source.split(split)
    if parts:
        if not _both(parts):
            wanted = f"expected {split}: {{images: FOLDER, annotations: FOLDER}}"
            raise Fault(root, f"{wanted}, got {dict(parts)}; name both")
        return _joined(root / parts["images"], root / parts["annotations"], findings)
    if years_of(root, WANTED.lists):
        return listed_pairs(year_of(root, WANTED.lists), split, WANTED, findings)
    if folders_by_name(root, split, ANNOTATIONS):
        return _joined(*only_folders(root, split, ANNOTATIONS, "annotations", findings), findings)
    folder = split_folder(root, split, findings)
    return _joined(folder, folder, findings)


def _joined(images_in: Path, annotations_in: Path, findings: list[Finding]) -> list[tuple[Path, Path]]:
    require_folder(images_in, "detection images")
    require_folder(annotations_in, "their annotations (.xml)")
    there = walk(images_in, PICTURES)
    if not there:
        raise Fault(images_in, f"expected images ({', '.join(PICTURES)}), found none; put the split's images there")
    files = by_key(
        walk(annotations_in, (".xml",)), lambda path: name_below(annotations_in, path), findings, pictures=False
    )
    images = by_key(there, lambda path: name_below(images_in, path), findings, pictures=True)
    for name in sorted(images.keys() - files.keys()):
        problem = f"expected its annotation {annotations_in / name}.xml, found none; add it or remove the image"
        findings.append(Finding(images[name], problem, repair=LEFT_OUT, pictures=1))
    names = {name_below(images_in, path) for path in there}
    for name in sorted(files.keys() - names):
        problem = f"expected an image {images_in / name}.jpg, found none; add it or remove the annotation"
        findings.append(Finding(files[name], problem, repair=LEFT_OUT, boxes=boxes_in(files[name])))
    findings += undecodable(images_in)
    return [(images[name], files[name]) for name in sorted(images.keys() & files.keys())]


def _class_names(source: Source, split: str, roots: Sequence[Element]) -> list[str]:
    """One class list for both splits."""
    names = {name_of(element) for root in roots for element in objects_of(root)}
    for each in SPLITS:
        with suppress(Fault):  # whoever reads that split finds it
            for _, path in _pairs(source, each, []) if each != split else ():
                with suppress(Fault):
                    names |= {name_of(element) for element in objects_of(load_xml(path))}
    names.discard("")
    if not names:
        raise Fault(source.on_disk, "expected annotated objects, found none; annotate some")
    return sorted(names)


def _sample(
    image: Path,
    facts: Facts,
    path: Path,
    root: Element,
    classes: Sequence[str],
    findings: list[Finding],
    notes: Notes,
) -> StoredSample:
    """Join an image and its objects.

    Raises:
        Fault: The image cannot be decoded, or is of another size than its annotation says.
    """
    size = size_of(path, root, notes)
    picture = stored(image, facts, notes, size)
    if size not in (None, picture.size):
        (height, width), (rows, columns) = size, picture.size
        problem = f"the file is {columns} x {rows} pixels but {path} says {width} x {height}"
        raise Fault(image, f"{problem}; use the image that was annotated")
    called = (root.findtext("filename") or "").strip().replace("\\", "/").split("/")[-1]
    if called and Path(called).stem != image.stem:
        notes.add("annotations that give another filename are those of the images of their own name", path.name)
    boxes = []
    for place, element in enumerate(objects_of(root)):
        with collecting(findings, LEFT_OUT, boxes=1):
            where = f"{path.name} object {place}"
            found = understand_object(path, f"object {place}", element)
            if found.name not in classes:
                wanted = f"expected a name of {', '.join(classes)}"
                raise Fault(path, f"object {place}: {wanted}, found {found.name}; rename or remove it")
            if found.from_zero:
                notes.add("boxes that begin at 0, though PASCAL VOC counts from 1, are cut at the edge", where)
            if found.difficult:
                notes.add("objects that PASCAL VOC leaves out of its scores as difficult are read as any other", where)
            corners = cut_to(path, where, found.box, picture.size, notes)
            if corners is not None:
                boxes.append(Box(corners, classes.index(found.name), False, place))
    return sample_of(picture, boxes)


def _both(parts: Mapping[str, str]) -> bool:
    return {"images", "annotations"} <= parts.keys()
