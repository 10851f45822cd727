import pytest
from PIL import Image

from onehead_avl.errors import DataError
from scenarios.read import table
from scenarios.samples.findings import refuse_fatal
from scenarios.samples.source import Source

ROWS = ("b.png,rose,train", "sub/a.jpg,daisy,train", "c.jpg,rose,val")


@pytest.fixture
def path(tmp_path):
    """A table of three images, the first two of them for training."""
    (tmp_path / "sub").mkdir()
    for row in ROWS:
        Image.new("RGB", (4, 3)).save(tmp_path / row.split(",")[0])
    return write(tmp_path / "flowers.csv", *ROWS)


def write(path, *rows, header="file,label,split"):
    path.write_text("\n".join([header, *rows]))
    return path


def read(path, split="train", classes=None):
    findings = []
    found = table.read(Source(path), split, findings, classes)
    refuse_fatal(path, findings)
    return *found, findings


def refused(path, **options):
    with pytest.raises(DataError) as caught:
        read(path, **options)
    return str(caught.value)


def test_images_are_in_the_order_of_the_table_and_classes_in_that_of_their_names(path):
    samples, classes, findings = read(path)
    assert findings == []
    assert classes == ("daisy", "rose")
    assert [sample.name for sample in samples] == [str(path.parent / "b.png"), str(path.parent / "sub/a.jpg")]
    assert [sample.annotation for sample in samples] == [{"label": 1}, {"label": 0}]
    assert samples[0].image.shape == (3, 3, 4)


def test_classes_are_those_of_training_also_without_it(path):
    samples, classes, _ = read(path, "val")
    assert classes == ("daisy", "rose")
    assert [sample.annotation["label"] for sample in samples] == [1]


def test_given_classes_decide_the_indices(path):
    samples, classes, _ = read(path, "val", ["rose", "tulip"])
    assert classes == ("rose", "tulip")
    assert samples[0].annotation["label"] == 0


def test_spreadsheets_write_a_mark_quotes_and_other_line_ends(path):
    text = 'file,label,split\r\n"b.png","rose, red",train\r\n\r\nc.jpg,rose,val\r\n'
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read(path)[1] == ("rose, red",)


def test_rows_of_other_splits_are_counted(path):
    write(path, *ROWS, "x.jpg,rose,test", "y.jpg,rose,test", "z.jpg,rose,valid")
    findings = read(path)[2]
    assert not any(finding.fatal for finding in findings)
    assert [str(finding) for finding in findings] == [
        f"{path}: rows of the split test are not read: there are 2",
        f"{path}: rows of the split valid are not read: there are 1",
    ]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("c.jpg,rose,trian", "expected a split of train, val, test, valid, found 'trian'; correct it"),
        ("c.jpg,rose", "expected file,label,split without spaces around, found 'c.jpg,rose'; mend it"),
        ("c.jpg,rose,train,x", "expected file,label,split without spaces around"),
        ("c.jpg,,train", "expected file,label,split without spaces around"),
        ("c.jpg, rose,train", "expected file,label,split without spaces around"),
        ("b.png,daisy,val", "expected every file once, 'b.png' is in line 2 too; remove one of them"),
        ("../c.jpg,rose,train", "expected a file within"),
        ("/c.jpg,rose,train", "expected a file within"),
        ("nowhere.jpg,rose,train", "expected an image (add it or remove the row), found none at"),
        ("x" * 5000 + ",rose,train", "found none at"),
        ("flowers.csv,rose,train", "flowers.csv: expected a picture"),
    ],
)
def test_a_wrong_row_names_its_line(path, row, problem):
    write(path, *ROWS[:2], row)
    message = refused(path)
    assert message.startswith(f"{path}: line 4: ")
    assert problem in message
    assert len(message) < 1100


def test_all_wrong_rows_are_named_at_once(path):
    write(path, "b.png,rose", "nowhere.jpg,rose,train", "b.png,rose,none", ROWS[0])
    lines = refused(path).split("\n  ")
    assert [line.split(": ")[1] for line in lines[1:]] == ["line 2", "line 4", "line 3"]


def test_a_label_that_is_no_class_names_its_line(path):
    write(path, *ROWS, "sub/a.jpg,tulip,val")
    assert "line 5: expected every file once" in refused(path, split="val")
    write(path, *ROWS[:2], "c.jpg,tulip,val")
    assert refused(path, split="val") == f"{path}: line 4: expected a label of daisy, rose, found 'tulip'; correct it"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "line 1: expected the header file,label,split, found ''"),
        (b"name,label,split\n", "line 1: expected the header file,label,split, found 'name,label,split'"),
        (b"file;label;split\n", "found 'file;label;split'"),
        (b"\xff\xfe\x00", "expected text, found something else"),
        (b'file,label,split\na.jpg,"rose,train\n', "line 2: expected CSV, found something else"),
        (b"file,label,split\n", "expected rows of the split train, found none; add some"),
        (b"file,label,split\nc.jpg,rose,val\n", "expected rows of the split train, found none"),
    ],
)
def test_a_wrong_table_is_refused(path, content, problem):
    path.write_bytes(content)
    message = refused(path)
    assert message.startswith(f"{path}: ")
    assert problem in message


def test_a_missing_table_is_refused(path):
    path.unlink()
    assert "the table cannot be read (No such file" in refused(path)


def test_the_layout_is_recognised_by_its_file(path):
    assert table.recognises(Source(path))
    assert not table.recognises(Source(path.with_name("nowhere.csv")))
    assert not table.recognises(Source(path.parent))
