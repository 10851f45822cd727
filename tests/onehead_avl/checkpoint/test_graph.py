import copy
import io
from collections import OrderedDict, defaultdict, deque
from enum import Enum
from types import SimpleNamespace

import numpy
import pytest
import torch
from torch import nn
from torch.optim import AdamW

from onehead_avl.checkpoint.graph import Unsavable, encode, restore
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.layout import layout_of_heads
from onehead_avl.model.timm_backbone import TimmBackbone
from onehead_avl.system.savable import FUNCTIONS, MADE, full_name
from onehead_avl.system.views import VIEWS
from scenarios.drawn.embedded import drawn, drawn_classes
from scenarios.experience import Experience, Stream
from scenarios.stream import avalanche_benchmark


class Mode(Enum):
    ONLINE = "online"
    SEPARATE = "separate"


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """An enumeration of this test is known as those are that are declared savable."""
    monkeypatch.setitem(MADE, full_name(Mode), Mode)


def saved(value):
    """Through a file, as safely as a checkpoint is read."""
    file = io.BytesIO()
    torch.save(encode(value), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def restored(value, into):
    restore(saved(value), into, nn.Identity())
    return into


def test_values_and_containers_come_back():
    held = {
        "plain": [None, True, 3, 0.5, "word", b"bytes", torch.float32, torch.Size((2, 3)), torch.device("cpu")],
        "nested": {"a": (1, [2, (3,)]), 4: {5, 6}, "deque": deque([1, 2])},
        "dictionaries": [OrderedDict(b=1, a=2), defaultdict(list, x=[1])],
        "mode": {Mode.ONLINE},
        "array": numpy.arange(4),
    }
    found = restored(SimpleNamespace(held=held), SimpleNamespace(held={})).held
    array, wanted = found.pop("array"), held.pop("array")
    assert found == held
    assert (array == wanted).all()
    assert [type(each) for each in found["dictionaries"]] == [OrderedDict, defaultdict]
    assert found["dictionaries"][1].default_factory is list
    assert next(iter(found["mode"])) is Mode.ONLINE


def test_what_is_there_is_changed_in_place_and_stays_shared():
    def made(seed):
        torch.manual_seed(seed)
        model = nn.Linear(2, 2)
        return SimpleNamespace(model=model, optimizer=AdamW(model.parameters(), lr=seed), again=model.weight)

    one, other = made(1), made(2)
    one.model(torch.ones(1, 2)).sum().backward()
    one.optimizer.step()
    weight = other.model.weight
    restored(one, other)
    assert other.model.weight is weight is other.again is other.optimizer.param_groups[0]["params"][0]
    assert torch.equal(weight, one.model.weight)
    assert other.optimizer.param_groups[0]["lr"] == 1
    assert torch.equal(other.optimizer.state[weight]["exp_avg"], one.optimizer.state[one.model.weight]["exp_avg"])


def test_what_was_shared_or_apart_is_so_again():
    shared = [1]
    found = restored(SimpleNamespace(a=shared, b=shared, c=[1]), SimpleNamespace(a=[], b=[], c=None))
    assert found.a is found.b
    assert found.c is not found.a
    both = [0]
    found = restored(SimpleNamespace(a=[1], b=[2]), SimpleNamespace(a=both, b=both))
    assert (found.a, found.b) == ([1], [2])


def test_a_cycle_comes_back():
    value = SimpleNamespace(held=[])
    value.held.append(value.held)
    found = restored(value, SimpleNamespace(held=[]))
    assert found.held[0] is found.held


def test_a_generator_of_random_numbers_goes_on():
    one = SimpleNamespace(random=torch.Generator().manual_seed(3))
    torch.rand(5, generator=one.random)
    other = restored(one, SimpleNamespace(random=torch.Generator()))
    assert torch.equal(torch.rand(5, generator=one.random), torch.rand(5, generator=other.random))


def test_layouts_and_kinds_are_not_saved_but_those_that_are_there_stay():
    def made():
        layout = layout_of_heads([("cls", "cls", kind_of("classification"), ("a", "b"))])
        return SimpleNamespace(layout=layout, kind=kind_of("detection"), number=0)

    one, other = made(), made()
    one.number = 1
    layout, kind = other.layout, other.kind
    restored(one, other)
    assert (other.layout, other.kind, other.number) == (layout, kind, 1)
    assert other.layout is layout
    assert [row[0] for row in encode(one)] == ["object", "kept", "kept"]
    with pytest.raises(Unsavable, match=r"\.layout: expected a .*Layout, found a builtins\.NoneType"):
        restored(one, SimpleNamespace(layout=None, kind=kind, number=0))


def test_a_model_that_was_replaced_by_a_copy_needs_no_second_layout():
    layout = layout_of_heads([("cls", "cls", kind_of("classification"), ("a", "b"))])
    copied = SimpleNamespace(model=copy.deepcopy(layout), score=layout, kinds=[kind_of("detection") for _ in range(2)])
    assert copied.model is not copied.score
    kind = kind_of("detection")
    found = restored(copied, SimpleNamespace(model=layout, score=layout, kinds=[kind, kind]))
    assert found.model is found.score is layout
    assert found.kinds == [kind, kind]


@pytest.fixture(scope="module")
def pictures():
    """A stream of detection and classification."""

    def experience(name):
        train, val = (drawn(name, split, size=40, count=4) for split in ("train", "val"))
        return Experience(name, kind_of(name), drawn_classes(name), train, val, name)

    return Stream("pictures", (experience("detection"), experience("classification")))


MEMORIES = {
    "some": lambda first, second: first.subset([2, 0]),
    "joined": lambda first, second: first.subset([2, 0]).concat(second.subset([3])),
    "some of an evaluation": lambda first, second: first.eval().subset([2, 0]),
    "an evaluation of some": lambda first, second: first.subset([2, 0]).eval(),
    "frozen": lambda first, second: first.subset([2, 0]).freeze_transforms(),
    "without augmentation": lambda first, second: second.remove_current_transform_group().subset([1]),
    "with another transform": lambda first, second: second.replace_current_transform_group(torch.ones_like),
}


@pytest.mark.parametrize("made", MEMORIES.values(), ids=MEMORIES)
def test_a_memory_comes_back_with_the_transforms_of_its_modes(made, pictures, monkeypatch):
    monkeypatch.setitem(FUNCTIONS, "ones_like", torch.ones_like)
    with VIEWS.fixed(3):
        one, other = (
            SimpleNamespace(data=[each.dataset for each in avalanche_benchmark(pictures, 32).train_stream], memory=None)
            for _ in range(2)
        )
        for dataset in one.data:
            shown(dataset)  # as an epoch does
        one.memory = made(*one.data)
        found = restored(one, other).memory
        assert type(found) is type(one.memory)
        assert len(found) == len(one.memory)
        for dataset, again in zip((one.memory, *one.data), (found, *other.data), strict=True):
            modes = (dataset, again), (dataset.train(), again.train()), (dataset.eval(), again.eval())
            assert all(torch.equal(shown(mode), shown(restored_mode)) for mode, restored_mode in modes)
        assert found._flat_data._transform_groups == one.memory._flat_data._transform_groups


def shown(dataset):
    return torch.stack([dataset[i][0] for i in range(len(dataset))])


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext"])
def test_networks_of_timm_come_back_one_as_a_copy_of_the_other(name):
    one, other = (SimpleNamespace(model=TimmBackbone(f"timm:{name}", pretrained=False)) for _ in range(2))
    one.teacher, other.teacher = TimmBackbone(f"timm:{name}", pretrained=False), None
    restore(saved(one), other, copy.deepcopy(other.model))
    image = torch.randn(1, 3, 32, 32)
    for wanted, found in ((one.model, other.model), (one.teacher, other.teacher)):
        assert all(torch.equal(*pair) for pair in zip(wanted(image), found(image), strict=True))
    assert not torch.equal(other.model(image)[0], other.teacher(image)[0])


def test_what_cannot_be_saved_is_named():
    with pytest.raises(Unsavable, match=r"SimpleNamespace\.held\[1\] is a builtins\.generator, which cannot be saved"):
        encode(SimpleNamespace(held=[1, (each for each in ())]))


def test_an_unknown_object_is_not_made():
    class Unknown:
        pass

    table = encode(SimpleNamespace(held=Unknown()))
    with pytest.raises(Unsavable, match=r"expected a .*Unknown, found a builtins\.NoneType"):
        restore(table, SimpleNamespace(held=None), nn.Identity())
