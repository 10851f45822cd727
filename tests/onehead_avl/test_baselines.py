import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from onehead_avl.baselines import BaselineCache, canonical, digest_of, single_task_of
from onehead_avl.config import Config
from onehead_avl.tasks import Task
from scenarios.embedded import embedded_data
from strategies.named import BASELINES

CONFIG = Config(epochs=(3, 2, 1), backbone_weights="none").resolved()
RESULTS = {
    "strategy": "from-scratch",
    "order": ["seg", "det", "cls"],
    "metrics": {"outcomes": {"mIoU": {"just_learned": 0.25}, "AP": {"just_learned": None}}},
}


@pytest.fixture(scope="module")
def pictures():
    return [embedded_data(task, size=32, n_train=2, n_val=1) for task in Task]


@pytest.fixture
def data(pictures):
    return copy.deepcopy(pictures)


@pytest.fixture
def cache(data, tmp_path):
    """A cache that knows the baselines of seed 0."""
    cache = BaselineCache(data, tmp_path / "cache")
    for strategy in BASELINES:
        cache.keep(CONFIG, strategy, 0, RESULTS | {"strategy": strategy})
    return cache


def found(cache, config=CONFIG, strategy="from-scratch", seed=0):
    return cache.find(config, strategy, seed)


def change_first(data, task, **parts):
    """Change the first validation picture of a task."""
    data[task].val[0] = replace(data[task].val[0], **parts)
    return data


def test_an_empty_cache_knows_nothing(data, tmp_path):
    cache = BaselineCache(data, tmp_path / "nowhere")
    assert found(cache) is None
    assert cache.single_task(CONFIG, 0) == {}
    assert not (tmp_path / "nowhere").exists()


def test_what_was_kept_is_found_again(cache, data, tmp_path):
    for again in (
        cache,
        BaselineCache(copy.deepcopy(data), tmp_path / "cache"),
        BaselineCache(data[::-1], tmp_path / "cache"),
    ):
        assert found(again) == RESULTS
        assert found(again, strategy="joint") == RESULTS | {"strategy": "joint"}
        assert again.single_task(CONFIG, 0) == {"mIoU": 0.25, "AP": None}
        assert again.single_task(CONFIG, 1) == {}


def test_another_seed_is_another_baseline(cache):
    assert found(cache, seed=1) is None


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": (3, 2, 2)},
        {"epochs": (2, 3, 1)},
        {"order": ("seg", "det"), "epochs": (3, 2)},
        {"image_size": 96},
        {"batch_size": 9},
        {"backbone": "efficientnet_b0"},
        {"backbone_weights": "imagenet"},
        {"eval_every": 1},  # to evaluate takes from the random numbers
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_configuration_that_may_change_the_results_is_another_baseline(cache, change):
    assert found(cache, replace(CONFIG, **change)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"output": Path("elsewhere")},
        {"replay_size": 3, "replay_batch": 1},
        {"strategy": ("naive", "ewc"), "set": ("ewc.lambda=3",), "seeds": (0, 1, 2)},
        {"data": Path("the same pictures elsewhere")},
        {"order": ("cls", "seg", "det"), "epochs": (1, 3, 2)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_means_nothing_to_a_baseline_is_the_same_baseline(cache, change):
    assert found(cache, replace(CONFIG, **change)) == RESULTS


def test_what_was_run_in_another_order_is_not_kept_for_its_random_numbers_differ(data, tmp_path):
    cache = BaselineCache(data, tmp_path / "cache")
    cache.keep(replace(CONFIG, order=("cls", "seg", "det"), epochs=(1, 3, 2)), "from-scratch", 0, RESULTS)
    assert found(cache) is None


def test_the_canonical_order_takes_the_epochs_along():
    config = replace(CONFIG, order=("cls", "seg", "det"), epochs=(1, 3, 2))
    assert canonical(config) == CONFIG == canonical(CONFIG)
    assert canonical(replace(CONFIG, order=("cls", "det"), epochs=(7, 8))).order == ("det", "cls")
    assert canonical(replace(CONFIG, order=("cls", "det"), epochs=(7, 8))).epochs == (8, 7)


def test_weights_are_told_apart_by_what_is_in_the_file(cache, tmp_path):
    file = tmp_path / "start.pth"
    file.write_bytes(b"one")
    config = replace(CONFIG, backbone_weights=str(file))
    assert found(cache, config) is None
    cache.keep(config, "from-scratch", 0, RESULTS)
    assert found(cache, config) == RESULTS
    moved = file.rename(tmp_path / "moved.pth")
    assert found(cache, replace(CONFIG, backbone_weights=str(moved))) == RESULTS
    moved.write_bytes(b"two")
    assert found(cache, replace(CONFIG, backbone_weights=str(moved))) is None


def a_pixel(data):
    image = data[Task.CLS].val[0].image.clone()
    image[0, 3, 3] ^= 1
    return change_first(data, Task.CLS, image=image)


def a_mask(data):
    mask = data[Task.SEG].val[0].mask.clone()
    mask[3, 3] ^= 1
    return change_first(data, Task.SEG, mask=mask)


def a_box(data):
    return change_first(data, Task.DET, boxes=data[Task.DET].val[0].boxes + 0.5)


def a_box_class(data):
    return change_first(data, Task.DET, labels=data[Task.DET].val[0].labels + 1)


def a_crowd(data):
    return change_first(data, Task.DET, crowd=~data[Task.DET].val[0].crowd)


def a_class(data):
    return change_first(data, Task.CLS, label=data[Task.CLS].val[0].label + 1)


def a_class_name(data):
    data[Task.CLS] = replace(data[Task.CLS], classes=(*data[Task.CLS].classes[:-1], "another"))
    return data


def a_picture_less(data):
    data[Task.SEG].train.pop()
    return data


def the_split(data):
    data[Task.SEG].val.append(data[Task.SEG].train.pop())
    return data


CHANGES = (a_pixel, a_mask, a_box, a_box_class, a_crowd, a_class, a_class_name, a_picture_less, the_split)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_other_data_are_another_baseline(cache, data, tmp_path, change):
    before = digest_of(data)
    assert digest_of(change(data)) != before
    assert found(BaselineCache(data, tmp_path / "cache")) is None


def test_where_pictures_lie_and_what_they_are_called_means_nothing(data):
    before = digest_of(data)
    assert (
        digest_of([replace(part, root=Path("elsewhere")) for part in change_first(data, Task.SEG, name="x")]) == before
    )


def test_another_number_of_threads_is_another_baseline(cache, data, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1234)
    assert found(BaselineCache(data, tmp_path / "cache")) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"strategy": "joint"}'])
def test_what_cannot_be_read_is_computed_anew(cache, tmp_path, content):
    for file in (tmp_path / "cache").iterdir():
        file.write_bytes(content)
    assert found(cache) is None
    assert cache.single_task(CONFIG, 0) == {}
    cache.keep(CONFIG, "from-scratch", 0, RESULTS)
    assert found(cache) == RESULTS


def test_a_cache_that_cannot_be_written_is_done_without(data, tmp_path):
    (tmp_path / "file").touch()
    cache = BaselineCache(data, tmp_path / "file" / "cache")
    cache.keep(CONFIG, "from-scratch", 0, RESULTS)
    assert found(cache) is None


def test_somebodys_plugins_make_results_of_their_own(cache):
    config = replace(CONFIG, plugin=("own:Plugin",))
    assert found(cache, config) is None
    cache.keep(config, "from-scratch", 0, RESULTS | {"metrics": {"outcomes": {}}})
    assert found(cache, config) is None
    assert found(cache) == RESULTS


def test_it_lies_in_the_users_cache(data, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    BaselineCache(data).keep(CONFIG, "joint", 0, RESULTS)
    (file,) = (tmp_path / "xdg" / "onehead-avl" / "baselines").iterdir()
    assert json.loads(file.read_text()) == RESULTS
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    BaselineCache(data).keep(CONFIG, "joint", 0, RESULTS)
    assert list((tmp_path / "home" / ".cache" / "onehead-avl" / "baselines").iterdir())


def test_without_results_there_are_no_single_task_values():
    assert single_task_of(None) == {}
    assert single_task_of(RESULTS) == {"mIoU": 0.25, "AP": None}
