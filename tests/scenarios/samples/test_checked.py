import io
import json
import os
import sys
import threading
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image

from scenarios.samples import checked
from scenarios.samples.checked import check
from scenarios.samples.facts import Facts, mask_facts, picture_facts

YEAR = 365 * 24 * 3600


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache for each test alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "onehead-avl" / "checked"


@pytest.fixture
def files(tmp_path):
    """Five pictures that were written long ago."""
    (tmp_path / "pictures").mkdir()
    paths = [tmp_path / "pictures" / f"{number}.png" for number in range(5)]
    for number, path in enumerate(paths):
        write(path, number)
    return paths


def write(path, colour, seconds=YEAR):
    """Write a picture as if it was long ago."""
    Image.new("RGB", (4, 3), (colour, 0, 0)).save(path)
    age(path, seconds)


def age(path, seconds=YEAR):
    before = path.stat().st_mtime
    os.utime(path, (before - seconds, before - seconds))


@pytest.fixture
def look():
    """Look at files and remember which."""

    def look(file):
        look.seen.append(file)
        return picture_facts(file)

    look.seen = []
    return look


def seen_in(look, act):
    """What a call returns, and the files that were looked at meanwhile."""
    look.seen.clear()
    found = act()
    return found, sorted(look.seen)


def test_the_facts_of_each_file_are_those_of_looking_at_it_in_the_order_given(files, look):
    found, seen = seen_in(look, lambda: check(files[::-1], look, "title"))
    assert found == [picture_facts(file) for file in files[::-1]]
    assert len({facts.digest for facts in found}) == 5
    assert seen == files


def test_nothing_to_check_is_nothing_known(look, cache):
    assert check([], look, "title") == []
    assert not cache.exists()


def test_files_are_not_looked_at_again(files, look):
    first = check(files, look, "title")
    assert seen_in(look, lambda: check(files, look, "title")) == (first, [])
    assert seen_in(look, lambda: check(files[3:1:-1], look, "title")) == (first[3:1:-1], [])


def test_all_facts_are_remembered(tmp_path):
    palette = Image.fromarray(np.array([[3, 1, 255]], dtype=np.uint8))
    palette.putpalette([0] * 3 + [192, 128, 128] + [9] * 762)
    exif = Image.Exif()
    exif[0x0112] = 6
    palette.save(tmp_path / "mask.png")
    Image.new("RGB", (4, 3)).save(tmp_path / "turned.png", exif=exif)
    Image.new("RGB", (4, 3)).save(tmp_path / "two.tif", save_all=True, append_images=[Image.new("RGB", (4, 3), "red")])
    for name, look in (("mask.png", mask_facts), ("turned.png", picture_facts), ("two.tif", picture_facts)):
        age(tmp_path / name)
        first = check([tmp_path / name], look, "title")
        remembered = check([tmp_path / name], named_as(look), "title")
        assert remembered == first
    assert first[0].frames == 2


def named_as(look):
    """A function that is taken for another one, and must not be called."""

    def never(file):
        raise AssertionError(file)

    never.__name__ = look.__name__
    return never


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_file_that_was_changed_is_looked_at_again(files, look, change):
    first = check(files, look, "title")
    path, before = files[2], files[2].stat()
    if change == "size":
        Image.effect_noise((9, 9), 50).convert("RGB").save(path)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert path.stat().st_size != before.st_size
    else:
        write(path, 99, YEAR // 2)
        assert path.stat().st_size == before.st_size
    found, seen = seen_in(look, lambda: check(files, look, "title"))
    assert seen == [path]
    assert found[2] == picture_facts(path) != first[2]
    assert found[:2] + found[3:] == first[:2] + first[3:]
    assert seen_in(look, lambda: check(files, look, "title")) == (found, [])


@pytest.mark.parametrize("seconds", [0, -YEAR], ids=["just now", "in the future"])
def test_a_file_that_was_just_written_is_not_remembered(files, look, seconds):
    Image.new("RGB", (4, 3), (77, 0, 0)).save(files[1])
    age(files[1], seconds)
    first = check(files, look, "title")
    assert seen_in(look, lambda: check(files, look, "title")) == (first, [files[1]])
    age(files[1], 3 - seconds)
    assert seen_in(look, lambda: check(files, look, "title"))[1] == [files[1]]
    assert seen_in(look, lambda: check(files, look, "title"))[1] == []


def test_a_new_file_is_looked_at_alone(files, look):
    check(files[:4], look, "title")
    assert seen_in(look, lambda: check(files, look, "title"))[1] == [files[4]]


def test_a_folder_with_the_same_names_elsewhere_is_another_one(files, look, tmp_path):
    check(files, look, "title")
    (tmp_path / "pictures").rename(tmp_path / "moved")
    moved = [tmp_path / "moved" / file.name for file in files]
    assert seen_in(look, lambda: check(moved, look, "title"))[1] == moved


def test_relative_paths_are_the_same_files(files, look, monkeypatch):
    first = check(files, look, "title")
    monkeypatch.chdir(files[0].parent)
    assert seen_in(look, lambda: check([Path(file.name) for file in files], look, "title")) == (first, [])


def test_facts_of_pictures_are_no_facts_of_masks(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.array([[0, 7]], dtype=np.uint8)).save(path)
    age(path)
    pictures, masks = check([path], picture_facts, "title"), check([path], mask_facts, "title")
    assert (pictures[0].values, masks[0].values) == ((), (0, 7))
    assert check([path], picture_facts, "title") == pictures


def test_another_version_of_the_decoder_looks_again(files, look, monkeypatch):
    check(files, look, "title")
    monkeypatch.setattr(PIL, "__version__", "0.0")
    assert seen_in(look, lambda: check(files, look, "title"))[1] == files
    monkeypatch.setattr(checked, "VERSION", checked.VERSION + 1)
    assert seen_in(look, lambda: check(files, look, "title"))[1] == files


def test_what_could_not_be_used_is_looked_at_again(files, look):
    broken, content = files[1], files[1].read_bytes()
    broken.write_bytes(content[:30])
    age(broken)
    first, _ = seen_in(look, lambda: check(files, look, "title"))
    assert [bool(facts.problem) for facts in first] == [False, True, False, False, False]
    # A disk that could not be read for a moment, or a file that may be read now, changes neither size nor time.
    assert seen_in(look, lambda: check(files, look, "title")) == (first, [broken])


def test_a_file_that_is_not_there_is_a_problem(files, look):
    files[1].unlink()
    found = check(files, look, "title")
    assert "No such file" in found[1].problem
    assert check(files, look, "title") == found


def only_file(cache):
    (file,) = cache.iterdir()
    return file


BROKEN = [b"", b"{", b"\xff\xfe", b"[]", b"3", b"[" * 100_000, b'{"0.png": 3, "1.png": [1, 2], "2.png": null}']


@pytest.mark.parametrize("content", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_cache_is_done_without_and_written_anew(files, look, cache, content):
    first = check(files, look, "title")
    only_file(cache).write_bytes(content)
    assert seen_in(look, lambda: check(files, look, "title")) == (first, files)
    assert seen_in(look, lambda: check(files, look, "title")) == (first, [])


@pytest.mark.parametrize("field", range(8))
@pytest.mark.parametrize("value", [None, "x", [], {}, -1])
def test_a_cache_whose_entries_are_of_another_form_makes_no_trouble(files, look, cache, field, value):
    first = check(files, look, "title")
    content = json.loads(only_file(cache).read_text())
    for entry in content.values():
        entry[field] = value
    only_file(cache).write_text(json.dumps(content))
    found = check(files, look, "title")
    assert all(isinstance(facts, Facts) for facts in found)
    assert field not in (0, 1, 2) or found == first


@pytest.mark.parametrize("there", ["a file in place of the folder", "a folder in place of the file"])
def test_a_cache_that_cannot_be_written_is_done_without(files, look, cache, there):
    if there == "a file in place of the folder":
        cache.parent.parent.mkdir()
        cache.parent.touch()
    else:
        check(files, look, "title")
        name = only_file(cache)
        name.unlink()
        name.mkdir()
    for _ in range(2):
        found, seen = seen_in(look, lambda: check(files, look, "title"))
        assert seen == files
        assert found == [picture_facts(file) for file in files]


def test_files_are_looked_at_side_by_side(files, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    together = threading.Barrier(3, timeout=10)  # which nobody passes alone

    def look(file):
        together.wait()
        return picture_facts(file)

    check(files[:3], look, "title")


def test_an_error_of_looking_is_raised_and_nothing_is_remembered(files, cache):
    def look(file):
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        check(files, look, "title")
    assert not cache.exists()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal_and_cleared_before_an_error(files, look, monkeypatch):
    def fail(file):
        if file == files[-1]:
            raise RuntimeError("broken")
        return look(file)

    bars = checked.tqdm
    monkeypatch.setattr(checked, "tqdm", lambda **options: bars(**options | {"delay": 0, "mininterval": 0}))
    for act, fails in ((look, False), (fail, True)):
        monkeypatch.setattr(sys, "stderr", Terminal())
        if fails:
            with pytest.raises(RuntimeError) as caught:
                check(files, act, "segmentation train")
            assert caught.value  # still held, with the frames of its traceback
        else:
            check(files, act, "segmentation train")
        assert "checking segmentation train" in sys.stderr.getvalue()
        assert sys.stderr.getvalue().endswith("\r")


def test_progress_is_silent_elsewhere(files, look, capfd):
    check(files, look, "title")
    assert capfd.readouterr() == ("", "")
