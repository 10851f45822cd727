import json
from dataclasses import replace
from pathlib import Path

import pytest

from onehead_avl.config import ALL_ORDERS, Config
from onehead_avl.errors import OutputError, UsageError
from onehead_avl.plan import FAILURE, RESULTS, claim, ended_run, plan
from strategies.named import options_of

CONFIG = Config(strategy=("naive", "replay"), seeds=(3, 1), epochs=(5, 6, 7))
CANONICAL = ("seg", "det", "cls")


def planned(tmp_path, config=CONFIG, **values):
    return plan(replace(config, **values), tmp_path)


def ended(folder, name=RESULTS, **values):
    """Write the end of a run."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps({"strategy": "naive", "order": ["seg"], "seed": 0} | values))


def test_the_baseline_of_each_seed_comes_first_and_then_what_was_asked_for(tmp_path):
    assert [(run.strategy, run.seed) for run in planned(tmp_path)] == [
        *(("from-scratch", 3), ("from-scratch", 1)),
        *(("naive", 3), ("naive", 1)),
        *(("replay", 3), ("replay", 1)),
    ]


def test_each_run_has_one_strategy_one_seed_and_nothing_left_open(tmp_path):
    for run in planned(tmp_path, image_size=96):
        assert (run.config.strategy, run.config.seeds) == ((run.strategy,), (run.seed,))
        assert run.config == run.config.resolved()
        assert (run.config.epochs, run.config.image_size) == ((5, 6, 7), 96)


def test_a_baseline_that_was_asked_for_is_not_run_twice(tmp_path):
    found = planned(tmp_path, strategy=("naive", "from-scratch", "joint"), seeds=(0,))
    assert [run.strategy for run in found] == ["from-scratch", "naive", "joint"]


def test_another_order_is_that_of_the_strategies_and_means_nothing_to_the_baselines(tmp_path):
    found = planned(tmp_path, strategy=("naive", "joint"), seeds=(0,), order=("cls", "seg", "det"))
    assert [(run.strategy, run.config.order, run.config.epochs) for run in found] == [
        ("from-scratch", CANONICAL, (6, 7, 5)),
        ("naive", ("cls", "seg", "det"), (5, 6, 7)),
        ("joint", CANONICAL, (6, 7, 5)),
    ]


def test_all_orders_are_six_runs_of_a_strategy_and_one_of_a_baseline(tmp_path):
    found = planned(tmp_path, strategy=("naive", "joint", "replay"), seeds=(0, 1), order=ALL_ORDERS)
    counts = {name: sum(run.strategy == name for run in found) for name in ("from-scratch", "naive", "joint", "replay")}
    assert counts == {"from-scratch": 2, "naive": 12, "joint": 2, "replay": 12}
    assert len({run.config.order for run in found if run.strategy == "naive"}) == 6
    for run in found:
        assert dict(zip(run.config.order, run.config.epochs, strict=True)) == {"seg": 5, "det": 6, "cls": 7}


def test_one_task_is_an_order_too(tmp_path):
    found = planned(tmp_path, order=("det",), epochs=None, seeds=(0,))
    assert [(run.strategy, run.config.order) for run in found] == [
        (name, ("det",)) for name in ("from-scratch", "naive", "replay")
    ]


def test_every_run_has_a_folder_of_its_own_with_a_name_for_any_system(tmp_path):
    names = ("naive", "replay+lwf", "replay", "lwf", "my_package.my_module:MyStrategy", "my_package:my_function")
    found = planned(tmp_path, strategy=names, order=ALL_ORDERS, seeds=(0, 10))
    folders = [run.folder for run in found]
    assert len(set(folders)) == len(folders) == 2 + 2 * 6 * len(names)
    assert {folder.parent for folder in folders} == {tmp_path}
    for folder in folders:
        assert not set(folder.name) & set('<>:"/\\|?* ')
    assert tmp_path / "naive_seg-det-cls_seed0" in folders
    assert tmp_path / "my_package.my_module.MyStrategy_cls-seg-det_seed10" in folders


def test_a_run_begins_in_an_empty_folder(tmp_path):
    run = planned(tmp_path)[0]
    run.begin()
    assert list(run.folder.iterdir()) == []
    ended(run.folder, FAILURE)
    (run.folder / "plots").mkdir()
    (run.folder / "plots" / "half.png").touch()
    run.begin()
    assert list(run.folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="the folder cannot be made"):
        planned(tmp_path / "file")[0].begin()


def test_a_run_has_no_results_until_it_ends(tmp_path):
    run = planned(tmp_path)[0]
    assert run.results() is None
    run.begin()
    assert run.results() is None
    options, _ = options_of(run.config.strategy, ())
    (run.folder / RESULTS).write_text(json.dumps({"seed": 3, "options": options}))
    assert run.results() == {"seed": 3, "options": options}


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[]", b"3"])
def test_results_that_cannot_be_read_are_an_output_error(tmp_path, content):
    run = planned(tmp_path)[0]
    run.begin()
    (run.folder / RESULTS).write_bytes(content)
    with pytest.raises(OutputError, match=r"results\.json: expected what an earlier run wrote.*remove it"):
        run.results()


def test_the_end_of_a_run_is_read_from_its_folder(tmp_path):
    assert ended_run(tmp_path) is None
    ended(tmp_path / "done", order=["cls", "seg"], seed=4, metrics={})
    found = ended_run(tmp_path / "done")
    assert (found.strategy, found.order, found.seed, found.reason) == ("naive", ("cls", "seg"), 4, None)
    assert found.results["metrics"] == {}


def test_a_failure_says_why(tmp_path):
    run = planned(tmp_path)[2]
    run.begin()
    run.fail("it broke")
    found = ended_run(run.folder)
    assert (found.strategy, found.order, found.seed) == ("naive", CANONICAL, 3)
    assert (found.results, found.reason) == (None, "it broke")
    assert run.results() is None


def config_of(folder):
    return json.loads((folder / "config.json").read_text())


def test_a_new_folder_is_taken_with_the_configuration_as_it_was_given(tmp_path):
    claim(tmp_path, CONFIG)
    assert config_of(tmp_path) == json.loads(json.dumps(CONFIG.as_dict()))


@pytest.mark.parametrize(
    "change",
    [{}, {"strategy": ("naive", "replay", "lwf")}, {"strategy": ("ewc",)}, {"seeds": (7,)}, {"output": Path("x")}],
    ids=str,
)
def test_more_strategies_and_seeds_are_added(tmp_path, change):
    claim(tmp_path, CONFIG)
    before = config_of(tmp_path)
    claim(tmp_path, replace(CONFIG, **change))
    assert config_of(tmp_path) == before


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"epochs": (5, 6, 8)}, "--epochs;"),
        ({"epochs": None}, "--epochs;"),
        ({"order": ("cls", "seg", "det")}, "--order;"),
        ({"data": Path("pictures")}, "--data;"),
        ({"plugin": ("own:Plugin",)}, "--plugin;"),
        ({"image_size": 64, "batch_size": 2, "replay_size": 9}, "--batch-size, --image-size, --replay-size;"),
    ],
    ids=str,
)
def test_another_configuration_is_refused_by_the_names_of_its_options(tmp_path, change, named):
    claim(tmp_path, CONFIG)
    before = config_of(tmp_path)
    with pytest.raises(UsageError) as caught:
        claim(tmp_path, replace(CONFIG, strategy=("lwf",), **change))
    assert f"begun with other values of {named}" in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert config_of(tmp_path) == before


def test_a_configuration_that_cannot_be_read_is_an_output_error(tmp_path):
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(OutputError, match=r"config\.json"):
        claim(tmp_path, CONFIG)


def test_the_folder_of_a_single_run_is_not_taken(tmp_path):
    single = replace(CONFIG, strategy=("naive",), seeds=(0,))
    (tmp_path / "config.json").write_text(json.dumps(single.as_dict()))
    ended(tmp_path)
    with pytest.raises(UsageError, match="holds a single run"):
        claim(tmp_path, CONFIG)
