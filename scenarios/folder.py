"""A data folder in the challenge's layout: each task read by its own reader, all findings collected in one pass."""

from collections.abc import Callable, Sequence
from pathlib import Path

from onehead_avl.errors import UsageError
from onehead_avl.tasks import Task
from scenarios.coco import read_coco, renumbered_categories
from scenarios.findings import Fault, Finding, collecting, note_lines, refuse_fatal
from scenarios.imagenette import read_imagenette
from scenarios.inspection import absent_classes, repeated_pictures
from scenarios.pictures import require_folder
from scenarios.sample import Sample, TaskData
from scenarios.voc import VOC_CLASSES, read_voc

_FOLDERS = {Task.SEG: "mini_voc_seg", Task.DET: "mini_coco_det", Task.CLS: "imagenette_160"}


def inspect_folder(root: Path, tasks: Sequence[Task]) -> list[Finding]:
    """Find everything that is wrong with a data folder, or worth knowing, by reading it completely.

    Args:
        root: The data folder.
        tasks: The tasks whose train and val splits are looked at.

    Returns:
        Each finding once; an empty list if there is nothing to say.

    Raises:
        UsageError: There is no folder ``root``.
    """
    return _read_all(root, tasks)[1]


def read_tasks(root: Path, tasks: Sequence[Task], tell: Callable[[str], None]) -> list[TaskData]:
    """Read the train and val split of some tasks.

    Args:
        root: The data folder: ``mini_voc_seg``, ``mini_coco_det``, ``imagenette_160``, or those of them needed.
        tasks: The tasks to read.
        tell: Is given a line for each finding that is only worth knowing.

    Raises:
        UsageError: There is no folder ``root``.
        DataError: Something within it is missing or cannot be used; the message names every such finding.
    """
    data, findings = _read_all(root, tasks)
    for line in note_lines(findings):
        tell(line)
    refuse_fatal(root, findings)
    return data


def read_folder(root: Path, task: Task) -> TaskData:
    """Read the train and val split of one task; see :func:`read_tasks`, but nothing is told."""
    return read_tasks(root, [task], tell=lambda line: None)[0]


def read_split(root: Path, task: Task, split: str, classes: Sequence[str]) -> list[Sample]:
    """Read one split of one task for a model that already knows its classes.

    Args:
        root: The data folder; other splits and other tasks may be absent.
        task: The task to read.
        split: ``train`` or ``val``.
        classes: The model's class names in index order; those of the folder are mapped onto them.

    Raises:
        UsageError: There is no folder ``root``.
        DataError: Something within it is missing or cannot be used, or its classes are not the model's; the
            message names every such finding.
    """
    _require_root(root)
    findings: list[Finding] = []
    samples: list[Sample] = []
    with collecting(findings):
        samples, _ = _read(root, task, split, findings, classes)
    refuse_fatal(root, findings)
    return samples


def _read_all(root: Path, tasks: Sequence[Task]) -> tuple[list[TaskData], list[Finding]]:
    """Read what can be read; the data are whole only if no finding is fatal."""
    _require_root(root)
    findings: list[Finding] = []
    data: list[TaskData] = []
    for task in tasks:
        with collecting(findings):
            data.append(_read_both(root, task, findings))
    findings += repeated_pictures(data)
    for part in data:
        findings += absent_classes(part)
    return data, findings


def _read_both(root: Path, task: Task, findings: list[Finding]) -> TaskData:
    require_folder(root / _FOLDERS[task], f"the {task.title} data")
    train: list[Sample] = []
    val: list[Sample] = []
    classes = None
    with collecting(findings):
        train, classes = _read(root, task, "train", findings, None)
    with collecting(findings):
        val, classes = _read(root, task, "val", findings, classes)
    if task is Task.DET:
        findings += renumbered_categories(root)
    return TaskData(task=task, classes=classes or (), train=train, val=val, root=root)


def _read(
    root: Path, task: Task, split: str, findings: list[Finding], classes: Sequence[str] | None
) -> tuple[list[Sample], tuple[str, ...]]:
    if task == Task.DET:
        return read_coco(root, split, findings, classes)
    if task == Task.CLS:
        return read_imagenette(root, split, findings, classes)
    if classes is not None and tuple(classes) != VOC_CLASSES:
        raise Fault(
            root / _FOLDERS[task] / split,
            f"the masks have the {len(VOC_CLASSES)} classes of PASCAL VOC but the model was trained for "
            f"{', '.join(classes)}; use weights that were trained on VOC",
        )
    return read_voc(root, split, findings), VOC_CLASSES


def _require_root(root: Path) -> None:
    if not root.is_dir():
        raise UsageError(
            f"{root}: expected a folder with mini_voc_seg, mini_coco_det and imagenette_160, found no such folder; "
            f"correct the path or build one with python -m onehead_avl.prepare --root {root}"
        )
