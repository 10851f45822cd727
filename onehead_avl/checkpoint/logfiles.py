"""The log files of a run, taken back to where they were at a checkpoint."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any


class LogFiles:
    """Files that only ever grow, opened for appending.

    Args:
        files: Open ones.
    """

    def __init__(self, files: Sequence[IO]) -> None:
        self._files = {Path(file.name).name: file for file in files}

    def sizes(self) -> dict[str, int]:
        """Their sizes in bytes, once all is on the disk."""
        sizes = {}
        for name, file in self._files.items():
            file.flush()
            os.fsync(file.fileno())
            sizes[name] = os.fstat(file.fileno()).st_size
        return sizes

    def cut(self, sizes: dict[str, int]) -> None:
        """Remove what was written since they had these sizes."""
        for name, file in self._files.items():
            file.flush()
            os.ftruncate(file.fileno(), sizes[name])


def growing(loggers: Iterable[object], folder: Path) -> list[IO]:
    """The files of some loggers that are taken back as well: what one has opened as its ``file``, for appending.

    Args:
        loggers: Of anybody.
        folder: Of the run, in which such a file lies.
    """
    files: list[IO] = []
    for logger in loggers:
        file: Any = getattr(logger, "file", None)
        if str(getattr(file, "mode", "")).startswith("a") and Path(file.name).parent == folder:
            files.append(file)
    return files


def hold(folder: Path, sizes: dict[str, int]) -> bool:
    """Whether the log files of a folder still hold what they did when they had these sizes."""
    return all((folder / name).exists() and (folder / name).stat().st_size >= size for name, size in sizes.items())
