import importlib.util
import json
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from onehead_avl.errors import OutputError, TrainingError, UsageError, WeightsError
from onehead_avl.kinds.classification import Classification
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.layout import layout_of_heads
from onehead_avl.model.network import OneHeadNet
from onehead_avl.model.saved import Origin, load_model, save_model
from onehead_avl.system.importing import import_attribute
from onehead_avl.target import Target


@pytest.fixture
def saved(tmp_path, layout):
    """A network and the file it was written to."""
    model = OneHeadNet(layout)
    save_model(tmp_path / "model.safetensors", model, layout, 96, "challenge")
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
        {"backbone": "timm:test_efficientnet"},
        {"backbone": "timm:test_resnet.r160_in1k", "pretrained": True},
    ],
    ids=str,
)
def test_what_was_written_gives_the_same_outputs(tmp_path, layout, options):
    model = OneHeadNet(layout, **options)
    state = model.state_dict()
    for name, buffer in model.named_buffers():
        if name in state and buffer.is_floating_point():
            buffer.add_(0.1)
    save_model(tmp_path / "m.safetensors", model.train(), layout, 64, "challenge")
    loaded = load_model(tmp_path / "m.safetensors").model
    image = torch.randn(1, 3, 64, 32)
    with torch.no_grad():
        assert torch.equal(loaded(image), model.eval()(image))


def test_a_network_that_grew_comes_back_with_its_columns(tmp_path, layout):
    model = OneHeadNet(layout, channels=16)
    for head in ("cls", "det", "cls"):
        model.grow(layout.part_of(head))
    save_model(tmp_path / "m.safetensors", model.eval(), layout, 64, "challenge")
    loaded = load_model(tmp_path / "m.safetensors").model
    assert [column.serves for column in loaded.grown] == ["cls", "det", "cls"]
    image = torch.randn(1, 3, 64, 32)
    with torch.no_grad():
        assert torch.equal(loaded(image), model(image))


def test_a_network_computes_with_the_same_numbers_after_it_was_written(tmp_path, layout):
    model = OneHeadNet(layout, channels=16).eval()
    model.precision = "bf16"
    save_model(tmp_path / "m.safetensors", model, layout, 64, "challenge")
    loaded = load_model(tmp_path / "m.safetensors").model
    assert loaded.precision == "bf16"
    image = torch.randn(1, 3, 64, 32)
    with torch.no_grad():
        assert torch.equal(loaded(image), model(image))


def test_weights_that_were_written_before_there_was_a_choice_are_float32(saved):
    _, path = saved
    state, metadata = content_of(path)
    about = json.loads(metadata["onehead_avl"])
    assert about.pop("precision") == "float32"
    save_file(state, path, metadata={"onehead_avl": json.dumps(about)})
    assert load_model(path).model.precision == "float32"


@pytest.mark.parametrize("columns", [["other"], "cls", ["cls", "cls"], [["cls"]], 1, None])
def test_columns_of_another_or_an_impossible_network_are_refused(tmp_path, layout, columns):
    model = OneHeadNet(layout, channels=16)
    model.grow(layout.part_of("cls"))
    save_model(path := tmp_path / "m.safetensors", model, layout, 64, "challenge")
    state, metadata = content_of(path)
    about = json.loads(metadata["onehead_avl"])
    assert about["columns"] == ["cls"]
    save_file(state, path, {"onehead_avl": json.dumps(about | {"columns": columns})})
    assert_refused(path)


@pytest.mark.parametrize("name", ["mobilenetv3_small_100", "convnext_atto"])
def test_a_network_of_timm_that_learned_is_the_same_after_it_was_written(tmp_path, layout, name, monkeypatch):
    monkeypatch.setattr("timm.models._builder.load_pretrained", None)  # nothing is downloaded
    model = OneHeadNet(layout, f"timm:{name}").train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    target = Target.single(2, (64, 64), {"label": 1})
    MultiTaskLoss(layout)(model(torch.randn(1, 3, 64, 64)), target).backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    moved = [
        not torch.equal(value, before[key]) for key, value in model.backbone.state_dict(prefix="backbone.").items()
    ]
    assert sum(moved) > len(moved) / 2
    save_model(tmp_path / "m.safetensors", model, layout, 64, "challenge")
    loaded = load_model(tmp_path / "m.safetensors").model
    image = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        assert torch.equal(loaded(image), model.eval()(image))
    assert loaded.backbone.name == f"timm:{name}"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet50", "unknown backbone 'resnet50': expected one of mobilenet_v3_small, "),
        ("timm:hf-hub:timm/resnet18", "timm has no network of that name"),
        ("timm:test_vit", "expected features at strides 8, 16 and 32, found 16"),
    ],
)
def test_a_backbone_that_is_not_there_is_named(saved, name, message):
    _, path = saved
    state, metadata = content_of(path)
    save_file(
        state, path, metadata={"onehead_avl": json.dumps(json.loads(metadata["onehead_avl"]) | {"backbone": name})}
    )
    with pytest.raises(WeightsError, match=message) as caught:
        load_model(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_network_of_timm_says_that_it_needs_timm(tmp_path, layout, monkeypatch):
    path = tmp_path / "m.safetensors"
    save_model(path, OneHeadNet(layout, "timm:test_resnet"), layout, 64, "challenge")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r'needs the package timm, .* pip install "onehead-avl\[timm\]"'):
        load_model(path)


def test_the_file_says_what_the_network_is(saved, layout):
    model, path = saved
    loaded = load_model(path)
    assert loaded.image_size == 96
    assert loaded.stream == "challenge"
    assert loaded.model.layout == layout
    assert loaded.model.backbone.name == model.backbone.name
    assert loaded.model.backbone.pretrained is False


def test_a_loaded_network_is_ready_to_be_used(saved):
    assert not any(module.training for module in load_model(saved[1]).model.modules())


def test_writing_does_not_change_the_network(tmp_path, layout):
    model = OneHeadNet(layout).to(memory_format=torch.channels_last).train()
    save_model(tmp_path / "m.safetensors", model, layout, 32, "challenge")
    assert model.training
    assert model.head[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert model.head[0].weight.requires_grad


def test_writing_replaces_the_file_and_leaves_nothing_else(saved, layout):
    model, path = saved
    save_model(path, model, layout, 128, "challenge")
    assert load_model(path).image_size == 128
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_an_output_error(tmp_path, layout):
    with pytest.raises(OutputError, match="could not be written"):
        save_model(tmp_path / "nowhere" / "m.safetensors", OneHeadNet(layout), layout, 32, "challenge")


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


@pytest.mark.parametrize(
    "missing", ["backbone", "pretrained", "channels", "experiences", "image_size", "stream", "version"]
)
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
        *(("experiences", value) for value in ([], {}, 3, ["seg"], [{"name": "seg"}])),
        *(("stream", value) for value in (None, 3, [])),
        *(("precision", value) for value in (None, 16, "fp16", [], ["bf16"])),
    ],
    ids=str,
)
def test_a_description_of_another_or_an_impossible_network_is_refused(saved, name, value):
    _, path = saved
    state, metadata = content_of(path)
    about = {**json.loads(metadata["onehead_avl"]), name: value}
    save_file(state, path, metadata={"onehead_avl": json.dumps(about)})
    assert_refused(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("name", value) for value in (3, None, [])),
        *(("head", value) for value in (3, None, "det")),
        *(("kind", value) for value in (3, None, "depth", "detection", ["segmentation"])),
        *(("classes", value) for value in ("abcd", {}, [1] * 4, [], ["a"] * 5, None)),
    ],
    ids=str,
)
def test_an_experience_that_is_another_or_none_is_refused(saved, key, value):
    _, path = saved
    state, metadata = content_of(path)
    about = json.loads(metadata["onehead_avl"])
    about["experiences"][0][key] = value
    save_file(state, path, metadata={"onehead_avl": json.dumps(about)})
    assert_refused(path)


@pytest.mark.parametrize("version", [None, 2, 4, "3"])
def test_weights_of_another_version_are_refused(saved, version):
    _, path = saved
    state, metadata = content_of(path)
    about = json.loads(metadata["onehead_avl"]) | {"version": version}
    if version is None:
        del about["version"]
    save_file(state, path, metadata={"onehead_avl": json.dumps(about)})
    with pytest.raises(WeightsError, match=r"expected weights of version 3, found .*: another version of onehead-avl"):
        load_model(path)


def test_shared_heads_and_repeated_kinds_come_back(tmp_path):
    kind = kind_of("classification")
    layout = layout_of_heads(
        [("day", "day", kind, ("a", "b")), ("other", "other", kind, ("c",)), ("night", "day", kind, ("a", "b"))]
    )
    save_model(tmp_path / "m.safetensors", OneHeadNet(layout, channels=16), layout, 32, "mine")
    loaded = load_model(tmp_path / "m.safetensors")
    assert loaded.model.layout == layout
    assert loaded.model.layout.parts[0] is loaded.model.layout.parts[2]


class Mine(Classification):
    """A kind that only this test knows."""

    name = "mine"


def test_a_kind_by_import_path_is_built_only_if_it_was_named(tmp_path, monkeypatch):
    module = type(sys)("somebodys_kinds")
    module.Mine = Mine
    monkeypatch.setattr(Mine, "__module__", "somebodys_kinds")
    monkeypatch.setitem(sys.modules, "somebodys_kinds", module)
    layout = layout_of_heads([("it", "it", Mine(), ("a", "b"))])
    path = tmp_path / "m.safetensors"
    save_model(path, OneHeadNet(layout, channels=16), layout, 32, "mine")
    with pytest.raises(WeightsError, match="'it' is of the kind 'somebodys_kinds:Mine', which is not imported"):
        load_model(path)
    assert load_model(path, kinds=["somebodys_kinds:Mine"]).model.layout == layout


def test_what_a_file_names_is_not_imported_because_the_file_says_so(saved, monkeypatch):
    _, path = saved
    (path.parent / "left_behind.py").write_text("from pathlib import Path\nPath('was_run').touch()\n")
    monkeypatch.chdir(path.parent)
    state, metadata = content_of(path)
    about = json.loads(metadata["onehead_avl"])
    about["experiences"][0]["kind"] = "left_behind:Kind"
    save_file(state, path, metadata={"onehead_avl": json.dumps(about)})
    with pytest.raises(WeightsError, match="'seg' is of the kind 'left_behind:Kind', which is not imported"):
        load_model(path, kinds=["left_behind:Other"])
    assert not (path.parent / "was_run").exists()
    assert "left_behind" not in sys.modules


def test_two_experiences_of_one_name_are_refused(saved):
    _, path = saved
    state, metadata = content_of(path)
    about = json.loads(metadata["onehead_avl"])
    about["experiences"][0]["name"] = "cls"
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


# Networks of another make

OWN = """
    from torch import nn

    class Net(nn.Module):
        def __init__(self, layout, width=4, slope=0.5, mode="zeros"):
            super().__init__()
            self.inner = nn.Conv2d(3, width, 8, stride=8, padding_mode=mode)
            self.slope = nn.LeakyReLU(slope)
            self.last = nn.Conv2d(width, layout.channels, 1)

        def forward(self, image):
            return self.last(self.slope(self.inner(image)))

    class Tied(Net):
        def __init__(self, layout):
            super().__init__(layout, layout.channels)
            self.again = nn.Conv2d(layout.channels, layout.channels, 1)
            self.again.weight = self.last.weight

        def forward(self, image):
            return self.again(super().forward(image))

    def number(layout):
        return 3

    def fails(layout):
        raise RuntimeError("on purpose")
"""
OPTIONS = {"width": 6, "slope": 0.25, "mode": "zeros"}


@pytest.fixture
def own(write, tmp_path, layout):
    """Save a network of another make, and give it and its file."""
    write("own_networks", OWN)

    def own(name, options=(), origin=True):
        model = import_attribute(f"own_networks:{name}")(layout, **dict(options))
        with torch.no_grad():
            for value in model.parameters():
                value.add_(torch.randn_like(value))
        path = tmp_path / f"{name}.safetensors"
        made = Origin(f"own_networks:{name}", dict(options)) if origin else None
        save_model(path, model, layout, 96, "mine", made)
        return model, path

    return own


def rewritten(path, **changes):
    """Change the description in a file."""
    state, metadata = content_of(path)
    save_file(state, path, metadata={"onehead_avl": json.dumps(json.loads(metadata["onehead_avl"]) | changes)})


@pytest.mark.parametrize(("name", "options"), [("Net", {}), ("Net", OPTIONS), ("Tied", {})], ids=str)
def test_a_network_of_another_make_comes_back_with_its_options(own, layout, name, options):
    model, path = own(name, options)
    loaded = load_model(path, network=f"own_networks:{name}")
    assert type(loaded.model) is type(model)
    assert not loaded.model.training
    assert (loaded.layout, loaded.image_size, loaded.stream) == (layout, 96, "mine")
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(loaded.model(image), model.eval()(image))


def test_weights_that_two_layers_share_are_saved_and_shared_again(own):
    model, path = own("Tied")
    state, _ = content_of(path)
    assert torch.equal(state["last.weight"], state["again.weight"])
    loaded = load_model(path, network="own_networks:Tied").model
    assert loaded.again.weight is loaded.last.weight
    assert torch.equal(loaded.last.weight, model.last.weight)


def test_without_what_builds_it_a_file_names_the_class_of_the_network(own):
    _, path = own("Net", origin=False)
    about = json.loads(content_of(path)[1]["onehead_avl"])
    assert (about["network"], about["options"]) == ("own_networks:Net", {})


def test_a_network_of_another_make_is_not_imported_because_a_file_says_so(own, monkeypatch):
    _, path = own("Net")
    monkeypatch.delitem(sys.modules, "own_networks")
    with pytest.raises(WeightsError) as caught:
        load_model(path)
    assert str(caught.value) == (
        f"{path}: the network is own_networks:Net, which is not imported because a file of weights says so; name what "
        "builds it from the layout with --model"
    )
    assert "own_networks" not in sys.modules


def test_a_name_for_our_own_network_is_refused(saved):
    _, path = saved
    with pytest.raises(UsageError) as caught:
        load_model(path, network="own_networks:Net")
    assert str(caught.value) == (
        f"{path}: expected weights of own_networks:Net, found those of this package's network; leave it out"
    )


@pytest.mark.parametrize("name", ["Tied", "Net"])
def test_a_network_with_other_tensors_is_refused(own, name):
    _, path = own("Net", OPTIONS)
    rewritten(path, options={})
    with pytest.raises(WeightsError, match="found something else"):
        load_model(path, network=f"own_networks:{name}")


@pytest.mark.parametrize("options", [{"width": [4]}, {"width": None}, {"width": True}, {"width": {}}, [], 3, None])
def test_options_that_are_no_numbers_or_texts_are_refused(own, options):
    _, path = own("Net")
    rewritten(path, options=options)
    with pytest.raises(WeightsError, match="found something else"):
        load_model(path, network="own_networks:Net")


@pytest.mark.parametrize("network", [3, [], True])
def test_a_network_that_has_no_name_is_refused(own, network):
    _, path = own("Net")
    rewritten(path, network=network)
    for name in (None, "own_networks:Net"):
        with pytest.raises(WeightsError, match="found something else"):
            load_model(path, network=name)


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("own_networks:number", UsageError, "own_networks:number: expected a network of PyTorch's, found int"),
        ("own_networks:fails", TrainingError, "own_networks:fails could not be built: RuntimeError in own_networks.py"),
        ("own_networks:Nothing", UsageError, "found no such name"),
        ("no_such_module:Net", UsageError, "cannot be imported"),
    ],
)
def test_a_path_that_builds_no_network_is_refused_by_name(own, name, kind, reason):
    _, path = own("Net")
    with pytest.raises(kind) as caught:
        load_model(path, network=name)
    assert reason in str(caught.value)


def test_options_that_the_network_does_not_take_are_refused(own):
    _, path = own("Net")
    rewritten(path, options={"height": 3})
    with pytest.raises(UsageError, match=r"own_networks:Net cannot be called with layout, height \("):
        load_model(path, network="own_networks:Net")
