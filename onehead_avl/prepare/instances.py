"""COCO's annotation format: reading a file of it, and boxes that lie within their pictures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

from onehead_avl.errors import DataError
from scenarios.samples.rules import NEEDED, cut_box

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


def parse_instances(content: bytes, where: str) -> dict[str, list[Entry]]:
    """Read an annotation file whose lists, keys and types are those of the format.

    Args:
        content: The file.
        where: Its name, for the message.

    Raises:
        DataError: It is no JSON, or of another form.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: expected JSON, found something else ({error}); replace the file") from error
    for part, needed in NEEDED.items():
        entries = found.get(part) if isinstance(found, dict) else None
        if not isinstance(entries, list):
            raise DataError(f"{where}: expected a list {part!r}, found none; replace the file")
        for position, entry in enumerate(entries):
            for key, kind in needed.items():
                if not isinstance(entry, dict) or type(entry.get(key)) is not kind:
                    raise DataError(
                        f"{where}: expected {key!r} of type {kind.__name__} in {part}[{position}], "
                        f"found {entry!r:.80}; mend it"
                    )
    for image in found["images"]:
        if PurePath(image["file_name"]).name != image["file_name"]:
            raise DataError(f"{where}: expected a file_name without folders, found {image['file_name']!r:.80}; mend it")
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
