import pytest

from scenarios.read.splits import meaning, split_folder, split_folders
from scenarios.samples.findings import Fault


@pytest.mark.parametrize(
    ("split", "names", "found"),
    [
        ("val", ["train", "val", "test"], ["val"]),
        ("val", ["train", "valid"], ["valid"]),
        ("val", ["Validation", "VALID"], ["VALID", "Validation"]),
        ("train", ["training", "train"], ["train", "training"]),
        ("train", ["constraint", "trains", "val"], []),
    ],
)
def test_names_that_mean_a_split(split, names, found):
    assert meaning(split, names) == found


def test_the_own_name_is_read_without_a_word(tmp_path):
    (tmp_path / "val").mkdir()
    (tmp_path / "valid").touch()  # no folder
    findings = []
    assert split_folder(tmp_path, "val", findings) == tmp_path / "val"
    assert findings == []


def test_another_name_is_noted(tmp_path):
    (tmp_path / "validation").mkdir()
    findings = []
    assert split_folder(tmp_path, "val", findings) == tmp_path / "validation"
    assert [str(each) for each in findings] == [f"{tmp_path}: validation is read as the split val"]
    assert not findings[0].fatal


def test_two_names_are_refused_and_named(tmp_path):
    for name in ("valid", "val"):
        (tmp_path / name).mkdir()
    with pytest.raises(Fault, match=r"expected one folder of the split val, found val and valid; rename or remove all"):
        split_folder(tmp_path, "val", [])


def test_nothing_there_is_where_it_should_be(tmp_path):
    assert split_folder(tmp_path / "nowhere", "train", []) == tmp_path / "nowhere" / "train"
    assert split_folders(tmp_path / "nowhere", "train") == []
