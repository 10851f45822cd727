import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from onehead_avl.errors import OutputError, UsageError, WeightsError
from onehead_avl.model.network import OneHeadNet
from onehead_avl.model.saved import load_model, save_model
from onehead_avl.tasks import Task

CLASSES = {
    Task.CLS: ["tench", "dog", "player", "saw", "church", "horn"],  # not in the order of the tasks
    Task.SEG: ["background", "cat", "cow", "übung"],
    Task.DET: ["person", "car", "dining table"],
}


@pytest.fixture
def saved(tmp_path, layout):
    """A network and the file it was written to."""
    model = OneHeadNet(layout)
    save_model(tmp_path / "model.safetensors", model, CLASSES, 96)
    return model, tmp_path / "model.safetensors"


def content_of(path):
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def assert_refused(path):
    with pytest.raises(WeightsError) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pretrained": True},
        {"backbone": "mobilenet_v3_large"},
        {"backbone": "efficientnet_b0", "pretrained": True},
        {"channels": 64},
    ],
    ids=str,
)
def test_what_was_written_gives_the_same_outputs(tmp_path, layout, options):
    model = OneHeadNet(layout, **options)
    for buffer in model.buffers():
        if buffer.is_floating_point():
            buffer.add_(0.1)
    save_model(tmp_path / "m.safetensors", model.train(), CLASSES, 64)
    loaded = load_model(tmp_path / "m.safetensors").model
    image = torch.randn(1, 3, 64, 32)
    with torch.no_grad():
        assert torch.equal(loaded(image), model.eval()(image))


def test_the_file_says_what_the_network_is(saved, layout):
    model, path = saved
    loaded = load_model(path)
    assert loaded.image_size == 96
    assert loaded.classes == {task: tuple(names) for task, names in CLASSES.items()}
    assert loaded.model.layout == layout
    assert loaded.model.backbone.name == model.backbone.name
    assert loaded.model.backbone.pretrained is False


def test_a_loaded_network_is_ready_to_be_used(saved):
    assert not any(module.training for module in load_model(saved[1]).model.modules())


def test_writing_does_not_change_the_network(tmp_path, layout):
    model = OneHeadNet(layout).to(memory_format=torch.channels_last).train()
    save_model(tmp_path / "m.safetensors", model, CLASSES, 32)
    assert model.training
    assert model.head[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert model.head[0].weight.requires_grad


def test_writing_replaces_the_file_and_leaves_nothing_else(saved):
    model, path = saved
    save_model(path, model, CLASSES, 128)
    assert load_model(path).image_size == 128
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_an_output_error(tmp_path, layout):
    with pytest.raises(OutputError, match="could not be written"):
        save_model(tmp_path / "nowhere" / "m.safetensors", OneHeadNet(layout), CLASSES, 32)


@pytest.mark.parametrize("name", ["none.safetensors", "."])
def test_a_missing_file_is_a_usage_error(tmp_path, name):
    with pytest.raises(UsageError, match="found no file at") as caught:
        load_model(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not weights at all" * 20, b"{}"])
def test_garbage_is_refused(tmp_path, content):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    assert_refused(path)


def test_a_truncated_file_is_refused(saved):
    _, path = saved
    path.write_bytes(path.read_bytes()[:-1000])
    assert_refused(path)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"onehead_avl": "not JSON"}, {"onehead_avl": "[1]"}])
def test_weights_that_something_else_wrote_are_refused(saved, metadata):
    _, path = saved
    save_file(content_of(path)[0], path, metadata=metadata)
    assert_refused(path)


@pytest.mark.parametrize("missing", ["backbone", "pretrained", "channels", "classes", "image_size"])
def test_an_incomplete_description_is_refused(saved, missing):
    _, path = saved
    state, metadata = content_of(path)
    about = json.loads(metadata["onehead_avl"])
    del about[missing]
    save_file(state, path, metadata={"onehead_avl": json.dumps(about)})
    assert_refused(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("backbone", value) for value in ("resnet50", 3, [])),
        *(("pretrained", value) for value in ("no", 0, True)),
        *(("channels", value) for value in (0, -8, 12, 64, 10**6, 10**30, 128.0)),
        *(("image_size", value) for value in (0, -32, 100, 96.0, [96], None)),
        *(("classes", value) for value in ([], {}, {"seg": ["a"] * 4, "det": ["b"] * 3, "cls": "abcdef"})),
        ("classes", {"seg": ["a"] * 4, "det": ["b"] * 3, "cls": [1] * 6}),
    ],
    ids=str,
)
def test_a_description_of_another_or_an_impossible_network_is_refused(saved, name, value):
    _, path = saved
    state, metadata = content_of(path)
    about = {**json.loads(metadata["onehead_avl"]), name: value}
    save_file(state, path, metadata={"onehead_avl": json.dumps(about)})
    assert_refused(path)


def test_tensors_of_another_network_are_refused(saved):
    _, path = saved
    state, metadata = content_of(path)
    for broken in (
        {name: value for name, value in state.items() if name != "head.4.bias"},
        {**state, "surplus": torch.zeros(1)},
        {**state, "head.4.bias": torch.zeros(2)},
        {**state, "head.4.bias": state["head.4.bias"].double()},
        {**state, "head.4.bias": torch.full_like(state["head.4.bias"], torch.inf)},
    ):
        save_file(broken, path, metadata=metadata)
        assert_refused(path)
