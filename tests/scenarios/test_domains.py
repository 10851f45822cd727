import pytest
import torch

from scenarios.domains import DOMAIN_NAMES, DOMAINS, grey, negative, night


def image_of(*pixels):
    """An image of one row whose pixels are given as (red, green, blue)."""
    return torch.tensor(pixels, dtype=torch.uint8).T[:, None].contiguous()


def pixels_of(image):
    return [tuple(pixel) for pixel in image[:, 0].T.tolist()]


PIXELS = image_of((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (10, 20, 30))


def test_grey_is_luma_in_all_channels():
    # 0.299 * 255 = 76.2, 0.587 * 255 = 149.7, 0.114 * 255 = 29.1, and 2.99 + 11.74 + 3.42 = 18.2
    assert pixels_of(grey(PIXELS)) == [(value,) * 3 for value in (76, 150, 29, 255, 0, 18)]


def test_night_is_darker_and_bluish():
    assert pixels_of(night(PIXELS)) == [(51, 0, 0), (0, 63, 0), (0, 0, 102), (51, 63, 102), (0, 0, 0), (2, 5, 12)]


def test_negative_turns_values_round():
    assert pixels_of(negative(PIXELS))[3:] == [(0, 0, 0), (255, 255, 255), (245, 235, 225)]
    assert torch.equal(negative(negative(PIXELS)), PIXELS)


@pytest.mark.parametrize("name", DOMAIN_NAMES)
def test_a_change_keeps_the_form_of_an_image_and_the_image_itself(name):
    image = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    before = image.clone()
    changed = DOMAINS[name](image)
    assert (changed.shape, changed.dtype, changed.is_contiguous()) == (image.shape, torch.uint8, True)
    assert torch.equal(image, before)
    assert not torch.equal(changed, image)
    assert torch.equal(changed, DOMAINS[name](image))
