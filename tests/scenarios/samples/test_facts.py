import io

import numpy as np
import pytest
from PIL import Image

from scenarios.samples.classes import VOC_CLASSES
from scenarios.samples.facts import Facts, digest_of, mask_facts, picture_facts

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)

# As the development kit of PASCAL VOC lists them.
COLOURS = {1: (128, 0, 0), 2: (0, 128, 0), 15: (192, 128, 128), 20: (0, 64, 128)}


def encoded(picture, kind="PNG", **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    file.seek(0)
    return file


def test_a_picture_is_known_by_its_size_and_its_pixels():
    facts = picture_facts(encoded(Image.fromarray(PIXELS)))
    assert facts == Facts((20, 30), digest_of(PIXELS))
    assert facts.turned_size == (20, 30)


def test_a_picture_on_disk_is_known_as_one_in_memory_is(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(path)
    assert picture_facts(path) == picture_facts(encoded(Image.fromarray(PIXELS)))


def test_the_same_pixels_are_the_same_picture_whatever_the_file():
    picture = Image.fromarray(PIXELS)
    files = [encoded(picture), encoded(picture, compress_level=0), encoded(picture, "BMP")]
    assert len({file.getvalue() for file in files}) == 3
    assert len({picture_facts(file).digest for file in files}) == 1


def test_other_pixels_or_another_shape_are_another_picture():
    one = PIXELS.copy()
    one[0, 0, 0] ^= 1
    assert len({digest_of(pixels) for pixels in (PIXELS, one, PIXELS.reshape(30, 20, 3), PIXELS.reshape(20, 90))}) == 4


def test_how_pixels_lie_in_memory_means_nothing():
    turned = np.asfortranarray(PIXELS)
    assert not turned.flags.c_contiguous
    assert digest_of(turned) == digest_of(PIXELS)


@pytest.mark.parametrize(("orientation", "turned"), [(1, (20, 30)), (3, (20, 30)), (6, (30, 20)), (8, (30, 20))])
def test_a_picture_that_asks_to_be_turned_is_known_as_it_is_stored(orientation, turned):
    exif = Image.Exif()
    exif[0x0112] = orientation
    facts = picture_facts(encoded(Image.fromarray(PIXELS), exif=exif))
    assert (facts.size, facts.digest, facts.orientation) == ((20, 30), digest_of(PIXELS), orientation)
    assert facts.turned_size == turned


def test_the_number_of_pictures_in_a_file_is_known():
    two = encoded(Image.fromarray(PIXELS), "TIFF", save_all=True, append_images=[Image.fromarray(255 - PIXELS)])
    assert picture_facts(two) == Facts((20, 30), digest_of(PIXELS), frames=2)


@pytest.mark.parametrize("look", [picture_facts, mask_facts])
def test_a_file_that_cannot_be_used_is_known_by_its_problem(look, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"broken")
    facts = look(path)
    assert "found no such format" in facts.problem
    assert facts == Facts(problem=facts.problem)


@pytest.mark.parametrize("mode", ["L", "P"])
def test_the_values_of_a_mask_are_known(mode):
    indices = np.zeros((20, 30), dtype=np.uint8)
    indices[3:5], indices[9] = 7, 255
    mask = Image.fromarray(indices)
    if mode == "P":
        mask.putpalette([value * 37 % 256 for value in range(768)])
    assert mask.mode == mode
    assert mask_facts(encoded(mask)) == Facts((20, 30), digest_of(indices), values=(0, 7, 255))


def mask_of(values, colours):
    """A mask of some values in which some values have some colours, and all others are grey."""
    mask = Image.fromarray(np.array([values], dtype=np.uint8))
    palette = [[200 + value % 20] * 3 for value in range(256)]
    for value, colour in colours.items():
        palette[value] = list(colour)
    mask.putpalette([channel for colour in palette for channel in colour])
    return mask_facts(encoded(mask))


def test_colours_of_voc_in_their_places_are_not_misplaced():
    assert len(VOC_CLASSES) == 21
    assert mask_of([0, *COLOURS, 255], {0: (0, 0, 0), **COLOURS}).misplaced == ()


def test_colours_of_voc_at_other_values_are_misplaced():
    assert mask_of([1, 2, 3], {1: COLOURS[15], 2: COLOURS[2], 3: COLOURS[1]}).misplaced == (1, 3)


def test_colours_of_values_that_do_not_occur_mean_nothing():
    assert mask_of([0, 4], {1: COLOURS[15], 9: COLOURS[1]}).misplaced == ()


def test_black_is_the_colour_of_any_value():
    assert mask_of([0, 5, 255], {5: (0, 0, 0), 255: (0, 0, 0)}).misplaced == ()
