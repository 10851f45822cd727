import numpy as np
import pytest
from PIL import Image

from scenarios.read import masks
from scenarios.read.mask_names import SAME, MaskNames, infer_mask_names, mask_names_of
from scenarios.samples.findings import Fault, refuse_fatal
from scenarios.samples.source import Source

PARTS = {"images": "images", "masks": "masks"}


@pytest.mark.parametrize(
    ("text", "before", "behind"),
    [("{stem}.png", "", ""), ("{stem}_L.png", "", "_L"), ("gt_{stem}.PNG", "gt_", ""), ("a{stem}b.c.png", "a", "b.c")],
)
def test_a_template_says_what_stands_around_the_name(tmp_path, text, before, behind):
    naming = mask_names_of(tmp_path, text)
    assert naming == MaskNames(before, behind)
    assert naming.mask_of("7") == f"{before}7{behind}"
    assert naming.image_of(f"{before}7{behind}") == "7"


@pytest.mark.parametrize("text", ["mask.png", "{stem}", "{stem}.jpg", "{stem}{stem}.png", "m/{stem}.png", "{name}.png"])
def test_another_template_is_refused(tmp_path, text):
    with pytest.raises(Fault, match=r"expected mask_name: to be \{stem\} and what stands before and behind it"):
        mask_names_of(tmp_path, text)


@pytest.mark.parametrize("mask", ["gt_L", "gt__", "xx_7_L", "gt_7"])
def test_a_mask_that_is_called_otherwise_has_no_image(mask):
    assert MaskNames("gt_", "_L").image_of(mask) is None


@pytest.mark.parametrize(
    ("images", "found", "naming"),
    [
        (["1", "2", "12"], ["1_mask", "2_mask", "12_mask"], MaskNames("", "_mask")),
        (["1", "2"], ["gt_1", "gt_2"], MaskNames("gt_", "")),
        (["a1", "a2"], ["x_a1_y", "x_a2_y"], MaskNames("x_", "_y")),
        (["a", "b", "c"], ["a_L", "c_L"], MaskNames("", "_L")),  # b has none, which is found later
        (["a", "b"], ["a_L", "b_L", "z_L"], MaskNames("", "_L")),  # z has no image, which is found later
        (["a", "b"], ["a", "b_L"], SAME),
        (["a"], [], SAME),
    ],
)
def test_names_are_told_from_the_files(tmp_path, images, found, naming):
    findings = []
    assert infer_mask_names(tmp_path, set(images), set(found), findings) == naming
    note = f"{tmp_path}: masks are called {naming}, where {{stem}} is their image"
    assert [str(each) for each in findings] == ([] if naming == SAME else [note])


@pytest.mark.parametrize(
    ("images", "found", "doubt"),
    [
        (["a", "b"], ["a_1", "b_1", "a_2", "b_2"], "a_1.png', which may be called {stem}_1.png or {stem}_2.png;"),
        (["a"], ["xax_a"], "which may be called xax_{stem}.png or x{stem}x_a.png;"),
        (["img1", "img2"], ["mask1", "mask2"], "found such as 'img1' and 'mask1.png'; say how they are called"),
    ],
)
def test_doubt_is_refused_with_the_key_that_ends_it(tmp_path, images, found, doubt):
    with pytest.raises(Fault) as caught:
        infer_mask_names(tmp_path, set(images), set(found), [])
    assert doubt in str(caught.value)
    assert 'mask_name: "{stem}_mask.png"' in str(caught.value)


def write(root, images, found):
    for folder, files, mode in (("images", images, "RGB"), ("masks", found, "L")):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number, name in enumerate(files):
            color = number + 1 if mode == "L" else (number, 0, 0)
            Image.new(mode, (4, 2), color).save(root / folder / name)


def read(root, parts=PARTS, values=3):
    findings = []
    names = {0: "background"} | {value: f"c{value}" for value in range(1, values)}
    source = Source(root, parts, parts, names)
    samples, _ = masks.read(source, "train", findings, None)
    refuse_fatal(root, findings)
    return samples, findings


def values_of(samples):
    return {sample.name.rsplit("/", 1)[1]: np.unique(sample.annotation["mask"]).tolist() for sample in samples}


def test_masks_with_something_behind_are_joined_and_noted(tmp_path):
    write(tmp_path, ["1.jpg", "12.jpg"], ["12_L.png", "1_L.png"])
    samples, findings = read(tmp_path)
    assert values_of(samples) == {"1.jpg": [2], "12.jpg": [1]}
    assert [str(each) for each in findings] == [
        f"{tmp_path / 'masks'}: masks are called {{stem}}_L.png, where {{stem}} is their image"
    ]


def test_a_named_way_ends_the_doubt_and_counts_what_is_left(tmp_path):
    write(tmp_path, ["1.png", "2.png"], ["1_a.png", "1_b.png", "2_a.png", "2_b.png"])
    with pytest.raises(Fault, match="which may be called"):
        read(tmp_path)
    samples, findings = read(tmp_path, PARTS | {"mask_name": "{stem}_b.png"}, values=5)
    assert values_of(samples) == {"1.png": [2], "2.png": [4]}
    assert [str(each) for each in findings] == [
        f"{tmp_path / 'masks'}: files that are not called {{stem}}_b.png are no masks: there are 2, such as 1_a.png"
    ]


def test_images_and_masks_may_share_a_folder_if_their_names_tell(tmp_path):
    write(tmp_path, ["1.png", "2.png"], [])
    for number in (1, 2):
        Image.new("L", (4, 2), number).save(tmp_path / "images" / f"{number}_mask.png")
    parts = {"images": "images", "masks": "images", "mask_name": "{stem}_mask.png"}
    samples, findings = read(tmp_path, parts)
    assert values_of(samples) == {"1.png": [1], "2.png": [2]}
    assert findings == []


def test_an_image_or_a_mask_without_the_other_is_refused(tmp_path):
    write(tmp_path, ["1.jpg", "2.jpg", "3.jpg"], ["1_L.png", "2_L.png"])
    with pytest.raises(Exception, match=r"3\.jpg: expected a mask .*/masks/3_L\.png, found none; add it"):
        read(tmp_path)
    write(tmp_path, [], ["3_L.png", "4_L.png"])
    with pytest.raises(Exception, match=r"4_L\.png: expected an image .*/images/4\.jpg, found none; add it or remove"):
        read(tmp_path, PARTS | {"mask_name": "{stem}_L.png"}, values=5)


def test_the_names_of_folders_may_be_left_out_beside_a_template(tmp_path):
    for split in ("train", "val"):
        write(tmp_path / split, ["1.jpg"], ["1_a.png", "1_b.png"])
    template = {"mask_name": "{stem}_a.png"}
    assert masks.recognises(Source(tmp_path, template, template))
    assert values_of(read(tmp_path, template)[0]) == {"1.jpg": [1]}
