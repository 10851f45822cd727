import unicodedata
from pathlib import Path

import pytest

from scenarios.read.places import Pictures
from scenarios.samples.findings import Fault, Notes
from scenarios.samples.folders import walk

FILE = Path("boxes.json")
WITHOUT_FOLDERS = "file names are read without the folders before them, which are not there"
ELSEWHERE = "files are found in another folder than their name says"
OTHER_FORM = "files are found under names of another case or form of accents"


@pytest.fixture
def find(tmp_path):
    """Look for names among some files: where each is, relative to their folder, and what was noted."""

    def find(there, *names):
        folder = tmp_path / "images"
        for file in there:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).touch()
        findings = []
        with Notes(findings, FILE) as notes:
            pictures = Pictures(folder, walk(folder), notes)
            found = [pictures.find(FILE, "image 1", name.format(folder=folder)) for name in names]
        assert not any(finding.fatal or finding.pictures or finding.boxes for finding in findings)
        places = [None if path is None else path.relative_to(folder).as_posix() for path in found]
        return places, [finding.problem.split(": ")[0] for finding in findings]

    return find


def test_a_name_is_that_of_a_file(find):
    assert find(["a.jpg", "b.jpg"], "a.jpg", "b.jpg") == (["a.jpg", "b.jpg"], [])


@pytest.mark.parametrize("name", ["sub/a.jpg", "./sub/a.jpg", "sub//a.jpg", "sub\\a.jpg", ".\\sub\\a.jpg"])
def test_folders_may_be_written_in_any_way(find, name):
    assert find(["sub/a.jpg", "a.jpg"], name) == (["sub/a.jpg"], [])


def test_a_file_may_have_a_backslash_or_a_colon_in_its_name(find):
    assert find(["sub\\a.jpg", "c:a.jpg"], "sub\\a.jpg", "c:a.jpg") == (["sub\\a.jpg", "c:a.jpg"], [])


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("train2017/a.jpg", "a.jpg"),
        ("data/train2017/a.jpg", "a.jpg"),
        ("data/sub/b.jpg", "sub/b.jpg"),
        ("/home/somebody/data/a.jpg", "a.jpg"),
        ("C:\\data\\sub\\b.jpg", "sub/b.jpg"),
        ("C:/a.jpg", "a.jpg"),
    ],
)
def test_folders_that_are_not_there_are_left_out_with_a_note(find, name, place):
    assert find(["a.jpg", "sub/b.jpg"], name) == ([place], [WITHOUT_FOLDERS])


def test_a_file_in_another_folder_is_found_if_it_alone_has_the_name(find):
    there = ["one/a.jpg", "one/b.jpg", "two/b.jpg"]
    assert find(there, "a.jpg") == (["one/a.jpg"], [ELSEWHERE])
    assert find(there, "three/a.jpg") == (["one/a.jpg"], [ELSEWHERE])
    assert find(there, "b.jpg") == ([None], [])


def test_a_name_of_another_case_is_found_if_it_is_the_only_one(find, tmp_path):
    (tmp_path / "case").touch()
    if (tmp_path / "CASE").exists():
        pytest.skip("names of another case are the same to this file system")
    there = ["Sub/A.JPG", "b.jpg", "B.JPG"]
    assert find(there, "sub/a.jpg") == (["Sub/A.JPG"], [OTHER_FORM])
    assert find(there, "b.JPG") == ([None], [])


def test_accents_may_be_written_as_one_character_or_as_two(find):
    composed, decomposed = (unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD"))
    assert composed != decomposed
    assert find([decomposed], composed) == ([decomposed], [OTHER_FORM])


@pytest.mark.parametrize("name", ["", ".", "nowhere.jpg", "x" * 5000, "a\0b", "\ud800", "sub", "sub/"])
def test_what_names_no_file_is_not_found(find, name):
    assert find(["sub/a.jpg", "b.jpg"], name) == ([None], [])


@pytest.mark.parametrize("name", ["../a.jpg", "sub/../a.jpg", "..\\a.jpg", "{folder}/a.jpg", "/"])
def test_names_that_lead_elsewhere_are_refused(find, name):
    with pytest.raises(Fault) as caught:
        find(["a.jpg", "sub/b.jpg"], name)
    assert str(caught.value).startswith("boxes.json: image 1: expected a file name within ")
    assert str(caught.value).endswith("; correct it")


def test_many_names_of_one_problem_are_one_note(tmp_path):
    for name in "abcd":
        (tmp_path / f"{name}.jpg").touch()
    findings = []
    with Notes(findings, FILE) as notes:
        pictures = Pictures(tmp_path, walk(tmp_path), notes)
        for name in "abcd":
            pictures.find(FILE, "image", f"old/{name}.jpg")
    (finding,) = findings
    assert str(finding) == (f"boxes.json: {WITHOUT_FOLDERS}: there are 4, such as old/a.jpg, old/b.jpg, old/c.jpg ...")
