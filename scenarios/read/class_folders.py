"""The layout of the challenge's classification data: ``<split>/<class>/*.JPEG``, one folder of images a class."""

from collections.abc import Sequence
from pathlib import Path

from scenarios.read.splits import split_folder, split_folders
from scenarios.samples.findings import LEFT_OUT, Fault, Finding, Notes, collecting
from scenarios.samples.folders import list_files, list_visible, require_folder, walk
from scenarios.samples.pictures import PICTURES, check_pictures, stored, undecodable, unread
from scenarios.samples.source import SPLITS, Source
from scenarios.samples.stored import StoredSample


def recognises(source: Source) -> bool:
    """Tell whether there is a folder of folders for a split."""
    return any(class_names(folder) for split in SPLITS for folder in split_folders(source.on_disk, split))


def read(
    source: Source, split: str, findings: list[Finding], classes: Sequence[str] | None
) -> tuple[list[StoredSample], tuple[str, ...]]:
    """Read one split: all pictures of a class's folder and of the folders in it, as torchvision's ``ImageFolder`` does.

    Args:
        source: Where it is.
        split: ``train`` or ``val``.
        findings: Is added to: a class folder is not among ``classes`` or has an impossible name; an image cannot be
            decoded; worth knowing: images outside the class folders.
        classes: The classes in index order; ``None`` takes the folders of both splits, by name.

    Returns:
        Samples with ``label``, sorted by class and file name; the class names in index order.

    Raises:
        Fault: The folder is missing or holds no class folders.
    """
    folder = split_folder(source.on_disk, split, findings)
    require_folder(folder, "class folders such as n01440764")
    found = class_names(folder)
    if not found:
        raise Fault(folder, "expected one folder a class, found none; put the class folders there")
    if classes is None:
        folders = [each for name in SPLITS for each in split_folders(source.on_disk, name)]
        classes = sorted({name for each in folders for name in class_names(each)})
    classes = tuple(classes)
    of_class = {name: walk(folder / name, PICTURES) for name in found}
    findings += _impossible(folder, of_class, classes)
    findings += unread(folder, list_files(folder, PICTURES), "outside the class folders") + undecodable(folder)

    images = [(path, label) for label, name in enumerate(classes) for path in of_class.get(name, [])]
    samples = []
    with Notes(findings, folder) as notes:
        known = check_pictures([path for path, _ in images], f"classification {split}", notes)
        for path, label in images:
            with collecting(findings, LEFT_OUT, pictures=1):
                samples.append(StoredSample(stored(path, known[path], notes), {"label": label}))
    return samples, classes


def class_names(folder: Path) -> list[str]:
    """The names of the visible folders in a folder, sorted; empty if there is no such folder."""
    return [entry.name for entry in list_visible(folder) if entry.is_dir()] if folder.is_dir() else []


def _impossible(folder: Path, of_class: dict[str, list[Path]], classes: Sequence[str]) -> list[Finding]:
    """Refuse class folders that are none of the classes; one that is empty says nothing."""
    unknown = [name for name, paths in of_class.items() if name not in classes and paths]
    return [
        Finding(
            folder / name,
            f"expected the class folders {', '.join(classes)}, found {name} too; rename or remove it",
            pictures=len(of_class[name]),
        )
        for name in unknown
    ]
