import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO

from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.layout import layout_of_heads
from onehead_avl.model.network import OneHeadNet
from onehead_avl.model.saved import load_model, save_model
from onehead_avl.predict import main


@pytest.fixture(scope="module")
def weights(trained):
    return trained[0] / "model.safetensors"


@pytest.fixture(scope="module")
def predicted(invoke, weights, shared_mini_root, tmp_path_factory):
    """A folder and a single picture, predicted: the output, and what its JSON says."""
    folder = tmp_path_factory.mktemp("predicted") / "out"
    (single,) = shared_mini_root.glob("imagenette_160/val/n01440764/*")
    answer = invoke(main, "--weights", weights, shared_mini_root / "mini_coco_det", single, "--output", folder)
    assert answer.status == 0, answer.err
    assert answer.out == f"7 pictures and predictions.json are written to {folder}\n"
    return folder, json.loads((folder / "predictions.json").read_text())


def pixels(file):
    """``(3, H, W)`` uint8."""
    return torch.from_numpy(np.array(Image.open(file).convert("RGB"))).permute(2, 0, 1)


def assert_refused(answer, status, *fragments):
    assert answer.status == status
    assert "Traceback" not in answer.err + answer.out
    line = answer.err.splitlines()[-1]
    assert line.startswith("error: ")
    assert all(str(fragment) in line for fragment in fragments), line


def test_each_picture_leaves_a_drawing_and_a_mask_where_it_lay(predicted, shared_mini_root):
    folder, told = predicted
    named = [f"{split}/{100 + i:012d}" for split, n in (("train", 4), ("val", 2)) for i in range(n)]
    named.append("n01440764_0")
    files = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert files == {"predictions.json", *(f"{name}{end}" for name in named for end in (".jpg", "_seg.png"))}
    assert [each["drawn"] for each in told["images"]] == [f"{name}.jpg" for name in named]
    assert [each["id"] for each in told["images"]] == [1, 2, 3, 4, 5, 6, 7]
    assert told["images"][0]["file_name"] == str(shared_mini_root / "mini_coco_det" / "train" / "000000000100.jpg")


def test_masks_boxes_and_classes_are_those_of_the_network(predicted, weights):
    folder, told = predicted
    saved = load_model(weights)
    for about in told["images"]:
        expected = saved.predict(pixels(about["file_name"]))
        mask = Image.open(folder / about["seg"]["file_name"])
        assert mask.mode == "P"
        assert np.array_equal(np.array(mask), expected["seg"]["mask"].numpy())
        assert (about["height"], about["width"]) == expected["seg"]["mask"].shape
        names = told["heads"]["seg"]["classes"]
        counted = {name: float((expected["seg"]["mask"] == i).double().mean()) for i, name in enumerate(names)}
        assert about["seg"]["share"] == pytest.approx({name: share for name, share in counted.items() if share})
        corners = [[x, y, x + w, y + h] for x, y, w, h in (each["bbox"] for each in about["det"]["boxes"])]
        assert np.array(corners).reshape(-1, 4) == pytest.approx(expected["det"]["boxes"].numpy(), abs=1e-3)
        assert [each["score"] for each in about["det"]["boxes"]] == pytest.approx(expected["det"]["scores"].tolist())
        assert [each["category_id"] - 1 for each in about["det"]["boxes"]] == expected["det"]["labels"].tolist()
        assert sum(about["cls"]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        best = max(about["cls"]["probabilities"], key=about["cls"]["probabilities"].get)
        assert about["cls"]["class"] == best == told["heads"]["cls"]["classes"][expected["cls"]["label"]]


def test_the_drawing_shows_what_every_head_says(predicted, weights):
    folder, told = predicted
    saved = load_model(weights)
    for about in told["images"]:
        drawn = image = pixels(about["file_name"])
        predictions = saved.predict(image)
        for part in saved.layout.heads:
            drawn = part.kind.draw(drawn, predictions[part.head], part.classes)
        found = pixels(folder / about["drawn"])
        assert found.shape == drawn.shape
        away, untouched = ((each.float() - drawn.float()).abs().mean() for each in (found, image))
        assert away < untouched / 4  # JPEG blurs it


def test_the_boxes_are_results_as_coco_reads_them(predicted):
    _, told = predicted
    coco = COCO()
    categories = [{"id": i, "name": name} for i, name in enumerate(told["heads"]["det"]["classes"], start=1)]
    coco.dataset = {"images": told["images"], "categories": categories, "annotations": []}
    coco.createIndex()
    boxes = [box for image in told["images"] for box in image["det"]["boxes"]]
    assert boxes
    assert len(coco.loadRes(boxes).getAnnIds()) == len(boxes)
    assert {box["image_id"] for box in boxes} <= {each["id"] for each in told["images"]}


def test_a_picture_is_turned_as_exif_asks(invoke, weights, tmp_path):
    rng = np.random.default_rng(0)
    upright = Image.fromarray(rng.integers(0, 255, (4, 6, 3), dtype=np.uint8)).resize((60, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    (tmp_path / "in").mkdir()
    upright.save(tmp_path / "in" / "upright.png")
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "in" / "turned.png", exif=exif)
    assert invoke(main, "--weights", weights, tmp_path / "in", "--output", tmp_path / "out").status == 0
    turned, plain = json.loads((tmp_path / "out" / "predictions.json").read_text())["images"]
    assert (turned["height"], turned["width"]) == (40, 60)
    assert {**turned, **plain} == plain | {key: plain[key] for key in turned}
    assert turned["cls"] == plain["cls"]
    drawn = [pixels(tmp_path / "out" / each["drawn"]) for each in (turned, plain)]
    assert torch.equal(*drawn)


def test_pictures_of_one_name_are_written_beside_each_other(invoke, weights, shared_mini_root, tmp_path):
    first = shared_mini_root / "mini_voc_seg" / "val" / "2007_000000.jpg"
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copy(first, tmp_path / name / "x.jpg")
    shutil.copy(first, tmp_path / "b" / "x_2.jpg")
    out = tmp_path / "out"
    paths = (tmp_path / "a" / "x.jpg", tmp_path / "b")
    assert invoke(main, "--weights", weights, *paths, "--output", out, "--heads", "seg").status == 0
    told = json.loads((out / "predictions.json").read_text())["images"]
    assert [(each["file_name"], each["drawn"]) for each in told] == [
        (str(tmp_path / "a" / "x.jpg"), "x.jpg"),
        (str(tmp_path / "b" / "x.jpg"), "x_2.jpg"),
        (str(tmp_path / "b" / "x_2.jpg"), "x_2_2.jpg"),
    ]
    assert len(list(out.iterdir())) == 7


def test_only_the_heads_asked_for_are_shown(invoke, weights, shared_mini_root, tmp_path):
    folder = shared_mini_root / "mini_voc_seg" / "val"
    answer = invoke(main, "--weights", weights, folder, "--output", tmp_path / "out", "--heads", "cls")
    assert answer.status == 0, answer.err
    assert {file.name for file in (tmp_path / "out").iterdir()} >= {"2007_000000.jpg", "predictions.json"}
    assert not list((tmp_path / "out").glob("*_seg.png"))
    told = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert list(told["heads"]) == ["cls"]
    assert all(set(each) == {"id", "file_name", "height", "width", "drawn", "cls"} for each in told["images"])


def test_unreadable_pictures_are_named_and_the_others_are_done(invoke, weights, shared_mini_root, tmp_path):
    folder = tmp_path / "in"
    shutil.copytree(shared_mini_root / "mini_voc_seg" / "val", folder)
    whole = (folder / "2007_000000.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("no picture")
    answer = invoke(main, "--weights", weights, folder, "--output", tmp_path / "out")
    named = (folder / "cut.jpg", folder / "text.png")
    assert_refused(answer, 1, "2 of 6 pictures could not be read", *named, "4 pictures")
    told = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert len(told["images"]) == 4
    assert [each["file_name"] for each in told["unread"]] == [str(file) for file in named]
    assert all(each["problem"] for each in told["unread"])
    assert not list((tmp_path / "out").glob("cut*"))


def test_of_a_file_with_several_pictures_the_first_is_read_and_that_is_said(invoke, weights, tmp_path):
    first, second = (Image.new("RGB", (40, 30), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "two.gif", save_all=True, append_images=[second])
    answer = invoke(main, "--weights", weights, tmp_path / "two.gif", "--output", tmp_path / "out")
    assert answer.status == 0, answer.err
    assert f"note: {tmp_path / 'two.gif'} holds 2 pictures, of which the first is read" in answer.err


def test_a_kind_of_ones_own_is_named_and_shows_what_it_draws(invoke, shared_mini_root, tmp_path):
    torch.manual_seed(0)
    layout = layout_of_heads([("depth", "depth", kind_of("examples.depth:Depth"), ())])
    save_model(tmp_path / "own", OneHeadNet(layout), layout, 64, "mine")
    arguments = (shared_mini_root / "mini_voc_seg" / "val", "--weights", tmp_path / "own", "--output", tmp_path / "out")
    assert_refused(invoke(main, *arguments), 1, "examples.depth:Depth", "is not imported")
    assert not (tmp_path / "out").exists()
    answer = invoke(main, *arguments, "--kind", "examples.depth:Depth")
    assert answer.status == 0, answer.err
    told = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert told["heads"] == {"depth": {"kind": "examples.depth:Depth", "classes": []}}
    assert all(each["depth"] == {} for each in told["images"])
    for each in told["images"]:
        assert not torch.equal(pixels(tmp_path / "out" / each["drawn"]), pixels(each["file_name"]))


def test_wrong_command_lines_are_refused_and_nothing_is_written(invoke, weights, shared_mini_root, tmp_path):
    pictures, out = shared_mini_root / "mini_voc_seg", tmp_path / "out"
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments, *fragments in (
        ((tmp_path / "none", pictures, "--weights", weights), "found nothing at", tmp_path / "none"),
        ((empty, "--weights", weights), empty, "expected pictures", "found none"),
        ((pictures, "--weights", tmp_path / "none"), "found no file at"),
        ((pictures, "--weights", weights, "--heads", "depth"), "seg, det, cls", "found 'depth'"),
        ((pictures, "--weights", weights, "--device", "tpu"), "--device expects"),
    ):
        assert_refused(invoke(main, *arguments, "--output", out), 2, *fragments)
        assert not out.exists()


def test_pictures_are_never_written_over(invoke, weights, shared_mini_root, tmp_path):
    folder = tmp_path / "in"
    shutil.copytree(shared_mini_root / "mini_voc_seg" / "val", folder)
    before = {file: file.read_bytes() for file in folder.iterdir()}
    answer = invoke(main, "--weights", weights, folder, "--output", folder)
    assert_refused(answer, 2, "--output expects a new or empty folder", folder)
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


def test_a_folder_that_cannot_be_written_is_named(invoke, weights, shared_mini_root, tmp_path):
    (tmp_path / "file").write_text("in the way")
    out = tmp_path / "file" / "out"
    assert_refused(invoke(main, "--weights", weights, shared_mini_root / "mini_voc_seg", "--output", out), 1, out)
