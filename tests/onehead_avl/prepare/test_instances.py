import json

import pytest

from onehead_avl.errors import DataError
from onehead_avl.prepare.instances import fit_boxes, parse_official
from scenarios.samples.rules import cut_box

IMAGES = {1: {"id": 1, "width": 100, "height": 80}}


def fit(*box):
    found = fit_boxes([{"image_id": 1, "bbox": list(box), "kept": "as it is"}], IMAGES)
    assert all(entry["kept"] == "as it is" for entry in found.kept)
    return [entry["bbox"] for entry in found.kept], found.clipped, found.dropped


@pytest.mark.parametrize(
    "box", [(10, 20, 30, 40), (0, 0, 100, 80), (-0.5, -1, 20, 20), (50.25, 60, 50.5, 20.75), (5, 5, 0.125, 0.0625)]
)
def test_boxes_within_rounding_of_their_picture_are_unchanged(box):
    assert fit(*box) == ([list(box)], 0, 0)


@pytest.mark.parametrize(
    ("box", "fitted"),
    [
        ((-10, -20, 30, 40), [0, 0, 20, 20]),
        ((90, 70, 30, 40), [90, 70, 10, 10]),
        ((-5, -5, 500, 500), [0, 0, 100, 80]),
    ],
)
def test_boxes_over_the_edge_are_cut_there(box, fitted):
    assert fit(*box) == ([fitted], 1, 0)


@pytest.mark.parametrize(
    "box",
    [
        (10, 10, 0, 5),
        (10, 10, 5, -1),
        (100, 10, 5, 5),
        (100.5, 10, 0.25, 5),
        (-9, -9, 5, 5),
        (99, 10, 1e-9, 5),
        (1, 1, 2),
        (1, 1, 2, float("nan")),
        (1, 1, 2, float("inf")),
        (1, 1, 2, 10**400),
        (1, 1, 2, "3"),
        (1, 1, 2, True),
    ],
)
def test_boxes_without_area_in_their_picture_are_dropped(box):
    assert fit(*box) == ([], 0, 1)


@pytest.mark.parametrize("box", [(-10, 3, 40, 2), (0.1, 0.2, 99.9, 79.9), (-0.75, 79.5, 3, 3), (99.2, 0, 33.3, 1.1)])
def test_what_is_left_is_accepted_by_the_reader(box):
    ((fitted,), _, _) = fit(*box)
    cut = cut_box(fitted, 100, 80)
    assert (cut.outside, cut.empty) == (False, False)
    left, top, right, bottom = cut.corners
    assert 0 <= left < right <= 100
    assert 0 <= top < bottom <= 80


def content(**parts):
    image = {"id": 1, "file_name": "a.jpg", "width": 4, "height": 3}
    annotation = {"id": 1, "image_id": 1, "category_id": 2, "bbox": [0, 0, 1, 1]}
    whole = {"images": [image], "annotations": [annotation], "categories": [{"id": 2, "name": "car"}]}
    return json.dumps(whole | parts).encode()


def test_a_sound_file_is_read():
    assert parse_official(content(), "here") == json.loads(content())


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "expected JSON, found something else"),
        (b"\xff\xfe\x00", "expected JSON, found something else"),
        (b"[" * 100_000, "expected JSON, found something else"),
        (b"[1]", "expected an object with images, categories, annotations, found [1]"),
        (content(categories={"a": 1}), "expected a list 'categories', found {'a': 1}"),
        (content(annotations=[3]), "annotations[0]: expected an object, found 3"),
        (content(images=[{"id": True}], annotations=[]), "images[0] (id True): expected an id, a whole number or"),
        (content(categories=[{"id": 2}]), "categories[0] (id 2): expected a text 'name', found nothing"),
        (
            content(annotations=[{"id": 1, "image_id": 9, "category_id": 2, "bbox": [0, 0, 1, 1]}]),
            "annotation 1 names image 9, which is not among images",
        ),
    ],
)
def test_another_file_is_refused(data, problem):
    with pytest.raises(DataError) as caught:
        parse_official(data, "here")
    assert str(caught.value).startswith("here: ")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        (
            {"images": [{"id": 1, "file_name": "a.jpg", "width": "4", "height": 3}]},
            "numbers written as text, as decimals or as true and false are read as whole numbers",
        ),
        (
            {"annotations": [{"id": 1, "image_id": 1, "category_id": 2, "bbox": [0, 0, 1, 1], "iscrowd": None}]},
            "an iscrowd of null is read as 0",
        ),
        (
            {"categories": [{"id": 2, "name": "car"}, {"id": 3, "name": "car"}]},
            "categories without objects that have the name of another one are ignored",
        ),
    ],
)
def test_what_the_reader_of_the_layout_would_only_note_is_refused_in_an_official_file(parts, problem):
    with pytest.raises(DataError) as caught:
        parse_official(content(**parts), "here")
    assert str(caught.value).startswith(f"here: {problem}: there is one, ")
