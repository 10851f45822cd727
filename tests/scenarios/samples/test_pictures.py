import io
import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from onehead_avl.errors import DataError
from scenarios.samples.findings import Fault
from scenarios.samples.pictures import (
    list_files,
    list_visible,
    read_each,
    read_indices,
    read_rgb,
    require_folder,
    unread,
)

INDICES = np.array([[0, 1, 20], [255, 15, 3]], dtype=np.uint8)


def noise(height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


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


def test_rgb_pixels_survive(tmp_path):
    pixels = noise()
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = read_rgb(tmp_path / "a.png")
    assert image.dtype == torch.uint8
    assert image.is_contiguous()
    assert torch.equal(image, torch.from_numpy(pixels).permute(2, 0, 1))


def test_grey_becomes_three_equal_channels(tmp_path):
    Image.fromarray(INDICES).save(tmp_path / "a.png")
    assert torch.equal(read_rgb(tmp_path / "a.png"), torch.from_numpy(INDICES).expand(3, 2, 3))


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (5, 4), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    image = read_rgb(tmp_path / "a.jpg").float()
    assert image.shape == (3, 4, 5)
    assert image[0].min() > 240
    assert image[1:].max() < 15


def test_palette_picture_takes_its_colours_without_a_warning(tmp_path, recwarn):
    picture = Image.fromarray(INDICES)
    picture.putpalette([channel for value in range(256) for channel in (value, 0, 255 - value)])
    picture.save(tmp_path / "a.png", transparency=bytes(range(256)))
    image = read_rgb(tmp_path / "a.png")
    assert torch.equal(image[0], torch.from_numpy(INDICES))
    assert torch.equal(image[2], 255 - torch.from_numpy(INDICES))
    assert not recwarn.list


def test_exif_orientation_is_not_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(30, 50)).save(tmp_path / "a.jpg", exif=exif)
    assert read_rgb(tmp_path / "a.jpg").shape == (3, 30, 50)


@pytest.mark.parametrize("lenient", [False, True], ids=["", "truncated pictures are allowed elsewhere"])
@pytest.mark.parametrize(("read", "name"), [(read_rgb, "a.jpg"), (read_rgb, "a.png"), (read_indices, "a.png")])
def test_truncated_picture_names_its_file(tmp_path, monkeypatch, read, name, lenient):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    path = truncated(tmp_path / name)
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: the picture cannot be decoded (")
    assert ImageFile.LOAD_TRUNCATED_IMAGES is lenient


def test_a_changed_byte_of_a_png_is_found_by_its_checksum(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(INDICES).save(path, compress_level=0)
    content = bytearray(path.read_bytes())
    content[content.index(INDICES[1].tobytes())] = 7  # a pixel: what is left can be decoded
    path.write_bytes(content)
    for read in (read_rgb, read_indices):
        with pytest.raises(DataError, match="the picture cannot be decoded"):
            read(path)


@pytest.mark.parametrize("content", [b"", b"no picture at all", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_file_that_is_no_picture_names_its_file(tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_rgb(path)
    expected = "expected a picture (JPEG, PNG, WEBP, GIF, BMP), found no such format; replace or remove the file"
    assert str(caught.value) == f"{path}: {expected}"


def test_missing_picture_and_folder_in_its_place(tmp_path):
    with pytest.raises(DataError, match=r"a\.jpg: the picture cannot be decoded \(No such file"):
        read_rgb(tmp_path / "a.jpg")
    with pytest.raises(DataError, match="expected a picture, found a folder"):
        read_rgb(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes on this system")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg: expected a picture, found a folder or a device"):
        read_rgb(tmp_path / "a.jpg")


@pytest.mark.parametrize("side", [10_000, 40_000], ids=["Pillow warns", "Pillow raises"])
@pytest.mark.parametrize("limit", [Image.MAX_IMAGE_PIXELS, None], ids=["", "sizes are not limited elsewhere"])
@pytest.mark.parametrize("read", [read_rgb, read_indices])
def test_decompression_bomb_is_an_error_and_no_warning(tmp_path, monkeypatch, recwarn, side, read, limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    path = png_claiming(tmp_path / "a.png", side)
    with pytest.raises(DataError, match="decompression bomb") as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert not recwarn.list


def test_sixteen_bits_are_refused_rather_than_clipped(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16)).save(path)
    with pytest.raises(DataError) as caught:
        read_rgb(path)
    assert str(caught.value).startswith(f"{path}: expected a picture of 8 bits a channel, found mode I;16")


def test_palette_indices_survive_whatever_the_palette(tmp_path):
    mask = Image.fromarray(INDICES)
    mask.putpalette([7] * 768)
    mask.save(tmp_path / "a.png")
    indices = read_indices(tmp_path / "a.png")
    assert indices.dtype == torch.uint8
    assert torch.equal(indices, torch.from_numpy(INDICES))


def test_palette_of_few_colours_keeps_indices(tmp_path):
    mask = Image.fromarray(INDICES % 4)
    mask.putpalette([0, 0, 0, 9, 9, 9, 5, 5, 5, 1, 1, 1])
    mask.save(tmp_path / "a.png", bits=2)
    assert torch.equal(read_indices(tmp_path / "a.png"), torch.from_numpy(INDICES % 4))


def test_grey_values_are_indices(tmp_path):
    Image.fromarray(INDICES).save(tmp_path / "a.png")
    assert torch.equal(read_indices(tmp_path / "a.png"), torch.from_numpy(INDICES))


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
    with pytest.raises(DataError, match=f"expected a palette or grey mask of 8 bits .*found mode L;{bits}"):
        read_indices(path)


def test_a_mask_stored_with_loss_is_refused(tmp_path):
    Image.fromarray(INDICES).save(tmp_path / "a.png", format="JPEG")
    with pytest.raises(DataError, match=r"expected a picture \(PNG\), found no such format"):
        read_indices(tmp_path / "a.png")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "1", "I;16"])
def test_mask_of_another_mode_is_refused(tmp_path, mode):
    path = tmp_path / "a.png"
    Image.new(mode, (4, 4)).save(path)
    with pytest.raises(DataError) as caught:
        read_indices(path)
    assert str(caught.value).startswith(f"{path}: expected a palette or grey mask of 8 bits (mode P or L), found mode")
    assert f"mode {mode};" in str(caught.value)


def test_listing_is_sorted_and_leaves_hidden_files_out(tmp_path, monkeypatch):
    for name in ("b.JPG", "a.jpg", "c.jpeg", "d.txt", ".DS_Store", "._a.jpg"):
        (tmp_path / name).touch()
    entries = sorted(tmp_path.iterdir(), reverse=True)
    monkeypatch.setattr(Path, "iterdir", lambda self: iter(entries))
    assert [path.name for path in list_visible(tmp_path)] == ["a.jpg", "b.JPG", "c.jpeg", "d.txt"]
    assert [path.name for path in list_files(tmp_path, (".jpg",))] == ["a.jpg", "b.JPG"]


def test_folder_that_cannot_be_listed(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: the folder cannot be listed \(No such file"):
        list_visible(tmp_path / "nowhere")


def test_require_folder(tmp_path):
    assert require_folder(tmp_path, "pictures") == tmp_path
    with pytest.raises(DataError, match="nowhere: expected a folder of pictures, there is none; create it"):
        require_folder(tmp_path / "nowhere", "pictures")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file: expected a folder of pictures, found a file; "):
        require_folder(tmp_path / "file", "pictures")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def fail(item: int):
    raise DataError("a broken picture")


def test_unread_pictures_are_one_finding_that_is_not_fatal(tmp_path):
    assert unread(tmp_path, [], "beyond") == []
    (finding,) = unread(tmp_path, [tmp_path / "b.jpg", tmp_path / "a.jpg"], "beyond")
    assert not finding.fatal
    assert str(finding) == f"{tmp_path}: pictures beyond are not read: there are 2, such as a.jpg"


def test_faults_are_collected_and_the_rest_is_read():
    def read(item: int) -> int | None:
        if item == 2:
            raise Fault(Path("two"), "broken")
        return item if item != 3 else None

    findings = []
    assert read_each([1, 2, 3, 4], read, "segmentation train", findings) == [1, 4]
    assert [str(finding) for finding in findings] == ["two: broken"]


def test_progress_is_shown_on_a_terminal_and_cleared_before_an_error(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert read_each([1, 2], lambda item: item, "segmentation train", []) == [1, 2]
    assert "reading segmentation train" in sys.stderr.getvalue()
    assert sys.stderr.getvalue().endswith(" \r")

    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(DataError, match="a broken picture") as caught:
        read_each([1, 2], fail, "segmentation train", [])
    assert caught.value  # still held, with the frames of its traceback
    assert sys.stderr.getvalue().endswith(" \r")


def test_progress_is_silent_elsewhere(capfd):
    read_each([1, 2], lambda item: item, "segmentation train", [])
    assert capfd.readouterr() == ("", "")
