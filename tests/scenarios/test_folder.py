import shutil
from pathlib import Path

import pytest
import torch

from onehead_avl.errors import DataError, UsageError
from onehead_avl.tasks import Task
from scenarios.folder import read_folder, read_split
from scenarios.voc import VOC_CLASSES

REAL = Path(__file__).resolve().parents[3] / "shared" / "data"
CLASSES = {
    Task.SEG: VOC_CLASSES,
    Task.DET: ("person", "car", "dog"),
    Task.CLS: ("n01440764", "n02102040", "n03028079"),
}
REAL_CLASSES = {
    Task.SEG: VOC_CLASSES,
    Task.DET: ("person", "car", "bird", "cat", "dog", "bottle", "cup", "chair", "dining table", "book"),
    Task.CLS: (
        *("n01440764", "n02102040", "n02979186", "n03000684", "n03028079"),
        *("n03394916", "n03417042", "n03425413", "n03445777", "n03888257"),
    ),
}
FOLDERS = {Task.SEG: "mini_voc_seg", Task.DET: "mini_coco_det", Task.CLS: "imagenette_160"}


@pytest.mark.parametrize("task", Task)
def test_a_task_is_read_with_both_splits(mini_root, task):
    data = read_folder(mini_root, task)
    assert (data.task, data.classes, data.root) == (task, CLASSES[task], mini_root)
    assert (len(data.train), len(data.val)) == (4, 3 if task == Task.CLS else 2)
    annotated = {Task.SEG: "mask", Task.DET: "boxes", Task.CLS: "label"}
    for sample in data.train + data.val:
        assert [other for other, name in annotated.items() if getattr(sample, name) is not None] == [task]
    assert all(f"/{FOLDERS[task]}/train/" in sample.name for sample in data.train)
    assert all(f"/{FOLDERS[task]}/val/" in sample.name for sample in data.val)


@pytest.mark.parametrize("task", Task)
def test_a_split_needs_no_other(mini_root, task):
    shutil.rmtree(mini_root / FOLDERS[task] / "train")
    samples = read_split(mini_root, task, "val", CLASSES[task])
    assert len(samples) == (3 if task == Task.CLS else 2)
    with pytest.raises(DataError, match="train"):
        read_folder(mini_root, task)


@pytest.mark.parametrize("task", Task)
def test_missing_root_is_a_usage_error(tmp_path, task):
    root = tmp_path / "nowhere"
    for read in (lambda: read_folder(root, task), lambda: read_split(root, task, "val", CLASSES[task])):
        with pytest.raises(UsageError, match="expected a folder with mini_voc_seg, mini_coco_det") as caught:
            read()
        assert str(caught.value).startswith(f"{root}: ")


@pytest.mark.parametrize("task", Task)
def test_root_without_the_task_is_a_data_error(tmp_path, task):
    with pytest.raises(DataError, match=FOLDERS[task]):
        read_folder(tmp_path, task)


@pytest.mark.parametrize("task", Task)
def test_val_must_have_the_classes_of_train(mini_root, task):
    with pytest.raises(DataError, match=FOLDERS[task]):
        read_split(mini_root, task, "val", ("background", "circle"))


def test_val_is_read_with_the_classes_of_train(mini_root):
    val = mini_root / "imagenette_160" / "val"
    (val / "n03028079").rename(val / "n00000001")
    with pytest.raises(DataError, match="n03028079 is missing, n00000001 is unknown"):
        read_folder(mini_root, Task.CLS)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real data, shared/data beside the repository, are not there")
@pytest.mark.parametrize("task", Task)
def test_real_validation_data(task):
    samples = read_split(REAL, task, "val", REAL_CLASSES[task])
    assert len(samples) == 60
    found = {
        Task.SEG: lambda sample: sample.mask.flatten().bincount().nonzero().flatten(),
        Task.DET: lambda sample: sample.labels,
        Task.CLS: lambda sample: torch.tensor([sample.label]),
    }[task]
    present = set(torch.cat([found(sample) for sample in samples]).tolist())
    assert present - {255} == set(range(len(REAL_CLASSES[task])))
