"""What is wrong with a data folder: collected while it is read, reported all at once."""

import reprlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onehead_avl.errors import DataError

SHOWN = 20
"""Findings that a report names; the rest is counted."""

_NAMED = 3  # of many alike

_LONGEST = 1000  # characters of a line: names in a broken file may be of any length

_REPR = reprlib.Repr()  # unlike repr, it ends soon whatever the length and the depth of what a file holds
_REPR.maxstring = _REPR.maxother = 40
_REPR.maxlevel = 3


@dataclass(frozen=True)
class Finding:
    """One thing that a user should know about a data folder.

    Attributes:
        file: The file or folder it is about.
        problem: What was expected, what was found and what to do.
        fatal: Whether the folder cannot be used as it is; otherwise it is only worth knowing.
        repair: What a repaired copy does about it, where it is fatal; empty if a copy cannot mend it.
        pictures: How many pictures are not read because of it.
        boxes: How many annotated boxes are not read because of it.
    """

    file: Path
    problem: str
    fatal: bool = True
    repair: str = ""
    pictures: int = 0
    boxes: int = 0

    def __str__(self) -> str:
        """One line; what cannot be printed is escaped, because names come from the files."""
        line = f"{self.file}: {self.problem}"
        if not line.isprintable():
            line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
        return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ..."


class Fault(DataError):
    """A fatal finding on its way to whoever collects them."""

    def __init__(self, file: Path, problem: str) -> None:
        self.finding = Finding(file, problem)
        super().__init__(str(self.finding))


LEFT_OUT = "left out"
"""The repair of most that is wrong with a single picture or box."""


@contextmanager
def collecting(findings: list[Finding], repair: str = "", pictures: int = 0, boxes: int = 0) -> Iterator[None]:
    """Add a fault raised within the ``with`` block to ``findings``, and go on after the block.

    Args:
        findings: Is added to.
        repair: What a repaired copy does about the fault.
        pictures: How many pictures are not read because of it.
        boxes: How many annotated boxes are not read because of it.
    """
    try:
        yield
    except Fault as fault:
        findings.append(replace(fault.finding, repair=repair, pictures=pictures, boxes=boxes))


class Notes:
    """What is worth knowing of one file or folder, and happens again and again: one finding for each problem.

    Args:
        findings: Is added to when the ``with`` block ends.
        file: What the problems are of.
    """

    def __init__(self, findings: list[Finding], file: Path) -> None:
        self._findings = findings
        self._file = file
        self._noted: dict[str, list[tuple[str, int, int]]] = {}

    def __enter__(self) -> "Notes":
        return self

    def __exit__(self, *_: object) -> None:
        for problem, found in self._noted.items():
            names = ", ".join(name for name, _, _ in found[:_NAMED]) + (" ..." if len(found) > _NAMED else "")
            many = f"there are {len(found)}, such as {names}" if len(found) > 1 else f"there is one, {names}"
            pictures, boxes = sum(each[1] for each in found), sum(each[2] for each in found)
            self._findings.append(
                Finding(self._file, f"{problem}: {many}", fatal=False, pictures=pictures, boxes=boxes)
            )

    def add(self, problem: str, name: str, pictures: int = 0, boxes: int = 0) -> None:
        """Note a problem of something.

        Args:
            problem: Of what kind, in the plural: ``boxes without area are skipped``.
            name: Of what.
            pictures: How many pictures are not read because of it.
            boxes: How many annotated boxes are not read because of it.
        """
        self._noted.setdefault(problem, []).append((name, pictures, boxes))


def note_lines(findings: Sequence[Finding]) -> list[str]:
    """A line for each finding that is only worth knowing; at most ``SHOWN``, and how many more there are."""
    return _lines([finding for finding in findings if not finding.fatal])


def refuse_fatal(root: Path, findings: Sequence[Finding], way_out: str = "") -> None:
    """Raise all fatal findings at once.

    Args:
        root: What they were found in.
        findings: All findings.
        way_out: What repairs those that have a repair, if something does.

    Raises:
        DataError: There is one: its sentence; or there are more: their number, and a line for each.
    """
    fatal = [finding for finding in findings if finding.fatal]
    end = [way_out] if way_out and fatal and all(finding.repair for finding in fatal) else []
    if len(fatal) == 1:
        raise DataError("; or ".join([str(fatal[0]), *end]))
    if fatal:
        head = f"{len(fatal)} problems in {root}: the data cannot be used until each of them is mended"
        raise DataError("\n  ".join(["; or ".join([head, *end]), *_lines(fatal)]))


def _lines(findings: Sequence[Finding]) -> list[str]:
    more = len(findings) - SHOWN
    return [*map(str, findings[:SHOWN]), *([f"... and {more} more"] if more > 0 else [])]


def shown(value: Any) -> str:
    """What a file holds, for a message: short whatever it is; ``nothing`` for ``None``."""
    return "nothing" if value is None else _REPR.repr(value)
