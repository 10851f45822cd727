"""Official annotations of COCO: by the rules of the reader, and strictly, with boxes that lie within their pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scenarios.read.coco_file import parse_annotations, understand
from scenarios.samples.findings import Finding, Notes, refuse_fatal
from scenarios.samples.rules import cut_box

Entry = dict[str, Any]


class Fitted(NamedTuple):
    """Annotations whose boxes lie within their pictures.

    Attributes:
        kept: The annotations that have area, in the order given.
        clipped: How many of them reached over the edge of their picture by more than rounding and were cut there.
        dropped: How many others have no area, or none within their picture.
    """

    kept: list[Entry]
    clipped: int
    dropped: int


def parse_official(content: bytes, where: str) -> dict[str, list[Entry]]:
    """Read an annotation file in which the reader of the layout finds nothing to say.

    Args:
        content: The file.
        where: Its name, for the message.

    Raises:
        DataError: It is no JSON, an entry is of another form, or one contradicts another.
    """
    path = Path(where)
    found = parse_annotations(path, content)
    findings: list[Finding] = []
    with Notes(findings, path) as notes:
        understand(path, found, findings, notes)
    refuse_fatal(path, [Finding(each.file, each.problem) for each in findings])
    return found


def fit_boxes(annotations: Sequence[Entry], images: Mapping[int, Entry]) -> Fitted:
    """Cut boxes at the edges of their pictures, and drop those that have no area there.

    Args:
        annotations: Entries of ``annotations``; each has ``image_id`` and ``bbox``.
        images: The entries of ``images`` by id.

    Returns:
        The annotations that are left; what was not cut is unchanged.
    """
    kept, clipped = [], 0
    for entry in annotations:
        image = images[entry["image_id"]]
        cut = cut_box(entry["bbox"], image["width"], image["height"])
        if cut is None or cut.empty:
            continue
        clipped += cut.outside
        left, top, right, bottom = cut.corners
        kept.append(entry | {"bbox": [left, top, right - left, bottom - top]} if cut.outside else entry)
    return Fitted(kept, clipped, len(annotations) - len(kept))
