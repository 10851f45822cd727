from dataclasses import replace
from itertools import permutations

import pytest
import torch
from avalanche.training.supervised import Naive
from torch.optim import SGD

from onehead_avl.errors import UsageError
from onehead_avl.evaluation.plugins import evaluator
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.network import OneHeadNet
from onehead_avl.target import Target, collate
from scenarios.dataset import EvaluationSet
from scenarios.description import read_description
from scenarios.drawn.embedded import drawn, drawn_classes
from scenarios.experience import Experience, Stream
from scenarios.reading import read_stream
from scenarios.stream import avalanche_benchmark

SIZE = 32
NAMES = ("seg", "det", "cls")


@pytest.fixture(scope="module")
def stream(shared_mini_root):
    return read_stream(read_description("challenge").on(shared_mini_root, SIZE), lambda line: None)


def both(benchmark):
    return [benchmark.train_stream, benchmark.test_stream]


def test_the_layout_has_a_part_for_each_experience(stream):
    layout = stream.layout
    assert layout.names == stream.names == NAMES
    assert [part.classes for part in layout.parts] == [each.classes for each in stream.experiences]
    assert [part.channels for part in layout.parts] == [range(21), range(21, 29), range(29, 32)]


def test_a_stream_has_an_experience_and_each_a_name_of_its_own(stream):
    with pytest.raises(UsageError, match="expected at least one experience, found none"):
        Stream("mine", ())
    with pytest.raises(UsageError, match="expected experiences with different names, found seg, seg"):
        Stream("mine", stream.experiences[:1] * 2)
    with pytest.raises(UsageError, match="expected experiences with different names, found seg, SEG"):
        Stream("mine", (stream.experiences[0], replace(stream.experiences[1], name="SEG")))


def test_a_head_is_shared_by_experiences_of_one_kind_and_one_class_list(stream):
    seg, det, _ = stream.experiences
    shared = Stream("mine", (seg, replace(seg, name="night"), replace(det, name="other")))
    first, second, _ = shared.layout.parts
    assert first is second
    assert shared.layout.channels == 29
    with pytest.raises(UsageError, match="'night' is detection but shares the head 'seg' with segmentation"):
        Stream("mine", (seg, replace(det, name="night", head="seg")))
    with pytest.raises(
        UsageError, match=r"'night' shares the head 'seg', expected its classes background, .* found sky"
    ):
        Stream("mine", (seg, replace(seg, name="night", classes=("sky",))))


def test_an_experience_is_found_by_its_name(stream):
    assert [stream.task(name) for name in NAMES] == [0, 1, 2]
    with pytest.raises(UsageError, match="unknown experience 'depth': expected one of seg, det, cls"):
        stream.task("depth")


@pytest.mark.parametrize("order", [None, *permutations(NAMES), *permutations(NAMES, 2), ("det",)], ids=str)
def test_experiences_follow_the_order_and_labels_the_definition(stream, order):
    tasks = [NAMES.index(name) for name in order or NAMES]
    for half in both(avalanche_benchmark(stream, SIZE, order)):
        assert [experience.current_experience for experience in half] == list(range(len(tasks)))
        assert [experience.task_labels for experience in half] == [[task] for task in tasks]
        for experience, task in zip(half, tasks, strict=True):
            image, target, label = experience.dataset[0]
            assert image.shape == (3, SIZE, SIZE)
            assert isinstance(target, Target)
            assert target.task.tolist() == [task]
            assert label == task


def test_training_and_test_images_are_those_of_the_experience(stream):
    order = ("det", "cls", "seg")
    benchmark = avalanche_benchmark(stream, SIZE, order)
    assert [len(experience.dataset) for experience in benchmark.train_stream] == [4, 4, 4]
    assert [len(experience.dataset) for experience in benchmark.test_stream] == [2, 3, 2]
    for experience, name in zip(benchmark.test_stream, order, strict=True):
        known = stream.experiences[stream.task(name)].val
        for sample, (_, target, _) in zip(known, experience.dataset, strict=True):
            assert target.size.tolist() == [list(sample.image.shape[1:])]


def test_test_images_are_not_augmented_and_training_images_are(stream):
    benchmark = avalanche_benchmark(stream, SIZE)
    for experience in benchmark.test_stream:
        assert torch.equal(experience.dataset[0][0], experience.dataset[0][0])
    for experience in benchmark.train_stream:
        torch.manual_seed(0)
        assert not torch.equal(experience.dataset[0][0], experience.dataset[0][0])


@pytest.mark.parametrize("task", range(3), ids=NAMES)
def test_training_images_in_eval_mode_are_as_test_images_of_them_would_be(task, stream):
    dataset = avalanche_benchmark(stream, SIZE).train_stream[task].dataset.eval()
    expected = EvaluationSet(stream.experiences[task].train, task, SIZE)
    assert len(dataset) == len(expected) == 4
    for index in range(4):
        image, target, label = dataset[index]
        assert torch.equal(image, expected[index][0])
        assert label == task
        assert target.size.tolist() == expected[index][1].size.tolist() != [[SIZE, SIZE]]
        assert target.parts.keys() == expected[index][1].parts.keys()
        assert all(torch.equal(part, expected[index][1].parts[name]) for name, part in target.parts.items())


@pytest.mark.filterwarnings("ignore:No loggers specified", "ignore:This DataLoader will create")
def test_every_evaluation_of_a_network_on_the_training_stream_gives_the_same(stream):
    torch.manual_seed(0)
    model = OneHeadNet(stream.layout, channels=16)
    strategy = Naive(
        model=model,
        optimizer=SGD(model.parameters(), lr=0.1),
        criterion=MultiTaskLoss(stream.layout),
        eval_mb_size=3,
        evaluator=evaluator(stream.layout),
    )
    train = avalanche_benchmark(stream, SIZE).train_stream
    torch.manual_seed(1)
    first = dict(strategy.eval(train))
    second, third = dict(strategy.eval(train)), dict(strategy.eval(train, num_workers=2))
    assert {name.split("/")[0] for name in first} >= {"mIoU_Exp", "AP50_Exp", "AP_Exp", "Top1_Exp", "Top5_Exp"}
    assert any("Loss_Exp" in name for name in first)
    assert first == second == third


@pytest.mark.parametrize(
    ("order", "shown"), [((), "none"), (("seg", "det", "seg"), "seg det seg"), (("cls",) * 2, "cls cls")]
)
def test_an_order_names_each_experience_at_most_once_and_some(stream, order, shown):
    with pytest.raises(UsageError, match=f"expected an order of different experiences, got {shown}"):
        avalanche_benchmark(stream, SIZE, order)


def test_an_order_names_experiences_of_the_stream(stream):
    with pytest.raises(UsageError, match="unknown experience 'depth'"):
        avalanche_benchmark(stream, SIZE, ("seg", "depth"))


def test_integer_targets_go_round_the_channels_of_the_experience():
    experiences = []
    for name in ("segmentation", "detection", "classification"):
        train, val = (drawn(name, split, size=SIZE, count=count) for split, count in (("train", 37), ("val", 3)))
        experiences.append(Experience(name, kind_of(name), drawn_classes(name), train, val, name))
    stream = Stream("drawn", tuple(experiences))
    layout = stream.layout
    benchmark = avalanche_benchmark(stream, SIZE, ("classification", "segmentation", "detection"))
    for half in both(benchmark):
        for experience in half:
            (task,) = experience.task_labels
            channels = list(layout.parts[task].channels)
            targets = list(experience.dataset.targets)
            assert targets == [channels[i % len(channels)] for i in range(len(experience.dataset))]
    train = [set(experience.dataset.targets) for experience in benchmark.train_stream]
    assert set.union(*train) == set(range(layout.channels))
    assert sum(map(len, train)) == layout.channels


def test_all_experiences_share_one_collate_function(stream):
    benchmark = avalanche_benchmark(stream, SIZE)
    experiences = [experience for half in both(benchmark) for experience in half]
    assert {experience.dataset.collate_fn for experience in experiences} == {collate}
    mixed = [experience.dataset[index] for experience in benchmark.train_stream for index in range(2)]
    images, target, labels = experiences[0].dataset.collate_fn(mixed)
    assert images.shape == (6, 3, SIZE, SIZE)
    assert target.task.tolist() == labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_task_labels_can_be_asked_for_without_loading_an_image(stream):
    benchmark = avalanche_benchmark(stream, SIZE)
    for task, experience in enumerate(benchmark.train_stream):
        assert set(experience.dataset.targets_task_labels) == {task}
        assert len(experience.dataset.task_set[task]) == len(experience.dataset)
