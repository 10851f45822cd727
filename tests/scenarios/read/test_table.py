import pytest
from PIL import Image

from onehead_avl.errors import DataError
from scenarios.read import table
from scenarios.samples.findings import LEFT_OUT, refuse_fatal
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


def test_one_class_list_holds_the_labels_of_both_splits(path):
    write(path, *ROWS[:2], "c.jpg,peony,val", "x.jpg,tulip,test")
    samples, classes, _ = read(path, "val")
    assert classes == read(path)[1] == ("daisy", "peony", "rose")
    assert [sample.annotation["label"] for sample in samples] == [1]


@pytest.mark.parametrize("split", ["train", "val"])
def test_what_is_lost_is_counted(path, split):
    write(path, *ROWS, "d.jpg,rose,train", "e.jpg,rose,val")
    for name in "de":
        (path.parent / f"{name}.jpg").write_bytes(b"broken")
    (path.parent / "b.png").unlink()
    findings = []
    table.read(Source(path), split, findings, None)
    lost = [(finding.problem.split(":")[0], finding.repair, finding.pictures) for finding in findings]
    expected = {"train": [("line 2", LEFT_OUT, 0), ("line 5", LEFT_OUT, 1)], "val": [("line 6", LEFT_OUT, 1)]}
    assert lost == expected[split]


def test_given_classes_decide_the_indices(path):
    samples, classes, _ = read(path, "val", ["rose", "tulip"])
    assert classes == ("rose", "tulip")
    assert samples[0].annotation["label"] == 0


def test_spreadsheets_write_a_mark_quotes_and_other_line_ends(path):
    text = 'file,label,split\r\n"b.png","rose, red",train\r\n\r\nc.jpg,rose,val\r\n'
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    samples, classes, _ = read(path)
    assert classes == ("rose", "rose, red")
    assert [sample.annotation for sample in samples] == [{"label": 1}]


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
        (
            "c.jpg,rose,trian",
            "expected a split of train, val, test, training, valid, validation, found 'trian'; correct it",
        ),
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
    message = refused(path, split="val", classes=["daisy", "rose"])
    assert message == f"{path}: line 4: expected a label of daisy, rose, found 'tulip'; correct it"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "line 1: expected the header file,label,split, found ''"),
        (b"name,label,split\n", "line 1: expected the header file,label,split, found 'name,label,split'"),
        (b"file|label|split\n", "found 'file|label|split'"),
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


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_may_have_another_order_and_delimiter_and_others_beside_them(path, delimiter):
    lines = [("split", "who", "label", "file"), ("train", "", "rose", "b.png"), ("val", "me", "daisy", "c.jpg")]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(map(delimiter.join, lines)).encode())
    findings = []
    samples, classes = table.read(Source(path), "val", findings, None)
    assert classes == ("daisy", "rose")
    assert [(sample.name, sample.annotation["label"]) for sample in samples] == [(str(path.parent / "c.jpg"), 0)]
    assert [str(each) for each in findings] == [f"{path}: columns other than file, label, split are not read: 'who'"]


def test_a_column_that_is_there_twice_is_refused(path):
    path.write_text("file,label,split,label\nb.png,rose,train,daisy\n")
    assert "expected the header file,label,split, found 'file,label,split,label'" in refused(path)


def test_other_names_of_splits_stand_for_those_without_rows(path):
    path.write_text("file,label,split\nb.png,rose,training\nc.jpg,rose,valid\n")
    findings = []
    samples, _ = table.read(Source(path), "val", findings, None)
    assert [sample.name for sample in samples] == [str(path.parent / "c.jpg")]
    assert [each.problem for each in findings] == [
        "training is read as the split train",
        "valid is read as the split val",
    ]


def test_other_names_of_splits_beside_their_own_are_counted(path):
    path.write_text("file,label,split\nb.png,rose,train\nc.jpg,rose,val\nx.jpg,rose,valid\ny.jpg,rose,valid\n")
    findings = []
    table.read(Source(path), "train", findings, None)
    (note,) = findings
    assert (note.problem, note.pictures) == ("rows of the split valid are not read: there are 2", 2)


def test_two_other_names_of_a_split_are_refused(path):
    path.write_text("file,label,split\nb.png,rose,train\nc.jpg,rose,valid\nx.jpg,rose,validation\n")
    assert "expected one name for the split val, found valid and validation; rename one" in refused(path)
