import copy

import pytest
import torch
from avalanche.models import MultiTaskModule
from torch import nn
from torch.nn.functional import avg_pool2d

from onehead_avl.errors import UsageError
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.layout import layout_of_heads
from onehead_avl.model.network import OneHeadNet
from onehead_avl.model.probe import emitted, require_network, unwrapped
from onehead_avl.system.randomness import random_state

SIZE = 32
LAYOUT = layout_of_heads([(name, name, kind_of("classification"), ("a", "b")) for name in ("x", "y")])
SHAPE = (2, 4, 4, 4)  # an image for each of two experiences, two channels for each, an eighth of the size


class Small(nn.Module):
    """A network with all that a probe might disturb."""

    def __init__(self, channels=4, stride=8):
        super().__init__()
        self.layer = nn.Conv2d(3, channels, stride, stride=stride)
        self.norm = nn.BatchNorm2d(channels)
        self.drop = nn.Dropout(0.5)

    def forward(self, image):
        return self.drop(self.norm(self.layer(image)))


class Wrapper(nn.Module):
    """A wrapper of one's own, which may change what is emitted."""

    def __init__(self, inner, change=lambda output: output):
        super().__init__()
        self.inner, self.change = inner, change

    def forward(self, image):
        return self.change(self.inner(image))


def test_it_is_what_the_network_emits_in_evaluation_always_for_the_same_noise():
    model = Small()
    one = emitted(model, LAYOUT, SIZE)
    torch.manual_seed(3)
    assert one.shape == SHAPE
    assert torch.equal(emitted(model, LAYOUT, SIZE), one)
    seen = []
    model.register_forward_hook(lambda module, inputs, output: seen.append(*inputs))
    emitted(model, LAYOUT, SIZE)
    assert seen[0].shape == (2, 3, SIZE, SIZE)
    assert not torch.equal(seen[0][0], seen[0][1])
    assert torch.equal(model.eval()(seen[0]), one)
    assert not one.requires_grad


def test_nothing_is_left_behind():
    model = nn.Sequential(Small(), nn.Sequential(nn.Dropout().eval(), nn.BatchNorm2d(4)))
    model[0].norm.eval()
    state, modes = copy.deepcopy(model.state_dict()), [module.training for module in model.modules()]
    before = random_state()
    emitted(model, LAYOUT, SIZE)
    require_network(model, LAYOUT, SIZE, "mine")
    assert [module.training for module in model.modules()] == modes
    assert len(set(modes)) == 2
    assert all(torch.equal(model.state_dict()[name], value) for name, value in state.items())
    assert model[0].norm.num_batches_tracked == 0
    after = random_state()
    assert torch.equal(after.pop("torch"), before.pop("torch"))
    assert after == before


def test_a_network_that_draws_random_numbers_in_evaluation_disturbs_nothing():
    model = Wrapper(Small(), lambda output: output + torch.rand(1))
    before = torch.get_rng_state()
    emitted(model, LAYOUT, SIZE)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_error_leaves_nothing_behind():
    model = Wrapper(Small(), lambda output: torch.rand(1) / [])
    model.inner.drop.eval()
    before = torch.get_rng_state()
    with pytest.raises(TypeError):
        emitted(model, LAYOUT, SIZE)
    assert [module.training for module in model.modules()] == [True, True, True, True, False]
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_without_weights_is_asked_as_well():
    model = nn.Sequential(nn.AvgPool2d(8), nn.Hardtanh())
    assert emitted(model, LAYOUT, SIZE).shape == (2, 3, 4, 4)


class Heads(MultiTaskModule):
    """One of Avalanche's multi-task modules: each task label has a factor of its own."""

    def __init__(self, layout):
        super().__init__()
        self.seen = []
        self.channels = layout.channels
        self.factor = nn.Parameter(torch.ones(2))

    def forward(self, image, task_labels):
        self.seen.append(task_labels.tolist())
        output = avg_pool2d(image.mean(dim=1, keepdim=True), 8).expand(-1, self.channels, -1, -1)
        return output * self.factor[task_labels][:, None, None, None]


def test_a_multi_task_module_of_avalanches_is_told_the_task_labels():
    model = Heads(LAYOUT)
    plain = emitted(model, LAYOUT, SIZE)
    model.factor.data[1] = 3
    require_network(model, LAYOUT, SIZE, "mine")
    assert torch.equal(emitted(model, LAYOUT, SIZE), torch.stack([plain[0], 3 * plain[1]]))
    assert model.seen == [[0, 1]] * 3


# Refusals


def refused(model):
    with pytest.raises(UsageError) as caught:
        require_network(model, LAYOUT, SIZE, "mine:Net")
    sentence = str(caught.value)
    assert sentence.startswith(f"mine:Net: expected a network {type(model).__name__} ")
    assert "\n" not in sentence
    return caught.value


def test_a_network_that_emits_the_layout_is_taken():
    require_network(Small(), LAYOUT, SIZE, "mine")
    require_network(OneHeadNet(LAYOUT, channels=16), LAYOUT, SIZE, "mine")


@pytest.mark.parametrize(
    ("model", "found"),
    [
        (Small(channels=5), "(2, 5, 4, 4)"),
        (Small(channels=3), "(2, 3, 4, 4)"),
        (Small(stride=4), "(2, 4, 8, 8)"),
        (Small(stride=32), "(2, 4, 1, 1)"),
        (Wrapper(Small(), lambda output: output.mean(dim=(2, 3))), "(2, 4)"),
        (Wrapper(Small(), lambda output: output[:1]), "(1, 4, 4, 4)"),
        (Wrapper(Small(), lambda output: {"out": output}), "a dict"),
        (Wrapper(Small(), lambda output: (output, output)), "a tuple"),
        (Wrapper(Small(), lambda output: None), "a NoneType"),
    ],
    ids=["more channels", "fewer", "finer", "coarser", "no map", "one image", "dict", "tuple", "nothing"],
)
def test_a_network_that_emits_something_else_is_refused_with_what_was_expected_and_found(model, found):
    error = refused(model)
    assert f"that maps 2 images of 32 px to a tensor {SHAPE}, the channels of the layout" in str(error)
    assert str(error).endswith(f"found {found}; correct it")
    assert error.shown is None


def test_a_network_that_raises_an_error_is_refused_with_its_place_and_traceback():
    class Fails(Small):
        def forward(self, image):
            raise KeyError("nothing")

    error = refused(Fails())
    assert "found KeyError in " in str(error)
    assert "test_probe.py, line " in str(error)
    assert ", in forward ('nothing'); correct it" in str(error)
    assert isinstance(error.shown, KeyError)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_network_that_emits_no_numbers_is_refused(value):
    model = Small()
    model.layer.bias.data[1] = value
    assert "finite numbers, found others" in str(refused(model))


def test_a_network_whose_state_is_no_tensor_is_refused_with_its_place():
    class Counts(Small):
        def get_extra_state(self):
            return {"steps": 3}

        def set_extra_state(self, state):
            pass

    found = str(refused(Counts()))
    assert "whose state is tensors" in found
    assert "found others in _extra_state; keep them elsewhere" in found
    outer = Wrapper(Counts())
    assert "in inner._extra_state;" in str(refused(outer))


# What is wrapped


WRAPPERS = {
    "parallel": nn.DataParallel,
    "one's own": Wrapper,
    "two of them": lambda model: Wrapper(Wrapper(model)),
    "sequence": lambda model: nn.Sequential(model, nn.Identity()),
}


@pytest.mark.parametrize("wrapped", WRAPPERS.values(), ids=WRAPPERS)
def test_a_wrapper_that_emits_the_same_is_taken_off(wrapped):
    model = Small()
    assert unwrapped(wrapped(model), Small(), LAYOUT, SIZE) is model


@pytest.mark.parametrize(
    "change", [lambda output: 2 * output, lambda output: output[:, [1, 0, 2, 3]]], ids=["louder", "permuted"]
)
def test_a_wrapper_that_emits_something_else_stays(change):
    whole = Wrapper(Small(), change)
    assert unwrapped(whole, Small(), LAYOUT, SIZE) is whole


def test_a_network_that_is_not_wrapped_is_itself():
    model = Small()
    assert unwrapped(model, model, LAYOUT, SIZE) is model
    assert unwrapped(model, Small(), LAYOUT, SIZE) is model


def test_a_network_of_another_make_stays_as_it_is():
    class Smaller(Small):
        """Not of the make, though derived from it."""

    for model in (nn.DataParallel(Smaller()), Wrapper(nn.Conv2d(3, 4, 8, stride=8))):
        assert unwrapped(model, Small(), LAYOUT, SIZE) is model
