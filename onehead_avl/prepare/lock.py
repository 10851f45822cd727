"""One process a data folder."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from onehead_avl.errors import OutputError

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
    work.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(work / "lock"), work / "holder"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        who = holder.read_text(encoding="utf-8") if holder.exists() else "another process"
        raise OutputError(
            f"{root} is being prepared by {who}; wait until it has ended or choose another --root"
        ) from None
    try:
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield work
    finally:
        # The lock file goes while the lock is held: removed later, it might be that of the next process.
        with suppress(OSError):
            holder.unlink()
            Path(lock.lock_file).unlink()
            work.rmdir()
        lock.release()
