import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from onehead_avl.kinds.picture_geometry import affine, resized_crop, rotate

SIZES = (40, 40), (37, 64)


def noise(height, width, seed=0):
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def interleaved(image):
    """The same image, the values of a pixel next to one another in memory."""
    return image.permute(1, 2, 0).contiguous().permute(2, 0, 1)


def nearly_equal(found, expected):
    """Where a place lies halfway between two pixels, the last bit of torchvision's product of matrices decides."""
    return found.shape == expected.shape and (found != expected).float().mean() <= 1e-3


@pytest.mark.parametrize("lie", [torch.clone, interleaved])
@pytest.mark.parametrize("crop", [(0, 0, 60, 90), (5, 8, 20, 33), (10, 0, 50, 1), (3, 4, 32, 48), (-5, 80, 30, 40)])
def test_a_crop_is_resized_as_torchvision_resizes_it(crop, lie):
    image = noise(60, 90)
    for size in ([32, 48], [7, 100]):
        found = resized_crop(lie(image), *crop, size, InterpolationMode.BILINEAR, True)
        assert torch.equal(found, F.resized_crop_image(image, *crop, size, InterpolationMode.BILINEAR, True))
        assert found.is_contiguous()


def test_a_crop_that_has_its_size_already_is_a_copy():
    image = noise(60, 90)
    found = resized_crop(image, 0, 0, 60, 90, [60, 90])
    assert torch.equal(found, image)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("center", [None, [0, 0], [11, 3]])
def test_an_image_is_sheared_scaled_and_moved_as_by_torchvision(size, center):
    image = noise(*size)
    changes = (
        (0.0, [0, 0], 1.0, [0.0, 0.0]),
        (0.0, [0, 0], 1.0, [31.3, 0.0]),
        (0.0, [0, 0], 1.0, [0.0, -17.7]),
        (0.0, [9, 0], 1.0, [0.0, 0.0]),
        (0.0, [0, -60], 1.0, [0.0, 0.0]),
        (23.1, [3, -4], 1.3, [5.2, 9.4]),
    )
    for change in changes:
        found = affine(image, *change, center=center)
        assert nearly_equal(found, F.affine_image(image, *change, center=center))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("angle", [0.0, 4.5, -4.5, 90.0, 127.3, 180.0, -90.0, 271.8, -400.1])
def test_an_image_is_turned_as_by_torchvision(size, angle):
    image = noise(*size)
    assert nearly_equal(rotate(image, angle), F.rotate_image(image, angle))


@pytest.mark.parametrize(
    "asked", [{"fill": [9.0, 0.0, 200.0]}, {"interpolation": InterpolationMode.BILINEAR}, {"center": [3, 5]}]
)
def test_what_else_is_asked_for_is_done_as_by_torchvision(asked):
    image = noise(37, 64)
    assert nearly_equal(rotate(image, 33.3, **asked), F.rotate_image(image, 33.3, **asked))
    change = (12.5, [3, 4], 1.1, [2.0, 3.0])
    assert nearly_equal(affine(image, *change, **asked), F.affine_image(image, *change, **asked))


def test_a_turned_image_may_grow():
    image = noise(37, 64)
    assert torch.equal(rotate(image, 33.3, expand=True), F.rotate_image(image, 33.3, expand=True))
