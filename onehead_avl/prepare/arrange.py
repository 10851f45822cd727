"""Writing a data folder: first all of it beside its place, then moved there; the manifest comes last."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from onehead_avl.errors import OutputError
from onehead_avl.prepare.manifest import MANIFEST, describe, manifest_of
from onehead_avl.prepare.official import NewFile
from onehead_avl.system.files import write_json
from scenarios.challenge import FOLDERS


def stage(folder: Path, files: Iterable[NewFile], head: dict[str, Any]) -> None:
    """Write all files and their manifest into a folder; what an interrupted call left there is discarded.

    Args:
        folder: Where to.
        files: The files.
        head: What the manifest says before it lists the files.

    Raises:
        OSError: The disk cannot be written.
    """
    if folder.exists():
        shutil.rmtree(folder)
    described = {}
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        described[file.path] = describe(file)
    write_json(folder / MANIFEST, manifest_of(head, described))


def publish(folder: Path, root: Path) -> None:
    """Move what :func:`stage` completed to its place; also what is left of a move that was interrupted.

    A folder without a manifest is incomplete and left alone.
    """
    if not (folder / MANIFEST).exists():
        return
    for entry in sorted(folder.iterdir()):
        if entry.name != MANIFEST:
            entry.rename(root / entry.name)
    (folder / MANIFEST).rename(root / MANIFEST)
    folder.rmdir()


def require_new(root: Path) -> None:
    """Refuse a data folder that holds data of the tasks which have no manifest.

    Raises:
        OutputError: It does.
    """
    present = [name for name in FOLDERS.values() if (root / name).exists()]
    if present:
        raise OutputError(
            f"{root} already holds {' and '.join(present)}, without a manifest; choose another --root, and --import "
            f"{root} to have them checked and copied there"
        )
