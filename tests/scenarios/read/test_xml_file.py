import pytest

from scenarios.read.xml_file import load_xml, objects_of, size_of, understand_object
from scenarios.samples.findings import Fault, Notes

BOX = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"


@pytest.fixture
def load(tmp_path):
    """Load an annotation of a text."""

    def load(text):
        (tmp_path / "a.xml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_xml(tmp_path / "a.xml")

    return load


def understood(load, tmp_path, inner):
    (element,) = objects_of(load(f"<annotation><object>{inner}</object></annotation>"))
    return understand_object(tmp_path / "a.xml", "object 0", element)


@pytest.mark.parametrize(
    ("corners", "box"),
    [
        ((1, 1, 500, 375), [0, 0, 500, 375]),
        ((48, 240, 195, 371), [47, 239, 148, 132]),
        ((7, 7, 7, 7), [6, 6, 1, 1]),
        (("45.70", " 8.5\n", "1e2", "20"), [44.7, 7.5, 55.3, 12.5]),
    ],
)
def test_pixels_are_counted_from_one_and_the_last_is_included(load, tmp_path, corners, box):
    found = understood(load, tmp_path, f"<name> cat\n</name>{BOX.format(*corners)}")
    assert found.name == "cat"
    assert found.box == pytest.approx(box)
    assert not found.difficult
    assert not found.from_zero


def test_the_parts_of_an_object_are_not_its_box(load, tmp_path):
    part = f"<part><name>head</name>{BOX.format(9, 9, 9, 9)}</part>"
    found = understood(load, tmp_path, f"{part}<difficult>1</difficult><name>person</name>{BOX.format(0, 2, 3, 4)}")
    assert (found.name, found.box, found.difficult, found.from_zero) == ("person", [-1, 1, 4, 3], True, True)


@pytest.mark.parametrize(
    ("inner", "problem"),
    [
        (BOX.format(1, 2, 3, 4), "object 0: expected a name, found none; add it"),
        ("<name> </name>" + BOX.format(1, 2, 3, 4), "object 0: expected a name, found none"),
        ("<name>cat</name>", "object 0: expected a bndbox of four numbers xmin, ymin, xmax, ymax, found [None,"),
        ("<name>cat</name>" + BOX.format(1, 2, "", 4), "found ['1', '2', '', '4']; mend it"),
        ("<name>cat</name>" + BOX.format(1, 2, "nan", 4), "found ['1', '2', 'nan', '4']"),
        ("<name>cat</name>" + BOX.format(1, "inf", 3, 4), "found ['1', 'inf', '3', '4']"),
        ("<name>cat</name><robndbox><cx>3</cx></robndbox>", "expected a bndbox"),
        ("<name>cat</name><difficult>x</difficult>" + BOX.format(1, 2, 3, 4), "expected difficult 0 or 1, found 'x'"),
    ],
)
def test_a_wrong_object_is_refused(load, tmp_path, inner, problem):
    with pytest.raises(Fault) as caught:
        understood(load, tmp_path, inner)
    assert str(caught.value).startswith(f"{tmp_path / 'a.xml'}: object 0: ")
    assert problem in str(caught.value)


BOMB = (
    "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY a 'ha'>"
    + "".join(f"<!ENTITY {b} '{f'&{a};' * 10}'>" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]><annotation><object><name>&i;</name></object></annotation>"
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "<!DOCTYPE annotation SYSTEM 'file:///etc/passwd'><annotation/>",
        "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><annotation><object><name>&x;</name></object></annotation>",
    ],
)
def test_a_document_type_is_refused(load, text):
    with pytest.raises(Fault, match="expected XML without a document type, found one; remove the line"):
        load(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected XML, found something else (no element found"),
        ("{}", "expected XML, found something else"),
        ("<annotation>", "expected XML, found something else (no element found"),
        ("<annotation>&x;</annotation>", "expected XML, found something else (undefined entity"),
        (b"<annotation>\xff</annotation>", "expected XML, found something else (not well-formed"),
        ("<?xml version='1.0' encoding='klingon'?><annotation/>", "expected XML, found something else"),
        ("<svg/>", "expected an element annotation, found 'svg'; replace the file"),
        ("<annotation>" + "<a>" * 100000, "expected the elements of an annotation, found them 20 deep"),
    ],
)
def test_what_is_no_annotation_is_refused(load, tmp_path, text, problem):
    with pytest.raises(Fault) as caught:
        load(text)
    assert str(caught.value).startswith(f"{tmp_path / 'a.xml'}: {problem}")
    with pytest.raises(Fault, match="cannot be read"):
        load_xml(tmp_path / "nowhere.xml")


def test_other_encodings_that_a_file_names_are_read(load):
    text = "<?xml version='1.0' encoding='latin-1'?><annotation><object><name>zébu</name></object></annotation>"
    assert load(text.encode("latin-1")).findtext("object/name") == "zébu"


@pytest.mark.parametrize(
    ("inner", "size", "noted"),
    [
        ("<size><width>500</width><height>375</height></size>", (375, 500), False),
        ("<size><width> 500.0 </width><height>375</height></size>", (375, 500), False),
        ("<size><width>0</width><height>0</height></size>", None, True),
        ("<size><width/></size>", None, True),
        ("", None, True),
    ],
)
def test_the_size_may_be_missing(load, tmp_path, inner, size, noted):
    findings = []
    with Notes(findings, tmp_path) as notes:
        assert size_of(tmp_path / "a.xml", load(f"<annotation>{inner}</annotation>"), notes) == size
    assert bool(findings) == noted


def test_an_impossible_size_is_refused(load, tmp_path):
    root = load("<annotation><size><width>big</width><height>3</height></size></annotation>")
    with pytest.raises(
        Fault, match=r"expected a size of whole numbers height and width, found \['3', 'big'\]; mend it"
    ):
        size_of(tmp_path / "a.xml", root, Notes([], tmp_path))
