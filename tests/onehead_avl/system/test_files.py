import errno
import json

import pytest

from onehead_avl.errors import OutputError
from onehead_avl.system.files import replacing, write_json, write_text


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_the_new_content_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(path) as temporary:
        assert temporary.parent == tmp_path
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["file"]


def write_half(path, error):
    """Begin to replace a file and fail."""
    with replacing(path) as temporary:
        temporary.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_the_old_file_and_no_temporary(tmp_path, error):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(error):
        write_half(path, error)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_full_disk_is_an_output_error_that_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(OutputError) as caught:
        write_half(path, OSError(errno.ENOSPC, "No space left on device"))
    assert str(caught.value).startswith(f"{path} could not be written (No space left on device); ")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("place", ["missing/file", "a_file/file", "n" * 300])
def test_a_path_that_cannot_be_written_is_an_output_error(tmp_path, place):
    (tmp_path / "a_file").touch()
    with pytest.raises(OutputError, match="could not be written"):
        write_json(tmp_path / place, {})
    assert names(tmp_path) == ["a_file"]


def test_a_folder_in_the_way_is_an_output_error(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(OutputError, match="could not be written"):
        write_json(tmp_path / "file", {})
    assert names(tmp_path) == ["file"]


def test_json_is_what_was_written(tmp_path):
    value = {"a": [1, 2.5, None, True], "b": {"ü": "é"}}
    write_json(tmp_path / "file.json", value)
    text = (tmp_path / "file.json").read_text(encoding="utf-8")
    assert json.loads(text) == value
    assert text.endswith("}\n")
    assert text.count("\n") > 5  # for people to read


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_json_refuses_what_is_no_number(tmp_path, value):
    write_json(tmp_path / "file.json", {"old": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "file.json", {"new": [value]})
    assert json.loads((tmp_path / "file.json").read_text()) == {"old": 1}
    assert names(tmp_path) == ["file.json"]


def test_text_is_written_as_utf_8_in_place_of_the_old(tmp_path):
    for text in ("old", "+-: \u00b1\n"):
        write_text(tmp_path / "file.md", text)
        assert (tmp_path / "file.md").read_bytes() == text.encode()
    assert names(tmp_path) == ["file.md"]


def test_text_that_cannot_be_written_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="could not be written"):
        write_text(tmp_path / "missing" / "file.md", "text")
