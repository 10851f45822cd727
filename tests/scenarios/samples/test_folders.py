import os
from pathlib import Path

import pytest

from scenarios.samples.findings import Fault
from scenarios.samples.folders import list_files, list_visible, require_folder, walk


@pytest.fixture
def tree(tmp_path):
    """Make a folder of files, each in the folders that its name says."""

    def tree(*names):
        folder = tmp_path / "tree"
        folder.mkdir()
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
        return folder

    return tree


def within(folder, paths):
    return [path.relative_to(folder).as_posix() for path in paths]


def test_listing_is_sorted_and_leaves_hidden_files_out(tree, monkeypatch):
    folder = tree("b.JPG", "a.jpg", "c.jpeg", "d.txt", ".DS_Store", "._a.jpg", "e.jpg/x")
    entries = sorted(os.listdir(folder), reverse=True)
    monkeypatch.setattr(os, "listdir", lambda path: entries)
    assert within(folder, list_visible(folder)) == ["a.jpg", "b.JPG", "c.jpeg", "d.txt", "e.jpg"]
    assert within(folder, list_files(folder, (".jpg",))) == ["a.jpg", "b.JPG"]


def test_folder_that_cannot_be_listed(tmp_path):
    with pytest.raises(Fault, match=r"nowhere: the folder cannot be listed \(No such file"):
        list_visible(tmp_path / "nowhere")


def test_require_folder(tmp_path):
    assert require_folder(tmp_path, "pictures") == tmp_path
    with pytest.raises(Fault, match="nowhere: expected a folder of pictures, there is none; create it"):
        require_folder(tmp_path / "nowhere", "pictures")
    (tmp_path / "file").touch()
    with pytest.raises(Fault, match="file: expected a folder of pictures, found a file; "):
        require_folder(tmp_path / "file", "pictures")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_a_folder_of_an_impossible_name_is_missing(tmp_path, name):
    with pytest.raises(Fault) as caught:
        require_folder(tmp_path / name, "pictures")
    assert caught.value.finding.problem.startswith("expected a folder of pictures, there is none")


def test_a_walk_finds_files_in_all_visible_folders_sorted(tree):
    folder = tree("b.jpg", "a/z.JPG", "a/deep/y.png", "a/notes.txt", ".hidden/x.jpg", "a/.x.jpg", "empty.jpg/x.txt")
    assert within(folder, walk(folder, (".jpg", ".png"))) == ["a/deep/y.png", "a/z.JPG", "b.jpg"]
    assert len(walk(folder)) == 5


@pytest.fixture
def deep(tmp_path, monkeypatch):
    """The working folder has 1200 folders, each in the one before, and a file in the last one."""
    monkeypatch.chdir(tmp_path)  # no path so long could be given whole
    for _ in range(1200):
        os.mkdir("d")
        os.chdir("d")
    Path("a.jpg").touch()
    bottom = os.open(".", os.O_RDONLY)
    os.chdir(tmp_path)
    yield
    os.fchdir(bottom)
    os.close(bottom)
    os.unlink("a.jpg")
    for _ in range(1200):  # those who tidy up after tests do not go so deep
        os.chdir("..")
        os.rmdir("d")


@pytest.mark.usefixtures("deep")
def test_a_walk_goes_as_deep_as_there_are_folders():
    (found,) = walk(Path())
    assert len(found.parts) == 1201


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="there are no links on this system")
def test_links_are_followed_once_and_loops_end(tree, tmp_path):
    folder = tree("a/x.jpg", "a/deep/y.jpg")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "z.jpg").touch()
    for link, to in (
        ("a/deep/up", folder),
        ("a/self", folder / "a"),
        ("one", elsewhere),
        ("two", elsewhere),
        ("elsewhere.jpg", elsewhere / "z.jpg"),
        ("nowhere.jpg", tmp_path / "nowhere"),
        ("loop.jpg", folder / "loop.jpg"),
    ):
        (folder / link).symlink_to(to)
    files = ["a/deep/y.jpg", "a/x.jpg", "elsewhere.jpg", "loop.jpg", "nowhere.jpg", "one/z.jpg"]
    assert within(folder, walk(folder)) == files


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="there are no links on this system")
def test_a_folder_beside_a_link_to_it_is_walked_by_its_own_name(tree):
    folder = tree("b/x.jpg")
    (folder / "a").symlink_to(folder / "b")
    assert within(folder, walk(folder)) == ["b/x.jpg"]
