import copy
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from onehead_avl.runs.baselines import BaselineCache, single_task_of, with_baselines
from onehead_avl.runs.config import Config
from onehead_avl.runs.identity import Identities
from scenarios.experience import Stream
from strategies.named import STRATEGIES, is_baseline

CONFIG = Config(epochs=(3, 2, 1), backbone_weights="none").resolved()
ALONE = {"seg": {"mIoU": 0.25}, "det": {"AP50": 0.5, "AP": 0.25}, "cls": {"Top1": None, "Top5": None}}
BASELINES = [name for name in STRATEGIES if is_baseline(name)]


def cache_of(stream, folder=None):
    return BaselineCache(stream.name, Identities(stream), folder)


@pytest.fixture
def results(record, stream):
    """Make the record of a baseline, whose single-task values are those of ALONE."""

    def results(strategy="from-scratch", config=CONFIG):
        depends_on = Identities(stream).of(config.but(strategy=(strategy,)))
        rows = ((0.25, 0.125, None), (0.125, 0.5, 0.75), (0.0, 0.0, None))
        return record(strategy, 0, *rows, intervals={}, depends_on=depends_on)

    return results


@pytest.fixture
def cache(stream, tmp_path, results):
    """A cache that knows the baselines of seed 0."""
    cache = cache_of(stream, tmp_path / "cache")
    for strategy in BASELINES:
        cache.keep(CONFIG, strategy, 0, results(strategy))
    return cache


def found(cache, config=CONFIG, strategy="from-scratch", seed=0):
    return cache.find(config, strategy, seed)


def test_the_baselines_are_the_single_task_networks_and_joint_training():
    assert BASELINES == ["from-scratch", "joint"]


def test_an_empty_cache_knows_nothing(stream, tmp_path):
    cache = cache_of(stream, tmp_path / "nowhere")
    assert found(cache) is None
    assert cache.single_task(CONFIG, 0) == {}
    assert not (tmp_path / "nowhere").exists()


def test_what_was_kept_is_found_again(cache, stream, tmp_path, results):
    for again in (cache, cache_of(copy.deepcopy(stream), tmp_path / "cache")):
        assert found(again) == results()
        assert found(again, strategy="joint") == results("joint")
        assert again.single_task(CONFIG, 0) == ALONE
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
        {"precision": "bf16"},
        {"deterministic": True},
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
        {"data": Path("the same images elsewhere")},
        {"order": ("cls", "seg", "det"), "epochs": (1, 3, 2)},
        {"workers": 2, "checkpoint_every": 3, "resume": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_means_nothing_to_a_baseline_is_the_same_baseline(cache, results, change):
    assert found(cache, replace(CONFIG, **change)) == results()


def test_a_stream_of_another_name_with_the_same_experiences_has_the_same_baselines(cache, stream, tmp_path, results):
    file = tmp_path / "own.yaml"
    file.write_text(
        "experiences:\n"
        "  - {name: seg, kind: segmentation, format: drawn}\n"
        "  - {name: det, kind: detection, format: drawn}\n"
        "  - {name: cls, kind: classification, format: drawn}\n"
    )
    cache = cache_of(replace(stream, name="own"), tmp_path / "cache")
    assert found(cache, replace(CONFIG, stream=str(file))) == replace(results(), stream="own")


def test_what_was_run_in_another_order_is_not_kept_for_its_random_numbers_differ(stream, tmp_path, results):
    cache = cache_of(stream, tmp_path / "cache")
    cache.keep(replace(CONFIG, order=("cls", "seg", "det"), epochs=(1, 3, 2)), "from-scratch", 0, results())
    assert found(cache) is None


def test_weights_are_told_apart_by_what_is_in_the_file(cache, stream, tmp_path, results):
    file = tmp_path / "start.pth"
    file.write_bytes(b"one")
    config = replace(CONFIG, backbone_weights=str(file))
    assert found(cache, config) is None
    kept = results(config=config)
    cache.keep(config, "from-scratch", 0, kept)
    assert found(cache, config) == kept
    moved = file.rename(tmp_path / "moved.pth")
    assert found(cache_of(stream, tmp_path / "cache"), replace(CONFIG, backbone_weights=str(moved))) == kept
    moved.write_bytes(b"two")
    assert found(cache_of(stream, tmp_path / "cache"), replace(CONFIG, backbone_weights=str(moved))) is None


def test_other_data_are_another_baseline(cache, stream, tmp_path):
    stream.experiences[0].val[0].image[0, 3, 3] ^= 1
    assert found(cache_of(stream, tmp_path / "cache")) is None


def test_another_definition_of_the_stream_is_another_baseline(cache, stream, tmp_path):
    assert found(cache_of(Stream("challenge", stream.experiences[::-1]), tmp_path / "cache")) is None


def test_other_sources_are_another_baseline(cache, stream, tmp_path, monkeypatch):
    monkeypatch.setattr("onehead_avl.runs.identity.digest_of_code", lambda: "other sources")
    assert found(cache_of(stream, tmp_path / "cache")) is None


def test_another_number_of_threads_is_another_baseline(cache, stream, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1234)
    assert found(cache_of(stream, tmp_path / "cache")) is None


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"strategy": "from-scratch"}', b'{"version": 4}', b'{"version": 3}'],
)
def test_what_cannot_be_read_is_computed_anew(cache, tmp_path, results, content):
    for file in (tmp_path / "cache").iterdir():
        file.write_bytes(content)
    assert found(cache) is None
    assert cache.single_task(CONFIG, 0) == {}
    cache.keep(CONFIG, "from-scratch", 0, results())
    assert found(cache) == results()


def test_the_results_of_another_strategy_are_not_taken(stream, tmp_path, results):
    cache = cache_of(stream, tmp_path / "cache")
    cache.keep(CONFIG, "from-scratch", 0, results("joint"))
    assert found(cache) is None


def test_a_cache_that_cannot_be_written_is_done_without(stream, tmp_path, results):
    (tmp_path / "file").touch()
    cache = cache_of(stream, tmp_path / "file" / "cache")
    cache.keep(CONFIG, "from-scratch", 0, results())
    assert found(cache) is None


def test_somebodys_plugins_make_results_of_their_own(cache, results):
    config = replace(CONFIG, plugin=("own:Plugin",))
    assert found(cache, config) is None
    cache.keep(config, "from-scratch", 0, replace(results(), stages=()))
    assert found(cache, config) is None
    assert found(cache) == results()


def test_a_baseline_is_found_again_while_the_code_of_somebodys_kinds_and_readers_is_the_same(
    stream, tmp_path, results, write, file
):
    write("my_parts", "LOSS = 1")
    write("my_kinds", "import my_parts")
    write("my_readers", "")
    own = file('{name: seg, kind: "my_kinds:Kind", format: "my_readers:read"}')
    config = replace(CONFIG, stream=own, order=("seg",), epochs=(3,))
    kept = results(config=config)
    cache_of(stream, tmp_path / "cache").keep(config, "from-scratch", 0, kept)
    assert found(cache_of(stream, tmp_path / "cache"), config) == kept
    for name, text in (("my_parts", "LOSS = 2"), ("my_readers", "SIDE = 3"), ("my_kinds", "")):
        before = (tmp_path / f"{name}.py").read_text()
        write(name, text)
        assert found(cache_of(stream, tmp_path / "cache"), config) is None
        write(name, before)
        assert found(cache_of(stream, tmp_path / "cache"), config) == kept


def test_a_file_of_the_cache_is_what_it_holds_and_not_what_it_is_called(cache, tmp_path):
    one, other = (tmp_path / "cache").iterdir()
    one.write_bytes(other.read_bytes())
    names = [strategy for strategy in BASELINES if found(cache, strategy=strategy) is not None]
    assert len(names) == 1
    content = json.loads(other.read_text())
    other.write_text(json.dumps(content | {"depends_on": content["depends_on"] | {"the data": "other"}}))
    assert found(cache, strategy=names[0]) is None


def test_what_is_found_has_the_manifest_of_the_data_folder_of_now(cache, tmp_path):
    (tmp_path / "data").mkdir()
    assert found(cache, replace(CONFIG, data=tmp_path / "data")).manifest_sha256 is None
    (tmp_path / "data" / "manifest.json").write_bytes(b"{}")
    digest = hashlib.sha256(b"{}").hexdigest()
    assert found(cache, replace(CONFIG, data=tmp_path / "data")).manifest_sha256 == digest


def test_it_lies_in_the_users_cache(stream, tmp_path, monkeypatch, results):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    cache_of(stream).keep(CONFIG, "joint", 0, results("joint"))
    (file,) = (tmp_path / "xdg" / "onehead-avl" / "baselines").iterdir()
    assert json.loads(file.read_text()) == json.loads(json.dumps(results("joint").as_json()))
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    cache_of(stream).keep(CONFIG, "joint", 0, results("joint"))
    assert list((tmp_path / "home" / ".cache" / "onehead-avl" / "baselines").iterdir())


def test_without_results_there_are_no_single_task_values(results):
    assert single_task_of(None) == {}
    assert single_task_of(results()) == ALONE


# The baselines of a comparison


@pytest.fixture
def run_of(finished):
    """A run with a seed that was optimised in a certain way, or in the usual one."""

    def run_of(strategy, seed, score, lr=None, **values):
        options = {strategy: {}} | ({} if lr is None else {"optimisation": {"lr": lr}})
        rows = ((score, score, score),) * 3
        return finished(strategy, seed, *rows, intervals={}, options=options, **values)

    return run_of


def alone(score):
    """The single-task values of a baseline, which is as good at all."""
    return {"seg": {"mIoU": score}, "det": {"AP50": score, "AP": score / 2}, "cls": {"Top1": score, "Top5": None}}


KEPT = {"seg": {"mIoU": 0.75}}


def beside(*runs):
    """The single-task values that runs are given."""
    given = with_baselines(runs)
    assert [run.record.with_single_task({}) for run in given] == [run.record.with_single_task({}) for run in runs]
    return [run.record.single_task for run in given]


def test_each_run_is_given_the_baseline_of_its_seed(run_of):
    runs = [
        *(run_of("from-scratch", seed, score) for seed, score in ((0, 0.25), (1, 0.5))),
        *(run_of(strategy, seed, 0.125, single_task=KEPT) for strategy in ("naive", "lwf") for seed in (0, 1)),
    ]
    assert beside(*runs) == [alone(0.25), alone(0.5)] * 3


def test_of_several_baselines_it_is_that_which_was_optimised_alike(run_of):
    runs = [
        *(run_of("from-scratch", 0, score, lr) for score, lr in ((0.25, None), (0.5, 0.1), (0.75, 0.2))),
        *(run_of("naive", 0, 0.125, lr) for lr in (0.2, None, 0.1)),
    ]
    assert beside(*runs)[3:] == [alone(0.75), alone(0.25), alone(0.5)]


def test_the_only_baseline_of_a_seed_serves_all_that_are_optimised_otherwise(run_of):
    assert (
        beside(run_of("from-scratch", 0, 0.25), run_of("naive", 0, 0.125, 0.1), run_of("naive", 0, 0.125, 0.2))
        == [alone(0.25)] * 3
    )


def test_where_several_might_be_meant_a_run_keeps_its_own(run_of):
    several = [run_of("from-scratch", 0, 0.25, 0.1), run_of("from-scratch", 0, 0.5, 0.2)]
    assert beside(*several, run_of("naive", 0, 0.125, single_task=KEPT))[2] == KEPT
    alike = [run_of("from-scratch", 0, 0.25, 0.1), run_of("from-scratch", 0, 0.5, 0.1)]
    assert beside(*alike, run_of("naive", 0, 0.125, 0.1, single_task=KEPT))[2] == KEPT


def test_without_a_baseline_of_its_seed_a_run_keeps_its_own(run_of):
    runs = [run_of("from-scratch", 1, 0.25), run_of("naive", 0, 0.125, single_task=KEPT), run_of("naive", 2, 0.125)]
    assert beside(*runs)[1:] == [KEPT, {}]


def test_what_failed_is_given_nothing_and_gives_nothing(run_of, failed):
    runs = [failed("from-scratch", 0), run_of("naive", 0, 0.125, single_task=KEPT), failed("lwf", 0)]
    assert with_baselines(runs) == runs
