"""One process a data folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onehead_avl.system import lock

WORK = ".prepare"
"""The folder within a data folder for what is not finished."""


@contextmanager
def exclusive(root: Path) -> Iterator[Path]:
    """Keep others out of a data folder, which is made if there is none; a dead process keeps nobody out.

    Yields:
        The folder for what is not finished. It is removed in the end unless something was left in it by an error.

    Raises:
        OutputError: Another process is at work there; the message says which.
    """
    work = root / WORK
    with lock.exclusive(root, work, "being prepared", "--root"):
        yield work
