import pytest
from torch import nn

from onehead_avl.system.modes import evaluating


@pytest.fixture
def model():
    """A network in training, of which one layer and a part of another evaluate: as methods freeze them."""
    model = nn.Sequential(nn.Dropout(), nn.BatchNorm2d(2).eval(), nn.Sequential(nn.Dropout().eval(), nn.Dropout()))
    assert modes(model) == [True, True, False, True, False, True]
    return model


def modes(model):
    return [module.training for module in model.modules()]


def test_every_module_evaluates_meanwhile_and_is_in_its_own_mode_afterwards(model):
    before = modes(model)
    with evaluating(model) as same:
        assert same is model
        assert modes(model) == [False] * 6
    assert modes(model) == before


def test_a_network_that_evaluated_before_goes_on_to(model):
    model.eval()
    with evaluating(model):
        pass
    assert modes(model) == [False] * 6


def test_an_error_leaves_the_modes_as_they_were(model):
    before = modes(model)
    with pytest.raises(ZeroDivisionError), evaluating(model):
        _ = 1 / 0
    assert modes(model) == before


def test_what_is_added_meanwhile_is_left_alone(model):
    with evaluating(model):
        model.append(nn.Dropout().eval())
    assert modes(model) == [True, True, False, True, False, True, False]
