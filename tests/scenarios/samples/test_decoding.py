import io
import os
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from scenarios.samples import decoding
from scenarios.samples.decoding import MOST_PIXELS, DecodingError, decode_indices, decode_rgb, turned

INDICES = np.array([[0, 1, 20], [255, 15, 3]], dtype=np.uint8)


def noise(height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def refused(read, path: Path) -> str:
    with pytest.raises(DecodingError) as caught:
        read(path)
    assert str(path) not in str(caught.value)  # that is for the caller to say
    return str(caught.value)


def truncated(path: Path) -> Path:
    Image.fromarray(noise()).convert("L").save(path)  # grey: a picture and a mask alike
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def png_claiming(path: Path, side: int) -> Path:
    """A small file whose header says it holds side x side pixels."""
    Image.fromarray(noise(4, 4)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", side, side)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF", "PPM", "WEBP", "JPEG2000"])
def test_pixels_survive_in_every_format_without_loss(tmp_path, kind):
    path = tmp_path / "a.jpg"  # the name does not matter
    pixels = np.kron(noise(3, 4), np.ones((8, 8, 1), dtype=np.uint8))  # few colours, which a GIF can hold
    options = {"WEBP": {"lossless": True}, "JPEG2000": {"irreversible": False}}.get(kind, {})
    Image.fromarray(pixels).save(path, kind, **options)
    found = decode_rgb(path)
    assert found.pixels.dtype == np.uint8
    assert np.array_equal(found.pixels, pixels)
    assert (found.orientation, found.frames, found.palette) == (1, 1, None)


def test_a_file_in_memory_is_decoded_too():
    file = io.BytesIO()
    Image.fromarray(noise()).save(file, "PNG")
    assert np.array_equal(decode_rgb(file).pixels, noise())


def test_grey_becomes_three_equal_channels(tmp_path):
    Image.fromarray(INDICES).save(tmp_path / "a.png")
    assert np.array_equal(decode_rgb(tmp_path / "a.png").pixels, np.repeat(INDICES[:, :, None], 3, axis=2))


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (5, 4), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    pixels = decode_rgb(tmp_path / "a.jpg").pixels
    assert pixels.shape == (4, 5, 3)
    assert pixels[..., 0].min() > 240
    assert pixels[..., 1:].max() < 15


def test_palette_picture_takes_its_colours_without_a_warning(tmp_path, recwarn):
    picture = Image.fromarray(INDICES)
    picture.putpalette([channel for value in range(256) for channel in (value, 0, 255 - value)])
    picture.save(tmp_path / "a.png", transparency=bytes(range(256)))
    pixels = decode_rgb(tmp_path / "a.png").pixels
    assert np.array_equal(pixels[..., 0], INDICES)
    assert np.array_equal(pixels[..., 2], 255 - INDICES)
    assert not recwarn.list


def oriented(path: Path, orientation: int) -> np.ndarray:
    """Write a picture that asks to be turned; the pixels that are stored."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(noise(6, 10)).save(path, exif=exif)
    with Image.open(path) as picture:
        return noise(6, 10) if path.suffix != ".jpg" else np.array(picture)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_decoded_as_stored_and_turned_as_exif_asks_for(tmp_path, orientation, suffix):
    path = tmp_path / f"a{suffix}"
    stored = oriented(path, orientation)
    found = decode_rgb(path)
    assert found.orientation == orientation
    assert np.array_equal(found.pixels, stored)
    with Image.open(path) as picture:
        shown = np.array(ImageOps.exif_transpose(picture))
    assert np.array_equal(turned(found.pixels, orientation), shown)
    assert np.array_equal(turned(found.pixels[..., 0], orientation), shown[..., 0])
    assert np.shares_memory(turned(found.pixels, orientation), found.pixels)


@pytest.mark.parametrize("orientation", [0, 9, 1000])
def test_an_impossible_orientation_is_none(tmp_path, orientation):
    oriented(tmp_path / "a.png", orientation)
    assert decode_rgb(tmp_path / "a.png").orientation == 1


def test_a_broken_block_of_exif_is_no_part_of_the_picture(tmp_path):
    Image.fromarray(noise()).save(tmp_path / "a.png", exif=b"Exif\0\0broken beyond all repair")
    found = decode_rgb(tmp_path / "a.png")
    assert found.orientation == 1
    assert np.array_equal(found.pixels, noise())


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP"])
def test_of_several_pictures_in_a_file_the_first_is_decoded(tmp_path, kind):
    red, *others = (Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue"))
    options = {"lossless": True} if kind == "WEBP" else {}
    red.save(tmp_path / "a.gif", kind, save_all=True, append_images=others, **options)
    found = decode_rgb(tmp_path / "a.gif")
    assert found.frames == 3
    assert np.array_equal(found.pixels, np.array(red))


@pytest.mark.parametrize("lenient", [False, True], ids=["", "truncated pictures are allowed elsewhere"])
@pytest.mark.parametrize(("read", "name"), [(decode_rgb, "a.jpg"), (decode_rgb, "a.png"), (decode_indices, "a.png")])
def test_a_truncated_picture_is_refused(tmp_path, monkeypatch, read, name, lenient):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    problem = refused(read, truncated(tmp_path / name))
    assert problem.startswith("the picture cannot be decoded (")
    assert problem.endswith("; replace or remove the file")
    assert ImageFile.LOAD_TRUNCATED_IMAGES is lenient


def test_a_changed_byte_of_a_png_is_found_by_its_checksum(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(INDICES).save(path, compress_level=0)
    content = bytearray(path.read_bytes())
    content[content.index(INDICES[1].tobytes())] = 7  # a pixel: what is left can be decoded
    path.write_bytes(content)
    for read in (decode_rgb, decode_indices):
        assert refused(read, path).startswith("the picture cannot be decoded (")


@pytest.mark.parametrize("content", [b"", b"no picture at all", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_a_file_that_is_no_picture_is_refused(tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    assert refused(decode_rgb, path) == (
        "expected a picture (JPEG, PNG, WEBP, GIF, BMP, TIFF, PPM, JPEG2000), found no such format; replace or remove "
        "the file"
    )


def test_missing_picture_and_folder_in_its_place(tmp_path):
    assert refused(decode_rgb, tmp_path / "a.jpg").startswith("the picture cannot be decoded (No such file")
    assert refused(decode_rgb, tmp_path).startswith("expected a picture, found a folder")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes on this system")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    assert refused(decode_rgb, tmp_path / "a.jpg").startswith("expected a picture, found a folder or a device")


@pytest.mark.parametrize("side", [10_000, 40_000], ids=["Pillow warns", "Pillow raises"])
@pytest.mark.parametrize("limit", [Image.MAX_IMAGE_PIXELS, None], ids=["", "sizes are not limited elsewhere"])
@pytest.mark.parametrize("read", [decode_rgb, decode_indices])
def test_decompression_bomb_is_an_error_and_no_warning(tmp_path, monkeypatch, recwarn, side, read, limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert "decompression bomb" in refused(read, png_claiming(tmp_path / "a.png", side))
    assert limit == Image.MAX_IMAGE_PIXELS
    assert not recwarn.list


def test_sixteen_bits_are_refused_rather_than_clipped(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16)).save(path)
    assert refused(decode_rgb, path).startswith("expected a picture of 8 bits a channel, found mode I;16")


def test_palette_indices_survive_whatever_the_palette(tmp_path):
    mask = Image.fromarray(INDICES)
    mask.putpalette([7] * 768)
    mask.save(tmp_path / "a.png")
    found = decode_indices(tmp_path / "a.png")
    assert found.pixels.dtype == np.uint8
    assert np.array_equal(found.pixels, INDICES)
    assert found.palette.shape == (256, 3)
    assert (found.palette == 7).all()


def test_palette_of_few_colours_keeps_indices(tmp_path):
    mask = Image.fromarray(INDICES % 4)
    mask.putpalette([0, 0, 0, 9, 9, 9, 5, 5, 5, 1, 1, 1])
    mask.save(tmp_path / "a.png", bits=2)
    found = decode_indices(tmp_path / "a.png")
    assert np.array_equal(found.pixels, INDICES % 4)
    assert found.palette[:4, 0].tolist() == [0, 9, 5, 1]


def test_grey_values_are_indices(tmp_path):
    Image.fromarray(INDICES).save(tmp_path / "a.png")
    found = decode_indices(tmp_path / "a.png")
    assert np.array_equal(found.pixels, INDICES)
    assert found.palette is None


def png_of_grey(path: Path, bits: int, packed: bytes) -> Path:
    """A picture of 4 x 1 grey pixels of 2 or 4 bits, which Pillow reads but does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 4, 1, bits, 0, 0, 0, 0)
    data = zlib.compress(b"\0" + packed)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize(("bits", "packed"), [(2, b"\x1b"), (4, b"\x01\x23")])
def test_grey_of_few_bits_is_refused_because_its_values_would_be_stretched(tmp_path, bits, packed):
    path = png_of_grey(tmp_path / "a.png", bits, packed)
    assert np.array(Image.open(path)).max() > 3
    problem = refused(decode_indices, path)
    assert problem.startswith("expected a palette or grey mask of 8 bits")
    assert f"found mode L;{bits}" in problem


def test_a_mask_stored_with_loss_is_refused(tmp_path):
    Image.fromarray(INDICES).save(tmp_path / "a.png", format="JPEG")
    assert refused(decode_indices, tmp_path / "a.png").startswith("expected a picture (PNG), found no such format")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "1", "I;16"])
def test_mask_of_another_mode_is_refused(tmp_path, mode):
    path = tmp_path / "a.png"
    Image.new(mode, (4, 4)).save(path)
    problem = refused(decode_indices, path)
    assert problem.startswith("expected a palette or grey mask of 8 bits (mode P or L), found mode")
    assert f"mode {mode};" in problem


def test_threads_decode_strictly_together_and_the_last_one_puts_it_back(tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 12345)
    filters = list(warnings.filters)
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        Image.fromarray(INDICES).save(path)
    entered, may_leave = ({path: threading.Event() for path in paths} for _ in range(2))
    open_before, seen = decoding._open, []

    def state():
        return ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS

    def open_and_wait(file, formats):
        entered[file].set()
        assert may_leave[file].wait(10)
        seen.append(state())
        return open_before(file, formats)

    monkeypatch.setattr(decoding, "_open", open_and_wait)
    threads = [threading.Thread(target=decode_rgb, args=(path,)) for path in paths]
    for thread, path in zip(threads, paths, strict=True):  # the second one enters while the first one is inside
        thread.start()
        assert entered[path].wait(10)
    for thread, path, after in zip(threads, paths, [(False, MOST_PIXELS), (True, 12345)], strict=True):
        may_leave[path].set()
        thread.join(10)
        assert state() == after
    assert seen == [(False, MOST_PIXELS)] * 2
    assert list(warnings.filters) == filters
