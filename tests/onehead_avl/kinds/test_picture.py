import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from onehead_avl.kinds import picture_colours
from onehead_avl.kinds.detection import MIN_BOX_SIDE
from onehead_avl.kinds.kind import kind_of
from onehead_avl.kinds.picture import Picture

SIZE = 48
HEIGHT, WIDTH = 70, 90


def crop(least):
    return v2.RandomResizedCrop((SIZE, SIZE), scale=(least, 1.0), ratio=(3 / 4, 4 / 3), antialias=True)


PLAIN = {
    "segmentation": [crop(0.4), v2.RandomHorizontalFlip(), v2.ColorJitter(0.3, 0.3, 0.3)],
    "detection": [
        v2.RandomZoomOut(side_range=(1.0, 2.0), p=0.5),
        v2.RandomIoUCrop(),
        v2.Resize((SIZE, SIZE), antialias=True),
        v2.RandomHorizontalFlip(),
        v2.ColorJitter(0.3, 0.3, 0.3),
        v2.SanitizeBoundingBoxes(MIN_BOX_SIDE, labels_getter=lambda view: (view["labels"], view["crowd"])),
    ],
    "classification": [crop(0.3), v2.RandomHorizontalFlip(), v2.TrivialAugmentWide()],
}
"""What a kind does to an image, all of it torchvision's."""


def noise(*shape, seed=0):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def annotation(kind):
    return {
        "segmentation": {"mask": noise(HEIGHT, WIDTH)},
        "detection": {
            "boxes": torch.tensor([[3.0, 4.0, 40.0, 60.0], [50.0, 5.0, 53.0, 9.0], [70.0, 30.0, 90.0, 70.0]]),
            "labels": torch.tensor([1, 2, 3]),
            "crowd": torch.tensor([False, True, False]),
        },
        "classification": {"label": 4},
    }[kind]


def drawn(transform, view, seed):
    """A view, and the random numbers after it."""
    torch.manual_seed(seed)
    return transform(view), torch.get_rng_state()


def nearly_equal(found, expected):
    return found.shape == expected.shape and (found != expected).float().mean() <= 2e-3


@pytest.mark.parametrize("name", PLAIN)
def test_a_kind_draws_the_views_that_torchvision_draws(name):
    plain = v2.Compose(PLAIN[name])
    kind = kind_of(name)
    wrapped = kind.wrap(annotation(name), (HEIGHT, WIDTH))
    for seed in range(100):
        image = noise(3, HEIGHT, WIDTH, seed=seed)
        found, after = drawn(kind.augmentation(SIZE), {"image": Picture(image), **wrapped}, seed)
        expected, plain_after = drawn(plain, {"image": tv_tensors.Image(image), **wrapped}, seed)
        assert nearly_equal(found.pop("image"), expected.pop("image"))
        assert found.keys() == expected.keys()
        assert all(torch.equal(torch.as_tensor(found[part]), torch.as_tensor(expected[part])) for part in found)
        assert torch.equal(after, plain_after)


def test_a_picture_is_changed_by_the_functions_of_this_package(monkeypatch):
    known, called = picture_colours.to_bytes, []

    def noted(values):
        called.append(values.shape)
        return known(values)

    monkeypatch.setattr(picture_colours, "to_bytes", noted)
    image = noise(3, 8, 9)
    F.adjust_brightness(tv_tensors.Image(image), 1.5)
    assert not called
    F.adjust_brightness(Picture(image), 1.5)
    assert called == [(3, 8, 9)]


CHANGES = {
    "resized_crop": (2, 3, 20, 30, [12, 13]),
    "affine": (10.0, [3, 4], 1.1, [5.0, 6.0]),
    "rotate": (30.0,),
    "adjust_brightness": (1.3,),
    "adjust_contrast": (1.3,),
    "adjust_saturation": (0.4,),
    "adjust_sharpness": (1.7,),
    "solarize": (0.5,),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_picture_stays_one(name):
    found = getattr(F, name)(Picture(noise(3, 40, 50)), *CHANGES[name])
    assert type(found) is Picture
    assert found.dtype == torch.uint8


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize(
    "image", [noise(3, 40, 50) / 255, noise(1, 40, 50), noise(2, 3, 40, 50)], ids=["floats", "one channel", "a batch"]
)
def test_other_images_are_changed_by_torchvision(name, image):
    found, expected = (getattr(F, name)(made(image), *CHANGES[name]) for made in (Picture, tv_tensors.Image))
    assert torch.equal(found, expected)
    assert found.dtype == image.dtype
