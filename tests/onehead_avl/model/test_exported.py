import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import nn

from onehead_avl.errors import OutputError, UsageError, WeightsError
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model import exported
from onehead_avl.model.exported import ABOUT, TOLERANCE, export
from onehead_avl.model.input import network_input
from onehead_avl.model.layout import layout_of_heads
from onehead_avl.model.network import OneHeadNet
from onehead_avl.model.saved import SavedModel
from scenarios.drawn.embedded import drawn

SIZE = 96
CLASSES = {"seg": ["sky", "sea", "land"], "det": ["cat", "dog"], "cls": ["a", "b", "c"]}
ENDS = (".onnx", ".pt2")
REAL = Path(__file__).resolve().parents[4] / "shared" / "test_data"


@pytest.fixture(scope="module")
def saved():
    """A network that has grown, with random weights that say something."""
    kinds = ("segmentation", "detection", "classification")
    named = zip(CLASSES.items(), kinds, strict=True)
    layout = layout_of_heads([(name, name, kind_of(kind), classes) for (name, classes), kind in named])
    torch.manual_seed(0)
    model = OneHeadNet(layout)
    for part in layout.heads[1:]:
        model.grow(part)
    nn.init.normal_(model.last.weight, std=0.1)
    return SavedModel(model.eval(), layout, SIZE, "challenge")


@pytest.fixture(scope="module")
def files(saved, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    for end in ENDS:
        export(saved, folder / f"model{end}")
    assert sorted(file.name for file in folder.iterdir()) == ["model.onnx", "model.pt2"]
    return folder


@pytest.fixture(scope="module")
def run(files):
    """Run either file on images, with nothing of this package."""
    session = onnxruntime.InferenceSession(files / "model.onnx", providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    program = torch.export.load(files / "model.pt2").module()

    def run(end, images):
        if end == ".pt2":
            return program(images)
        return dict(zip(names, map(torch.from_numpy, session.run(None, {"images": images.numpy()})), strict=True))

    return run


def close(found, expected):
    return bool(((found - expected).abs() <= TOLERANCE * expected.abs().max().clamp(min=1)).all())


@pytest.mark.parametrize("end", ENDS)
def test_a_file_says_what_the_network_says(run, saved, end):
    """The ten lines that read the outputs give the predictions of the network itself."""
    for sample in drawn("segmentation", "val", size=SIZE, count=4):
        found, expected = run(end, sample.image[None]), saved.predict(sample.image)
        assert list(found) == ["seg_scores", "det_boxes", "det_scores", "cls_probabilities"]
        mask = found["seg_scores"][0].argmax(dim=0)
        assert (mask == expected["seg"]["mask"]).float().mean() > 0.999  # two classes may tie at an edge
        assert close(found["cls_probabilities"][0], expected["cls"]["probabilities"])
        assert close(found["det_scores"][0].max(), expected["det"]["scores"][0])
        assert found["det_boxes"].shape == (1, (SIZE // 8) ** 2, 4)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(("batch", "height", "width"), [(1, 64, 320), (5, 96, 64), (2, 256, 224)])
def test_any_number_of_images_of_any_size_is_taken(run, saved, end, batch, height, width):
    images = torch.randint(0, 256, (batch, 3, height, width), dtype=torch.uint8)
    with torch.no_grad():
        expected = exported.Exportable(saved.model, saved.layout)(images)
    found = run(end, images)
    assert found["seg_scores"].shape == (batch, 3, height, width)
    assert found["det_scores"].shape == (batch, height * width // 64, 2)
    assert found["cls_probabilities"].shape == (batch, 3)
    assert all(close(found[name], value) for name, value in expected.items())


def test_pixels_reach_the_network_as_they_do_in_training(saved):
    heard = []
    images = torch.randint(0, 256, (2, 3, 32, 64), dtype=torch.uint8)
    hook = saved.model.register_forward_pre_hook(lambda module, given: heard.append(given[0]))
    with torch.no_grad():
        exported.Exportable(saved.model, saved.layout)(images)
    hook.remove()
    torch.testing.assert_close(heard[0], torch.stack([network_input(image) for image in images]))


@pytest.mark.skipif(not REAL.is_dir(), reason="shared/test_data beside the repository is not there")
@pytest.mark.parametrize("end", ENDS)
def test_real_pictures_have_the_outputs_of_torch(run, saved, end):
    pictures = sorted(REAL.glob("mini_voc_seg/val/*.jpg"))[:5] + sorted(REAL.glob("mini_coco_det/val/*.jpg"))[:5]
    assert len(pictures) == 10
    for picture in pictures:
        pixels = np.array(Image.open(picture).convert("RGB").resize((320, 256))).transpose(2, 0, 1)
        images = torch.from_numpy(pixels)[None]
        with torch.no_grad():
            expected = exported.Exportable(saved.model, saved.layout)(images)
        assert all(close(run(end, images)[name], value) for name, value in expected.items())


def test_both_files_say_what_they_are(files):
    session = onnxruntime.InferenceSession(files / "model.onnx", providers=["CPUExecutionProvider"])
    extra = {ABOUT: ""}
    torch.export.load(files / "model.pt2", extra_files=extra)
    for told in (session.get_modelmeta().custom_metadata_map[ABOUT], extra[ABOUT]):
        about = json.loads(told)
        assert (about["stream"], about["image_size"]) == ("challenge", SIZE)
        assert {head: each["classes"] for head, each in about["heads"].items()} == CLASSES
        assert about["heads"]["det"]["kind"] == "detection"
    (images,) = session.get_inputs()
    assert (images.name, images.shape, images.type) == ("images", ["batch", 3, "height", "width"], "tensor(uint8)")


def test_what_learned_in_half_precision_is_exported_in_single_precision(files, saved, tmp_path):
    half = replace(saved, model=copy.deepcopy(saved.model))
    half.model.precision = "bf16"
    export(half, tmp_path / "model.pt2")
    images = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    wanted, found = (torch.export.load(folder / "model.pt2").module()(images) for folder in (files, tmp_path))
    assert all(torch.equal(found[name], value) for name, value in wanted.items())
    assert half.model.precision == "bf16"


def test_a_file_of_another_name_is_refused(saved, tmp_path):
    with pytest.raises(UsageError, match=r"ends in \.onnx or \.pt2, got .*model\.pb"):
        export(saved, tmp_path / "model.pb")


def test_missing_packages_are_named_with_how_to_have_them(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(exported, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(UsageError, match=r'onnxscript is missing.*pip install -e "\.\[export\]"'):
        export(saved, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


class Undecided(nn.Module):
    """A network that goes by the values of an image, which no file of these can hold."""

    def forward(self, images):
        channels = 8 if images.sum() > 0 else 16
        return images[:, :1, ::8, ::8].expand(-1, channels, -1, -1)


class Drifting(nn.Module):
    """A network that says something else each time, as an exported one cannot."""

    def __init__(self, channels):
        super().__init__()
        self.channels, self.said = channels, 0.0

    def forward(self, images):
        self.said += 1.0
        return images[:, :1, ::8, ::8].expand(-1, self.channels, -1, -1) + self.said


@pytest.mark.parametrize("end", ENDS)
def test_a_network_that_cannot_be_exported_leaves_no_file(saved, tmp_path, end):
    own = SavedModel(Undecided(), saved.layout, SIZE, "challenge")
    with pytest.raises(WeightsError, match="cannot be exported"):
        export(own, tmp_path / f"model{end}")
    assert not list(tmp_path.iterdir())


def test_a_file_that_says_something_else_is_refused_and_leaves_none(saved, tmp_path):
    own = SavedModel(Drifting(saved.layout.channels), saved.layout, SIZE, "challenge")
    with pytest.raises(WeightsError, match=r"to differ by|cannot be exported"):
        export(own, tmp_path / "model.pt2")
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_named(saved, tmp_path):
    with pytest.raises(OutputError, match="nowhere"):
        export(saved, tmp_path / "nowhere" / "model.pt2")


@pytest.mark.slow
def test_exporting_says_nothing_of_its_own(saved, tmp_path, capfd, recwarn):
    export(saved, tmp_path / "model.onnx")
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list
