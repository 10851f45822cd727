import json
from pathlib import Path

import pytest

from scenarios.read.coco_file import (
    AS_NUMBERS,
    OTHER_ID,
    TEXT_IDS,
    categories_of,
    load_annotations,
    parse_annotations,
    understand,
)
from scenarios.samples.findings import LEFT_OUT, Fault, Notes

FILE = Path("boxes.json")


def content():
    """Two images, two categories and three annotations in which there is nothing to say."""
    return {
        "images": [
            {"id": 7, "file_name": "a.jpg", "width": 40, "height": 30},
            {"id": 8, "file_name": "b.jpg", "width": 20, "height": 10},
        ],
        "categories": [{"id": 5, "name": "dog"}, {"id": 2, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 5, "bbox": [1, 2, 3, 4], "iscrowd": 0},
            {"id": 2, "image_id": 8, "category_id": 2, "bbox": [1, 1, 2.5, 2], "iscrowd": 1},
            {"id": 3, "image_id": 7, "category_id": 2, "bbox": [0, 0, 9, 9], "iscrowd": 0},
        ],
    }


def understood(change=lambda content: None):
    """What a changed file means, and its findings."""
    made, findings = content(), []
    change(made)
    with Notes(findings, FILE) as notes:
        file = understand(FILE, made, findings, notes)
    assert all(finding.file == FILE for finding in findings)
    return file, findings


def setter(part, position, **values):
    return lambda content: content[part][position].update(values)


def remover(part, position, key):
    return lambda content: content[part][position].pop(key)


def adder(part, **entry):
    return lambda content: content[part].append(entry)


def both(*changes):
    return lambda content: [change(content) for change in changes]


def rows(file):
    """The annotations of each image, in short."""
    return {
        image.key: [(each.place, list(each.bbox), each.category, each.crowd) for each in image.objects]
        for image in file.images
    }


WHOLE = {7: [(0, [1, 2, 3, 4], 5, False), (2, [0, 0, 9, 9], 2, False)], 8: [(1, [1, 1, 2.5, 2], 2, True)]}


def test_annotations_are_those_of_their_images_and_categories_are_ordered_by_id():
    file, findings = understood()
    assert findings == []
    assert [(image.place, image.name, image.size) for image in file.images] == [
        (0, "a.jpg", (30, 40)),
        (1, "b.jpg", (10, 20)),
    ]
    assert rows(file) == WHOLE
    assert list(file.categories.items()) == [(2, "cat"), (5, "dog")]


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (setter("images", 0, id="7"), f"{AS_NUMBERS}: there is one, images[0] (id '7')"),
        (setter("images", 0, id=7.0), f"{AS_NUMBERS}: there is one, images[0] (id 7.0)"),
        (setter("images", 0, width="40"), f"{AS_NUMBERS}: there is one, images[0] (id 7)"),
        (setter("images", 0, height=30.0), f"{AS_NUMBERS}: there is one, images[0] (id 7)"),
        (setter("categories", 0, id="5"), f"{AS_NUMBERS}: there is one, categories[0] (id '5')"),
        (setter("annotations", 0, image_id="7"), f"{AS_NUMBERS}: there is one, annotation 1"),
        (setter("annotations", 0, category_id=5.0), f"{AS_NUMBERS}: there is one, annotation 1"),
        (setter("annotations", 0, iscrowd="0"), f"{AS_NUMBERS}: there is one, annotation 1"),
        (setter("annotations", 1, iscrowd=True), f"{AS_NUMBERS}: there is one, annotation 2"),
        (setter("annotations", 0, iscrowd=0.0), f"{AS_NUMBERS}: there is one, annotation 1"),
        (setter("annotations", 0, iscrowd=None), "an iscrowd of null is read as 0: there is one, annotation 1"),
        (
            setter("annotations", 0, bbox=["1", "2.0", 3, "4"]),
            "boxes written as text are read as numbers: there is one, annotation 1",
        ),
        (
            setter("categories", 0, name=" dog "),
            "names of categories are read without the spaces around them: there is one, dog",
        ),
        (
            adder("images", id=7, file_name="a.jpg", width=40, height=30),
            "images that are listed twice under one id are read once: there is one, a.jpg",
        ),
        (
            adder("categories", id=9, name="dog"),
            "categories without objects that have the name of another one are ignored: there is one, dog (9)",
        ),
        (adder("categories", id=5, name="dog"), "categories that are listed twice are read once: there is one, dog"),
        (remover("annotations", 0, "iscrowd"), None),
        (setter("annotations", 2, id=1), f"{OTHER_ID}: there is one, annotation 1"),
        (remover("annotations", 2, "id"), f"{OTHER_ID}: there is one, annotations[2]"),
    ],
)
def test_what_can_only_mean_one_thing_is_read_and_noted(change, note):
    file, findings = understood(change)
    assert rows(file) == WHOLE
    assert [image.size for image in file.images] == [(30, 40), (10, 20)]
    assert file.categories == {2: "cat", 5: "dog"}
    assert [(finding.problem, finding.fatal, finding.boxes) for finding in findings] == (
        [(note, False, 0)] if note else []
    )


@pytest.mark.parametrize(
    "change", [remover("images", 0, "width"), remover("images", 0, "height"), setter("images", 0, width=None)]
)
def test_an_image_without_a_size_is_noted(change):
    file, (finding,) = understood(change)
    assert [image.size for image in file.images] == [None, (10, 20)]
    assert finding.problem == (
        "images without width or height are taken to have those of their file: there is one, images[0] (id 7)"
    )
    assert not finding.fatal


def test_the_twin_with_the_objects_is_kept_whichever_comes_first():
    twin = both(setter("categories", 0, name="cat"), setter("annotations", 0, category_id=2))
    file, (finding,) = understood(twin)
    assert file.categories == {2: "cat"}
    assert finding.problem.endswith("there is one, cat (5)")
    assert sum(map(len, rows(file).values())) == 3


def test_of_twins_without_any_objects_the_first_is_kept():
    file, (finding,) = understood(both(adder("categories", id=8, name="cow"), adder("categories", id=6, name="cow")))
    assert file.categories == {2: "cat", 5: "dog", 8: "cow"}
    assert finding.problem.endswith("there is one, cow (6)")


def test_twins_that_both_have_objects_cannot_be_mended():
    _, (finding,) = understood(setter("categories", 0, name="cat"))
    assert (finding.fatal, finding.repair) == (True, "")
    assert finding.problem == (
        "expected every category name once, found 'cat' of 5 and 2, which all have objects; rename or unite them"
    )


def test_ids_may_be_texts():
    change = both(
        setter("images", 0, id="one"),
        setter("annotations", 0, image_id="one"),
        setter("annotations", 2, image_id="one", category_id="feline"),
        setter("annotations", 1, category_id="feline"),
        setter("categories", 1, id="feline"),
    )
    file, (noted,) = understood(change)
    assert (noted.problem.split(":")[0], noted.fatal) == (TEXT_IDS, False)
    assert list(file.categories.items()) == [(5, "dog"), ("feline", "cat")]
    assert [len(image.objects) for image in file.images] == [2, 1]


def test_one_id_written_in_two_ways_is_one_id():
    file, findings = understood(adder("images", id="7", file_name="c.jpg", width=4, height=3))
    assert [image.name for image in file.images] == ["b.jpg"]
    assert [finding.problem.split(",")[0] for finding in findings] == [
        "expected every image id once",
        AS_NUMBERS.split(",")[0],
    ]


@pytest.mark.parametrize(
    ("change", "problem", "boxes"),
    [
        (adder("images"), "images[2] (id nothing): expected an id, a whole number or a text; mend it", 0),
        (lambda content: content["images"].append(7), "images[2]: expected an object, found 7; mend it", 0),
        (setter("images", 0, id=True), "images[0] (id True): expected an id, a whole number or a text; mend it", 0),
        (setter("images", 0, id=7.5), "images[0] (id 7.5): expected an id, a whole number or a text; mend it", 0),
        (remover("images", 0, "file_name"), "images[0] (id 7): expected a text 'file_name', found nothing; mend", 2),
        (setter("images", 0, file_name=3), "images[0] (id 7): expected a text 'file_name', found 3; mend it", 2),
        (
            setter("images", 0, width="wide"),
            "images[0] (id 7): expected whole numbers 'width' and 'height', found ['wide', 30]; mend it",
            2,
        ),
        (
            setter("images", 0, height=0),
            "images[0] (id 7): expected whole numbers 'width' and 'height', found [40, 0]",
            2,
        ),
        (setter("images", 0, height=30.5), "images[0] (id 7): expected whole numbers 'width' and 'height', found", 2),
        (
            adder("images", id=7, file_name="c.jpg", width=40, height=30),
            "expected every image id once, found 7 of 'a.jpg' and of 'c.jpg'; number one of them anew",
            2,
        ),
        (lambda content: content["categories"].append([]), "categories[2]: expected an object, found []; mend it", 0),
        (
            adder("categories", id=None, name="cow"),
            "categories[2] (id nothing): expected an id, a whole number or a",
            0,
        ),
        (remover("categories", 1, "name"), "categories[1] (id 2): expected a text 'name', found nothing; mend it", 2),
        (setter("categories", 1, name=" "), "categories[1] (id 2): expected a text 'name', found ' '; mend it", 2),
        (
            adder("categories", id=2, name="cow"),
            "expected every category id once, found 2 of 'cat' and of 'cow'; number one of them anew",
            2,
        ),
        (lambda content: content["annotations"].append("x"), "annotations[3]: expected an object, found 'x'", 1),
        (setter("annotations", 0, image_id=None), "annotation 1: expected 'image_id', an id, found nothing; mend", 1),
        (setter("annotations", 0, category_id=[1]), "annotation 1: expected 'category_id', an id, found [1]; mend", 1),
        (remover("annotations", 0, "bbox"), "annotation 1: expected a list 'bbox', found nothing; mend it", 1),
        (setter("annotations", 0, bbox="1 2 3 4"), "annotation 1: expected a list 'bbox', found '1 2 3 4'; mend", 1),
        (setter("annotations", 0, iscrowd=2), "annotation 1: expected iscrowd 0 or 1, found 2; correct it", 1),
        (setter("annotations", 0, iscrowd=[]), "annotation 1: expected iscrowd 0 or 1, found []; correct it", 1),
        (setter("annotations", 0, iscrowd="no"), "annotation 1: expected iscrowd 0 or 1, found 'no'; correct it", 1),
        (
            setter("annotations", 0, image_id=99),
            "annotation 1 names image 99, which is not among images; list the image or remove it",
            1,
        ),
        (
            setter("annotations", 0, category_id=99),
            "annotation 1 has category 99, which is not among categories; list it there",
            1,
        ),
        (
            both(remover("annotations", 0, "id"), setter("annotations", 0, image_id=99)),
            "annotations[0] names image 99, which is not among images; list the image or remove it",
            1,
        ),
    ],
)
def test_an_entry_that_cannot_be_read_is_left_out_with_all_that_hangs_on_it(change, problem, boxes):
    file, findings = understood(change)
    finding = findings[0]
    assert finding.problem.startswith(problem)
    assert (finding.fatal, finding.repair) == (True, LEFT_OUT)
    if "images[0]" in problem and not boxes:  # nothing can name its id, so its annotations are lost one by one
        assert [each.problem.split(",")[0] for each in findings[1:]] == [
            f"annotation {i} names image 7" for i in (1, 3)
        ]
        boxes = sum(each.boxes for each in findings)
        assert boxes == 2
    else:
        assert [each for each in findings[1:] if each.fatal] == []
        assert finding.boxes == boxes
    made = content()
    change(made)
    assert boxes + sum(map(len, rows(file).values())) == len(made["annotations"])


def test_an_id_that_is_there_three_times_is_left_out_whole():
    change = both(*(adder("images", id=7, file_name=f"{name}.jpg", width=40, height=30) for name in "cd"))
    file, findings = understood(change)
    assert [image.name for image in file.images] == ["b.jpg"]
    assert sum(finding.boxes for finding in findings) == 2


def test_a_category_id_that_is_there_three_times_is_left_out_whole():
    file, findings = understood(both(*(adder("categories", id=2, name=name) for name in ("cow", "horse"))))
    assert file.categories == {5: "dog"}
    assert sum(finding.boxes for finding in findings) == 2


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "expected JSON, found something else"),
        (b"{", "expected JSON, found something else"),
        (b"\xff\xfe", "expected JSON, found something else"),
        (b"[" * 100_000, "expected JSON, found something else"),
        (b'{"images": ' + b"9" * 5000 + b"}", "expected JSON, found something else"),
        (b"[1, 2]", "expected an object with images"),
        (b"{}", "expected a list 'images', found nothing; add it"),
        (b'{"images": {"a": 1}}', "expected a list 'images', found {'a': 1}; add it"),
        (b'{"images": []}', "expected entries in 'images', found none; add them"),
        (b'{"images": [1], "categories": []}', "expected entries in 'categories', found none; add them"),
        (b'{"images": [1], "categories": [1]}', "expected a list 'annotations', found nothing; add it"),
    ],
)
def test_another_file_is_refused(tmp_path, data, problem):
    path = tmp_path / "boxes.json"
    path.write_bytes(data)
    for act in (lambda: load_annotations(path), lambda: parse_annotations(path, data), lambda: categories_of(path)):
        with pytest.raises(Fault) as caught:
            act()
        assert str(caught.value).startswith(f"{path}: {problem}")


def test_a_file_without_annotations_is_read():
    made = content() | {"annotations": []}
    assert parse_annotations(FILE, json.dumps(made).encode()) == made


def test_a_mark_of_byte_order_is_no_fault():
    assert parse_annotations(FILE, b"\xef\xbb\xbf" + json.dumps(content()).encode()) == content()


@pytest.mark.parametrize("name", ["nowhere.json", "x" * 5000, "a\0b"])
def test_a_file_that_is_not_there_is_refused(tmp_path, name):
    for act in (load_annotations, categories_of):
        with pytest.raises(Fault) as caught:
            act(tmp_path / name)
        assert caught.value.finding.problem.startswith("the annotation file cannot be read (")


def test_the_categories_of_a_file_follow_its_changes(tmp_path):
    path, made = tmp_path / "boxes.json", content()
    path.write_text(json.dumps(made))
    assert list(categories_of(path).items()) == [("cat", 2), ("dog", 5)]
    made["categories"][0]["name"] = "elephant"
    path.write_text(json.dumps(made))
    assert list(categories_of(path).items()) == [("cat", 2), ("elephant", 5)]
    path.unlink()
    with pytest.raises(Fault):
        categories_of(path)
