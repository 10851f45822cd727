"""The layout of the challenge's classification data: ``<split>/<class>/*.JPEG``, one folder of images a class."""

from collections.abc import Sequence
from pathlib import Path

from scenarios.samples.findings import Fault, Finding
from scenarios.samples.pictures import PICTURES, list_files, list_visible, read_each, read_rgb, require_folder, unread
from scenarios.samples.sample import Sample
from scenarios.samples.source import SPLITS, Source


def recognises(source: Source) -> bool:
    """Tell whether there is a folder of folders for a split."""
    splits = [source.on_disk / split for split in SPLITS]
    return any(entry.is_dir() for folder in splits if folder.is_dir() for entry in list_visible(folder))


def read(
    source: Source, split: str, findings: list[Finding], classes: Sequence[str] | None
) -> tuple[list[Sample], tuple[str, ...]]:
    """Read one split; ``.jpg``, ``.jpeg`` and ``.png`` in any case.

    Args:
        source: Where it is.
        split: ``train`` or ``val``.
        findings: Is added to: a class folder holds no images; the class folders are not those of ``classes``; an
            image cannot be decoded; worth knowing: images outside the class folders.
        classes: The classes this split must have, in index order; ``None`` takes those of the folder, by name.

    Returns:
        Samples with ``label``, sorted by class and file name; the class names in index order.

    Raises:
        Fault: The folder is missing or holds no class folders.
    """
    folder = require_folder(source.on_disk / split, "class folders such as n01440764")
    found = tuple(entry.name for entry in list_visible(folder) if entry.is_dir())
    if not found:
        raise Fault(folder, "expected one folder a class, found none; put the class folders there")
    classes = found if classes is None else tuple(classes)
    findings += _differences(folder, found, classes)
    findings += unread(folder, list_files(folder, PICTURES), "outside the class folders")

    of_class = {name: list_files(folder / name, PICTURES) for name in found}
    findings += [
        Finding(folder / name, "expected images (.JPEG, .jpg, .png), found none; add some or remove the class")
        for name, paths in of_class.items()
        if not paths
    ]
    images = [(path, label) for label, name in enumerate(classes) for path in of_class.get(name, [])]
    return read_each(images, _read_labelled, f"classification {split}", findings), classes


def _read_labelled(labelled: tuple[Path, int]) -> Sample:
    path, label = labelled
    return Sample(str(path), read_rgb(path), {"label": label})


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
