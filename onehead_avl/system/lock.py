"""One process a folder."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from onehead_avl.errors import OutputError

RUNNING = ".running"
"""The folder of the lock of a run or a comparison, in its own."""


def wait_until_free(work: Path, seconds: float) -> bool:
    """Wait until no other process is at work in a folder, and say whether that is so.

    Args:
        work: The folder of the lock, as :func:`exclusive` takes it.
        seconds: How long to wait at most.
    """
    if not work.exists():
        return True
    try:
        with FileLock(work / "lock").acquire(timeout=seconds):
            return True
    except Timeout:
        return False
    except FileNotFoundError:  # the other process has ended and removed its folder
        return True


@contextmanager
def exclusive(folder: Path, work: Path, use: str, option: str) -> Iterator[None]:
    """Keep other processes out of a folder; a dead process keeps nobody out.

    Args:
        folder: The folder, for the message.
        work: A folder in it for the lock alone or for what is not finished; it is made, and removed in the end unless
            something was left in it.
        use: What is done with the folder, such as ``being written``.
        option: The option that names the folder.

    Raises:
        OutputError: Another process is at work there; the message says which.
    """
    work.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(work / "lock"), work / "holder"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        who = holder.read_text(encoding="utf-8") if holder.exists() else "another process"
        raise OutputError(f"{folder} is {use} by {who}; wait until it has ended or choose another {option}") from None
    try:
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield
    finally:
        # The lock file goes while the lock is held: removed later, it might be that of the next process.
        with suppress(OSError):
            holder.unlink()
            Path(lock.lock_file).unlink()
            work.rmdir()
        lock.release()
