import pytest

from onehead_avl.errors import UsageError
from onehead_avl.tasks import Task


def test_values_are_the_task_labels():
    assert [int(task) for task in (Task.SEG, Task.DET, Task.CLS)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("task", "key", "title", "metric"),
    [
        (Task.SEG, "seg", "segmentation", "mIoU"),
        (Task.DET, "det", "detection", "AP50"),
        (Task.CLS, "cls", "classification", "Top1"),
    ],
)
def test_every_task_has_its_names(task, key, title, metric):
    assert (task.key, task.title, task.metric) == (key, title, metric)
    assert Task.from_key(key) is task


@pytest.mark.parametrize("key", ["", "SEG", "segmentation", "0"])
def test_an_unknown_key_is_refused_with_the_known_ones(key):
    with pytest.raises(UsageError, match="expected one of seg, det, cls") as caught:
        Task.from_key(key)
    assert repr(key) in str(caught.value)
