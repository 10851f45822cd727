"""Labels in a CSV file with the header ``file,label,split``; files are relative to it."""

import csv
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from scenarios.samples.findings import Fault, Finding, collecting, shown
from scenarios.samples.pictures import read_each, read_rgb
from scenarios.samples.sample import Sample
from scenarios.samples.source import SPLITS, Source

HEADER = ("file", "label", "split")
"""The columns."""

UNREAD = ("test", "valid")
"""Names of splits that other tools write; their rows are not read, and counted."""


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
) -> tuple[list[Sample], tuple[str, ...]]:
    """Read one split.

    Args:
        source: Where it is: its path is the table.
        split: ``train`` or ``val``.
        findings: Is added to, with the line: a row is of another form or names an unknown split; a file is there
            twice, lies outside, is missing or cannot be decoded; a label is not among ``classes``; worth knowing: how
            many rows are of the splits ``test`` and ``valid``.
        classes: Class names in index order; ``None`` takes the labels of the training rows in alphabetical order.

    Returns:
        Samples with ``label`` in the order of the table; the class names in index order.

    Raises:
        Fault: The table cannot be read, or has another header, or no row of the split.
    """
    path = source.on_disk
    rows = rows_of(path, load_rows(path, findings), findings)
    if classes is None:
        classes = sorted({row.label for row in rows if row.split == "train"})
    classes = tuple(classes)
    chosen = [row for row in rows if row.split == split]
    if not chosen:
        raise Fault(path, f"expected rows of the split {split}, found none; add some")

    def read_row(row: Row) -> Sample:
        return _read_row(path, row, classes)

    return read_each(chosen, read_row, f"classification {split}", findings), classes


def load_rows(path: Path, findings: list[Finding]) -> list[Row]:
    """Return the rows that have three values, none of them empty or with spaces around it.

    Args:
        path: The table.
        findings: Is added to: a row is of another form.

    Raises:
        Fault: The table cannot be read, is no text, or has another header.
    """
    rows = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            if tuple(header) != HEADER:
                raise Fault(
                    path, f"line 1: expected the header {','.join(HEADER)}, found {shown(','.join(header))}; add it"
                )
            for values in reader:
                if len(values) == len(HEADER) and all(value and value == value.strip() for value in values):
                    rows.append(Row(reader.line_num, *values))
                elif values:  # not an empty line
                    problem = (
                        f"expected {','.join(HEADER)} without spaces around, found {shown(','.join(values))}; mend it"
                    )
                    findings.append(Finding(path, f"line {reader.line_num}: {problem}"))
    except OSError as error:
        raise Fault(path, f"the table cannot be read ({error.strerror}); put it there") from error
    except ValueError as error:
        raise Fault(path, f"expected text, found something else ({error}); replace the file") from error
    except csv.Error as error:
        raise Fault(path, f"line {reader.line_num}: expected CSV, found something else ({error}); mend it") from error
    return rows


def rows_of(path: Path, rows: Sequence[Row], findings: list[Finding]) -> list[Row]:
    """Return the rows of the splits that are read.

    Args:
        path: The table, for messages.
        rows: Its rows.
        findings: Is added to: a row names an unknown split, or a file that another row names too; worth knowing: how
            many rows are of :data:`UNREAD` splits.
    """
    first: dict[str, int] = {}
    unread: Counter[str] = Counter()
    kept = []
    for row in rows:
        with collecting(findings):
            if row.split in UNREAD:
                unread[row.split] += 1
                continue
            if row.split not in SPLITS:
                expected = ", ".join((*SPLITS, *UNREAD))
                raise Fault(
                    path, f"line {row.line}: expected a split of {expected}, found {shown(row.split)}; correct it"
                )
            if row.file in first:
                problem = f"{shown(row.file)} is in line {first[row.file]} too; remove one of them"
                raise Fault(path, f"line {row.line}: expected every file once, {problem}")
            first[row.file] = row.line
            kept.append(row)
    for split, count in sorted(unread.items()):
        findings.append(Finding(path, f"rows of the split {split} are not read: there are {count}", fatal=False))
    return kept


def _read_row(path: Path, row: Row, classes: Sequence[str]) -> Sample:
    where = f"line {row.line}"
    file = path.parent / row.file
    if Path(row.file).is_absolute() or ".." in Path(row.file).parts:
        raise Fault(path, f"{where}: expected a file within {path.parent}, found {shown(row.file)}; correct it")
    if row.label not in classes:
        raise Fault(path, f"{where}: expected a label of {', '.join(classes)}, found {shown(row.label)}; correct it")
    if not os.path.isfile(file):  # unlike Path.is_file, it answers for names of any length
        raise Fault(path, f"{where}: expected an image (add it or remove the row), found none at {file}")
    try:
        image = read_rgb(file)
    except Fault as fault:
        raise Fault(path, f"{where}: {fault}") from fault
    return Sample(str(file), image, {"label": classes.index(row.label)})
