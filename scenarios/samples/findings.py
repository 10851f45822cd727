"""What is wrong with a data folder: collected while it is read, reported all at once."""

import reprlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onehead_avl.errors import DataError

SHOWN = 20
"""Findings that a report names; the rest is counted."""

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
    """

    file: Path
    problem: str
    fatal: bool = True

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


@contextmanager
def collecting(findings: list[Finding]) -> Iterator[None]:
    """Add a fault raised within the ``with`` block to ``findings``, and go on after the block."""
    try:
        yield
    except Fault as fault:
        findings.append(fault.finding)


def note_lines(findings: Sequence[Finding]) -> list[str]:
    """A line for each finding that is only worth knowing; at most ``SHOWN``, and how many more there are."""
    return _lines([finding for finding in findings if not finding.fatal])


def refuse_fatal(root: Path, findings: Sequence[Finding]) -> None:
    """Raise all fatal findings at once.

    Raises:
        DataError: There is one: its sentence; or there are more: their number, and a line for each.
    """
    fatal = [finding for finding in findings if finding.fatal]
    if len(fatal) == 1:
        raise DataError(str(fatal[0]))
    if fatal:
        head = f"{len(fatal)} problems in {root}: the data cannot be used until each of them is mended"
        raise DataError("\n  ".join([head, *_lines(fatal)]))


def _lines(findings: Sequence[Finding]) -> list[str]:
    more = len(findings) - SHOWN
    return [*map(str, findings[:SHOWN]), *([f"... and {more} more"] if more > 0 else [])]


def shown(value: Any) -> str:
    """What a file holds, for a message: short whatever it is; ``nothing`` for ``None``."""
    return "nothing" if value is None else _REPR.repr(value)
