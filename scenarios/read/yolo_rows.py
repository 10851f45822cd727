"""The rows of a text file of Ultralytics': one object each, as a box or as the polygon around it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from scenarios.read.boxes import Box, cut_to
from scenarios.read.numbers import whole
from scenarios.samples.facts import Size
from scenarios.samples.findings import LEFT_OUT, Fault, Finding, Notes, collecting, shown

Row = tuple[int, str]
"""The number of a line, and what it holds."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

_MOST = 2.0
"""Numbers beyond it are no shares of an image's sides, of which those of a box over its edge may exceed 1."""


def parse_rows(
    path: Path, rows: Sequence[Row], size: Size, labels: Mapping[int, int], findings: list[Finding], notes: Notes
) -> list[Box]:
    """Read the rows of a text file.

    Args:
        path: The file.
        rows: Its rows with their numbers.
        size: Height and width of its image in pixels.
        labels: The class index of each class id.
        findings: Is added to: a row is of another form, or has an unknown class or an impossible box.
        notes: Is told of rows that are there twice and read once, of polygons, of ids that are written as decimals, and
            of boxes that are cut or skipped.
    """
    boxes = []
    seen: set[tuple[str, ...]] = set()
    for number, row in rows:
        fields = tuple(row.split())
        if fields in seen:
            notes.add("rows that repeat another one of their file are read once", f"{path.name} line {number}", boxes=1)
            continue
        seen.add(fields)
        with collecting(findings, LEFT_OUT, boxes=1):
            box = _parse_row(path, number, row, size, labels, notes)
            if box is not None:
                boxes.append(box)
    return boxes


def _parse_row(path: Path, number: int, row: str, size: Size, labels: Mapping[int, int], notes: Notes) -> Box | None:
    where, named = f"line {number}", f"{path.name} line {number}"
    fields = row.split()
    if len(fields) == 6:
        problem = "the sixth is a confidence, so these are predictions; use what was annotated, five numbers a row"
        raise Fault(path, f"{where}: expected class cx cy w h, found six numbers {shown(row)}; {problem}")
    polygon = len(fields) >= 7 and len(fields) % 2 == 1
    if not (len(fields) == 5 or polygon) or not all(_NUMBER.fullmatch(field) for field in fields):
        raise Fault(path, f"{where}: expected class cx cy w h, five numbers, found {shown(row)}; mend it")
    key = whole(fields[0])
    if key is None or key not in labels:
        known = ", ".join(map(str, labels))
        raise Fault(path, f"{where}: expected a class id of names ({known}), found {shown(fields[0])}; correct it")
    numbers = [float(field) for field in fields[1:]]
    if max(map(abs, numbers)) > _MOST:
        problem = "reaches outside its image; centre and size are shares of the image's sides, from 0 to 1"
        raise Fault(path, f"{where}: the box {shown(row)} {problem}")
    if "." in fields[0]:
        notes.add("class ids written as decimals are read as whole numbers", named)
    if polygon:
        notes.add("polygons are read as the boxes around them", named)
    height, width = size
    left, top, across, down = _around(numbers) if polygon else _centred(numbers)
    corners = cut_to(path, named, [left * width, top * height, across * width, down * height], size, notes)
    return None if corners is None else Box(corners, labels[key], False, number)


def _centred(numbers: Sequence[float]) -> tuple[float, float, float, float]:
    cx, cy, w, h = numbers
    return cx - w / 2, cy - h / 2, w, h


def _around(numbers: Sequence[float]) -> tuple[float, float, float, float]:
    xs, ys = numbers[::2], numbers[1::2]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
