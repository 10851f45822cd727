import pytest
import torch
from torchvision.ops import masks_to_boxes

from onehead_avl.ignored import ABSENT, VOID
from onehead_avl.kinds.outlined import COVERED, PASTED_SIDES, Outlined, outlined, pasted, shared_classes

SIZE = 64
NOTHING = {
    "boxes": torch.zeros(0, 4),
    "labels": torch.zeros(0, dtype=torch.int64),
    "crowd": torch.zeros(0, dtype=torch.bool),
}


def mask_of(*objects):
    """A mask with rectangles ``(class, x1, y1, x2, y2)`` on background."""
    mask = torch.zeros(SIZE, SIZE, dtype=torch.uint8)
    for value, x1, y1, x2, y2 in objects:
        mask[y1:y2, x1:x2] = value
    return mask


def objects_of(mask, classes):
    return outlined(torch.zeros(3, SIZE, SIZE), mask, classes)


def white(mask, classes):
    """The objects of a white image."""
    return outlined(torch.ones(3, SIZE, SIZE), mask, classes)


def annotated(*boxes, crowd=False):
    labels = torch.zeros(len(boxes), dtype=torch.int64)
    flags = torch.full((len(boxes),), crowd)
    return {"boxes": torch.tensor(boxes, dtype=torch.float32).view(-1, 4), "labels": labels, "crowd": flags}


def test_classes_of_the_same_name_are_shared_whatever_their_case_and_spaces():
    masks = ("background", "person", "diningtable", "sofa", "Car")
    assert shared_classes(masks, ("car", "dining table", "cup", "person")) == {1: 3, 2: 1, 4: 0}
    assert shared_classes(masks, ("cup", "book")) == {}


def test_objects_are_the_connected_regions_of_the_classes_that_count():
    mask = mask_of((3, 2, 4, 14, 30), (3, 30, 4, 44, 20), (5, 20, 40, 60, 60), (7, 0, 50, 10, 62))
    found = objects_of(mask, {3: 1, 5: 0})
    assert found.boxes.tolist() == [[2, 4, 14, 30], [30, 4, 44, 20], [20, 40, 60, 60]]
    assert found.labels.tolist() == [1, 1, 0]
    assert torch.equal(found.pixels, (mask == 3) | (mask == 5))


@pytest.mark.parametrize("seed", range(5))
def test_a_region_of_any_shape_has_the_box_that_torchvision_finds(seed):
    generator = torch.Generator().manual_seed(seed)
    (x, y), (wide, tilt) = (20 + 24 * torch.rand(2, generator=generator)).tolist(), torch.rand(2, generator=generator)
    across, down = torch.arange(SIZE) - x, torch.arange(SIZE)[:, None] - y
    ellipse = ((across + tilt * down) / (10 + 30 * wide)) ** 2 + (down / 15) ** 2 < 1
    found = objects_of(ellipse.to(torch.uint8), {1: 0})
    assert torch.equal(found.boxes, masks_to_boxes(ellipse[None]) + torch.tensor([0, 0, 1, 1]))
    assert torch.equal(found.pixels, ellipse)


def test_void_separates_two_objects_of_a_class_and_corners_that_touch_do_not():
    mask = mask_of((1, 0, 0, 40, 20), (VOID, 19, 0, 21, 20))
    assert objects_of(mask, {1: 0}).boxes.tolist() == [[0, 0, 19, 20], [21, 0, 40, 20]]
    mask = mask_of((1, 0, 0, 10, 10), (1, 10, 10, 30, 30))
    assert objects_of(mask, {1: 0}).boxes.tolist() == [[0, 0, 30, 30]]


def test_regions_narrower_than_a_cell_and_void_are_no_objects():
    none = objects_of(mask_of((1, 0, 0, 7, 30), (1, 20, 0, 60, 7), (VOID, 20, 20, 60, 60)), {1: 0})
    assert none.boxes.shape == (0, 4)
    assert len(objects_of(mask_of((1, 0, 0, 8, 8)), {1: 0}).labels) == 1


def test_an_image_without_objects_has_an_empty_annotation():
    found = objects_of(mask_of(), {1: 0})
    assert {name: part.tolist() for name, part in found.annotation.items()} == {"boxes": [], "labels": [], "crowd": []}


@pytest.mark.parametrize("seed", range(10))
def test_what_is_pasted_is_where_its_box_says_and_all_else_stays(seed):
    torch.manual_seed(seed)
    image = torch.full((3, SIZE, SIZE), 0.25)
    new, annotation = pasted(image, NOTHING, white(mask_of((2, 10, 16, 60, 50)), {2: 4}))
    assert annotation["labels"].tolist() == [4]
    assert annotation["crowd"].tolist() == [False]
    on = (new > 0.9).all(dim=0)
    assert (new[:, ~on] == 0.25).all()
    assert torch.allclose(masks_to_boxes(on[None]) + torch.tensor([0, 0, 1, 1]), annotation["boxes"], atol=1.0)
    side = (annotation["boxes"][0, 2] - annotation["boxes"][0, 0]) / 50
    assert PASTED_SIDES[0] - 0.02 <= side <= PASTED_SIDES[1] + 0.02
    assert (image == 0.25).all()


def test_boxes_follow_in_images_that_are_no_squares(monkeypatch):
    monkeypatch.setattr("onehead_avl.kinds.outlined.PASTED_SIDES", (0.51, 0.51))
    mask = torch.zeros(30, 100, dtype=torch.uint8)
    mask[5:25, 20:80] = 1
    objects = outlined(torch.ones(3, 30, 100), mask, {1: 0})
    new, annotation = pasted(torch.zeros(3, 30, 100), NOTHING, objects)
    on = (new > 0.5).all(dim=0)
    assert torch.allclose(masks_to_boxes(on[None]) + torch.tensor([0, 0, 1, 1]), annotation["boxes"], atol=1.0)


def test_pasting_draws_another_place_and_size_each_time_and_the_same_from_the_same_seed():
    objects = white(mask_of((2, 10, 16, 60, 50)), {2: 0})
    image = torch.zeros(3, SIZE, SIZE)

    def places(seed):
        torch.manual_seed(seed)
        return [tuple(pasted(image, NOTHING, objects)[1]["boxes"][0].tolist()) for _ in range(5)]

    assert len(set(places(0))) == 5
    assert places(0) == places(0)


def whole(share):
    """Objects that cover a share of any image they are pasted into whole, from the left."""
    pixels = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    pixels[:, : round(share * SIZE)] = True
    return Outlined(torch.ones(3, SIZE, SIZE), pixels, *(NOTHING[name] for name in ("boxes", "labels")))


@pytest.fixture
def in_place(monkeypatch):
    """Paste without shrinking."""
    monkeypatch.setattr("onehead_avl.kinds.outlined.PASTED_SIDES", (1.0, 1.0))


def test_an_object_is_annotated_until_more_than_half_of_its_box_is_covered(in_place):
    half = [0.0, 0.0, 2 * COVERED * 32, 20.0]
    before = annotated(half, [0, 0, 31, 20], [30, 0, 40, 20], [40, 30, 60, 60])
    _, after = pasted(torch.zeros(3, SIZE, SIZE), before, whole(16 / SIZE))
    assert after["boxes"].tolist() == [half, [30, 0, 40, 20], [40, 30, 60, 60]]
    _, after = pasted(torch.zeros(3, SIZE, SIZE), before, whole(1))
    assert after["boxes"].tolist() == []


def test_crowd_regions_stay_crowds_and_padding_goes(in_place):
    before = annotated([40, 0, 60, 60], crowd=True)
    padded = {
        "boxes": torch.cat([before["boxes"], torch.full((2, 4), torch.nan)]),
        "labels": torch.tensor([3, ABSENT, ABSENT]),
        "crowd": torch.tensor([True, False, False]),
    }
    _, after = pasted(torch.zeros(3, SIZE, SIZE), padded, whole(0.25))
    assert after["labels"].tolist() == [3]
    assert after["crowd"].tolist() == [True]


def test_objects_too_small_after_shrinking_are_pasted_without_a_box(monkeypatch):
    monkeypatch.setattr("onehead_avl.kinds.outlined.PASTED_SIDES", (0.5, 0.5))
    objects = white(mask_of((1, 0, 0, 15, 15), (1, 20, 20, 40, 40)), {1: 0})
    new, annotation = pasted(torch.zeros(3, SIZE, SIZE), NOTHING, objects)
    assert (annotation["boxes"][:, 2:] - annotation["boxes"][:, :2]).tolist() == [[10, 10]]
    assert int((new[0] > 0).sum()) in range(8 * 8 // 2 + 100, 8 * 8 + 101)
