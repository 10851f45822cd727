from pathlib import Path

import pytest
import torch

from onehead_avl.errors import UsageError
from scenarios import keeping
from scenarios.described import Described, Description
from scenarios.description import read_description
from scenarios.reading import read_stream
from scenarios.samples import stored
from scenarios.samples.sample import Sample
from scenarios.samples.source import Source


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that are decoded, in order."""
    names = []
    for name in ("decode_rgb", "decode_indices"):
        original = getattr(stored, name)
        monkeypatch.setattr(
            stored, name, lambda file, original=original: names.append(Path(file).name) or original(file)
        )
    return names


@pytest.fixture
def read(shared_mini_root):
    """Read the mini data with a memory budget."""
    description: Description = read_description("challenge").on(shared_mini_root, 32)
    return lambda memory=None: read_stream(description, lambda line: None, memory)


def samples_of(stream):
    return [sample for each in stream.experiences for sample in (*each.train, *each.val)]


def contents(stream):
    return [
        part
        for sample in samples_of(stream)
        for part in (sample.image, *(torch.as_tensor(part) for part in sample.annotation.values()))
    ]


def parts(stream):
    """The pictures and masks on disk."""
    return [part for sample in samples_of(stream) for part in (sample.picture, sample.mask) if part is not None]


def test_what_there_is_room_for_is_decoded_once(read, decoded):
    stream = read()
    assert decoded == []  # they were checked when they were read
    first = contents(stream)
    assert len(decoded) == len(parts(stream))
    assert all(map(torch.equal, first, contents(stream)))
    assert len(decoded) == len(parts(stream))


def test_without_room_everything_is_decoded_each_time(read, decoded):
    stream = read(memory=0)
    first = contents(stream)
    again = contents(stream)
    assert all(map(torch.equal, first, again))
    assert len(decoded) == 2 * len(parts(stream))


@pytest.mark.parametrize("memory", [0, 1, 5_000, 20_000, 10**9])
def test_the_same_images_whatever_the_budget(read, memory):
    stream = read(memory)
    assert all(map(torch.equal, contents(read()), contents(stream)))
    assert all(map(torch.equal, contents(read()), contents(stream)))  # and a second time


def test_the_budget_is_kept_to(read):
    def bytes_of(part):
        return part.read().numel()

    whole = sum(map(bytes_of, parts(read())))
    kept = sum(bytes_of(part) for part in parts(read(memory=whole // 2)) if part.slot is not None)
    assert whole // 3 < kept <= whole // 2


def test_training_sets_have_the_same_share_and_come_before_validation_images(read):
    stream = read(memory=30_000)
    shares = [
        sum(sample.picture.slot is not None for sample in each.train) / len(each.train) for each in stream.experiences
    ]
    assert 0 < min(shares) <= max(shares) < 1
    assert max(shares) - min(shares) <= 0.25
    assert not any(sample.picture.slot for each in stream.experiences for sample in each.val)


def test_images_that_are_in_memory_already_need_no_room(read):
    sample = Sample("drawn", torch.zeros(3, 4, 4, dtype=torch.uint8), {"label": 0})
    assert keeping._stored(sample) == []


def test_experiences_that_share_an_image_share_its_place(shared_mini_root):
    source = Source(shared_mini_root / "imagenette_160")
    both = [
        Described(name, "classification", source, name, domain=domain) for name, domain in (("a", None), ("b", "grey"))
    ]
    first, second = read_stream(Description("both", tuple(both), Path("both.yaml")), lambda line: None).experiences
    for plain, grey in zip(first.train, second.train, strict=True):
        assert plain.picture is grey.picture
        assert not torch.equal(plain.image, grey.image)


def test_memory_that_cannot_be_had_is_refused(read, monkeypatch):
    def none_left(sizes, budget):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(keeping, "slots", none_left)
    with pytest.raises(UsageError, match=r"^--memory: expected 5 GB for decoded images, .*\(Cannot allocate memory\)"):
        read(memory=5 * 10**9)


def test_by_default_a_part_of_what_is_free_is_used(read, monkeypatch):
    asked = []
    monkeypatch.setattr(keeping, "free_bytes", lambda: 8000)
    monkeypatch.setattr(keeping, "slots", lambda sizes, budget: asked.append(budget) or [None for _ in sizes])
    read()
    assert asked == [1000]
