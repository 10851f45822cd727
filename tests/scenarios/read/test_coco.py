import json

import pytest
import torch
from PIL import Image

from onehead_avl.errors import DataError
from scenarios.read import coco
from scenarios.read.coco import renumbered_categories
from scenarios.samples.findings import LEFT_OUT, Fault, refuse_fatal
from scenarios.samples.source import Source


def annotations_of(root, split):
    return root / "mini_coco_det" / "annotations" / f"mini_instances_{split}2017.json"


def edit(root, split, change):
    """Apply ``change`` to the content of an annotation file."""
    path = annotations_of(root, split)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def source_of(root):
    return Source(root / "mini_coco_det")


def read(root, split, classes=None):
    """What the reader returns; its findings are raised."""
    findings = []
    found = coco.read(source_of(root), split, findings, classes)
    refuse_fatal(root, findings)
    return found


def findings_of(root, split="train", classes=None):
    """The samples, and all findings."""
    findings = []
    samples, _ = coco.read(source_of(root), split, findings, classes)
    return samples, findings


def labelled(samples):
    """The boxes and labels of each sample."""
    return [[sample.annotation[part].tolist() for part in ("boxes", "labels")] for sample in samples]


def assert_refused(root, *fragments, split="train", classes=None):
    with pytest.raises(DataError) as caught:
        read(root, split, classes)
    for fragment in fragments:
        assert str(fragment) in str(caught.value)


def test_boxes_labels_and_crowds(mini_root):
    samples, classes = read(mini_root, "train")
    assert classes == ("person", "car", "dog")
    assert [sample.image.shape for sample in samples] == [(3, 30 + 2 * i, 40 + 4 * i) for i in range(4)]
    assert samples[0].name == str(mini_root / "mini_coco_det" / "train" / "000000000100.jpg")
    assert torch.equal(samples[0].annotation["boxes"], torch.tensor([[4, 5, 24, 15], [0.5, 1.25, 8.5, 9.75]]))
    assert torch.equal(samples[0].annotation["labels"], torch.tensor([0, 1]))
    assert torch.equal(samples[1].annotation["labels"], torch.tensor([2, 0]))
    assert torch.equal(samples[1].annotation["crowd"], torch.tensor([False, True]))
    assert samples[0].annotation.keys() == {"boxes", "labels", "crowd"}


def test_image_without_annotations_is_a_sample(mini_root):
    sample = read(mini_root, "train")[0][2]
    assert (sample.annotation["boxes"].shape, sample.annotation["boxes"].dtype) == ((0, 4), torch.float32)
    assert (sample.annotation["labels"].shape, sample.annotation["labels"].dtype) == ((0,), torch.int64)
    assert (sample.annotation["crowd"].shape, sample.annotation["crowd"].dtype) == ((0,), torch.bool)


def test_categories_are_mapped_by_name(mini_root):
    def renumber(content):
        new = {1: 50, 3: 7, 18: 2}
        for category in content["categories"]:
            category["id"] = new[category["id"]]
        for annotation in content["annotations"]:
            annotation["category_id"] = new[annotation["category_id"]]

    _, classes = read(mini_root, "train")
    before = read(mini_root, "val", classes)[0]
    edit(mini_root, "val", renumber)
    after, same = read(mini_root, "val", list(classes))
    assert same == classes
    assert read(mini_root, "val")[1] == classes  # those of training, also where nobody says so
    assert [sample.annotation["labels"].tolist() for sample in after] == [[0, 1], [2, 1]]
    assert all(
        torch.equal(old.annotation["labels"], new.annotation["labels"]) for old, new in zip(before, after, strict=True)
    )


def test_other_numbers_of_the_same_categories_are_worth_knowing(mini_root):
    assert renumbered_categories(source_of(mini_root)) == []

    def renumber(content):
        content["categories"][0]["id"] = content["annotations"][1]["category_id"] = 19

    edit(mini_root, "val", renumber)
    (finding,) = renumbered_categories(source_of(mini_root))
    assert not finding.fatal
    assert str(finding) == (
        f"{annotations_of(mini_root, 'val')}: other category ids than in train (dog): they are mapped by name"
    )


def test_fewer_categories_than_classes_keep_the_indices(mini_root):
    def drop_person(content):
        content["categories"] = [entry for entry in content["categories"] if entry["name"] != "person"]
        content["annotations"] = [entry for entry in content["annotations"] if entry["category_id"] != 1]

    edit(mini_root, "val", drop_person)
    samples, classes = read(mini_root, "val", ("person", "car", "dog"))
    assert classes == ("person", "car", "dog")
    assert [sample.annotation["labels"].tolist() for sample in samples] == [[1], [2, 1]]


def test_pictures_that_are_not_listed_are_worth_knowing(mini_root):
    folder = mini_root / "mini_coco_det" / "train"
    for name in ("b.jpg", "a.PNG", "notes.txt"):
        (folder / name).touch()
    findings = []
    samples, _ = coco.read(source_of(mini_root), "train", findings, None)
    assert len(samples) == 4
    (finding,) = findings
    assert not finding.fatal
    assert str(finding).startswith(f"{folder}: pictures not listed in mini_instances_train2017.json are not read")
    assert "2, such as a.PNG" in str(finding)
    assert finding.pictures == 2


def test_one_class_list_holds_the_categories_of_both_splits(mini_root):
    edit(mini_root, "val", lambda content: content["categories"].append({"id": 2, "name": "bicycle"}))
    edit(mini_root, "train", lambda content: content["categories"].append({"id": 9, "name": "boat"}))
    expected = ("person", "car", "boat", "dog", "bicycle")
    assert read(mini_root, "train")[1] == read(mini_root, "val")[1] == expected
    assert labelled(read(mini_root, "val")[0])[1][1] == [3, 1]


def test_a_split_is_read_though_the_other_is_broken(mini_root):
    annotations_of(mini_root, "val").write_text("{")
    assert read(mini_root, "train")[1] == ("person", "car", "dog")
    with pytest.raises(DataError, match="expected JSON"):
        read(mini_root, "val")


def test_all_faults_of_a_split_are_found_in_one_pass(mini_root):
    def change(content):
        content["images"][0]["width"] = "wide"  # its annotations 1 and 2 are counted there
        content["annotations"][2].update(bbox=[1, 2, 3])
        content["annotations"][3].update(category_id=4)

    edit(mini_root, "train", change)
    folder = mini_root / "mini_coco_det" / "train"
    (folder / "000000000102.jpg").unlink()
    (folder / "000000000103.jpg").write_bytes(b"broken")
    samples, findings = findings_of(mini_root)
    path = annotations_of(mini_root, "train")
    assert [(each.file, each.problem.split(",")[0], each.pictures, each.boxes) for each in findings if each.fatal] == [
        (path, "images[0] (id 100): expected whole numbers 'width' and 'height'", 0, 2),
        (path, "annotation 4 has category 4", 0, 1),
        (path, "image 102: expected the file '000000000102.jpg'", 0, 0),
        (path, "annotation 3: expected a bbox of four finite numbers x", 0, 1),
        (folder / "000000000103.jpg", "expected a picture (JPEG", 1, 1),
    ]
    assert all(each.repair == LEFT_OUT for each in findings if each.fatal)
    (note,) = (each for each in findings if not each.fatal)
    assert (note.file, note.pictures) == (folder, 1)  # that of image 100
    assert [sample.name for sample in samples] == [str(folder / "000000000101.jpg")]
    assert labelled(samples) == [[[], []]]


@pytest.mark.parametrize("name", ["/", "../val/000000000100.jpg", "sub/../../x.jpg"])
def test_a_listed_picture_outside_its_folder_is_refused(mini_root, name):
    edit(mini_root, "train", lambda content: content["images"][0].update(file_name=name))
    assert_refused(mini_root, f"{annotations_of(mini_root, 'train')}: ", "expected a file name within", repr(name))


@pytest.mark.parametrize("name", ["", "x" * 5000, "a\0b", "\ud800", "line\nbreak"])
def test_a_listed_picture_of_an_impossible_name_is_missing(mini_root, name):
    edit(mini_root, "train", lambda content: content["images"][0].update(file_name=name))
    assert_refused(mini_root, f"{annotations_of(mini_root, 'train')}: image 100: expected the file '", "found none")
    with pytest.raises(DataError) as caught:
        read(mini_root, "train")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1100


def test_samples_are_sorted_by_file_name_and_extra_files_ignored(mini_root):
    before = [sample.name for sample in read(mini_root, "train")[0]]
    edit(mini_root, "train", lambda content: content["images"].reverse())
    (mini_root / "mini_coco_det" / "train" / ".DS_Store").touch()
    (mini_root / "mini_coco_det" / "train" / "unlisted.jpg").touch()
    assert [sample.name for sample in read(mini_root, "train")[0]] == before


def test_iscrowd_may_be_absent(mini_root):
    edit(mini_root, "train", lambda content: [entry.pop("iscrowd") for entry in content["annotations"]])
    assert not any(sample.annotation["crowd"].any() for sample in read(mini_root, "train")[0])


def test_boxes_are_cut_or_skipped_with_a_note(mini_root):
    boxes = [[30, 20, 30, 40], [5, 5, 0, 3], [-9, -9, 5, 5], [0.5, 1.25, 8, 8.5]]

    def change(content):
        first = content["annotations"][1]
        content["annotations"] = [first | {"id": number, "bbox": box} for number, box in enumerate(boxes)]

    edit(mini_root, "train", change)
    samples, findings = findings_of(mini_root)
    assert labelled(samples)[0][0] == [[30, 20, 40, 30], [0.5, 1.25, 8.5, 9.75]]
    assert samples[0].places == (0, 3)
    path = annotations_of(mini_root, "train")
    assert [(each.file, each.problem.split(":")[0], each.boxes) for each in findings] == [
        (path, "boxes that reach over the edge of their image are cut there", 0),
        (path, "boxes without area in their image are skipped", 2),
    ]
    assert not any(each.fatal for each in findings)


@pytest.mark.parametrize("box", [[0, 0, "x", 1], [0, 0, 10**400, 1], [0, 0, True, 1], [0, 0, 5]])
def test_what_is_no_box_names_file_and_annotation_and_is_left_out(mini_root, box):
    edit(mini_root, "train", setter("annotations", 0, bbox=box))
    samples, (finding,) = findings_of(mini_root)
    assert (finding.fatal, finding.repair, finding.boxes, finding.pictures) == (True, LEFT_OUT, 1, 0)
    assert str(finding).startswith(
        f"{annotations_of(mini_root, 'train')}: annotation 1: expected a bbox of four finite numbers"
    )
    assert labelled(samples)[0] == [[[0.5, 1.25, 8.5, 9.75]], [1]]


def setter(part, position, **values):
    return lambda content: content[part][position].update(values)


def remover(part, position, key):
    return lambda content: content[part][position].pop(key)


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (setter("annotations", 0, iscrowd=None), "an iscrowd of null is read as 0: there is one, annotation 1"),
        (
            setter("annotations", 0, id=2),
            "annotations are read though their id is missing",
        ),
        (setter("annotations", 0, bbox=["4", "5", "20", "10.0"]), "boxes written as text are read as numbers: "),
        (setter("images", 0, width="40"), "numbers written as text, as decimals or as true and false are read as "),
        (remover("images", 0, "width"), "images without width or height are taken to have those of their file: "),
        (
            lambda content: content["categories"].append({"id": 9, "name": "car"}),
            "categories without objects that have the name of another one are ignored: there is one, car (9)",
        ),
        (
            setter("images", 0, file_name="train2017/000000000100.jpg"),
            "file names are read without the folders before them, which are not there: there is one, train2017/",
        ),
        (
            setter("images", 0, file_name="000000000100.JPG"),
            "files are found under names of another case or form of accents: there is one, 000000000100.JPG",
        ),
        (setter("images", 0, file_name=".\\000000000100.jpg"), None),
    ],
)
def test_what_can_only_mean_one_thing_is_read_and_noted(mini_root, change, note):
    expected = labelled(read(mini_root, "train")[0])
    edit(mini_root, "train", change)
    samples, findings = findings_of(mini_root)
    assert labelled(samples) == expected
    assert [(each.file, each.fatal, each.pictures, each.boxes) for each in findings] == (
        [(annotations_of(mini_root, "train"), False, 0, 0)] if note else []
    )
    assert all(each.problem.startswith(note) for each in findings)


def test_an_image_that_is_listed_twice_has_the_boxes_of_all_entries(mini_root):
    def change(content):
        content["images"].append(content["images"][0] | {"id": 500, "file_name": "./000000000100.jpg"})
        content["annotations"][1]["image_id"] = 500

    expected = labelled(read(mini_root, "train")[0])
    edit(mini_root, "train", change)
    samples, (note,) = findings_of(mini_root)
    assert labelled(samples) == expected
    assert not note.fatal
    assert note.problem == (
        "images that are listed more than once have the boxes of all entries: there is one, 000000000100.jpg"
    )


def test_entries_of_one_image_that_give_it_other_sizes_are_refused(mini_root):
    def change(content):
        content["images"].append(content["images"][0] | {"id": 500, "width": 41})

    edit(mini_root, "train", change)
    assert_refused(mini_root, "000000000100.jpg: the file is 40 x 30 pixels but image 100 of", "is 41 x 30")


def test_images_in_folders_of_their_own_are_found(mini_root):
    expected = labelled(read(mini_root, "train")[0])
    folder = mini_root / "mini_coco_det" / "train"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "000000000100.jpg").rename(folder / "a" / "b" / "000000000100.jpg")
    edit(mini_root, "train", setter("images", 0, file_name="a/b/000000000100.jpg"))
    samples, findings = findings_of(mini_root)
    assert findings == []
    assert labelled(samples) == [*expected[1:], expected[0]]  # sorted by the paths


def orient(path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(path) as picture:
        picture.load()
        picture.save(path, exif=exif)


@pytest.mark.parametrize("listed", ["as stored", "turned", "without a size"])
def test_a_picture_is_turned_only_if_its_annotation_fits_the_turned_one_alone(mini_root, listed):
    path = mini_root / "mini_coco_det" / "train" / "000000000100.jpg"
    stored = read(mini_root, "train")[0][0].image
    orient(path, 6)
    sizes = {"as stored": {}, "turned": {"width": 30, "height": 40}, "without a size": {"width": None, "height": None}}
    edit(mini_root, "train", setter("images", 0, **sizes[listed]))
    edit(mini_root, "train", setter("annotations", 0, bbox=[4, 5, 20, 10]))
    samples, findings = findings_of(mini_root)
    problems = [each.problem for each in findings]
    assert not any(each.fatal for each in findings)
    turned = "pictures are turned as EXIF asks for, because their annotation has the turned size: there is one, 0000000"
    either = (
        "EXIF asks to turn pictures whose annotation may mean either; they are read as they are stored: there is on"
    )
    assert [problem.startswith(turned) for problem in problems].count(True) == (listed == "turned")
    assert [problem.startswith(either) for problem in problems].count(True) == (listed == "without a size")
    assert samples[0].size == ((40, 30) if listed == "turned" else (30, 40))
    assert samples[0].image.shape[1:] == samples[0].size
    if listed != "turned":
        assert (samples[0].image.float() - stored.float()).abs().mean() < 3  # it was compressed once more


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda content: content.pop("images"), "expected a list 'images', found nothing; add it"),
        (lambda content: content["categories"].clear(), "expected entries in 'categories', found none"),
        (setter("annotations", 2, image_id=999), "annotation 3 names image 999, which is not among images"),
        (setter("annotations", 2, category_id=5), "annotation 3 has category 5, which is not among categories"),
        (setter("images", 1, id=100), "expected every image id once, found 100 of '000000000100.jpg' and of '00000000"),
        (setter("categories", 0, id=3), "expected every category id once, found 3 of 'dog' and of 'car'"),
        (setter("categories", 0, name="car"), "expected every category name once, found 'car' of 18 and 3, which"),
    ],
)
def test_wrong_annotation_file_names_file_and_entry(mini_root, change, problem):
    edit(mini_root, "train", change)
    assert_refused(mini_root, f"{annotations_of(mini_root, 'train')}: {problem}")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_annotation_file_that_is_no_json(mini_root, content):
    annotations_of(mini_root, "train").write_bytes(content)
    assert_refused(mini_root, f"{annotations_of(mini_root, 'train')}: expected JSON, found something else")


def test_annotation_file_that_is_another_json(mini_root):
    annotations_of(mini_root, "train").write_text("[1, 2]")
    assert_refused(mini_root, annotations_of(mini_root, "train"), "expected an object with images", "found [1, 2]")


def test_missing_annotation_file(mini_root):
    annotations_of(mini_root, "train").unlink()
    assert_refused(mini_root, annotations_of(mini_root, "train"), "the annotation file cannot be read (No such file")


def test_missing_picture_folder(mini_root):
    folder = mini_root / "mini_coco_det" / "train"
    folder.rename(folder.with_name("elsewhere"))
    assert_refused(mini_root, f"{folder}: expected a folder of detection images (.jpg), there is none")


def test_category_that_is_no_class(mini_root):
    assert_refused(
        mini_root,
        f"{annotations_of(mini_root, 'val')}: category 18 is called 'dog', expected one of person, car;",
        split="val",
        classes=("person", "car"),
    )


def test_a_category_without_objects_that_is_no_class_is_ignored_with_a_note(mini_root):
    edit(mini_root, "val", lambda content: content["categories"].append({"id": 2, "name": "bicycle"}))
    samples, (note,) = findings_of(mini_root, "val", ("person", "car", "dog"))
    assert len(samples) == 2
    assert not note.fatal
    assert note.problem == (
        "categories that are none of the classes, and have no objects, are ignored: there is one, bicycle"
    )


def test_missing_picture(mini_root):
    (mini_root / "mini_coco_det" / "train" / "000000000103.jpg").unlink()
    samples, (finding,) = findings_of(mini_root)
    assert str(finding) == (
        f"{annotations_of(mini_root, 'train')}: image 103: expected the file '000000000103.jpg', found none; add it"
    )
    assert (finding.fatal, finding.repair, finding.pictures, finding.boxes) == (True, LEFT_OUT, 0, 1)
    assert len(samples) == 3


def test_a_size_too_large_for_a_float_is_another_size(mini_root):
    edit(mini_root, "train", lambda content: content["images"][0].update(width=10**400))
    assert_refused(mini_root, "000000000100.jpg: the file is 40 x 30 pixels but image 100 of")


def test_picture_of_another_size(mini_root):
    picture = mini_root / "mini_coco_det" / "train" / "000000000102.jpg"
    Image.new("RGB", (34, 48)).save(picture)
    assert_refused(
        mini_root,
        f"{picture}: the file is 34 x 48 pixels but image 102 of {annotations_of(mini_root, 'train')} is 48 x 34;",
    )


def test_broken_picture(mini_root):
    picture = mini_root / "mini_coco_det" / "train" / "000000000102.jpg"
    picture.write_bytes(picture.read_bytes()[:300])
    assert_refused(mini_root, f"{picture}: ")


def test_other_numbers_are_told_with_the_val_split(mini_root):
    def renumber(content):
        content["categories"][0]["id"] = content["annotations"][2]["category_id"] = 19

    edit(mini_root, "val", renumber)
    findings = []
    for split in ("train", "val"):
        coco.read(source_of(mini_root), split, findings, ("person", "car", "dog"))
    assert findings == renumbered_categories(source_of(mini_root))
    assert len(findings) == 1


def test_pictures_that_no_decoder_is_here_for_are_counted(mini_root):
    folder = mini_root / "mini_coco_det" / "train"
    (folder / "deep").mkdir()
    for name in ("a.heic", "deep/b.AVIF"):
        (folder / name).touch()
    _, (finding,) = findings_of(mini_root)
    assert (finding.fatal, finding.pictures) == (False, 2)
    assert str(finding).startswith(f"{folder}: pictures that cannot be decoded (.avif, .heic, ")


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_layout_is_recognised_by_either_split(mini_root, split):
    assert coco.recognises(source_of(mini_root))
    annotations_of(mini_root, split).unlink()
    assert coco.recognises(source_of(mini_root))


@pytest.mark.parametrize("name", ["mini_voc_seg", "imagenette_160", "nowhere"])
def test_other_layouts_are_not_recognised(mini_root, name):
    assert not coco.recognises(Source(mini_root / name))


def test_folders_and_files_may_be_named(mini_root):
    expected = read(mini_root, "train")
    folder = mini_root / "mini_coco_det"
    (folder / "train").rename(mini_root / "pictures")
    annotations_of(mini_root, "train").rename(mini_root / "boxes.json")
    source = Source(mini_root, train={"images": "pictures", "annotations": "boxes.json"})
    assert coco.recognises(source)
    findings = []
    samples, classes = coco.read(source, "train", findings, None)
    assert findings == []
    assert classes == expected[1]
    for one, other in zip(samples, expected[0], strict=True):
        assert all(torch.equal(part, other.annotation[name]) for name, part in one.annotation.items())


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
@pytest.mark.parametrize("key", ["images", "annotations"])
def test_folders_and_files_of_impossible_names_are_missing(mini_root, key, name):
    folder = mini_root / "mini_coco_det"
    named = {"images": "val", "annotations": "annotations/mini_instances_val2017.json"}
    train = {"images": "train", "annotations": "annotations/mini_instances_train2017.json"}
    source = Source(folder, train=train, val=named | {key: name})
    assert len(coco.read(source, "train", [], None)[0]) == 4
    with pytest.raises(Fault) as caught:
        coco.read(source, "val", [], None)
    assert caught.value.finding.file == folder / name
    expected = "expected a folder of detection images" if key == "images" else "the annotation file cannot be read"
    assert caught.value.finding.problem.startswith(expected)


@pytest.mark.parametrize("given", ["images", "annotations"])
def test_a_folder_without_a_file_is_refused(mini_root, given):
    source = Source(mini_root, train={given: "there"})
    with pytest.raises(DataError, match=r"expected train: \{images: FOLDER, annotations: FILE\}, got .*; name both"):
        coco.read(source, "train", [], None)
