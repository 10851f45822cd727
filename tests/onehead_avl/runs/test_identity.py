from dataclasses import replace
from pathlib import Path

import pytest
import torch

import onehead_avl.runs.identity
from onehead_avl.kinds.kind import kind_of
from onehead_avl.runs.config import Config
from onehead_avl.runs.identity import digest_of, digest_of_code, digest_of_file, identity
from scenarios.experience import Stream

CPU = torch.device("cpu")


def change_experience(stream, name, /, **values):
    """The stream with other values of one experience."""
    return Stream(
        stream.name, tuple(replace(each, **values) if each.name == name else each for each in stream.experiences)
    )


def change_image(stream, name, /, **values):
    """The stream with other values of the first validation image of one experience."""
    experience = stream.experiences[stream.task(name)]
    return change_experience(stream, name, val=[replace(experience.val[0], **values), *experience.val[1:]])


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


def test_the_identity_is_of_everything_but_the_command_line(stream, tmp_path, monkeypatch):
    weights = tmp_path / "start.pth"
    weights.write_bytes(b"one")
    config = Config(strategy=("ewc",), backbone_weights=str(weights)).resolved()
    before = identity(config, stream, CPU)
    assert identity(replace(config, epochs=(9, 9, 9), output=tmp_path), stream, CPU) == before

    def changed(config=config, stream=stream):
        found = identity(config, stream, CPU)
        assert found.keys() == before.keys()
        return {name for name, value in found.items() if value != before[name]}

    assert changed(stream=a_pixel(stream)) == {"the data"}
    assert changed(config=replace(config, set=("ewc.lambda=3",))) == {"the strategy's options"}
    weights.write_bytes(b"two")
    assert changed() == {"the backbone's weights"}
    weights.write_bytes(b"one")
    monkeypatch.setattr(onehead_avl.runs.identity, "digest_of_code", lambda: "other sources")
    assert changed() == {"the program"}


def test_another_number_of_threads_is_another_identity(stream, monkeypatch):
    config = Config().resolved()
    before = identity(config, stream, CPU)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1234)
    found = identity(config, stream, CPU)
    assert [name for name in before if found[name] != before[name]] == ["the threads"]
