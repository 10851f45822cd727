import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from onehead_avl.kinds.object_crop import ObjectCrop, _part

SEEDS = range(150)


def image(height, width, *boxes):
    """A black image with white boxes."""
    pixels = torch.zeros(3, height, width, dtype=torch.uint8)
    for x1, y1, x2, y2 in boxes:
        pixels[:, y1:y2, x1:x2] = 255
    place = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return tv_tensors.Image(pixels), tv_tensors.BoundingBoxes(place, format="XYXY", canvas_size=(height, width))


def crops(*sample):
    for seed in SEEDS:
        torch.manual_seed(seed)
        yield ObjectCrop()(*sample)


def test_a_crop_holds_the_centre_of_an_object_and_its_box_follows():
    sizes = set()
    for cropped, boxes in crops(*image(80, 120, (50, 30, 70, 50))):
        x1, y1, x2, y2 = boxes[0].int().tolist()
        assert (x2 - x1) * (y2 - y1) >= 100  # a quarter of it, if no more than its centre is inside
        assert (cropped[:, y1:y2, x1:x2] == 255).all()
        assert (cropped == 255).sum() == 3 * (x2 - x1) * (y2 - y1)
        sizes.add(tuple(cropped.shape[1:]))
    assert (80, 120) in sizes
    assert len(sizes) > 50


@pytest.mark.parametrize("objects", [1, 3, 12])
def test_crops_are_those_of_torchvision_from_the_same_random_numbers(objects):
    corner = torch.rand(objects, 2, generator=torch.Generator().manual_seed(objects)) * torch.tensor([100.0, 60.0])
    boxes = torch.cat([corner, corner + corner.flip(1) / 2 + 1], dim=1)
    place = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(131, 157))
    for seed in SEEDS:
        drawn = []
        for crop in ObjectCrop(), v2.RandomIoUCrop():
            torch.manual_seed(seed)
            params = crop.make_params([tv_tensors.Image(torch.zeros(3, 131, 157)), place])
            drawn.append((params.pop("is_within_crop_area", torch.ones(0)).tolist(), params, torch.rand(1)))
        assert drawn[0] == drawn[1]


def test_an_object_whose_centre_is_cut_away_is_empty():
    emptied = 0
    for _, boxes in crops(*image(80, 120, (0, 0, 30, 20), (90, 60, 120, 80))):
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        assert areas.max() >= 150
        emptied += int((areas == 0).sum())
        sound = v2.SanitizeBoundingBoxes(labels_getter=None)(boxes)
        assert len(sound) == (areas > 0).sum()
    assert emptied > 30


def test_an_image_without_objects_stays_whole():
    sample = image(80, 120)
    state = torch.get_rng_state()
    cropped, boxes = ObjectCrop()(*sample)
    assert torch.equal(cropped, sample[0])
    assert boxes.shape == (0, 4)
    assert torch.equal(torch.get_rng_state(), state)  # nothing was tried


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (40, 1), (3, 3)])
def test_next_to_no_image_stays_whole(height, width):
    sample = image(height, width, (0, 0, width, height))
    for cropped, boxes in crops(*sample):
        assert torch.equal(cropped, sample[0])
        assert torch.equal(boxes, sample[1])


def test_few_pixels_are_cropped():
    shapes = {tuple(cropped.shape) for cropped, _ in crops(*image(4, 4, (0, 0, 4, 4)))}
    assert len(shapes) > 3


def test_a_share_of_a_side_is_rounded_as_torch_rounds_it():
    """Shares just below that of a whole number, which single precision rounds up to it more often than not."""
    shares = [(place * 2**24 // 100) / 2**24 for place in range(1, 100)]
    expected = (torch.tensor(shares) * torch.tensor(100)).int().tolist()
    assert [_part(share, 100) for share in shares] == expected
    assert [int(share * 100) for share in shares] != expected
