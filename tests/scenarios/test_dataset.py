import pytest
import torch
from torchvision.transforms.v2.functional import resize

import scenarios.dataset
from onehead_avl.model.input import network_input
from onehead_avl.target import Target
from scenarios.dataset import EvaluationSet, TrainingSet
from scenarios.description import read_description
from scenarios.reading import read_stream
from scenarios.samples import stored

SIZE = 64
NAMES = ("seg", "det", "cls")
TASK = 1  # any task label


def read(root):
    return read_stream(read_description("challenge").on(root, SIZE), lambda line: None, memory=0)


@pytest.fixture(scope="module")
def stream(shared_mini_root):
    return read(shared_mini_root)


@pytest.fixture(params=NAMES)
def data(request, stream):
    """The mini data of each experience."""
    return stream.experiences[stream.task(request.param)]


def training_set(data):
    return TrainingSet(data.train, data.kind, TASK, 3, SIZE)


def evaluation_set(data):
    return EvaluationSet(data.val, TASK, SIZE)


def differs(first, second):
    return not torch.equal(first[0], second[0])


def identical(first, second):
    (image, target), (other_image, other_target) = first, second
    return torch.equal(image, other_image) and all(
        torch.equal(one, other) and one.dtype == other.dtype
        for one, other in zip(tensors(target), tensors(other_target), strict=True)
    )


def tensors(target):
    return [target.task, target.size, *(target.parts[name] for name in sorted(target.parts))]


def test_a_training_sample_is_an_image_and_its_target(data):
    samples = training_set(data)
    assert len(samples) == len(data.train)
    for image, target in (samples.augmented(index) for index in range(len(samples))):
        assert (type(image), image.dtype, image.shape) == (torch.Tensor, torch.float32, (3, SIZE, SIZE))
        assert isinstance(target, Target)
        assert target.task.tolist() == [TASK]
        assert target.size.tolist() == [[SIZE, SIZE]]
        assert all(type(part) is torch.Tensor for part in (target.task, target.size, *target.parts.values()))


def test_a_training_sample_has_the_parts_of_its_kind_and_no_others(data):
    for _, target in (training_set(data).augmented(index) for index in range(len(data.train))):
        assert set(target.parts) == set(data.kind.parts)
        if data.name == "seg":
            assert target.parts["mask"].shape == (1, SIZE, SIZE)


def test_a_training_sample_keeps_its_annotation(data):
    samples = training_set(data)
    for seed in range(20):
        torch.manual_seed(seed)
        for index, sample in enumerate(data.train):
            found, known = samples.augmented(index)[1].parts, sample.annotation
            if data.name == "seg":
                assert set(found["mask"].unique().tolist()) <= set(known["mask"].unique().tolist())
            if data.name == "cls":
                assert found["label"].item() == known["label"]
            if data.name == "det":
                pairs = list(zip(known["labels"].tolist(), known["crowd"].tolist(), strict=True))
                left = list(zip(found["labels"][0].tolist(), found["crowd"][0].tolist(), strict=True))
                assert set(left) <= set(pairs)
                assert found["boxes"].shape == (1, len(left), 4)


def test_training_samples_are_augmented_anew_each_time(data):
    samples = training_set(data)
    torch.manual_seed(0)
    assert differs(samples.augmented(0), samples.augmented(0))
    torch.manual_seed(1)
    first = samples.augmented(0)
    torch.manual_seed(1)
    assert not differs(first, samples.augmented(0))


def test_the_plain_view_of_a_training_sample_is_what_an_evaluation_of_it_sees(data):
    samples, expected = training_set(data), EvaluationSet(data.train, TASK, SIZE)
    assert len(samples) == len(expected) == 4
    torch.manual_seed(0)
    state = torch.get_rng_state()
    assert all(identical(samples.plain(index), expected[index]) for index in range(4))
    assert torch.equal(torch.get_rng_state(), state)


def test_plain_views_of_training_samples_are_not_kept(data, monkeypatch):
    sizes = []
    monkeypatch.setattr(
        scenarios.dataset, "resize", lambda image, size, **options: sizes.append(size) or resize(image, size, **options)
    )
    samples = training_set(data)
    assert sizes == []
    held = {id(value) for value in vars(samples).values()}
    samples.plain(0)
    samples.plain(0)
    assert sizes == [[SIZE, SIZE]] * 2
    assert {id(value) for value in vars(samples).values()} == held


def test_evaluation_keeps_annotations_in_the_pixels_of_the_file(data):
    samples = evaluation_set(data)
    assert len(samples) == len(data.val)
    for index, sample in enumerate(data.val):
        _, target = samples[index]
        height, width = sample.image.shape[1:]
        assert (height, width) != (SIZE, SIZE)
        assert target.task.tolist() == [TASK]
        assert target.size.tolist() == [[height, width]]
        assert set(target.parts) == set(data.kind.parts)
        for name, part in target.parts.items():
            assert torch.equal(part, torch.as_tensor(sample.annotation[name])[None])


def test_evaluation_stretches_the_picture_and_changes_nothing_else(data):
    samples = evaluation_set(data)
    for index, sample in enumerate(data.val):
        image, _ = samples[index]
        expected = network_input(resize(sample.image, [SIZE, SIZE], antialias=True))
        assert torch.equal(image, expected)
        assert torch.equal(samples[index][0], image)


def test_images_are_decoded_when_a_view_is_asked_for_and_not_kept(mini_root, monkeypatch):
    decoded = []
    decode = stored.decode_rgb
    monkeypatch.setattr(stored, "decode_rgb", lambda file: (decoded.append(file), decode(file))[1])
    stream = read(mini_root)
    for data in stream.experiences:
        train, val = training_set(data), evaluation_set(data)
        assert decoded == []
        views = (train.augmented, train.plain, val.__getitem__)
        for view, sample in zip(views, (data.train[1], data.train[1], data.val[1]), strict=True):
            view(1)
            view(1)
            assert [str(file) for file in decoded] == [sample.name] * 2
            decoded.clear()


def test_no_two_samples_of_a_stream_have_the_same_random_view(stream):
    data = stream.experiences[0]
    sets = [TrainingSet(data.train, data.kind, task, 2, SIZE) for task in (0, 1)]
    scenarios.dataset.VIEWS.seed = 5
    try:
        same = [not differs(sets[0].augmented(index), sets[1].augmented(index)) for index in range(4)]
        again = [not differs(sets[0].augmented(index), sets[0].augmented(index)) for index in range(4)]
    finally:
        scenarios.dataset.VIEWS.seed = None
    assert not any(same)
    assert all(again)


def test_samples_are_not_changed_by_use(data):
    before = [sample.image.clone() for sample in data.train + data.val]
    train, val = training_set(data), evaluation_set(data)
    for view, count in ((train.augmented, len(train)), (train.plain, len(train)), (val.__getitem__, len(val))):
        for index in range(count):
            view(index)[0].zero_()
    assert all(torch.equal(sample.image, old) for sample, old in zip(data.train + data.val, before, strict=True))
