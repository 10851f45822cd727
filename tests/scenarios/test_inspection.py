from pathlib import Path

import torch

from onehead_avl.tasks import Task
from scenarios.inspection import absent_classes, repeated_pictures
from scenarios.sample import Sample, TaskData


def picture(seed, height=40, width=50):
    return torch.randint(0, 256, (3, height, width), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def part(task, train, val):
    """A task whose pictures are given as ``{name: image}``."""
    read = [[Sample(name, image, label=0) for name, image in split.items()] for split in (train, val)]
    return TaskData(task, ("only",), *read)


def found(*parts):
    return [(str(finding.file), finding.fatal) for finding in repeated_pictures(parts)]


def test_different_pictures_are_no_finding():
    almost = picture(0)
    almost[1, 3, 5] ^= 1
    assert found(part(Task.CLS, {"a": picture(0), "b": almost}, {"c": picture(1), "d": picture(0)[:, :39]})) == []


def test_a_picture_of_both_splits_is_fatal():
    (finding,) = repeated_pictures([part(Task.CLS, {"a": picture(0)}, {"b": picture(1), "c": picture(0)})])
    assert finding.fatal
    assert str(finding) == "c: the same picture as a: what was learned cannot be scored on; remove one of them"


def test_a_picture_that_is_twice_in_a_split_counts_twice():
    (finding,) = repeated_pictures([part(Task.CLS, {"a": picture(0), "b": picture(0)}, {})])
    assert not finding.fatal
    assert str(finding) == "b: the same picture as a: it counts twice"


def test_a_picture_of_two_tasks_is_worth_knowing():
    parts = part(Task.SEG, {"a": picture(0)}, {"b": picture(1)}), part(Task.CLS, {"c": picture(1)}, {"d": picture(0)})
    findings = repeated_pictures(parts)
    assert not any(finding.fatal for finding in findings)
    assert [str(finding) for finding in findings] == [
        "c: the same picture as b: it is in segmentation val too",
        "d: the same picture as a: it is in segmentation train too",
    ]


def test_a_picture_of_both_splits_is_fatal_even_if_another_task_has_it_too():
    parts = part(Task.SEG, {"a": picture(0)}, {}), part(Task.CLS, {"b": picture(0)}, {"c": picture(0)})
    assert found(*parts) == [("b", False), ("c", True)]


def test_pictures_are_compared_completely():
    pictures = [torch.zeros(3, 40, 50, dtype=torch.uint8) for _ in range(3)]
    pictures[1][0, 1, 1] = 9  # between the pixels that are looked at first
    assert found(part(Task.CLS, {"a": pictures[0]}, {"b": pictures[1], "c": pictures[2]})) == [("c", True)]


def test_classes_without_an_example_are_named_for_each_split():
    image = picture(0)
    box = torch.tensor([[1.0, 1.0, 5.0, 5.0]])
    nothing = Sample("train/b", image, boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64))
    cat = Sample("train/a", image, boxes=box, labels=torch.tensor([1]))
    data = TaskData(Task.DET, ("dog", "cat", "cow"), train=[cat, nothing], val=[nothing])
    findings = absent_classes(data)
    assert [(finding.file, finding.problem, finding.fatal) for finding in findings] == [
        (Path("train"), "detection train has no example of dog, cow", False),
        (Path("train"), "detection val has no example of dog, cat, cow", False),
    ]


def test_a_class_is_present_if_a_mask_or_a_label_says_so():
    mask = torch.tensor([[0, 2], [255, 0]], dtype=torch.uint8)
    samples = [Sample("a", picture(0), mask=mask)]
    (finding,) = absent_classes(TaskData(Task.SEG, ("ground", "cat", "dog"), train=samples, val=[]))
    assert finding.problem == "segmentation train has no example of cat"
    labelled = [Sample("a", picture(0), label=0), Sample("b", picture(0), label=1)]
    assert absent_classes(TaskData(Task.CLS, ("cat", "dog"), train=labelled, val=labelled)) == []
