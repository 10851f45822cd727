"""What an annotation file of PASCAL VOC says: the objects of one image, as XML."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from scenarios.read.numbers import decimal, whole
from scenarios.samples.facts import Size
from scenarios.samples.findings import Fault, Notes, shown

_CORNERS = ("xmin", "ymin", "xmax", "ymax")

_DEEPEST = 20  # elements within elements; PASCAL VOC has five


@dataclass(frozen=True)
class XmlObject:
    """An annotated object.

    Attributes:
        name: Of its class.
        box: ``x, y, w, h`` in pixels from 0, as COCO has it.
        from_zero: Whether it begins at 0, where PASCAL VOC begins at 1.
        difficult: Whether PASCAL VOC leaves it out of its scores.
    """

    name: str
    box: Sequence[float]
    from_zero: bool
    difficult: bool


def load_xml(path: Path) -> Element:
    """Return the root of an annotation file.

    A document type is refused: it may define texts that grow without end, or that are in other files.

    Raises:
        Fault: The file cannot be read, is no XML, or is about something else.
    """
    try:
        root = _parsed(path, path.read_bytes())
    except OSError as error:
        raise Fault(path, f"the file cannot be read ({error.strerror}); check it") from error
    except (expat.ExpatError, ValueError, LookupError) as error:  # LookupError: of an encoding
        raise Fault(path, f"expected XML, found something else ({error}); replace the file") from error
    if root.tag != "annotation":
        raise Fault(path, f"expected an element annotation, found {shown(root.tag)}; replace the file")
    return root


def objects_of(root: Element) -> list[Element]:
    """The objects, which may be anything."""
    return root.findall("object")


def name_of(element: Element) -> str:
    """The name of an object's class without the spaces around it; empty if it has none."""
    return (element.findtext("name") or "").strip()


def size_of(path: Path, root: Element, notes: Notes) -> Size | None:
    """Height and width that a file says; ``None`` where it says none, which is noted.

    Raises:
        Fault: They are no whole numbers.
    """
    found = [(root.findtext(f"size/{side}") or "0").strip() for side in ("height", "width")]
    sides = [whole(side) for side in found]
    if None in sides or min(side for side in sides if side is not None) < 0:
        raise Fault(path, f"expected a size of whole numbers height and width, found {shown(found)}; mend it")
    height, width = sides
    if not height or not width:
        notes.add(
            "images whose annotation has no size, or a size of 0, are taken to have that of their file", path.name
        )
        return None
    return height, width


def understand_object(path: Path, where: str, element: Element) -> XmlObject:
    """Say what an object means.

    PASCAL VOC counts pixels from 1, and a box holds its last row and column: the pixels ``xmin`` to ``xmax`` reach from
    ``xmin - 1`` to ``xmax``.

    Args:
        path: The file, for messages.
        where: The place in it.
        element: The object.

    Raises:
        Fault: It has no name, or no box of four numbers.
    """
    name = name_of(element)
    if not name:
        raise Fault(path, f"{where}: expected a name, found none; add it")
    texts = [element.findtext(f"bndbox/{corner}") for corner in _CORNERS]
    numbers = [decimal(text) for text in texts]
    if None in numbers:
        wanted = f"expected a bndbox of four numbers {', '.join(_CORNERS)}"
        raise Fault(path, f"{where}: {wanted}, found {shown(texts)}; mend it")
    left, top, right, bottom = (number for number in numbers if number is not None)
    difficult = whole((element.findtext("difficult") or "0").strip())
    if difficult not in (0, 1):
        raise Fault(
            path, f"{where}: expected difficult 0 or 1, found {shown(element.findtext('difficult'))}; correct it"
        )
    box = [left - 1, top - 1, right - left + 1, bottom - top + 1]
    return XmlObject(name, box, min(left, top) == 0, bool(difficult))


def _parsed(path: Path, data: bytes) -> Element:
    builder = TreeBuilder()
    depth = 0

    def begin(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise Fault(path, f"expected the elements of an annotation, found them {_DEEPEST} deep; replace the file")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: object) -> NoReturn:
        raise Fault(path, "expected XML without a document type, found one; remove the line <!DOCTYPE ...>")

    parser = expat.ParserCreate()
    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(data, True)
    return builder.close()
