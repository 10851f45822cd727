"""A data folder in the challenge's layout: whichever task is asked for, read by its own reader."""

from collections.abc import Sequence
from pathlib import Path

from onehead_avl.errors import DataError, UsageError
from onehead_avl.tasks import Task
from scenarios.coco import read_coco
from scenarios.imagenette import read_imagenette
from scenarios.sample import Sample, TaskData
from scenarios.voc import VOC_CLASSES, read_voc


def read_folder(root: Path, task: Task) -> TaskData:
    """Read the train and val split of one task.

    Args:
        root: The data folder: ``mini_voc_seg``, ``mini_coco_det``, ``imagenette_160``, or those of them needed.
        task: The task to read.

    Raises:
        UsageError: There is no folder ``root``.
        DataError: Something within it is missing or cannot be used.
    """
    train, classes = _read(root, task, "train", None)
    val, _ = _read(root, task, "val", classes)
    return TaskData(task=task, classes=classes, train=train, val=val, root=root)


def read_split(root: Path, task: Task, split: str, classes: Sequence[str]) -> list[Sample]:
    """Read one split of one task for a model that already knows its classes.

    Args:
        root: The data folder; other splits and other tasks may be absent.
        task: The task to read.
        split: ``train`` or ``val``.
        classes: The model's class names in index order; those of the folder are mapped onto them.

    Raises:
        UsageError: There is no folder ``root``.
        DataError: Something within it is missing or cannot be used, or its classes are not the model's.
    """
    return _read(root, task, split, classes)[0]


def _read(root: Path, task: Task, split: str, classes: Sequence[str] | None) -> tuple[list[Sample], tuple[str, ...]]:
    if not root.is_dir():
        raise UsageError(
            f"{root}: expected a folder with mini_voc_seg, mini_coco_det and imagenette_160, found no such folder; "
            f"correct the path or build one with python -m onehead_avl.prepare --root {root}"
        )
    if task == Task.DET:
        return read_coco(root, split, classes)
    if task == Task.CLS:
        return read_imagenette(root, split, classes)
    if classes is not None and tuple(classes) != VOC_CLASSES:
        raise DataError(
            f"{root / 'mini_voc_seg' / split}: the masks have the {len(VOC_CLASSES)} classes of PASCAL VOC but the "
            f"model was trained for {', '.join(classes)}; use weights that were trained on VOC"
        )
    return read_voc(root, split), VOC_CLASSES
