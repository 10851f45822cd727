import pytest
import torch
from PIL import Image

from onehead_avl.errors import DataError
from scenarios.read import yolo
from scenarios.samples.findings import LEFT_OUT, Fault, refuse_fatal
from scenarios.samples.source import Source

DESCRIPTION = "path: .\ntrain: images/train\nval: images/val\nnames:\n  0: cat\n  2: dog\n"


@pytest.fixture
def root(tmp_path):
    """Three images of 100 x 50 pixels: with two boxes, with an empty text file, and with none."""
    for folder in ("images/train", "labels/train", "images/val", "labels/val"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("a.jpg", "b.png", "c.jpg"):
        Image.new("RGB", (100, 50)).save(tmp_path / "images/train" / name)
    (tmp_path / "labels/train/a.txt").write_text("2 0.5 0.5 0.2 0.4\n\n0 .05 1e-1 0.1 0.2")
    (tmp_path / "labels/train/b.txt").touch()
    (tmp_path / "data.yaml").write_text(DESCRIPTION)
    return tmp_path


def read(root, classes=None, split="train"):
    """What the reader returns and its notes; its faults are raised."""
    findings = []
    found = yolo.read(Source(root / "data.yaml"), split, findings, classes)
    refuse_fatal(root, findings)
    return *found, findings


def describe(root, text):
    (root / "data.yaml").write_text(text)


def refused(root, **options):
    with pytest.raises(DataError) as caught:
        read(root, **options)
    return str(caught.value)


def rows(root, text):
    (root / "labels/train/a.txt").write_text(text)
    (root / "labels/train/c.txt").touch()


def test_boxes_are_in_pixels_and_labels_in_the_order_of_ids(root):
    samples, classes, _ = read(root)
    assert classes == ("cat", "dog")
    assert [sample.name for sample in samples] == [str(root / "images/train" / n) for n in ("a.jpg", "b.png", "c.jpg")]
    annotation = samples[0].annotation
    torch.testing.assert_close(annotation["boxes"], torch.tensor([[40.0, 15, 60, 35], [0, 0, 10, 10]]))
    assert annotation["labels"].tolist() == [1, 0]
    assert annotation["crowd"].tolist() == [False, False]


def test_images_without_boxes_are_samples(root):
    for sample in read(root)[0][1:]:
        parts = sample.annotation
        assert (parts["boxes"].shape, parts["boxes"].dtype) == ((0, 4), torch.float32)
        assert (parts["labels"].shape, parts["labels"].dtype) == ((0,), torch.int64)
        assert (parts["crowd"].shape, parts["crowd"].dtype) == ((0,), torch.bool)


def test_images_without_a_text_file_are_counted_and_text_files_without_an_image_too(root):
    (root / "labels/train/z.txt").write_text("9 9 9 9 9")
    findings = read(root)[2]
    assert not any(finding.fatal for finding in findings)
    assert [str(finding) for finding in findings] == [
        f"{root / 'images/train'}: images without a text file have no objects: there are 1, such as c",
        f"{root / 'labels/train'}: text files without an image are not read: there are 1, such as z",
    ]


@pytest.mark.parametrize(
    "folders",
    [
        "path: .\ntrain: images/train\n",
        "train: images/train\n",
        "path: images\ntrain: train\n",
        "path: {root}\ntrain: ./images/../images/train\n",
        "train: {root}/images/train\n",
    ],
)
def test_relative_paths_start_at_the_file(root, monkeypatch, tmp_path_factory, folders):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    describe(root, folders.format(root=root) + "names: [cat, mouse, dog]\n")
    samples, classes, _ = read(root)
    assert classes == ("cat", "mouse", "dog")
    assert samples[0].annotation["labels"].tolist() == [2, 0]


def test_a_split_folder_may_hold_images_and_labels(root):
    for kind in ("images", "labels"):
        (root / "train").mkdir(exist_ok=True)
        (root / kind / "train").rename(root / "train" / kind)
    describe(root, "train: train/images\nnames: [cat, mouse, dog]\n")
    assert len(read(root)[0][0].annotation["boxes"]) == 2


def test_text_files_may_lie_beside_the_images(root):
    (root / "images/train").rename(root / "all")
    (root / "labels/train/a.txt").rename(root / "all/a.txt")
    describe(root, "train: all\nnames: [cat, mouse, dog]\n")
    assert len(read(root)[0][0].annotation["boxes"]) == 2


def test_classes_are_mapped_by_name(root):
    samples, classes, _ = read(root, ["mouse", "dog", "cat"])
    assert classes == ("mouse", "dog", "cat")
    assert samples[0].annotation["labels"].tolist() == [1, 2]


def test_a_name_that_is_no_class_is_refused(root):
    assert "expected the classes cat, mouse, found dog too; rename or remove them" in refused(
        root, classes=["cat", "mouse"]
    )


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("0 0.5 0.5 0.2", "expected class cx cy w h, five numbers, found '0 0.5 0.5 0.2'; mend it"),
        ("0 0.5 0.5 0.2 0.4 0.1", "expected class cx cy w h, found six numbers"),
        ("0 0.5 0.5 0.2 x", "expected class cx cy w h"),
        ("0 0.5 0.5 0.2 nan", "expected class cx cy w h"),
        ("0 0.5 0.5 0.2 1_0", "expected class cx cy w h"),
        ("0,0.5,0.5,0.2,0.4", "expected class cx cy w h"),
        ("1 0.5 0.5 0.2 0.4", "expected a class id of names (0, 2), found '1'"),
        ("-1 0.5 0.5 0.2 0.4", "expected a class id of names (0, 2), found '-1'"),
        ("9" * 5000 + " 0.5 0.5 0.2 0.4", "expected a class id of names (0, 2), found '9"),
        ("0 2.05 0.5 0.13 0.4", "the box '0 2.05 0.5 0.13 0.4' reaches outside its image; centre and size are shares"),
        ("0 50 25 20 20", "reaches outside its image"),
        ("0 0.5 0.5 1e999 0.4", "reaches outside its image"),
    ],
)
def test_a_wrong_row_names_file_and_line(root, row, problem):
    rows(root, f"0 0.5 0.5 0.2 0.4\n{row}\n")
    message = refused(root)
    assert message.startswith(f"{root / 'labels/train/a.txt'}: line 2: ")
    assert problem in message
    assert len(message) < 1100


def test_all_wrong_rows_are_named_at_once(root):
    rows(root, "x\n0 0.5 0.5 0.2 0.4\n7 0.5 0.5 0.2 0.4\n")
    (root / "images/train/b.png").write_bytes(b"broken")
    lines = refused(root).split("\n  ")
    assert lines[0].startswith("3 problems")
    assert [line.split(": ")[1] for line in lines[1:]][:2] == ["line 1", "line 3"]
    assert "b.png" in lines[3]


def test_boxes_are_cut_or_skipped_with_a_note(root):
    rows(
        root,
        "0 0.05 0.5 0.13 0.4\n0 0.5 0.5 0 0.4\n2 0.5 0.5 0.2 -0.4\n2 0.5 0.95 0.2 0.16\n0 -0.5 0.5 0.2 0.4\n",
    )
    samples, _, findings = read(root)
    torch.testing.assert_close(samples[0].annotation["boxes"], torch.tensor([[0.0, 15, 11.5, 35], [40, 43.5, 60, 50]]))
    assert samples[0].annotation["labels"].tolist() == [0, 1]
    assert samples[0].places == (1, 4)
    assert [(finding.file, finding.problem, finding.boxes) for finding in findings] == [
        (
            root / "data.yaml",
            "boxes that reach over the edge of their image are cut there: "
            "there are 2, such as a.txt line 1, a.txt line 4",
            0,
        ),
        (
            root / "data.yaml",
            "boxes without area in their image are skipped: "
            "there are 3, such as a.txt line 2, a.txt line 3, a.txt line 5",
            3,
        ),
    ]


def test_what_is_lost_is_counted(root):
    rows(root, "0 0.5 0.5 0.2 0.4\n\n0 0.5 0.5 0.1 0.1\nbroken\n")
    for name in ("a.jpg", "b.png"):
        (root / "images/train" / name).write_bytes(b"broken")
    findings = []
    yolo.read(Source(root / "data.yaml"), "train", findings, None)
    assert [(finding.file.name, finding.repair, finding.pictures, finding.boxes) for finding in findings] == [
        ("a.jpg", LEFT_OUT, 1, 3),
        ("b.png", LEFT_OUT, 1, 0),
    ]


def test_a_box_over_the_edge_by_rounding_is_cut(root):
    rows(root, "0 0.05 0.5 0.12 0.4")  # from -1 to 11 of 100 pixels
    (box,) = read(root)[0][0].annotation["boxes"].tolist()
    assert box == pytest.approx([0, 15, 11, 35])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected a mapping with train, val and names, found nothing"),
        ("- a", "expected a mapping with train, val and names, found ['a']"),
        ("a: [", "expected YAML, found something else"),
        ("[" * 5000, "expected YAML, found something else"),
        ("a: !!python/object/apply:os.getcwd []", "expected YAML, found something else"),
        ("train: images/train\n", "expected names, a list or a mapping of ids to class names, found nothing"),
        ("names: cat\n", "expected names, a list or a mapping of ids to class names, found 'cat'"),
        ("names: []\n", "expected names, a list or a mapping of ids to class names, found {}"),
        ("names: [cat, no]\n", "names: expected a text for 1, found False; write it in quotes"),
        ("names: [cat, 7]\n", "names: expected a text for 1, found 7; write it in quotes"),
        ("names: {a: cat}\n", "names: expected ids 0, 1, 2, ..., found 'a'"),
        ("names: {-1: cat}\n", "names: expected ids 0, 1, 2, ..., found -1"),
        ("names: {0: cat, 1: cat}\n", "names: expected every name once, found cat, cat"),
        ("names:\n  0: cat\n  0: dog\n", "found the key 0 more than once"),
        ("names: [cat]\nnc: 2\n", "expected nc to be the number of names, 1, found 2"),
        ("names: [cat]\n", "expected train to be a folder of images, a .txt that lists images, or a list of those"),
        ("names: [cat]\ntrain: [a, 3]\n", "or a list of those, found ['a', 3]; name it"),
        ("names: [cat]\npath: 3\ntrain: a\n", "expected path to be a folder, found 3"),
    ],
)
def test_a_wrong_description_is_refused(root, text, problem):
    describe(root, text)
    message = refused(root)
    assert message.startswith(f"{root / 'data.yaml'}: ")
    assert problem in message
    assert message.isprintable()


def test_a_missing_file_and_missing_folders_are_refused(root):
    (root / "labels/train").rename(root / "elsewhere")
    assert refused(root).startswith(f"{root / 'labels/train'}: expected a folder of the text files of the train images")
    (root / "images/train").rename(root / "elsewhere too")
    assert refused(root).startswith(f"{root / 'images/train'}: expected a folder of train images")
    (root / "data.yaml").unlink()
    assert "data.yaml: the file cannot be read (No such file" in refused(root)


@pytest.mark.parametrize("folder", ["x" * 5000, '"a\\0b"'])
def test_a_folder_of_an_impossible_name_is_missing(root, folder):
    describe(root, f"names: [cat]\ntrain: {folder}\n")
    with pytest.raises(Fault) as caught:
        yolo.read(Source(root / "data.yaml"), "train", [], None)
    assert "expected a folder of train images, there is none" in caught.value.finding.problem


def test_a_folder_without_images_is_refused(root):
    message = refused(root, split="val")
    assert message.startswith(f"{root / 'images/val'}: expected images (.jpg, .jpeg, .jpe, .jfif, .png, ")
    assert message.endswith("), found none; put the split's images there")


def test_a_text_file_that_is_no_text_is_refused(root):
    (root / "labels/train/a.txt").write_bytes(b"\xff\xfe")
    assert "a.txt: expected text, found something else" in refused(root)


def test_the_layout_is_recognised_by_its_file(root):
    assert yolo.recognises(Source(root / "data.yaml"))
    assert yolo.recognises(Source(root))
    assert not yolo.recognises(Source(root / "nowhere.yaml"))
    assert not yolo.recognises(Source(root / "images"))


def test_every_picture_and_box_is_read_or_counted(root):
    (root / "labels/train/a.txt").write_text(
        "2 0.5 0.5 0.2 0.4\n2 0.5 0.5 0.2 0.4\nx\n0 0.5 0.5 0 0\n0 0.1 0.1 0.1 0.1\n"
    )
    (root / "labels/train/b.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    (root / "images/train/b.png").write_bytes(b"broken")
    (root / "labels/train/c.txt").write_bytes(b"\xff\xfe0\x00")
    (root / "labels/train/z.txt").write_text("0 0.5 0.5 0.1 0.1\n0 0.6 0.5 0.1 0.1\n")
    findings = []
    samples, _ = yolo.read(Source(root), "train", findings, None)
    assert [len(sample.annotation["boxes"]) for sample in samples] == [2]
    assert 1 + sum(each.pictures for each in findings) == 3
    assert 2 + sum(each.boxes for each in findings) == 5 + 1 + 2
