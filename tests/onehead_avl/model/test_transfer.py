import pytest
import torch
from torch import nn

from onehead_avl.errors import UsageError
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.layout import layout_of_heads
from onehead_avl.model.network import OneHeadNet
from onehead_avl.model.saved import SavedModel
from onehead_avl.model.transfer import begin_with

AB, ABC = ("a", "b"), ("a", "b", "c")
OPTIONS = {"backbone": "mobilenet_v3_large", "channels": 16}


def layout_of(*experiences):
    """A layout of experiences ``(name, kind, classes)`` or ``(name, kind, classes, head)``."""
    return layout_of_heads(
        [(name, head[0] if head else name, kind_of(kind), classes) for name, kind, classes, *head in experiences]
    )


TRAINED = layout_of(
    ("seg", "segmentation", ABC), ("det", "detection", AB), ("cls", "classification", AB), ("old", "detection", AB)
)


@pytest.fixture(scope="module")
def saved():
    """A network of which no weight is that of a new one."""
    torch.manual_seed(7)
    model = OneHeadNet(TRAINED, **OPTIONS)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(torch.randn_like(value))
    return SavedModel(model.eval(), TRAINED, 64, "before")


def begun(saved, layout):
    """The network that begins with another one, a new one of the same random numbers, and the heads that it knows."""
    torch.manual_seed(0)
    new = OneHeadNet(layout, **OPTIONS)
    torch.manual_seed(0)
    return *begin_with(saved, layout), new


def rows(model, head):
    """The output weights and biases of a head."""
    (part,) = [part for part in model.layout.heads if part.head == head]
    at = slice(part.start, part.start + part.kind.channels(part.classes))
    return torch.cat([model.last.weight[at].flatten(), model.last.bias[at]])


def test_the_same_layout_goes_on_with_the_network_itself(saved):
    same = layout_of(
        ("seg", "segmentation", ABC), ("det", "detection", AB), ("cls", "classification", AB), ("old", "detection", AB)
    )
    assert begin_with(saved, same) == (saved.model, ["seg", "det", "cls", "old"])


def test_heads_are_known_by_name_kind_and_classes_wherever_they_stand_and_others_begin_anew(saved):
    layout = layout_of(
        ("cls", "classification", AB),
        ("seg", "segmentation", ("a", "c", "b")),  # other classes
        ("more", "detection", AB),  # another name
        ("old", "classification", AB),  # another kind
        ("det", "detection", AB),
    )
    model, known, new = begun(saved, layout)
    assert known == ["cls", "det"]
    assert model.layout == layout
    for head in ("cls", "det"):
        assert torch.equal(rows(model, head), rows(saved.model, head))
        assert not torch.equal(rows(model, head), rows(new, head))
    for head in ("seg", "more", "old"):
        assert torch.equal(rows(model, head), rows(new, head))


def test_the_rest_of_the_network_is_that_of_the_trained_one(saved):
    model, _, new = begun(saved, layout_of(("other", "segmentation", AB)))
    before, fresh = saved.model.state_dict(), new.state_dict()
    output = {"head.4.weight", "head.4.bias"}
    assert before.keys() == model.state_dict().keys()
    for name, value in model.state_dict().items():
        assert torch.equal(value, fresh[name] if name in output else before[name]), name
        assert name in output or not torch.equal(value, fresh[name])


def test_the_network_is_built_as_the_trained_one_was(saved):
    pretrained = OneHeadNet(TRAINED, pretrained=True, channels=24)
    for old in (saved.model, pretrained):
        model, _ = begin_with(SavedModel(old, TRAINED, 64, "before"), layout_of(("cls", "classification", AB)))
        assert model.backbone.name == old.backbone.name
        assert model.backbone.pretrained is old.backbone.pretrained
        assert model.width == old.width


def test_a_head_that_several_experiences_share_is_known_by_its_own_name(saved):
    layout = layout_of(("day", "classification", AB, "cls"), ("det", "classification", AB, "cls"))
    model, known, _ = begun(saved, layout)
    assert known == ["cls"]
    assert torch.equal(rows(model, "cls"), rows(saved.model, "cls"))


def test_without_a_head_in_common_all_heads_begin_anew(saved):
    model, known, new = begun(saved, layout_of(("other", "classification", AB)))
    assert known == []
    assert torch.equal(rows(model, "other"), rows(new, "other"))


def test_the_trained_network_is_not_changed(saved):
    before = {name: value.clone() for name, value in saved.model.state_dict().items()}
    model, *_ = begun(saved, layout_of(("cls", "classification", AB)))
    with torch.no_grad():
        for value in model.parameters():
            value.add_(1)
    assert all(torch.equal(value, before[name]) for name, value in saved.model.state_dict().items())


def test_columns_of_known_heads_go_along_and_others_do_not():
    torch.manual_seed(7)
    old = OneHeadNet(TRAINED, **OPTIONS)
    for head in ("det", "seg", "cls", "det"):
        old.grow(TRAINED.part_of(head))
    layout = layout_of(("cls", "classification", AB), ("seg", "segmentation", AB), ("det", "detection", AB))
    model, known = begin_with(SavedModel(old.eval(), TRAINED, 64, "before"), layout)
    assert known == ["cls", "det"]
    assert [column.serves for column in model.grown] == ["det", "cls", "det"]
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before, after = old(images), model.eval()(images)
    for head in known:
        assert torch.equal(TRAINED.part_of(head).of(before), layout.part_of(head).of(after))


class Another(nn.Module):
    """A network of another make."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, TRAINED.channels, 8, stride=8)


def test_a_network_of_another_make_is_used_as_it_is():
    saved = SavedModel(Another(), TRAINED, 64, "before")
    assert begin_with(saved, TRAINED) == (saved.model, ["seg", "det", "cls", "old"])


def test_a_network_of_another_make_cannot_go_on_with_other_experiences():
    saved = SavedModel(Another(), TRAINED, 64, "before")
    with pytest.raises(UsageError) as caught:
        begin_with(saved, layout_of(("seg", "segmentation", AB), ("new", "detection", AB)))
    assert str(caught.value) == (
        "--start-from: expected a network Another of the experiences seg, new with their classes, found one of seg, "
        "det, cls, old; only networks of this package can go on with other experiences"
    )
