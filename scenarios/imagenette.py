"""Reader of the classification data: Imagenette, one folder of pictures a class."""

from collections.abc import Sequence
from pathlib import Path

from onehead_avl.errors import DataError
from scenarios.pictures import list_files, list_visible, read_each, read_rgb, require_folder
from scenarios.sample import Sample


def read_imagenette(
    root: Path, split: str, classes: Sequence[str] | None = None
) -> tuple[list[Sample], tuple[str, ...]]:
    """Read one split of the classification data.

    The layout is ``root/imagenette_160/<split>/<class>/*.JPEG``; ``.jpg``, ``.jpeg`` and ``.png`` in any case.

    Args:
        root: The data folder.
        split: ``train`` or ``val``.
        classes: The classes this split must have, in index order; ``None`` takes those of the folder.

    Returns:
        Samples with ``label``, sorted by class and file name; the class names in index order.

    Raises:
        DataError: The folder is missing or holds no class folders; a class folder holds no pictures; the
            class folders are not those of ``classes``; a picture cannot be decoded.
    """
    folder = require_folder(root / "imagenette_160" / split, "class folders such as n01440764")
    found = tuple(entry.name for entry in list_visible(folder) if entry.is_dir())
    if not found:
        raise DataError(f"{folder}: expected one folder a class, found none; put the class folders there")
    classes = found if classes is None else tuple(classes)
    _require_same(folder, found, classes)

    pictures = [(path, label) for label, name in enumerate(classes) for path in _pictures_of(folder / name)]
    return read_each(pictures, _read_labelled, f"classification {split}"), classes


def _read_labelled(picture: tuple[Path, int]) -> Sample:
    path, label = picture
    return Sample(name=str(path), image=read_rgb(path), label=label)


def _pictures_of(folder: Path) -> list[Path]:
    pictures = list_files(folder, (".jpg", ".jpeg", ".png"))
    if not pictures:
        raise DataError(f"{folder}: expected pictures (.JPEG, .jpg, .png), found none; add some or remove the class")
    return pictures


def _require_same(folder: Path, found: Sequence[str], classes: Sequence[str]) -> None:
    missing = [name for name in classes if name not in found]
    unknown = [name for name in found if name not in classes]
    if missing or unknown:
        differences = [f"{name} is missing" for name in missing] + [f"{name} is unknown" for name in unknown]
        raise DataError(
            f"{folder}: expected the class folders {', '.join(classes)}, but {', '.join(differences)}; "
            "add, rename or remove folders"
        )
