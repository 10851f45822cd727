import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from onehead_avl.errors import DataError, UsageError
from onehead_avl.tasks import Task
from scenarios.folder import inspect_folder, read_folder, read_split, read_tasks
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
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="shared/data beside the repository is not there")
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


def spoil(root):
    """Give each task one fault or two, and one thing that is only worth knowing to two of them."""
    seg, det, cls = (root / FOLDERS[task] for task in Task)
    Image.new("L", (40, 30), 99).save(seg / "val" / "2007_000000.png")
    (det / "annotations" / "mini_instances_train2017.json").write_text("{")
    (det / "val" / "000000000100.jpg").unlink()
    (cls / "val" / CLASSES[Task.CLS][0] / "copy.JPEG").write_bytes(
        (cls / "train" / CLASSES[Task.CLS][0] / "n01440764_0.JPEG").read_bytes()
    )
    (cls / "train" / "stray.png").touch()
    return {
        *((seg / "train", False), (seg / "val", False)),  # classes without an example
        (seg / "val" / "2007_000000.png", True),
        (det / "annotations" / "mini_instances_train2017.json", True),
        (det / "val" / "000000000100.jpg", True),
        (det / "val", False),  # a class of the missing picture
        (cls / "val" / CLASSES[Task.CLS][0] / "copy.JPEG", True),
        (cls / "train", False),
    }


def test_a_folder_without_faults_has_only_notes(mini_root):
    findings = inspect_folder(mini_root, list(Task))
    assert {(finding.file.parent.name, finding.file.name, finding.fatal) for finding in findings} == {
        ("mini_voc_seg", "train", False),
        ("mini_voc_seg", "val", False),
    }
    assert inspect_folder(mini_root, [Task.DET, Task.CLS]) == []


def test_everything_is_found_in_one_pass_over_all_tasks(mini_root):
    expected = spoil(mini_root)
    findings = inspect_folder(mini_root, list(Task))
    assert {(finding.file, finding.fatal) for finding in findings} == expected
    assert len(findings) == len(expected)


def test_reading_tells_the_notes_and_raises_the_faults_at_once(mini_root):
    expected = spoil(mini_root)
    told = []
    with pytest.raises(DataError) as caught:
        read_tasks(mini_root, list(Task), told.append)
    first, *lines = str(caught.value).split("\n")
    assert first == f"4 problems in {mini_root}: the data cannot be used until each of them is mended"
    assert {line.strip().split(": ")[0] for line in lines} == {str(file) for file, fatal in expected if fatal}
    assert {line.split(": ")[0] for line in told} == {str(file) for file, fatal in expected if not fatal}


def test_tasks_are_read_in_the_order_asked_for_whatever_is_told(mini_root):
    told = []
    data = read_tasks(mini_root, [Task.DET, Task.SEG], told.append)
    assert [part.task for part in data] == [Task.DET, Task.SEG]
    assert ["segmentation train" in told[0], "segmentation val" in told[1]] == [True, True]
    assert len(told) == 2


def test_a_split_alone_raises_all_its_faults(mini_root):
    for position in range(2):
        (mini_root / "mini_voc_seg" / "val" / f"2007_00000{position}.jpg").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"^2 problems in ") as caught:
        read_split(mini_root, Task.SEG, "val", CLASSES[Task.SEG])
    assert len(str(caught.value).split("\n")) == 3


@needs_real
def test_real_data_have_no_findings():
    assert inspect_folder(REAL, list(Task)) == []


@needs_real
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
