from itertools import permutations

import pytest
import torch

from onehead_avl.errors import UsageError
from onehead_avl.model.layout import Layout
from onehead_avl.target import Target, collate
from onehead_avl.tasks import Task
from scenarios.embedded import embedded_data
from scenarios.folder import read_folder
from scenarios.stream import heterogeneous_benchmark, layout_of

SIZE = 32


@pytest.fixture(scope="module")
def data(shared_mini_root):
    return [read_folder(shared_mini_root, task) for task in Task]


def streams(benchmark):
    return [benchmark.train_stream, benchmark.test_stream]


def test_the_layout_has_the_classes_of_all_tasks(data):
    assert layout_of(data) == layout_of(data[::-1]) == Layout(21, 3, 3)


@pytest.mark.parametrize("missing", Task)
def test_a_layout_needs_all_tasks(data, missing):
    rest = [part for part in data if part.task is not missing]
    with pytest.raises(UsageError, match=f"found none for {missing.title}"):
        layout_of(rest)
    with pytest.raises(UsageError, match=missing.title):
        heterogeneous_benchmark(rest, [rest[0].task], SIZE)


@pytest.mark.parametrize("order", [*permutations(Task), *permutations(Task, 2), (Task.DET,)], ids=str)
def test_experiences_follow_the_order_and_labels_the_kind(data, order):
    benchmark = heterogeneous_benchmark(data, order, SIZE)
    for stream in streams(benchmark):
        assert [experience.current_experience for experience in stream] == list(range(len(order)))
        assert [experience.task_labels for experience in stream] == [[int(task)] for task in order]
        for experience, task in zip(stream, order, strict=True):
            image, target, label = experience.dataset[0]
            assert image.shape == (3, SIZE, SIZE)
            assert isinstance(target, Target)
            assert target.task.tolist() == [task]
            assert label == task


@pytest.mark.parametrize("shuffled", [[0, 1, 2], [2, 0, 1]])
def test_training_and_test_pictures_are_those_of_the_task(data, shuffled):
    order = (Task.DET, Task.CLS, Task.SEG)
    benchmark = heterogeneous_benchmark([data[position] for position in shuffled], order, SIZE)
    assert [len(experience.dataset) for experience in benchmark.train_stream] == [4, 4, 4]
    assert [len(experience.dataset) for experience in benchmark.test_stream] == [2, 3, 2]
    for experience, task in zip(benchmark.test_stream, order, strict=True):
        for sample, (_, target, _) in zip(data[task].val, experience.dataset, strict=True):
            assert target.size.tolist() == [list(sample.image.shape[1:])]


def test_test_pictures_are_not_augmented_and_training_pictures_are(data):
    benchmark = heterogeneous_benchmark(data, list(Task), SIZE)
    for experience in benchmark.test_stream:
        assert torch.equal(experience.dataset[0][0], experience.dataset[0][0])
    for experience in benchmark.train_stream:
        torch.manual_seed(0)
        assert not torch.equal(experience.dataset[0][0], experience.dataset[0][0])


@pytest.mark.parametrize(
    ("order", "shown"), [((), "none"), ((Task.SEG, Task.DET, Task.SEG), "seg det seg"), ((Task.CLS,) * 2, "cls cls")]
)
def test_an_order_names_each_task_at_most_once_and_some(data, order, shown):
    with pytest.raises(UsageError, match=f"expected an order of different tasks, got {shown}"):
        heterogeneous_benchmark(data, order, SIZE)


def test_integer_targets_go_round_the_channels_of_the_task():
    data = [embedded_data(task, size=SIZE, n_train=37, n_val=3) for task in Task]
    layout = layout_of(data)
    benchmark = heterogeneous_benchmark(data, [Task.CLS, Task.SEG, Task.DET], SIZE)
    for stream in streams(benchmark):
        for experience in stream:
            (task,) = experience.task_labels
            channels = list(layout.of(Task(task)))
            targets = list(experience.dataset.targets)
            assert targets == [channels[i % len(channels)] for i in range(len(experience.dataset))]
    train = [set(experience.dataset.targets) for experience in benchmark.train_stream]
    assert set.union(*train) == set(range(layout.channels))
    assert sum(map(len, train)) == layout.channels


def test_all_experiences_share_one_collate_function(data):
    benchmark = heterogeneous_benchmark(data, list(Task), SIZE)
    experiences = [experience for stream in streams(benchmark) for experience in stream]
    assert {experience.dataset.collate_fn for experience in experiences} == {collate}
    mixed = [experience.dataset[index] for experience in benchmark.train_stream for index in range(2)]
    images, target, labels = experiences[0].dataset.collate_fn(mixed)
    assert images.shape == (6, 3, SIZE, SIZE)
    assert target.task.tolist() == labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_task_labels_can_be_asked_for_without_loading_a_picture(data):
    benchmark = heterogeneous_benchmark(data, list(Task), SIZE)
    for experience, task in zip(benchmark.train_stream, Task, strict=True):
        assert set(experience.dataset.targets_task_labels) == {task}
        assert len(experience.dataset.task_set[int(task)]) == len(experience.dataset)
