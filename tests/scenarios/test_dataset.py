import shutil

import pytest
import torch
from torchvision.transforms.v2.functional import resize

import scenarios.dataset
from onehead_avl.target import Target
from onehead_avl.tasks import Task
from scenarios.augmentation import network_input
from scenarios.dataset import EvaluationSet, TrainingSet
from scenarios.folder import read_folder

SIZE = 64


@pytest.fixture(params=Task)
def data(request, shared_mini_root):
    """The mini data of each task."""
    return read_folder(shared_mini_root, request.param)


def differs(first, second):
    return not torch.equal(first[0], second[0])


def test_a_training_sample_is_an_image_and_its_target(data):
    samples = TrainingSet(data.train, data.task, SIZE)
    assert len(samples) == len(data.train)
    for image, target in (samples[index] for index in range(len(samples))):
        assert (type(image), image.dtype, image.shape) == (torch.Tensor, torch.float32, (3, SIZE, SIZE))
        assert isinstance(target, Target)
        assert target.task.tolist() == [data.task]
        assert target.size.tolist() == [[SIZE, SIZE]]
        assert all(type(getattr(target, name)) is torch.Tensor for name in vars(target))


def test_a_training_sample_has_the_parts_of_its_task_and_no_others(data):
    for _, target in [TrainingSet(data.train, data.task, SIZE)[index] for index in range(len(data.train))]:
        assert target.mask.shape == ((1, SIZE, SIZE) if data.task is Task.SEG else (1, 0, 0))
        assert (target.label.item() >= 0) == (data.task is Task.CLS)
        if data.task is not Task.DET:
            assert target.boxes.shape == (1, 0, 4)


def test_a_training_sample_keeps_its_annotation(data):
    samples = TrainingSet(data.train, data.task, SIZE)
    for seed in range(20):
        torch.manual_seed(seed)
        for index, sample in enumerate(data.train):
            _, target = samples[index]
            if data.task is Task.SEG:
                assert set(target.mask.unique().tolist()) <= set(sample.mask.unique().tolist())
            if data.task is Task.CLS:
                assert target.label.item() == sample.label
            if data.task is Task.DET:
                pairs = list(zip(sample.labels.tolist(), sample.crowd.tolist(), strict=True))
                found = list(zip(target.labels[0].tolist(), target.crowd[0].tolist(), strict=True))
                assert set(found) <= set(pairs)
                assert target.boxes.shape[1] == len(found)


def test_training_samples_are_augmented_anew_each_time(data):
    samples = TrainingSet(data.train, data.task, SIZE)
    torch.manual_seed(0)
    assert differs(samples[0], samples[0])
    torch.manual_seed(1)
    first = samples[0]
    torch.manual_seed(1)
    assert not differs(first, samples[0])


def test_evaluation_keeps_annotations_in_the_pixels_of_the_file(data):
    samples = EvaluationSet(data.val, data.task, SIZE)
    assert len(samples) == len(data.val)
    for index, sample in enumerate(data.val):
        _, target = samples[index]
        height, width = sample.image.shape[1:]
        assert (height, width) != (SIZE, SIZE)
        assert target.task.tolist() == [data.task]
        assert target.size.tolist() == [[height, width]]
        if data.task is Task.SEG:
            assert torch.equal(target.mask, sample.mask[None])
        if data.task is Task.DET:
            assert torch.equal(target.boxes, sample.boxes[None])
            assert torch.equal(target.labels, sample.labels[None])
            assert torch.equal(target.crowd, sample.crowd[None])
        if data.task is Task.CLS:
            assert target.label.tolist() == [sample.label]


def test_evaluation_stretches_the_picture_and_changes_nothing_else(data):
    samples = EvaluationSet(data.val, data.task, SIZE)
    for index, sample in enumerate(data.val):
        image, _ = samples[index]
        expected = network_input(resize(sample.image, [SIZE, SIZE], antialias=True))
        assert torch.equal(image, expected)
        assert torch.equal(samples[index][0], image)


def test_evaluation_pictures_are_resized_once(data, monkeypatch):
    sizes = []
    monkeypatch.setattr(
        scenarios.dataset, "resize", lambda image, size, **options: sizes.append(size) or resize(image, size, **options)
    )
    samples = EvaluationSet(data.val, data.task, SIZE)
    for _ in range(3):
        for index in range(len(samples)):
            samples[index]
    assert sizes == [[SIZE, SIZE]] * len(data.val)


@pytest.mark.parametrize("task", Task)
def test_pictures_are_decoded_once(mini_root, task):
    data = read_folder(mini_root, task)
    shutil.rmtree(mini_root)
    for samples in (TrainingSet(data.train, task, SIZE), EvaluationSet(data.val, task, SIZE)):
        assert all(samples[index][0].shape == (3, SIZE, SIZE) for _ in range(2) for index in range(len(samples)))


def test_samples_are_not_changed_by_use(data):
    before = [sample.image.clone() for sample in data.train + data.val]
    for samples in (TrainingSet(data.train, data.task, SIZE), EvaluationSet(data.val, data.task, SIZE)):
        for index in range(len(samples)):
            samples[index][0].zero_()
    assert all(torch.equal(sample.image, old) for sample, old in zip(data.train + data.val, before, strict=True))
