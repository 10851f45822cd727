import pytest

from scenarios.read import voc_devkit, voc_xml
from scenarios.read.devkit import listed_pairs, load_list, year_of, years_of
from scenarios.samples.findings import LEFT_OUT, Fault

WANTED = {"Segmentation": voc_devkit.WANTED, "Main": voc_xml.WANTED}


@pytest.fixture
def year(layouts, tmp_path):
    return layouts.voc_devkit(tmp_path)


def pairs(year, split="train", kind="Segmentation"):
    findings = []
    found = listed_pairs(year, split, WANTED[kind], findings)
    return [(image.name, annotation.name) for image, annotation in found], findings


def lists(year, text, split="train", kind="Segmentation"):
    path = year / "ImageSets" / kind / f"{split}.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_year_is_found_from_each_of_its_folders(year, tmp_path):
    for path in (tmp_path, tmp_path / "VOCdevkit", year):
        assert year_of(path, "Main") == year
    assert years_of(year / "JPEGImages", "Main") == years_of(tmp_path / "nowhere", "Main") == []
    with pytest.raises(Fault, match="expected a folder ImageSets/Main here, or in a VOC2012 or VOCdevkit/VOC2012"):
        year_of(year / "JPEGImages", "Main")


def test_several_years_are_refused_by_name(year, tmp_path):
    (year.parent / "VOC2007" / "ImageSets" / "Main").mkdir(parents=True)
    assert year_of(tmp_path, "Segmentation") == year  # which 2007 has no lists of
    with pytest.raises(
        Fault, match=r"expected one year, found VOC2007 and VOC2012; name the one to read as path, such"
    ):
        year_of(tmp_path, "Main")
    assert year_of(year, "Main") == year


def test_what_no_list_names_is_counted_alike_for_both_splits(year):
    for split, expected in (("train", 3), ("val", 2)):
        found, (note,) = pairs(year, split)
        assert len(found) == expected
        assert (note.fatal, note.pictures) == (False, 1)
        assert str(note) == (
            f"{year / 'JPEGImages'}: pictures listed neither for train nor for val in ImageSets/Segmentation are not "
            "read: there are 1, such as 2007_stray.jpg"
        )


def test_line_ends_blank_lines_and_repeated_names(year):
    lists(year, b"\xef\xbb\xbf2007_train1\r\n\r\n 2007_train0 \r\n2007_train1")
    found, findings = pairs(year)
    assert found == [(f"2007_train{i}.jpg", f"2007_train{i}.png") for i in range(2)]
    assert [each.pictures for each in findings] == [2, 0]
    assert str(findings[1]).endswith(
        "train.txt: images that are listed more than once are read once: there is one, 2007_train1"
    )
    assert not any(each.fatal for each in findings)


def test_missing_files_are_named_with_their_line(year):
    (year / "JPEGImages" / "2007_train0.jpg").unlink()
    (year / "SegmentationClass" / "2007_train1.png").unlink()
    found, findings = pairs(year)
    assert found == [("2007_train2.jpg", "2007_train2.png")]
    path = year / "ImageSets" / "Segmentation" / "train.txt"
    assert [(each.file, each.problem, each.repair, each.pictures) for each in findings if each.fatal] == [
        (
            path,
            "line 1: expected an image JPEGImages/2007_train0.jpg, found none; add it or remove the line",
            LEFT_OUT,
            0,
        ),
        (
            path,
            "line 2: expected SegmentationClass/2007_train1.png, found none; add it or remove the line",
            LEFT_OUT,
            1,
        ),
    ]


def test_the_boxes_of_a_missing_image_are_counted(year):
    (year / "JPEGImages" / "2007_train0.jpg").unlink()
    _, findings = pairs(year, kind="Main")
    assert [each.boxes for each in findings if each.fatal] == [2]


def test_two_images_of_one_name_are_refused(year):
    (year / "JPEGImages" / "2007_train0.png").write_bytes((year / "JPEGImages" / "2007_train0.jpg").read_bytes())
    found, findings = pairs(year)
    assert len(found) == 2
    assert [(each.file.name, each.pictures) for each in findings if each.fatal] == [
        ("2007_train0.jpg", 1),
        ("2007_train0.png", 1),
    ]


def test_images_of_other_formats_and_in_folders_are_found(layouts, year):
    layouts.save_image(year / "JPEGImages" / "more" / "a.png", "train", 0)
    layouts.save_mask(year / "SegmentationClass" / "more" / "a.png", 0)
    lists(year, "more/a\n")
    assert pairs(year)[0] == [("a.png", "a.png")]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("../x\n", "line 1: expected the name of an image, found '../x'; correct it"),
        ("\n/etc/passwd\n", "line 2: expected the name of an image, found '/etc/passwd'"),
        (b"\xff\xfe", "expected text, found something else"),
        ("\n \n", "expected the name of an image in each line, found none"),
    ],
)
def test_a_wrong_list_is_refused(year, text, problem):
    path = lists(year, text)
    with pytest.raises(Fault) as caught:
        pairs(year)
    assert str(caught.value).startswith(f"{path}: {problem}")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "a\tb", "🐈"])
def test_an_impossible_name_is_missing(year, name):
    lists(year, f"{name}\n2007_train0\n")
    found, findings = pairs(year)
    assert len(found) == 1
    assert str(findings[1]).isprintable()
    assert "found none; add it" in findings[1].problem


def test_a_list_that_is_called_otherwise_is_noted_and_two_are_refused(year):
    folder = year / "ImageSets" / "Segmentation"
    (folder / "val.txt").rename(folder / "valid.txt")
    assert f"{folder}: valid is read as the split val" in map(str, pairs(year, "val")[1])
    lists(year, "2007_val0\n", "val")
    with pytest.raises(Fault, match=r"expected one list val\.txt, found val\.txt and valid\.txt; remove all but one"):
        pairs(year, "val")
    for name in ("val", "valid"):
        (folder / f"{name}.txt").unlink()
    with pytest.raises(Fault, match=r"expected one list val\.txt, found none; add it"):
        pairs(year, "val")


def test_a_missing_list_is_refused(tmp_path):
    with pytest.raises(Fault, match=r"train\.txt: the file cannot be read \(No such file"):
        load_list(tmp_path / "train.txt")
