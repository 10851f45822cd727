"""Labels in a CSV file with the columns ``file``, ``label`` and ``split``; files are relative to it."""

import csv
import io
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from scenarios.read.splits import OTHER_NAMES, called_otherwise, meaning
from scenarios.samples.facts import Facts
from scenarios.samples.findings import LEFT_OUT, Fault, Finding, Notes, collecting, shown
from scenarios.samples.pictures import check_pictures, stored
from scenarios.samples.source import SPLITS, Source
from scenarios.samples.stored import StoredSample

HEADER = ("file", "label", "split")
"""The columns."""

DELIMITERS = (",", ";", "\t")
"""What may stand between columns; the header tells which."""

UNREAD = ("test", *(name for names in OTHER_NAMES.values() for name in names))
"""Splits whose rows are not read, and counted, unless they stand for one that has no rows of its own name."""


class Row(NamedTuple):
    """A row of the table and the number of its line."""

    line: int
    file: str
    label: str
    split: str


def recognises(source: Source) -> bool:
    """Tell whether the path is a CSV file."""
    return source.on_disk.suffix.lower() == ".csv" and source.on_disk.is_file()


def read(
    source: Source, split: str, findings: list[Finding], classes: Sequence[str] | None
) -> tuple[list[StoredSample], tuple[str, ...]]:
    """Read one split.

    Args:
        source: Where it is: its path is the table.
        split: ``train`` or ``val``.
        findings: Is added to, with the line: a row is of another form or names an unknown split; a file is there
            twice, lies outside, is missing or cannot be decoded; a label is not among ``classes``; worth knowing:
            columns and splits that are not read, and splits that are called otherwise.
        classes: Class names in index order; ``None`` takes the labels of the rows of both splits in alphabetical order.

    Returns:
        Samples with ``label`` in the order of the table; the class names in index order.

    Raises:
        Fault: The table cannot be read, or lacks a column, or has no row of the split, or two names for it.
    """
    path = source.on_disk
    rows = rows_of(path, load_rows(path, findings), findings)
    if classes is None:
        classes = sorted({row.label for row in rows})
    classes = tuple(classes)
    chosen = [row for row in rows if row.split == split]
    if not chosen:
        raise Fault(path, f"expected rows of the split {split}, found none; add some")

    samples = []
    files = {row: path.parent / row.file for row in chosen}
    with Notes(findings, path) as notes:
        known = check_pictures(
            [file for file in files.values() if os.path.isfile(file)], f"classification {split}", notes
        )
        for row, file in files.items():
            with collecting(findings, LEFT_OUT, pictures=int(file in known)):
                samples.append(_sample_of(path, row, known.get(file), classes, notes))
    return samples, classes


def load_rows(path: Path, findings: list[Finding]) -> list[Row]:
    """Return the rows that have as many values as the header, and a file, a label and a split without spaces around.

    Args:
        path: The table.
        findings: Is added to: a row is of another form; worth knowing: other columns.

    Raises:
        Fault: The table cannot be read, is no text, or lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except OSError as error:
        raise Fault(path, f"the table cannot be read ({error.strerror}); put it there") from error
    except ValueError as error:
        raise Fault(path, f"expected text, found something else ({error}); replace the file") from error
    delimiter, header = _header_of(path, text)
    others = [name for name in header if name not in HEADER]
    if others:
        problem = f"columns other than {', '.join(HEADER)} are not read: {shown(', '.join(others))}"
        findings.append(Finding(path, problem, fatal=False))
    places = [header.index(name) for name in HEADER]
    rows = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        next(reader)
        for values in reader:
            chosen = [values[place] for place in places] if len(values) == len(header) else [""]
            if all(value and value == value.strip() for value in chosen):
                rows.append(Row(reader.line_num, *chosen))
            elif values:  # not an empty line
                wanted = f"expected {delimiter.join(header)} without spaces around"
                found = shown(delimiter.join(values))
                findings.append(Finding(path, f"line {reader.line_num}: {wanted}, found {found}; mend it"))
    except csv.Error as error:
        raise Fault(path, f"line {reader.line_num}: expected CSV, found something else ({error}); mend it") from error
    return rows


def _header_of(path: Path, text: str) -> tuple[str, list[str]]:
    """What stands between the columns, and what they are called.

    Raises:
        Fault: A column is missing, or there twice.
    """
    for delimiter in DELIMITERS:
        try:
            header = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), [])
        except csv.Error:
            continue
        if all(header.count(name) == 1 for name in HEADER):
            return delimiter, header
    first = text.split("\n", 1)[0].rstrip("\r")
    raise Fault(path, f"line 1: expected the header {','.join(HEADER)}, found {shown(first)}; add it")


def rows_of(path: Path, rows: Sequence[Row], findings: list[Finding]) -> list[Row]:
    """Return the rows of the splits that are read, which get their own names.

    Args:
        path: The table, for messages.
        rows: Its rows.
        findings: Is added to: a row names an unknown split, or a file that another row names too; worth knowing: how
            many rows are of other splits, and what stands for a split that has no rows of its own name.

    Raises:
        Fault: Two names may stand for a split.
    """
    known = _splits_by_name(path, rows, findings)
    first: dict[str, int] = {}
    unread: Counter[str] = Counter()
    kept = []
    for row in rows:
        file = path.parent / row.file
        with collecting(findings, pictures=int(row.file not in first and os.path.isfile(file))):
            if row.split not in known and row.split in UNREAD:
                unread[row.split] += 1
                continue
            if row.split not in known:
                expected = ", ".join((*SPLITS, *UNREAD))
                raise Fault(
                    path, f"line {row.line}: expected a split of {expected}, found {shown(row.split)}; correct it"
                )
            if Path(row.file).is_absolute() or ".." in Path(row.file).parts:
                wanted = f"expected a file within {path.parent}"
                raise Fault(path, f"line {row.line}: {wanted}, found {shown(row.file)}; correct it")
            if row.file in first:
                problem = f"{shown(row.file)} is in line {first[row.file]} too; remove one of them"
                raise Fault(path, f"line {row.line}: expected every file once, {problem}")
            first[row.file] = row.line
            kept.append(row._replace(split=known[row.split]))
    for split, count in sorted(unread.items()):
        problem = f"rows of the split {split} are not read: there are {count}"
        findings.append(Finding(path, problem, fatal=False, pictures=count))
    return kept


def _splits_by_name(path: Path, rows: Sequence[Row], findings: list[Finding]) -> dict[str, str]:
    """Which split each name stands for: its own, or another one where no row has that."""
    names = dict.fromkeys(row.split for row in rows)
    known = {split: split for split in SPLITS}
    for split in SPLITS:
        found = [] if split in names else meaning(split, names)
        if len(found) > 1:
            raise Fault(path, f"expected one name for the split {split}, found {' and '.join(found)}; rename one")
        for name in found:
            known[name] = split
            findings += called_otherwise(path, split, name)
    return known


def _sample_of(path: Path, row: Row, facts: Facts | None, classes: Sequence[str], notes: Notes) -> StoredSample:
    where = f"line {row.line}"
    file = path.parent / row.file
    if row.label not in classes:
        raise Fault(path, f"{where}: expected a label of {', '.join(classes)}, found {shown(row.label)}; correct it")
    if facts is None:
        raise Fault(path, f"{where}: expected an image (add it or remove the row), found none at {file}")
    try:
        picture = stored(file, facts, notes)
    except Fault as fault:
        raise Fault(path, f"{where}: {fault}") from fault
    return StoredSample(picture, {"label": classes.index(row.label)})
