"""Data as people have them: each oddity is read and noted, or refused, alike by all that read data.

Every case spoils one thing in a sound folder. The stream, one split of it and the importing copy read the folder with
the same findings; what is refused is left out of the copy where that mends it, and a copy is always accepted.
"""

import json
import os
import subprocess
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from shutil import copy, move, rmtree

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from onehead_avl.errors import DataError
from onehead_avl.kinds.colours import colour_of
from onehead_avl.prepare.adopt import adopt
from scenarios.challenge import FOLDERS, KINDS
from scenarios.described import Described, Description
from scenarios.reading import read_split, read_stream
from scenarios.samples.source import Source

DET, CLS, SEG = "mini_coco_det", "imagenette_160", "mini_voc_seg"
ODD = []


@dataclass(frozen=True)
class Odd:
    """An oddity.

    Attributes:
        task: The task whose data are spoiled.
        spoil: Does it.
        noted: A part of the note that is given; empty if there is nothing to say.
        refused: A part of the sentence that the data are refused with; empty if they are read.
        hopeless: Whether a copy cannot mend it either.
        change: How many more or fewer training images are read than in the sound folder.
        alone: A part of what is said when one split is read for a model, where it is something else.
    """

    task: str
    spoil: object
    noted: str = ""
    refused: str = ""
    hopeless: bool = False
    change: int = 0
    alone: str = ""

    def __str__(self):
        return f"{self.task}-{self.spoil.__name__.strip('_')}"


def odd(task, **expected):
    """Add a case."""

    def add(spoil):
        ODD.append(pytest.param(Odd(task, spoil, **expected), id=f"{task}-{spoil.__name__}"))
        return spoil

    return add


def instances(root, split="train"):
    return root / DET / "annotations" / f"mini_instances_{split}2017.json"


def edit(root, change, split="train"):
    content = json.loads(instances(root, split).read_text())
    change(content)
    instances(root, split).write_text(json.dumps(content))


def each(part, **values):
    """A change of all entries of a list."""

    def change(content):
        for entry in content[part]:
            for key, value in values.items():
                entry[key] = value(entry[key]) if callable(value) else value

    return change


def first(folder, suffix=""):
    return min(path for path in folder.iterdir() if path.name.endswith(suffix))


def turn(path, orientation, **options):
    """Save a picture so that EXIF asks to turn it."""
    with Image.open(path) as picture:
        pixels = picture.convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels.save(path, exif=exif, **options)


# Orientation


def _turned(orientation):
    @odd("det", noted="EXIF asks to turn pictures whose annotation may mean either")
    def the_annotation_may_mean_either(root):
        turn(root / DET / "train/000000000100.jpg", orientation)

    the_annotation_may_mean_either.__name__ += f"_{orientation}"


for _orientation in (2, 3, 4):
    _turned(_orientation)


@odd("det", noted="pictures are turned as EXIF asks for")
def listed_with_the_turned_size(root):
    for name, orientation in (("100", 5), ("101", 6), ("102", 7), ("103", 8)):
        turn(root / DET / f"train/000000000{name}.jpg", orientation)
    edit(root, lambda content: [e.update(width=e["height"], height=e["width"]) for e in content["images"]])
    edit(root, each("annotations", bbox=lambda box: [box[0] / 2, box[1] / 2, box[2] / 2, box[3] / 2]))


@odd("det")
def listed_with_the_stored_size(root):
    turn(root / DET / "train/000000000100.jpg", 6)


@odd("det", noted="EXIF asks to turn pictures whose annotation may mean either")
def a_square_picture_may_be_turned_or_not(root):
    path = root / DET / "train/000000000100.jpg"
    with Image.open(path) as picture:
        picture.resize((40, 40)).save(path)
    turn(path, 8)
    edit(root, lambda content: content["images"][0].update(width=40, height=40))


@odd("det")
def an_orientation_that_does_not_exist(root):
    turn(root / DET / "train/000000000100.jpg", 9)


@odd("seg", noted="pictures are turned as EXIF asks for")
def a_mask_of_the_turned_size(root):
    path = root / SEG / "train/2007_000001"
    with Image.open(path.with_suffix(".png")) as mask:
        ImageOps.exif_transpose(mask).transpose(Image.Transpose.ROTATE_90).save(path.with_suffix(".png"))
    turn(path.with_suffix(".jpg"), 6)


@odd("seg", noted="EXIF asks to turn pictures whose annotation may mean either")
def a_picture_upside_down_with_a_mask(root):
    turn(root / SEG / "train/2007_000001.jpg", 3)


@odd("cls", noted="EXIF asks to turn pictures whose annotation may mean either")
def a_class_says_nothing_of_the_orientation(root):
    turn(first(root / CLS / "train/n01440764"), 6)


@odd("det", noted="pictures are turned as EXIF asks for")
def other_formats_have_exif_too(root):
    path = root / DET / "train/000000000100.jpg"
    turn(path, 6, format="WEBP", lossless=True)
    edit(root, lambda content: content["images"][0].update(width=30, height=40))
    edit(root, each("annotations", bbox=[1, 1, 9, 9]))


# Numbers


def _numbers(name, change, noted="read as whole numbers"):
    def spoil(root):
        edit(root, change)

    spoil.__name__ = name
    odd("det", noted=noted)(spoil)


_numbers("category_ids_as_text", each("annotations", category_id=str))
_numbers("ids_as_decimals", each("annotations", category_id=float, image_id=float))
_numbers("image_ids_as_text", each("images", id=str))
_numbers("category_list_as_text", each("categories", id=lambda key: f"{key}.0"))
_numbers("sizes_as_text", each("images", width=str, height=float))
_numbers("crowd_as_truth", each("annotations", iscrowd=bool))
_numbers("crowd_as_text", each("annotations", iscrowd=str))
_numbers("crowd_null", each("annotations", iscrowd=None), "an iscrowd of null is read as 0")
_numbers("boxes_as_text", each("annotations", bbox=lambda box: list(map(str, box))), "boxes written as text")
_numbers("size_null", each("images", width=None), "taken to have those of their file")
_numbers("annotation_ids_missing", each("annotations", id=None), "annotations are read though their id is missing")
_numbers("annotation_ids_repeated", each("annotations", id=7), "annotations are read though their id is missing")


@odd("det")
def size_and_crowd_left_out(root):
    edit(root, lambda content: [entry.pop("iscrowd") for entry in content["annotations"]])


@odd("det", noted="ids of images and categories that are texts")
def image_ids_that_are_texts(root):
    edit(root, each("images", id=lambda key: f"frame {key}"))
    edit(root, each("annotations", image_id=lambda key: f"frame {key}"))


@odd("det", refused="expected iscrowd 0 or 1, found 2")
def a_crowd_of_two(root):
    edit(root, lambda content: content["annotations"][0].update(iscrowd=2))


@odd("det", refused="expected 'category_id', an id, found True")
def a_truth_is_no_id(root):
    edit(root, lambda content: content["annotations"][0].update(category_id=True))


# Boxes


def _box(name, box, **expected):
    def spoil(root):
        edit(root, lambda content: content["annotations"][0].update(bbox=box))

    spoil.__name__ = name
    odd("det", **expected)(spoil)


_box("without_height", [1, 2, 5, 0], noted="boxes without area in their image are skipped: there is one, annotation 1")
_box("without_width", [1, 2, 0.0, 5], noted="boxes without area in their image are skipped")
_box("of_negative_width", [9, 2, -5, 5], noted="boxes without area in their image are skipped")
_box("outside", [500, 2, 5, 5], noted="boxes without area in their image are skipped")
_box("over_the_left_edge", [-5, 2, 9, 9], noted="boxes that reach over the edge of their image are cut")
_box("over_the_right_edge", [30, 2, 11.5, 9], noted="boxes that reach over the edge of their image are cut")
_box("not_a_number", [1, 2, float("nan"), 3], refused="expected a bbox of four finite numbers")
_box("of_three_numbers", [1, 2, 3], refused="expected a bbox of four finite numbers")
_box("of_words", [1, 2, "wide", 3], refused="expected a bbox of four finite numbers")
_box("null", None, refused="expected a list 'bbox', found nothing")


# Names of files


def _names(name, rename, move_to="", **expected):
    def spoil(root):
        folder = root / DET / "train"
        if move_to:
            (folder / move_to).mkdir()
            for path in folder.glob("*.jpg"):
                move(path, folder / move_to / path.name)
        edit(root, each("images", file_name=rename))

    spoil.__name__ = name
    odd("det", **expected)(spoil)


_names("with_a_folder", lambda name: f"images/{name}", "images")
_names("with_a_backslash", lambda name: f"images\\{name}", "images")
_names("with_a_dot", lambda name: f"./{name}")
_names("of_another_machine", lambda name: f"/home/somebody/data/{name}", noted="without the folders before them")
_names("of_windows", lambda name: f"C:\\data\\{name}", noted="without the folders before them")
_names("with_a_folder_that_is_not_there", lambda name: f"train2017/{name}", noted="without the folders before them")
_names("in_a_folder_that_is_not_named", lambda name: name, "more", noted="found in another folder")
_names("of_another_case", lambda name: name.replace("jpg", "JPG"), noted="names of another case")
_names(
    "out_of_the_folder",
    lambda name: name.replace("000000000100", "../val/000000000100"),
    refused="expected a file name within",
    change=-1,
)


@odd("det", noted="form of accents")
def composed_and_decomposed_accents(root):
    name = "caf\u00e9.jpg"
    move(root / DET / "train/000000000100.jpg", root / DET / "train" / unicodedata.normalize("NFD", name))
    edit(root, lambda content: content["images"][0].update(file_name=name))


# Lists


@odd("det", noted="images that are listed more than once have the boxes of all entries: there is one")
def a_file_listed_twice(root):
    def change(content):
        content["images"].append({**content["images"][0], "id": 900})
        content["annotations"].append({**content["annotations"][0], "id": 900, "image_id": 900, "bbox": [9, 9, 3, 3]})

    edit(root, change)


@odd("det", refused="expected every image id once", change=-2)
def an_id_of_two_files(root):
    edit(root, lambda content: content["images"][1].update(id=content["images"][0]["id"]))


@odd("det", noted="not listed in mini_instances_train2017.json are not read: there are 1, such as deep/extra.jpg")
def a_picture_that_is_not_listed(root):
    (root / DET / "train/deep").mkdir()
    Image.new("RGB", (9, 9), "red").save(root / DET / "train/deep/extra.jpg")


@odd("det", refused="expected the file '000000000100.jpg', found none", change=-1)
def a_listed_picture_that_is_not_there(root):
    (root / DET / "train/000000000100.jpg").unlink()


@odd("det", refused="names image 999, which is not among images")
def an_annotation_of_no_image(root):
    edit(root, lambda content: content["annotations"][0].update(image_id=999))


@odd("det", noted="no example of person, car, dog")
def nothing_annotated(root):
    for split in ("train", "val"):
        edit(root, lambda content: content.update(annotations=[]), split)


@odd("det", refused="expected entries in 'images', found none", hopeless=True)
def no_validation_images(root):
    edit(root, lambda content: content.update(images=[], annotations=[]), "val")


@odd("det", noted="categories without objects that have the name of another one are ignored: there is one, car (0)")
def a_supercategory_named_as_its_class(root):
    edit(root, lambda content: content["categories"].insert(0, {"id": 0, "name": "car", "supercategory": "none"}))


@odd("det", refused="which all have objects", hopeless=True)
def two_categories_of_one_name(root):
    edit(root, lambda content: content["categories"][0].update(name="car"))


@odd("det", noted="categories that are listed twice are read once")
def a_category_listed_twice(root):
    edit(root, lambda content: content["categories"].append(content["categories"][0]))


@odd("det", noted="det train has no example of wolf", alone="none of the classes, and have no objects, are ignored")
def a_category_of_validation_alone(root):
    edit(root, lambda content: content["categories"].append({"id": 500, "name": "wolf"}), "val")


@odd("det", noted="names of categories are read without the spaces around them")
def a_category_with_a_space(root):
    edit(root, lambda content: content["categories"][0].update(name="dog "))


# Masks


@odd("seg", refused="expected masks with classes, found none", hopeless=True)
def masks_of_0_and_255(root):
    for path in (root / SEG).rglob("*.png"):
        with Image.open(path) as mask:
            Image.fromarray(np.where(np.array(mask) > 0, 255, 0).astype(np.uint8)).save(path)


@odd("seg", noted="masks that hold no class but background and void: there is one, 2007_000001.png")
def one_mask_of_background(root):
    path = root / SEG / "train/2007_000001.png"
    with Image.open(path) as mask:
        Image.new("L", mask.size).save(path)


@odd(
    "seg", noted="PASCAL VOC's colours at other indices, such as 1; the indices are read: there is one, 2007_000000.png"
)
def a_palette_of_other_indices(root):
    path = root / SEG / "train/2007_000000.png"
    with Image.open(path) as mask:
        mask.putpalette([*colour_of(0), *colour_of(15)])
        mask.save(path)


@odd("seg")
def a_palette_that_is_vocs(root):
    for path in (root / SEG).rglob("*.png"):
        with Image.open(path) as mask:
            mask.putpalette([part for index in range(256) for part in colour_of(index)])
            mask.save(path)


@odd("seg", refused="found mode RGB", change=-1)
def a_mask_of_colours(root):
    path = root / SEG / "train/2007_000001.png"
    with Image.open(path) as mask:
        mask.convert("RGB").save(path)


@odd("seg", refused="expected one file of this name, found", change=-1)
def two_pictures_of_one_mask(root):
    copy(root / SEG / "val/2007_000000.jpg", root / SEG / "train/2007_000001.jpeg")


@odd("seg", refused="expected a mask", change=-1)
def a_picture_without_a_mask(root):
    (root / SEG / "train/2007_000001.png").unlink()


@odd("seg", refused="expected an image", change=-1)
def a_mask_without_a_picture(root):
    (root / SEG / "train/2007_000001.jpg").unlink()


@odd("seg", refused="pixels but its image", change=-1)
def a_mask_of_another_size(root):
    with Image.open(root / SEG / "train/2007_000001.png") as mask:
        mask.crop((0, 0, 9, 9)).save(root / SEG / "train/2007_000001.png")


# Pictures of classes


@odd("cls", change=5)
def pictures_of_other_formats(root):
    for number, suffix in enumerate(("webp", "bmp", "gif", "tif", "ppm")):
        Image.new("RGB", (9, 9), (number * 40, 9, 9)).save(root / CLS / f"train/n01440764/{number}.{suffix}")


@odd("cls", noted="of files with several pictures only the first one is read: there is one, moving.gif", change=1)
def a_picture_that_moves(root):
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    frames[0].save(root / CLS / "train/n01440764/moving.gif", save_all=True, append_images=frames[1:])


@odd(
    "cls", noted="that cannot be decoded (.avif, .heic, .heif, .jxl ...) are not read: there are 1, such as n01440764/a"
)
def pictures_that_nobody_decodes(root):
    (root / CLS / "train/n01440764/a.HEIC").write_bytes(b"\0\0\0\x18ftypheic")


@odd("cls", change=1)
def pictures_in_a_folder_of_a_class(root):
    (root / CLS / "train/n01440764/part2/deeper").mkdir(parents=True)
    Image.new("RGB", (9, 9), "red").save(root / CLS / "train/n01440764/part2/deeper/x.jpg")


@odd("cls")
def all_pictures_in_folders_of_classes(root):
    for folder in sorted((root / CLS / "train").iterdir()):
        (folder / "images").mkdir()
        for path in folder.glob("*.JPEG"):
            move(path, folder / "images")


@odd("cls", noted="cls val has no example of n03028079")
def a_class_without_validation_pictures(root):
    for path in (root / CLS / "val/n03028079").iterdir():
        path.unlink()


@odd("cls", noted="cls val has no example of n03028079")
def a_class_that_validation_lacks(root):
    rmtree(root / CLS / "val/n03028079")


@odd("cls", noted="cls train has no example of n03028079", change=-1)
def a_class_of_validation_alone(root):
    rmtree(root / CLS / "train/n03028079")


@odd("cls", noted="pictures outside the class folders are not read: there are 1, such as stray.jpg")
def a_picture_outside_the_classes(root):
    Image.new("RGB", (9, 9), "red").save(root / CLS / "train/stray.jpg")


@odd("cls", refused="the picture cannot be decoded", change=-2)
def a_broken_picture(root):
    path = root / CLS / "train/n01440764/n01440764_0.JPEG"
    path.write_bytes(path.read_bytes()[:300])
    path.with_name("n01440764_3.JPEG").write_bytes(path.read_bytes())


@odd("cls", noted="it counts twice", change=1)
def a_picture_that_is_there_twice(root):
    copy(root / CLS / "train/n01440764/n01440764_0.JPEG", root / CLS / "train/n01440764/again.JPEG")


@odd("cls", refused="what was learned cannot be scored on", change=1)
def a_picture_of_both_splits(root):
    copy(first(root / CLS / "val/n01440764"), root / CLS / "train/n01440764/again.JPEG")


@odd("cls")
def a_linked_class(root):
    move(root / CLS / "train/n01440764", root / "elsewhere")
    (root / CLS / "train/n01440764").symlink_to(root / "elsewhere")


@odd("cls")
def a_linked_picture(root):
    path = first(root / CLS / "train/n01440764")
    move(path, root / "elsewhere.JPEG")
    path.symlink_to(root / "elsewhere.JPEG")


@odd("cls", refused="No such file or directory")
def a_link_that_leads_nowhere(root):
    (root / CLS / "train/n01440764/lost.JPEG").symlink_to(root / "nowhere")


@odd("cls")
def a_link_that_goes_in_a_circle(root):
    (root / CLS / "train/n01440764/circle").symlink_to(root / CLS / "train/n01440764")


@odd("det")
def linked_pictures(root):
    move(root / DET / "train", root / "elsewhere")
    (root / DET / "train").symlink_to(root / "elsewhere")


# Names that are no Unicode


@odd("cls", refused="caf\\udce9.JPEG: the picture cannot be decoded", change=0)
def a_broken_picture_whose_name_is_no_unicode(root):
    Path(os.fsdecode(os.fsencode(root / CLS / "train/n01440764") + b"/caf\xe9.JPEG")).write_bytes(b"\xff\xd8\xff\xe0 x")


@odd("cls", change=1)
def a_picture_whose_name_is_no_unicode(root):
    path = Path(os.fsdecode(os.fsencode(root / CLS / "train/n01440764") + b"/caf\xe9.JPEG"))
    with path.open("wb") as file:
        Image.new("RGB", (9, 9), "red").save(file, "JPEG")


@odd(
    "cls",
    refused="expected a class name that can be written, found caf\\udce9",
    hopeless=True,
    alone="expected the class folders n01440764, n02102040, n03028079, found caf\\udce9 too",
)
def a_class_whose_name_is_no_unicode(root):
    move(root / CLS / "train/n01440764", Path(os.fsdecode(os.fsencode(root / CLS / "train") + b"/caf\xe9")))


def described(root, task):
    each = Described(task, KINDS[task], Source(Path(FOLDERS[task])), where=task)
    return Description("challenge", (each,)).on(root, size=32)


def read(root, task):
    """The stream and what was told, or the sentence that it was refused with."""
    told = []
    try:
        (experience,) = read_stream(described(root, task), told.append).experiences
    except DataError as error:
        return None, str(error)
    return experience, "\n".join(told)


def boxes_of(experience):
    """The corners of all boxes by the pixels of their image."""
    return {
        sample.digest: sorted(sample.annotation["boxes"].tolist()) for sample in [*experience.train, *experience.val]
    }


@pytest.mark.parametrize("case", ODD)
def test_an_oddity_is_read_and_noted_or_refused_alike_by_all(case, mini_root, tmp_path):
    before, _ = read(mini_root, case.task)
    case.spoil(mini_root)
    experience, said = read(mini_root, case.task)
    if case.refused:
        assert experience is None
        assert case.refused in said
        assert ("--import" in said) is not case.hopeless
    else:
        assert experience is not None, said
        assert len(experience.train) == len(before.train) + case.change
        assert case.noted in said
        notes = [line for line in said.splitlines() if "layout at" not in line and "has no example" not in line]
        assert bool(notes) is (bool(case.noted) and "no example" not in case.noted), notes
    assert all(line.isprintable() for line in said.splitlines())

    alone = [reading_alone(mini_root, case.task, split, before.classes) for split in ("train", "val")]
    across = "scored on" in case.refused or "counts twice" in case.noted  # which a split alone cannot tell
    assert across or any((case.alone or case.refused or case.noted) in answer for answer in alone), alone

    told = []
    target = tmp_path / "copy"
    if case.hopeless:
        with pytest.raises(DataError):
            adopt(mini_root, target, [case.task], told.append)
        assert [path for path in target.iterdir() if path.name != ".prepare"] == []
        return
    adopt(mini_root, target, [case.task], told.append)
    copied, said = read(target, case.task)
    assert copied is not None, said
    if case.noted or case.refused:
        assert not any("nothing is wrong" in line for line in told)
    if experience is not None and "counts twice" not in case.noted:
        assert sorted(s.digest for s in copied.train) == sorted(s.digest for s in experience.train)
        if case.task == "det":
            assert boxes_of(copied) == boxes_of(experience)
            assert_same_images(copied, experience)
    elif experience is None and case.change:
        assert len(copied.train) == len(before.train) + case.change - ("scored on" in case.refused)


def reading_alone(root, task, split, classes):
    """What is said when one split is read for a model that knows the classes."""
    (each,) = described(root, task).experiences
    told = []
    try:
        read_split(each, split, classes, told.append)
    except DataError as error:
        return "\n".join([*told, str(error)])
    return "\n".join(told)


def assert_same_images(one, other):
    images = {sample.digest: sample.image for sample in one.train}
    assert all(torch.equal(images[sample.digest], sample.image) for sample in other.train)


def test_a_turned_picture_is_the_one_that_is_shown(mini_root):
    listed_with_the_turned_size(mini_root)
    experience, _ = read(mini_root, "det")
    for sample in experience.train:
        with Image.open(sample.name) as picture:
            shown = np.array(ImageOps.exif_transpose(picture).convert("RGB"))
        assert np.array_equal(sample.image.permute(1, 2, 0).numpy(), shown)


def test_a_name_that_is_no_unicode_is_printed_whatever_the_terminal(mini_root, tmp_path):
    a_broken_picture_whose_name_is_no_unicode(mini_root)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "onehead_avl.prepare", "--import", str(mini_root), "--root", str(tmp_path / "new")]
    answer = subprocess.run([*command, "--tasks", "cls"], env=environment, capture_output=True, text=True)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "caf\\udce9.JPEG: the picture cannot be decoded" in answer.stdout
