import importlib.metadata
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import onehead_avl.runs.identity
from onehead_avl.kinds.kind import kind_of
from onehead_avl.runs.config import Config
from onehead_avl.runs.identity import (
    Identities,
    digest_of,
    digest_of_code,
    digest_of_file,
    import_paths,
    other_place,
    other_results,
)
from scenarios.experience import Stream
from scenarios.samples.sample import Sample

CONFIG = Config(strategy=("ewc",), device="cpu").resolved()


def change_experience(stream, name, /, **values):
    """The stream with other values of one experience."""
    return Stream(
        stream.name, tuple(replace(each, **values) if each.name == name else each for each in stream.experiences)
    )


def change_image(stream, name, /, **values):
    """The stream with other values of the first validation image of one experience."""
    experience = stream.experiences[stream.task(name)]
    first, *others = experience.val
    changed = Sample(**{"name": first.name, "image": first.image, "annotation": first.annotation} | values)
    return change_experience(stream, name, val=[changed, *others])


def change_annotation(stream, name, /, **parts):
    sample = stream.experiences[stream.task(name)].val[0]
    return change_image(stream, name, annotation=dict(sample.annotation) | parts)


def val(stream, name):
    """The first validation image of an experience."""
    return stream.experiences[stream.task(name)].val[0]


def a_pixel(stream):
    image = val(stream, "cls").image.clone()
    image[0, 3, 3] ^= 1
    return change_image(stream, "cls", image=image)


def the_shape_of_an_image(stream):
    image = val(stream, "cls").image
    return change_image(stream, "cls", image=image.reshape(3, 16, 64))


def a_mask(stream):
    mask = val(stream, "seg").annotation["mask"].clone()
    mask[3, 3] ^= 1
    return change_annotation(stream, "seg", mask=mask)


def a_box(stream):
    return change_annotation(stream, "det", boxes=val(stream, "det").annotation["boxes"] + 0.5)


def a_box_class(stream):
    return change_annotation(stream, "det", labels=val(stream, "det").annotation["labels"] + 1)


def a_crowd(stream):
    return change_annotation(stream, "det", crowd=~val(stream, "det").annotation["crowd"])


def a_class(stream):
    return change_annotation(stream, "cls", label=val(stream, "cls").annotation["label"] + 1)


def a_class_name(stream):
    classes = stream.experiences[stream.task("cls")].classes
    return change_experience(stream, "cls", classes=(*classes[:-1], "another"))


def an_image_less(stream):
    return change_experience(stream, "seg", train=stream.experiences[0].train[1:])


def the_split(stream):
    train, held_out = stream.experiences[0].train, stream.experiences[0].val
    return change_experience(stream, "seg", train=train[:-1], val=[train[-1], *held_out])


def the_name_of_an_experience(stream):
    return change_experience(stream, "seg", name="roads")


def the_kind(stream):
    return change_experience(stream, "cls", kind=kind_of("detection"))


def a_head(stream):
    return change_experience(stream, "seg", head="shared")


def the_definition(stream):
    return Stream(stream.name, stream.experiences[::-1])


def one_experience_less(stream):
    return Stream(stream.name, stream.experiences[:-1])


CHANGES = (
    *(a_pixel, the_shape_of_an_image, a_mask, a_box, a_box_class, a_crowd, a_class, a_class_name),
    *(an_image_less, the_split, the_name_of_an_experience, the_kind, a_head, the_definition, one_experience_less),
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_another_stream_has_another_digest(stream, change):
    assert digest_of(change(stream)) != digest_of(stream)


def test_where_images_lie_and_what_they_are_called_means_nothing(stream):
    before = digest_of(stream)
    moved = change_experience(change_image(stream, "seg", name="x"), "seg", root=Path("elsewhere"))
    assert digest_of(moved) == before
    assert digest_of(replace(stream, name="another")) == before


def test_how_an_image_lies_in_memory_means_nothing(stream):
    image = val(stream, "cls").image
    turned = image.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert not turned.is_contiguous()
    assert digest_of(change_image(stream, "cls", image=turned)) == digest_of(stream)


def test_a_file_is_told_apart_by_what_is_in_it(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"start")
    other.write_bytes(b"start")
    assert digest_of_file(str(one)) == digest_of_file(str(other))
    other.write_bytes(b"Start")
    assert digest_of_file(str(one)) != digest_of_file(str(other))


def test_what_names_no_file_stands_for_itself():
    assert [digest_of_file(name) for name in ("imagenet", "none")] == ["imagenet", "none"]


@pytest.mark.parametrize("package", ["onehead_avl", "scenarios", "strategies"])
def test_other_sources_of_any_package_have_another_digest(tmp_path, monkeypatch, package):
    for name in ("onehead_avl", "scenarios", "strategies"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / "deep" / "file.py").write_text("a = 1\n")
    monkeypatch.setattr(onehead_avl, "__file__", str(tmp_path / "onehead_avl" / "__init__.py"))
    before = digest_of_code()
    assert digest_of_code() == before
    (tmp_path / package / "deep" / "file.py").write_text("a = 2\n")
    assert digest_of_code() != before


@pytest.fixture
def changes(stream):
    """The names of what changed in the identity of a run, for another configuration, stream or surroundings."""
    before = Identities(stream).of(CONFIG)

    def changes(config=CONFIG, stream=stream):
        found = Identities(stream).of(config)
        return {name for name in before.keys() | found.keys() if before.get(name) != found.get(name)}

    return changes


def test_what_means_nothing_to_results_is_no_part_of_the_identity(changes, tmp_path):
    assert changes() == set()
    assert changes(replace(CONFIG, output=tmp_path, workers=2, checkpoint_every=1, resume=True)) == set()
    assert changes(replace(CONFIG, data=tmp_path)) == set()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"strategy": ("naive",)}, "--strategy"),
        ({"seeds": (4,)}, "--seeds"),
        ({"order": ("det", "seg", "cls")}, "--order"),
        ({"epochs": (9, 9, 9)}, "--epochs"),
        ({"image_size": 96}, "--image-size"),
        ({"replay_size": 9}, "--replay-size"),
        ({"set": ("ewc.lambda=3",)}, "the strategy's options"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_option_that_may_change_results_is_part_of_the_identity(changes, change, name):
    assert name in changes(replace(CONFIG, **change))


def test_a_baseline_has_no_part_in_what_methods_are_told(stream):
    joint = replace(CONFIG, strategy=("joint",), set=())
    more = replace(joint, replay_size=9, set=("ewc.lambda=3",))
    assert Identities(stream).of(joint) == Identities(stream).of(more)


def test_the_data_the_program_and_the_weights_count_by_their_content(changes, stream, tmp_path, monkeypatch):
    assert changes(stream=a_pixel(stream)) == {"the data"}
    weights = tmp_path / "start.pth"
    weights.write_bytes(b"one")
    config = replace(CONFIG, backbone_weights=str(weights))
    before = Identities(stream).of(config)["the backbone's weights"]
    weights.write_bytes(b"two")
    assert Identities(stream).of(config)["the backbone's weights"] != before
    monkeypatch.setattr(onehead_avl.runs.identity, "digest_of_code", lambda: "other sources")
    assert changes() == {"the program"}


def test_another_number_of_threads_is_another_identity(changes, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1234)
    assert changes() == {"the threads"}


def test_an_identity_is_what_a_file_gives_back(stream):
    found = Identities(stream).of(CONFIG)
    assert json.loads(json.dumps(found)) == found


def test_what_runs_have_in_common_is_digested_once(stream, monkeypatch):
    identities = Identities(stream)
    monkeypatch.setattr(onehead_avl.runs.identity, "digest_of", None)
    monkeypatch.setattr(onehead_avl.runs.identity, "digest_of_code", None)
    assert identities.of(CONFIG)["the data"] == identities.of(replace(CONFIG, seeds=(7,)))["the data"]


def test_every_import_path_of_a_configuration_is_found_once(file):
    own = file(
        '{name: a, kind: "my_kinds:Kind", format: "my_readers:read"}',
        '{name: b, kind: "my_kinds:Kind", path: .}',
        "{name: c, kind: detection, format: drawn}",
    )
    config = Config(stream=own, strategy=("naive", "mine:A", "mine:B"), plugin=("more:P", "mine:A"))
    detection = "onehead_avl.kinds.detection:Detection"
    assert import_paths(config) == ["mine:A", "mine:B", "more:P", "my_kinds:Kind", detection, "my_readers:read"]
    assert not [name for name in import_paths(Config()) if not name.startswith("onehead_avl.")]


def test_the_code_of_every_module_that_is_imported_by_its_path_is_named(stream, write, file):
    own = file('{name: seg, kind: "my_kinds:Kind", format: "my_readers:read"}')
    modules = {"my_kinds": "", "my_readers": "", "my_strategies": "import my_parts", "my_plugins": "", "my_parts": ""}
    for name, text in modules.items():
        write(name, text)
    values = {"stream": own, "strategy": ("my_strategies:S",), "plugin": ("my_plugins:P",)}
    config = replace(Config(**values), seeds=(0,)).resolved()
    before = Identities(stream).of(config)
    assert [name for name in before if name.startswith("the code of ")] == [
        f"the code of my_{name}" for name in ("strategies", "plugins", "kinds", "readers")
    ]

    def changed(name, text):
        write(name, text)
        found = Identities(stream).of(config)
        write(name, modules[name])
        return [each for each in found if found[each] != before[each]]

    for name in ("strategies", "plugins", "kinds", "readers"):
        assert changed(f"my_{name}", "import my_parts # edited") == [f"the code of my_{name}"]
    assert changed("my_parts", "edited = 1") == ["the code of my_strategies"]
    write("my_stranger", "edited = 2")
    assert Identities(stream).of(config) == before


def test_code_is_that_of_when_it_was_first_asked_for(stream, write):
    write("my_strategies", "")
    config = replace(CONFIG, strategy=("my_strategies:S",), set=())
    identities = Identities(stream)
    before = identities.of(config)
    write("my_strategies", "edited = 1")
    assert identities.of(config) == before
    assert Identities(stream).of(config) != before


def test_what_an_installed_package_gives_is_known_by_its_version(stream):
    own = replace(CONFIG, strategy=("avalanche.training.supervised:LwF",), set=())
    version = importlib.metadata.version("avalanche-lib")
    found = Identities(stream).of(own)
    assert found["the code of avalanche.training.supervised"] == f"avalanche-lib {version}"
    assert found["the avalanche-lib"] == version


def test_packages_that_somebodys_code_imports_are_part_of_the_identity(stream, write):
    write("my_strategies", "def build():\n    import yaml, torch")
    found = Identities(stream).of(replace(CONFIG, strategy=("my_strategies:build",), set=()))
    assert found["the PyYAML"] == importlib.metadata.version("PyYAML")
    assert "the PyYAML" not in Identities(stream).of(CONFIG)


def test_changes_are_told_apart_by_whether_the_results_are_of_something_else():
    before = {"--seeds": [0], "the data": "a", "the code of mine": "b", "the torch": "2.5", "the threads": 2}
    now = {"--seeds": [1], "the data": "a", "the torch": "2.6", "the threads": 2, "the timm": "1.0"}
    assert other_results(before, now) == {"--seeds": ([0], [1]), "the code of mine": ("b", None)}
    assert other_place(before, now) == {"torch": ("2.5", "2.6"), "timm": (None, "1.0")}
    assert other_results(before, before) == other_place(now, now) == {}
