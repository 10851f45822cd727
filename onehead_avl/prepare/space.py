"""Is there room on the disk? Asked before anything is fetched."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from onehead_avl.errors import OutputError
from onehead_avl.prepare.options import Options
from onehead_avl.prepare.progress import in_gigabytes
from onehead_avl.prepare.sources import Archive

# Bytes that a picture of each official set takes with its annotation, rounded up, and how many pictures there are.
_PICTURE = {"seg": 140_000, "det": 200_000, "cls": 12_000}
_PICTURES = {"seg": 2_913, "det": 123_287, "cls": 13_394}


def missing_bytes(downloads: Sequence[Archive], raw: Path) -> int:
    """The bytes that are still to be fetched; what lies in ``raw`` from an earlier run need not be."""
    return sum(max(archive.size - _present(archive, raw), 0) for archive in downloads)


def picture_bytes(options: Options) -> int:
    """The bytes that the pictures asked for take, at most."""
    asked = float("inf") if options.sizes is None else sum(options.sizes.values())
    return sum(int(min(asked, _PICTURES[task])) * _PICTURE[task] for task in options.tasks)


def require_space(root: Path, downloads: int, pictures: int) -> None:
    """Refuse to begin what cannot be finished.

    Args:
        root: The data folder.
        downloads: The bytes that are to be fetched.
        pictures: The bytes that are to be written.

    Raises:
        OutputError: The disk is too full.
    """
    free = shutil.disk_usage(root).free
    if downloads + pictures > free:
        raise OutputError(
            f"{root} needs {in_gigabytes(downloads)} for downloads and {in_gigabytes(pictures)} for pictures, but its "
            f"disk has {in_gigabytes(free)} left; free some, or choose another --root or fewer --tasks"
        )


def _present(archive: Archive, raw: Path) -> int:
    files = [raw / archive.name, raw / f"{archive.name}.part"]
    return max((file.stat().st_size for file in files if file.exists()), default=0)
