import io

import numpy as np
import pytest
from PIL import Image

from onehead_avl.errors import DataError
from onehead_avl.prepare.pictures import decode_mask, decode_picture
from onehead_avl.prepare.voc import require_classes

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def encoded(picture, kind="PNG", **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "P", "RGBA"])
def test_pictures_of_any_mode_are_decoded(mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    assert decode_picture(encoded(Image.fromarray(PIXELS).convert(mode), kind), "x").size == (20, 30)


def test_the_same_pixels_are_the_same_picture_whatever_the_file():
    picture = Image.fromarray(PIXELS)
    files = [encoded(picture), encoded(picture, compress_level=0), encoded(picture, "BMP")]
    assert len(set(files)) == 3
    assert len({decode_picture(file, "x").digest for file in files}) == 1


def test_other_pixels_or_another_shape_are_another_picture():
    one = PIXELS.copy()
    one[0, 0, 0] ^= 1
    files = [encoded(Image.fromarray(pixels)) for pixels in (PIXELS, one, PIXELS.reshape(30, 20, 3))]
    assert len({decode_picture(file, "x").digest for file in files}) == 3


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", r"expected a picture \(JPEG, .*\), found no such format"),
        (b"<html>", r"expected a picture \(JPEG, .*\), found no such format"),
        (encoded(Image.fromarray(PIXELS), "JPEG")[:400], "the picture cannot be decoded"),
        (encoded(Image.fromarray(PIXELS))[:400], "the picture cannot be decoded"),
        (encoded(Image.new("1", (20_000, 20_000))), "the picture cannot be decoded"),
        (encoded(Image.fromarray(PIXELS[:, :, 0].astype(np.uint16))), "expected a picture of 8 bits a channel"),
    ],
    ids=["empty", "page", "cut JPEG", "cut PNG", "bomb", "16 bits"],
)
def test_what_cannot_be_used_is_refused(content, problem):
    with pytest.raises(DataError, match=f"^here: {problem}.*; (replace or remove the file|convert it to RGB)$"):
        decode_picture(content, "here")


def test_the_values_of_a_mask():
    indices = np.zeros((20, 30), dtype=np.uint8)
    indices[3:5], indices[9] = 7, 255
    grey, palette = Image.fromarray(indices), Image.fromarray(indices)
    palette.putpalette([value * 37 % 256 for value in range(768)])
    assert (grey.mode, palette.mode) == ("L", "P")
    for picture in (grey, palette):
        mask = decode_mask(encoded(picture), "x")
        assert (mask.size, mask.values) == ((20, 30), (0, 7, 255))
        assert require_classes(mask, "x") is mask


def test_a_coloured_mask_and_unknown_values_are_refused():
    with pytest.raises(DataError, match=r"^here: expected a palette or grey mask .*, found mode RGB"):
        decode_mask(encoded(Image.fromarray(PIXELS)), "here")
    mask = decode_mask(encoded(Image.fromarray(np.array([[0, 20, 21, 254, 255]], dtype=np.uint8))), "x")
    with pytest.raises(DataError, match=r"^here: expected mask values 0 to 20 and 255, found 21, 254;"):
        require_classes(mask, "here")


def test_masks_that_readers_refuse_are_refused():
    stretched = encoded(Image.fromarray(PIXELS[:, :, 0] // 64), bits=2)
    blurred = encoded(Image.fromarray(PIXELS[:, :, 0]), "JPEG")
    for content, problem in ((stretched, "found mode L;2"), (blurred, r"expected a picture \(PNG\)")):
        with pytest.raises(DataError, match=problem):
            decode_mask(content, "here")


def test_a_mask_that_is_cut_is_refused():
    content = encoded(Image.fromarray(PIXELS[:, :, 0]))
    with pytest.raises(DataError, match=r"^here: the picture cannot be decoded"):
        decode_mask(content[: len(content) // 2], "here")
