from types import SimpleNamespace

import pytest
import torch
from torchvision.ops import masks_to_boxes

import strategies.outlines
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.layout import layout_of_heads
from onehead_avl.target import Target
from strategies.outlines import Outlines

pytestmark = pytest.mark.filterwarnings("ignore:No loggers specified")

SIZE = 64
SEG, DET, CLS = range(3)
LAYOUT = layout_of_heads(
    [
        ("seg", "seg", kind_of("segmentation"), ("background", "cat", "sofa", "dog")),
        ("det", "det", kind_of("detection"), ("dog", "cup", "cat")),
        ("cls", "cls", kind_of("classification"), ("cat", "dog")),
    ]
)
PART = LAYOUT.parts[DET]


class Strategy(SimpleNamespace):
    """What the plugin asks of a strategy, for one minibatch of a detection experience."""

    def __init__(self, images, target, task=DET):
        super().__init__(mbatch=[images, target, target.task], loss=torch.zeros(()))
        self.experience = SimpleNamespace(task_labels=[task])

    @property
    def mb_x(self):
        return self.mbatch[0]

    @property
    def mb_y(self):
        return self.mbatch[1]

    def step(self, plugin):
        """One iteration up to the loss, with an output that depends on no image."""
        plugin.before_forward(self)
        side = SIZE // 8
        generator = torch.Generator().manual_seed(5)
        self.mb_output = torch.randn(len(self.mb_x), LAYOUT.channels, side, side, generator=generator)
        self.mb_output.requires_grad_()
        plugin.before_backward(self)
        return self


def seen(task, **annotation):
    return Target.single(task, (SIZE, SIZE), annotation)


def replayed():
    """The mask of a dog, a cat and a sofa."""
    mask = torch.zeros(SIZE, SIZE, dtype=torch.uint8)
    mask[10:50, 4:30] = 3
    mask[20:44, 36:60] = 1
    mask[52:62, 2:60] = 2
    return seen(SEG, mask=mask)


def current(*boxes):
    """Boxes of cups."""
    labels = torch.full((len(boxes),), 1)
    place = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    return seen(DET, boxes=place, labels=labels, crowd=torch.zeros(len(boxes), dtype=torch.bool))


def minibatch(*targets, task=DET):
    """Images of the current experience are black and replayed ones white."""
    target = Target.cat(targets)
    images = (target.task == SEG).float()[:, None, None, None].expand(-1, 3, SIZE, SIZE).clone()
    return Strategy(images, target, task)


@pytest.fixture
def pasting(monkeypatch):
    """Paste into all current images, or into none."""
    return lambda share: monkeypatch.setattr(strategies.outlines, "PASTED", share)


def annotated(target, row):
    """Boxes and labels of an image, as a list of pairs."""
    boxes, labels = (target.parts[name][row].tolist() for name in ("boxes", "labels"))
    return [(box, label) for box, label in zip(boxes, labels, strict=True) if label >= 0]


def test_replayed_images_are_examples_with_the_boxes_around_the_objects_that_detection_knows(pasting):
    pasting(0)
    strategy = minibatch(current([2, 2, 20, 20]), replayed()).step(Outlines(LAYOUT, 0.5))
    mask = replayed().parts["mask"][0]
    boxes = torch.stack([masks_to_boxes((mask == value)[None])[0] for value in (3, 1)]) + torch.tensor([0, 0, 1, 1])
    wanted = seen(DET, boxes=boxes, labels=torch.tensor([0, 2]), crowd=torch.zeros(2, dtype=torch.bool))
    expected = 0.5 * PART.kind.loss(PART.of(strategy.mb_output[1:]), wanted).mean()
    assert strategy.loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert strategy.loss > 0


def test_a_class_that_no_mask_can_show_learns_nothing_from_replayed_images(pasting):
    pasting(0)
    strategy = minibatch(current(), replayed()).step(Outlines(LAYOUT, 0.5))
    strategy.loss.backward()
    of_channels = strategy.mb_output.grad.abs().sum(dim=(2, 3))
    learned = [channel for channel in range(LAYOUT.channels) if of_channels[1, channel] > 0]
    first = PART.channels.stop - len(PART.classes)
    assert learned == [channel for channel in PART.channels if channel != first + 1]
    assert (of_channels[0] == 0).all()


def test_objects_are_pasted_into_current_images_and_annotated_there(pasting, monkeypatch):
    monkeypatch.setattr("onehead_avl.kinds.outlined.PASTED_SIDES", (0.6, 0.9))  # none becomes too small
    pasting(1)
    torch.manual_seed(0)
    strategy = minibatch(current([2, 2, 20, 20]), current(), replayed(), current())
    before = strategy.mb_x
    strategy.step(Outlines(LAYOUT, 0.5))
    for row in (0, 1, 3):
        outside = strategy.mb_x[row].clone()
        assert outside.max() > 0.9
        new = [(box, label) for box, label in annotated(strategy.mb_y, row) if label != 1]
        assert [label for _, label in new] == [2, 0]  # in the order of the masks' classes
        for (x1, y1, x2, y2), _ in new:
            outside[:, int(y1) - 1 : int(y2) + 2, int(x1) - 1 : int(x2) + 2] = 0
        assert (outside == 0).all()
    assert strategy.mb_y.task.tolist() == [DET, DET, SEG, DET]
    assert torch.equal(strategy.mb_y.parts["mask"][2], replayed().parts["mask"][0])
    assert (strategy.mb_x[2] == 1).all()
    assert (before[[0, 1, 3]] == 0).all()


def test_objects_of_all_replayed_images_are_pasted_of_one_into_each_current_image(pasting, monkeypatch):
    monkeypatch.setattr("onehead_avl.kinds.outlined.PASTED_SIDES", (0.6, 0.9))
    pasting(1)
    torch.manual_seed(0)
    masks = [torch.zeros(SIZE, SIZE, dtype=torch.uint8) for _ in range(2)]
    for mask, value in zip(masks, (1, 3), strict=True):
        mask[10:50, 10:50] = value
    strategy = minibatch(*[current() for _ in range(20)], *[seen(SEG, mask=mask) for mask in masks])
    strategy.step(Outlines(LAYOUT, 0.5))
    labels = [[label for _, label in annotated(strategy.mb_y, row)] for row in range(20)]
    assert sorted({tuple(each) for each in labels}) == [(0,), (2,)]


def test_every_segmentation_experience_that_is_replayed_gives_examples_with_its_own_classes(pasting):
    pasting(0)
    parts = [
        (name, name, kind_of("segmentation"), classes) for name, classes in (("a", ("x", "dog")), ("b", ("cat", "y")))
    ]
    layout = layout_of_heads([*parts, ("det", "det", kind_of("detection"), ("dog", "cat"))])
    mask = torch.full((SIZE, SIZE), 255, dtype=torch.uint8)
    mask[:, :32], mask[:, 40:] = 0, 1
    target = Target.cat([Target.single(task, (SIZE, SIZE), {"mask": mask}) for task in (0, 1)])
    target = Target.cat([target, current().clone()])
    target.task[2] = 2
    strategy = Strategy(torch.zeros(3, 3, SIZE, SIZE), target, task=2)
    plugin = Outlines(layout, 1.0)
    plugin.before_forward(strategy)
    found = [
        (each.rows.tolist(), each.target.parts["boxes"].tolist(), each.target.parts["labels"].tolist())
        for each in plugin._examples
    ]
    assert found == [([0], [[[40, 0, 64, 64]]], [[0]]), ([1], [[[0, 0, 32, 64]]], [[1]])]


def test_about_half_of_the_current_images_are_pasted_into():
    torch.manual_seed(0)
    strategy = minibatch(*[current() for _ in range(200)], replayed()).step(Outlines(LAYOUT, 0.5))
    assert 70 <= sum(bool(annotated(strategy.mb_y, row)) for row in range(200)) <= 130


@pytest.mark.parametrize(
    ("targets", "task", "weight"),
    [
        ((current([2, 2, 20, 20]), current()), DET, 0.5),
        ((current([2, 2, 20, 20]), seen(SEG, mask=torch.full((SIZE, SIZE), 255, dtype=torch.uint8))), CLS, 0.5),
        ((seen(CLS, label=1), replayed()), CLS, 0.5),
        ((current([2, 2, 20, 20]), replayed()), DET, 0.0),
    ],
    ids=["nothing replayed", "another experience", "not detection", "without weight"],
)
def test_without_examples_nothing_changes(targets, task, weight, pasting):
    pasting(1)
    state = torch.random.get_rng_state()
    strategy = minibatch(*targets, task=task)
    images, target, _ = strategy.mbatch
    before = images.clone()
    strategy.step(Outlines(LAYOUT, weight))
    assert strategy.loss == 0
    assert strategy.mb_x is images
    assert strategy.mb_y is target
    assert torch.equal(images, before)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_without_a_shared_class_nothing_changes(pasting):
    pasting(1)
    other = layout_of_heads(
        [
            ("seg", "seg", kind_of("segmentation"), ("background", "cat", "sofa", "dog")),
            ("det", "det", kind_of("detection"), ("cup", "book", "car")),
        ]
    )
    strategy = minibatch(current(), replayed())
    target = strategy.mb_y
    strategy.step(Outlines(other, 0.5))
    assert strategy.loss == 0
    assert strategy.mb_y is target


def test_masks_without_objects_are_examples_of_background_and_nothing_is_pasted(pasting):
    pasting(1)
    empty = seen(SEG, mask=torch.zeros(SIZE, SIZE, dtype=torch.uint8))
    strategy = minibatch(current([2, 2, 20, 20]), empty)
    target = strategy.mb_y
    strategy.step(Outlines(LAYOUT, 0.5))
    assert strategy.loss > 0
    assert strategy.mb_y is target


def test_the_challenge_entry_has_it_and_its_weight_can_be_set(built):
    for options, weight in (((), 0.2), (("onehead.outlines=0",), 0.0)):
        plugins = [plugin for plugin in built("onehead", *options).plugins if isinstance(plugin, Outlines)]
        assert [plugin._weight for plugin in plugins] == [weight]


def test_the_challenge_entry_learns_other_weights_with_it_from_the_second_experience_on(built, learn):
    with_it, without = built("onehead"), built("onehead", "onehead.outlines=0")
    for strategy in (with_it, without):
        learn(strategy, 0)
    same = [torch.equal(a, b) for a, b in zip(with_it.model.parameters(), without.model.parameters(), strict=True)]
    assert all(same)
    for strategy in (with_it, without):
        learn(strategy, 1)
    same = [torch.equal(a, b) for a, b in zip(with_it.model.parameters(), without.model.parameters(), strict=True)]
    assert not all(same)
