import pytest
import torch

from onehead_avl.errors import UsageError
from onehead_avl.kinds.classification import image_logits
from onehead_avl.kinds.detection import split
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.layout import layout_of_heads

SEGMENTATION, DETECTION, CLASSIFICATION = (kind_of(name) for name in ("segmentation", "detection", "classification"))


def layout_of(n_seg, n_det, n_cls):
    return layout_of_heads(
        [
            ("seg", "seg", SEGMENTATION, names(n_seg)),
            ("det", "det", DETECTION, names(n_det)),
            ("cls", "cls", CLASSIFICATION, names(n_cls)),
        ]
    )


def names(n):
    return tuple(f"class {i}" for i in range(n))


@pytest.fixture(params=[(4, 3, 6), (21, 10, 10), (1, 1, 1)], ids=str)
def counts(request):
    return request.param


@pytest.fixture
def layout(counts):
    return layout_of(*counts)


@pytest.fixture
def numbered(layout):
    """An output whose every value is the number of its channel."""
    return torch.arange(float(layout.channels))[None, :, None, None].expand(2, -1, 3, 5)


def test_channels_are_counted():
    assert layout_of(21, 10, 7).channels == 21 + 5 + 10 + 7


def test_the_parts_share_out_all_channels_in_the_order_of_the_stream(layout, counts):
    assert [channel for part in layout.parts for channel in part.channels] == list(range(layout.channels))
    n_seg, n_det, n_cls = counts
    assert [len(part.channels) for part in layout.parts] == [n_seg, 5 + n_det, n_cls]


def test_a_part_is_a_view_of_its_channels(layout, numbered):
    for part in layout.parts:
        assert part.of(numbered)[0, :, 0, 0].tolist() == list(part.channels)
        assert part.of(numbered).shape == (2, len(part.channels), 3, 5)


def test_detection_is_boxes_confidence_and_classes(layout, counts, numbered):
    part = layout.parts[1]
    boxes, confidence, classes = split(part.of(numbered))
    assert (boxes.shape, confidence.shape, classes.shape) == ((2, 4, 3, 5), (2, 3, 5), (2, counts[1], 3, 5))
    view = torch.cat([boxes[0, :, 0, 0], confidence[0, :1, 0], classes[0, :, 0, 0]])
    assert view.tolist() == list(part.channels)


def test_classification_is_the_mean_over_all_cells(layout, counts):
    output = torch.randn(2, layout.channels, 3, 5, generator=torch.Generator().manual_seed(0))
    expected = torch.stack([sum(output[i, -counts[2] :, y, x] for y in range(3) for x in range(5)) for i in (0, 1)])
    torch.testing.assert_close(image_logits(layout.parts[2].of(output)), expected / 15)


def test_a_kind_may_come_again_with_channels_of_its_own():
    layout = layout_of_heads([("a", "a", SEGMENTATION, names(3)), ("b", "b", SEGMENTATION, names(3))])
    assert [part.channels for part in layout.parts] == [range(3), range(3, 6)]
    assert len(layout.heads) == 2
    assert layout.of_kind("segmentation") == {0, 1}
    assert layout.of_kind("detection") == set()


def test_experiences_of_one_head_share_its_channels():
    layout = layout_of_heads(
        [
            ("day", "day", CLASSIFICATION, names(2)),
            ("det", "det", DETECTION, names(1)),
            ("night", "day", CLASSIFICATION, names(2)),
        ]
    )
    assert layout.names == ("day", "det", "night")
    assert layout.parts[0] is layout.parts[2]
    assert [part.head for part in layout.heads] == ["day", "det"]
    assert layout.channels == 2 + 6


def test_a_head_of_two_kinds_or_two_class_lists_is_refused():
    day = ("day", "day", CLASSIFICATION, names(2))
    with pytest.raises(UsageError, match="'night' is detection but shares the head 'day' with classification"):
        layout_of_heads([day, ("night", "day", DETECTION, names(2))])
    with pytest.raises(UsageError, match="'night' shares the head 'day', expected its classes class 0, class 1, found"):
        layout_of_heads([day, ("night", "day", CLASSIFICATION, names(3))])
    with pytest.raises(UsageError, match="'night' shares the head 'day', expected its classes"):
        layout_of_heads([day, ("night", "day", CLASSIFICATION, names(2)[::-1])])


def test_layouts_of_the_same_experiences_are_equal():
    assert layout_of(4, 3, 6) == layout_of(4, 3, 6)
    assert layout_of(4, 3, 6) != layout_of(4, 3, 7)
