from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2.functional import resize

from onehead_avl.model.input import network_input
from onehead_avl.model.saved import load_model
from onehead_avl.report.shown import FILE, read_shown
from onehead_avl.runs.shown import PREDICTIONS
from onehead_avl.target import Target


@pytest.fixture(scope="module")
def shown(trained):
    return read_shown(trained[0] / FILE)


def test_all_validation_images_of_a_small_set_are_shown_after_every_stage(shown, trained):
    names = [each.experience for each in shown]
    assert names == ["seg"] * 2 + ["det"] * 2 + ["cls"] * 3
    assert all(len(each.predictions) == len(each.values) == 3 for each in shown)
    assert not (trained[0] / PREDICTIONS).exists()


def test_what_was_predicted_last_is_what_the_saved_weights_say(shown, trained):
    saved = load_model(trained[0] / "model.safetensors")
    for each in shown:
        pixels = np.array(Image.open(each.name).convert("RGB"))
        found = saved.predict(pixels)[each.experience]
        assert each.predictions[-1].keys() == found.keys()
        for name, value in found.items():
            assert torch.allclose(each.predictions[-1][name].double(), value.double(), atol=1e-3)


def test_the_value_of_an_image_is_the_metric_of_it_alone(shown, trained):
    saved = load_model(trained[0] / "model.safetensors")
    layout = saved.layout
    for each in shown:
        task = layout.names.index(each.experience)
        metric = layout.parts[task].kind.metric(layout.parts[task].classes)
        kept = {name: value if name != "mask" else value.to(torch.uint8) for name, value in each.annotation.items()}
        target = Target.single(task, each.image.shape[-2:], kept)
        logits = _logits(saved, np.array(Image.open(each.name).convert("RGB")))
        metric.update(layout.parts[task].of(logits), target)
        value = metric.result()[metric.names[0]]
        assert each.values[-1] == (None if value is None else pytest.approx(value, abs=1e-4))


def _logits(saved, pixels):
    image = torch.from_numpy(pixels).permute(2, 0, 1)
    with torch.no_grad():
        return saved.model(network_input(resize(image, [saved.image_size] * 2, antialias=True))[None])


def test_annotations_are_those_of_the_data(shown, shared_mini_root):
    for each in shown:
        if each.experience == "seg":
            mask = np.array(Image.open(Path(each.name).with_suffix(".png")))
            assert np.array_equal(each.annotation["mask"].numpy(), mask)
    assert {each.annotation["label"].item() for each in shown if each.experience == "cls"} == {0, 1, 2}


def test_of_networks_of_their_own_only_the_own_stage_counts(train, tmp_path):
    answer = train(tmp_path / "run", "--strategy", "from-scratch", "--order", "seg", "cls")
    assert answer.status == 0, answer.err
    for each in read_shown(tmp_path / "run" / FILE):
        own = ["seg", "cls"].index(each.experience)
        assert [parts is not None for parts in each.predictions] == [stage == own for stage in range(2)]
        assert all((value is None) == (stage != own) for stage, value in enumerate(each.values))


def test_the_seed_decides_which_images_are_shown(train_own, few_drawn, tmp_path):
    names = []
    for seed in (0, 1):
        answer = train_own(tmp_path / str(seed), "--order", "cls", "--seeds", seed)
        assert answer.status == 0, answer.err
        shown = read_shown(tmp_path / str(seed) / FILE)
        assert len(shown) == 6
        names.append([each.name for each in shown])
    assert names[0] != names[1]
