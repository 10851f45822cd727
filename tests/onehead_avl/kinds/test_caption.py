import pytest
import torch

from onehead_avl.kinds.caption import captioned

DARK, LIGHT = (128, 0, 0), (224, 224, 192)


@pytest.fixture
def image():
    return torch.randint(0, 256, (3, 96, 128), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def where(image, colour):
    """``(H, W)`` bool: the pixels of exactly that colour."""
    return (image == torch.tensor(colour, dtype=torch.uint8)[:, None, None]).all(dim=0)


def test_a_caption_is_a_new_image_of_the_same_form(image):
    before = image.clone()
    drawn = captioned(image, "cat", DARK)
    assert (drawn.shape, drawn.dtype) == (image.shape, torch.uint8)
    assert torch.equal(image, before)
    drawn.zero_()
    assert torch.equal(image, before)


def test_only_the_upper_left_corner_is_written_on(image):
    changed = (captioned(image, "cat", DARK) != image).any(dim=0)
    assert where(captioned(image, "cat", DARK), DARK)[:10, 0].any()
    assert changed[:10, :20].any()
    assert not changed[20:].any()
    assert not changed[:, 64:].any()


@pytest.mark.parametrize(("ground", "light_ink"), [(DARK, True), (LIGHT, False), ((128, 128, 128), False)])
def test_text_stands_out_from_its_ground(ground, light_ink):
    drawn = captioned(torch.full((3, 640, 640), 100, dtype=torch.uint8), "IIII", ground)
    ink = (255, 255, 255) if light_ink else (0, 0, 0)
    assert where(drawn, ground).sum() > where(drawn, ink).sum() > 0
    assert not where(drawn, (255 - ink[0],) * 3).any()


def test_other_words_look_different_and_longer_ones_are_wider(image):
    short, other, longer = (captioned(image, text, DARK) for text in ("cat", "dog", "catcatcat"))
    assert not torch.equal(short, other)
    assert where(longer, DARK).sum() > where(short, DARK).sum()


@pytest.mark.parametrize("size", [(8, 8), (16, 300), (640, 480)])
def test_text_that_is_larger_than_the_image_is_cut(size):
    image = torch.zeros(3, *size, dtype=torch.uint8)
    drawn = captioned(image, "a name that is longer than the image is wide", LIGHT)
    assert drawn.shape == image.shape
    assert where(drawn, LIGHT).any()


def test_letters_grow_with_the_image():
    small, large = (captioned(torch.zeros(3, side, side, dtype=torch.uint8), "cat", LIGHT) for side in (160, 640))
    heights = [int(where(drawn, LIGHT).any(dim=1).sum()) for drawn in (small, large)]
    assert heights[1] > 2 * heights[0]


def test_a_caption_begins_where_it_is_asked_to(image):
    drawn = captioned(image, "cat", DARK, (40.4, 50.6))
    rows, columns = where(drawn, DARK).nonzero(as_tuple=True)
    assert abs(int(columns.min()) - 40) <= 1
    assert 50 <= int(rows.min()) <= 54
    assert not (drawn != image).any(dim=0)[:50].any()
    assert not (drawn != image).any(dim=0)[:, :39].any()


@pytest.mark.parametrize("corner", [(125, 93), (1e6, 1e6)])
def test_a_caption_that_would_leave_the_image_is_moved_into_it(image, corner):
    count = where(captioned(image, "cat", DARK), DARK).sum()
    drawn = captioned(image, "cat", DARK, corner)
    assert where(drawn, DARK).sum() >= count  # as much of it is seen as in the corner
    assert where(drawn, DARK)[90:, 120:].any()


def test_more_lines_to_an_image_have_smaller_letters():
    image = torch.zeros(3, 640, 640, dtype=torch.uint8)
    usual, small = (int(where(captioned(image, "cat", LIGHT, lines=n), LIGHT).sum()) for n in (16, 32))
    assert 0 < small < usual / 2
