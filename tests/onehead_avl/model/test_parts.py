import pytest
from torch import nn

from onehead_avl.model.network import OneHeadNet
from onehead_avl.model.parts import backbone_of, is_pretrained, layout_of


class Wrapper(nn.Module):
    """A wrapper of one's own."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner


WRAPPERS = {"bare": lambda model: model, "parallel": nn.DataParallel, "twice": lambda model: Wrapper(Wrapper(model))}


@pytest.mark.parametrize("wrapped", WRAPPERS.values(), ids=WRAPPERS)
@pytest.mark.parametrize("pretrained", [True, False])
def test_our_network_says_what_it_is_in_a_wrapper_or_without(wrapped, pretrained, layout):
    inner = OneHeadNet(layout, pretrained=pretrained, channels=16)
    model = wrapped(inner)
    assert backbone_of(model) is inner.backbone
    assert is_pretrained(model) is pretrained
    assert layout_of(model) is layout


def test_another_network_need_not_say_anything():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    assert backbone_of(model) is None
    assert is_pretrained(model) is False
    assert layout_of(model) is None


def test_another_network_may_have_a_backbone_that_says_no_more():
    model = Wrapper(nn.ReLU())
    model.backbone = nn.Conv2d(3, 4, 1)
    assert backbone_of(model) is model.backbone
    assert is_pretrained(model) is False
    model.backbone.pretrained = True
    assert is_pretrained(model) is True


def test_what_is_called_so_and_is_something_else_is_passed_over(layout):
    model = Wrapper(Wrapper(nn.ReLU()))
    model.backbone, model.layout = "resnet", "as usual"
    assert backbone_of(model) is layout_of(model) is None
    assert is_pretrained(model) is False
    model.inner.backbone, model.inner.layout = nn.Conv2d(3, 4, 1), layout
    assert backbone_of(model) is model.inner.backbone
    assert layout_of(model) is layout
