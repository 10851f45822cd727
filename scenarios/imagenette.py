"""Reader of the classification data: Imagenette, one folder of pictures a class."""

from collections.abc import Sequence
from pathlib import Path

from scenarios.findings import Fault, Finding
from scenarios.pictures import PICTURES, list_files, list_visible, read_each, read_rgb, require_folder, unread
from scenarios.sample import Sample


def read_imagenette(
    root: Path, split: str, findings: list[Finding], classes: Sequence[str] | None = None
) -> tuple[list[Sample], tuple[str, ...]]:
    """Read one split of the classification data.

    The layout is ``root/imagenette_160/<split>/<class>/*.JPEG``; ``.jpg``, ``.jpeg`` and ``.png`` in any case.

    Args:
        root: The data folder.
        split: ``train`` or ``val``.
        findings: Is added to: a class folder holds no pictures; the class folders are not those of ``classes``; a
            picture cannot be decoded; worth knowing: pictures outside the class folders.
        classes: The classes this split must have, in index order; ``None`` takes those of the folder.

    Returns:
        Samples with ``label``, sorted by class and file name; the class names in index order.

    Raises:
        Fault: The folder is missing or holds no class folders.
    """
    folder = require_folder(root / "imagenette_160" / split, "class folders such as n01440764")
    found = tuple(entry.name for entry in list_visible(folder) if entry.is_dir())
    if not found:
        raise Fault(folder, "expected one folder a class, found none; put the class folders there")
    classes = found if classes is None else tuple(classes)
    findings += _differences(folder, found, classes)
    findings += unread(folder, list_files(folder, PICTURES), "outside the class folders")

    of_class = {name: list_files(folder / name, PICTURES) for name in found}
    findings += [
        Finding(folder / name, "expected pictures (.JPEG, .jpg, .png), found none; add some or remove the class")
        for name, paths in of_class.items()
        if not paths
    ]
    pictures = [(path, label) for label, name in enumerate(classes) for path in of_class.get(name, [])]
    return read_each(pictures, _read_labelled, f"classification {split}", findings), classes


def _read_labelled(picture: tuple[Path, int]) -> Sample:
    path, label = picture
    return Sample(name=str(path), image=read_rgb(path), label=label)


def _differences(folder: Path, found: Sequence[str], classes: Sequence[str]) -> list[Finding]:
    missing = [name for name in classes if name not in found]
    unknown = [name for name in found if name not in classes]
    if not (missing or unknown):
        return []
    differences = [f"{name} is missing" for name in missing] + [f"{name} is unknown" for name in unknown]
    problem = (
        f"expected the class folders {', '.join(classes)}, but {', '.join(differences)}; add, rename or remove folders"
    )
    return [Finding(folder, problem)]
