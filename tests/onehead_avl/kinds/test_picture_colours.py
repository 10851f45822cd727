import pytest
import torch
from torchvision.transforms.v2 import functional as F

from onehead_avl.kinds import picture_colours

BLENDS = "adjust_brightness", "adjust_contrast", "adjust_saturation", "adjust_sharpness"
FACTORS = torch.linspace(0, 2, 41).tolist()


def pictures():
    """Random pictures of several sizes: of all values, dark, bright, grey and of one colour."""
    draw = torch.Generator().manual_seed(0)
    for height, width in ((1, 1), (2, 9), (3, 3), (31, 50), (64, 64)):
        image = torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=draw)
        yield from (image, image // 8, 255 - image // 8, image[:1].repeat(3, 1, 1), image[:, :1, :1].expand_as(image))


@pytest.mark.parametrize("name", BLENDS)
def test_colours_change_as_torchvision_changes_them(name):
    for image in pictures():
        for factor in FACTORS:
            found = getattr(picture_colours, name)(image, factor)
            assert torch.equal(found, getattr(F, f"{name}_image")(image, factor))


@pytest.mark.parametrize("threshold", [*torch.linspace(0, 255, 31).tolist(), 255 * float(torch.tensor(2 / 30))])
def test_values_are_inverted_as_torchvision_inverts_them(threshold):
    for image in pictures():
        assert torch.equal(picture_colours.solarize(image, threshold), F.solarize_image(image, threshold))


@pytest.mark.parametrize("name", [*BLENDS, "solarize"])
def test_an_image_is_left_as_it_is(name):
    image = torch.randint(0, 256, (3, 20, 30), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    before = image.clone()
    found = getattr(picture_colours, name)(image, 1.5)
    found.zero_()
    assert torch.equal(image, before)
