import json
from dataclasses import replace
from pathlib import Path

import pytest

from onehead_avl.errors import OutputError, UsageError
from onehead_avl.runs.config import ALL_ORDERS, Config
from onehead_avl.runs.identity import OPTIONS
from onehead_avl.runs.plan import CHECKPOINTS, RESULTS, claim, ended_run, plan, require_same_run, runs_beside
from strategies.hyperparameters import options_of

CONFIG = Config(strategy=("naive", "replay"), seeds=(3, 1), epochs=(5, 6, 7))
CANONICAL = ("seg", "det", "cls")


def planned(tmp_path, config=CONFIG, **values):
    return plan(replace(config, **values), tmp_path)


DEPENDS_ON = {"the data": "a", "the program": "b", "the threads": 1}


def depends_on(run, **more):
    """What the results of a planned run depend on, as far as its configuration says, and more."""
    options, _ = options_of([run.strategy], run.config.set)
    named = {"--strategy": [run.strategy], "--seeds": [run.seed], "--order": [*run.config.order]}
    return named | {"--epochs": [*run.config.epochs], OPTIONS: json.dumps(options)} | DEPENDS_ON | more


def ended(folder, record):
    """Write the end of a run."""
    folder.mkdir(exist_ok=True)
    (folder / RESULTS).write_text(json.dumps(record.as_json()))


@pytest.fixture
def results(record):
    """Those of naive with seed 4 on two experiences in another order."""
    return record("naive", 4, (0.1, 0.2, 0.3), (0.2, 0.3, 0.4), order=("cls", "seg"), intervals={})


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


def test_the_order_of_another_stream_is_that_of_its_definition(tmp_path):
    six = ("seg-1", "det-1", "cls-1", "seg-2", "det-2", "cls-2")
    found = planned(tmp_path, stream="split6", strategy=("naive",), seeds=(0,), epochs=(1, 2, 3, 4, 5, 6))
    assert [(run.strategy, run.config.order) for run in found] == [("from-scratch", six), ("naive", six)]
    turned = planned(
        tmp_path, stream="split6", strategy=("naive",), seeds=(0,), order=six[::-1], epochs=(1, 2, 3, 4, 5, 6)
    )
    assert [(run.strategy, run.config.order, run.config.epochs) for run in turned] == [
        ("from-scratch", six, (6, 5, 4, 3, 2, 1)),
        ("naive", six[::-1], (1, 2, 3, 4, 5, 6)),
    ]
    assert turned[1].folder.name == "naive_cls-2,det-2,seg-2,cls-1,det-1,seg-1_seed0"


def test_one_experience_is_an_order_too(tmp_path):
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


def test_names_with_hyphens_are_no_other_order(tmp_path):
    file = tmp_path / "hyphens.yaml"
    names = ("a", "a-a", "b")
    file.write_text("experiences:\n" + "".join(f"  - {{name: {n}, kind: detection, format: drawn}}\n" for n in names))
    found = planned(tmp_path, stream=str(file), strategy=("naive",), seeds=(0,), order=ALL_ORDERS, epochs=(1,))
    folders = [run.folder.name for run in found if run.strategy == "naive"]
    assert len(set(folders)) == 6
    assert "naive_a,a-a,b_seed0" in folders


def test_an_order_of_many_experiences_has_a_folder_that_any_system_can_make(tmp_path):
    names = [f"{chr(97 + i)}{'x' * 30}" for i in range(20)]
    file = tmp_path / "many.yaml"
    file.write_text("experiences:\n" + "".join(f"  - {{name: {n}, kind: detection, format: drawn}}\n" for n in names))
    orders = (names, names[:-2] + names[:-3:-1])
    folders = [
        run.folder
        for order in orders
        for run in planned(tmp_path, stream=str(file), strategy=("naive",), seeds=(0,), order=tuple(order), epochs=(1,))
        if run.strategy == "naive"
    ]
    assert len(set(folders)) == 2  # though they differ only at their end
    for folder in folders:
        assert len(folder.name) < 200
        folder.mkdir()


def test_a_run_begins_in_an_empty_folder(tmp_path):
    run = planned(tmp_path)[0]
    run.begin()
    assert list(run.folder.iterdir()) == []
    run.fail("it broke")
    (run.folder / "plots").mkdir()
    (run.folder / "plots" / "half.png").touch()
    run.begin()
    assert list(run.folder.iterdir()) == []


def test_a_run_that_is_continued_has_not_failed_yet(tmp_path):
    run = planned(tmp_path, resume=True)[0]
    (run.folder / CHECKPOINTS).mkdir(parents=True)
    run.fail("it broke")
    run.begin()
    assert ended_run(run.folder) is None
    assert (run.folder / CHECKPOINTS).exists()


def test_a_run_that_is_continued_keeps_its_folder_if_it_has_checkpoints(tmp_path):
    run = planned(tmp_path, resume=True)[0]
    run.begin()
    (run.folder / "log.txt").touch()
    run.begin()
    assert list(run.folder.iterdir()) == []
    for name in (CHECKPOINTS, "plots"):
        (run.folder / name).mkdir()
    run.begin()
    assert {path.name for path in run.folder.iterdir()} == {CHECKPOINTS, "plots"}
    planned(tmp_path)[0].begin()
    assert list(run.folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="the folder cannot be made"):
        planned(tmp_path / "file")[0].begin()


def test_a_run_has_no_results_until_it_ends(tmp_path, record):
    run = planned(tmp_path)[0]
    now = depends_on(run)
    assert run.results(now) is None
    run.begin()
    assert run.results(now) is None
    rows = ((0.1, 0.2, 0.3), (0.2, 0.3, 0.4), (0.3, 0.4, 0.5))
    written = record("from-scratch", 3, *rows, intervals={}, depends_on=now)
    ended(run.folder, written)
    assert run.results(now) == written
    assert run.results(now | {"the threads": 2}) == written  # the same run on another machine


def test_results_with_other_hyper_parameters_are_refused(tmp_path, record):
    (run,) = [run for run in planned(tmp_path, strategy=("ewc",), seeds=(0,)) if run.strategy == "ewc"]
    options = {"ewc": {"lambda": 3.0}}
    ended(run.folder, record("ewc", 0, (0.1, 0.2, 0.3), options=options, depends_on=depends_on(run)))
    with pytest.raises(UsageError, match=r"of a run with hyper-parameters .*3\.0.*, not .*ewc"):
        run.results(depends_on(run))
    assert run.results(depends_on(run), any_options=True).options == options
    (run,) = [
        run for run in planned(tmp_path, strategy=("ewc",), seeds=(0,), set=("ewc.lambda=3",)) if run.strategy == "ewc"
    ]
    assert run.results(depends_on(run)).options == options


@pytest.mark.parametrize(
    ("fields", "before", "said"),
    [
        ({"strategy": "ewc"}, {}, "of a run with --strategy ewc, not naive;"),
        ({"seed": 7}, {}, "of a run with --seeds 7, not 3;"),
        ({"order": ("det", "seg", "cls")}, {}, "of a run with --order det seg cls, not seg det cls;"),
        ({}, {"--epochs": [1, 1, 1]}, "of a run with --epochs 1 1 1, not 5 6 7;"),
        ({}, {"the data": "x"}, "of a run before the data changed;"),
        ({}, {"the program": "x", "the threads": 3}, "of a run before the program changed;"),
        ({}, {"the code of mine": "x"}, "of a run before the code of mine changed;"),
        ({"seed": 7}, {"the data": "x"}, "of a run before the data changed and with --seeds 7, not 3;"),
    ],
    ids=str,
)
@pytest.mark.parametrize("any_options", [False, True])
def test_results_of_something_else_are_refused_by_what_differs(tmp_path, record, fields, before, said, any_options):
    run = planned(tmp_path)[2]
    rows = ((0.1, 0.2, 0.3), (0.2, 0.3, 0.4), (0.3, 0.4, 0.5))
    written = record("naive", 3, *rows, depends_on=depends_on(run, **before))
    ended(run.folder, replace(written, **fields))
    with pytest.raises(UsageError) as caught:
        run.results(depends_on(run), any_options=any_options)
    assert str(caught.value).startswith(f"--output {tmp_path} holds results in naive_seg-det-cls_seed3 of a run ")
    for part in said.removeprefix("of a run ").removesuffix(";").split(" and "):
        assert part in str(caught.value)
    assert str(caught.value).endswith("choose another folder, or remove naive_seg-det-cls_seed3 from it")


def test_runs_that_are_not_asked_for_are_found_by_what_they_hold(tmp_path, record):
    rows = ((0.1, 0.2, 0.3), (0.2, 0.3, 0.4), (0.3, 0.4, 0.5))
    ended(tmp_path / "lwf_seg-det-cls_seed9", record("lwf", 9, *rows))
    ended(tmp_path / "naive_seg-det-cls_seed3", record("naive", 3, *rows))
    (tmp_path / "plots").mkdir()
    (failed,) = [run for run in planned(tmp_path, strategy=("ewc",), seeds=(5,)) if run.strategy == "ewc"]
    failed.begin()
    failed.fail("it broke")
    found = runs_beside(planned(tmp_path), CONFIG, tmp_path)
    assert [(run.strategy, run.seed) for run in found] == [("ewc", 5), ("lwf", 9)]
    assert all(run.config.epochs == (5, 6, 7) for run in found)


@pytest.mark.parametrize("name", ["lwf_seg-det-cls_seed8", "copy of lwf", "ewc_seg-det-cls_seed9"])
def test_a_folder_whose_name_is_not_of_what_it_holds_is_refused(tmp_path, record, name):
    rows = ((0.1, 0.2, 0.3), (0.2, 0.3, 0.4), (0.3, 0.4, 0.5))
    ended(tmp_path / name, record("lwf", 9, *rows))
    with pytest.raises(UsageError, match=rf"but {name} holds lwf with seed 9 and the order seg det cls; remove it"):
        runs_beside(planned(tmp_path), CONFIG, tmp_path)


def test_a_failure_in_a_folder_of_another_name_is_refused(tmp_path):
    run = planned(tmp_path)[2]
    run.begin()
    run.fail("it broke")
    run.folder.rename(tmp_path / "lwf_seg-det-cls_seed3")
    with pytest.raises(UsageError, match="but lwf_seg-det-cls_seed3 holds naive with seed 3"):
        runs_beside(planned(tmp_path), CONFIG, tmp_path)


@pytest.mark.parametrize(
    "content",
    [{}, {"strategy": "naive"}, {"strategy": 3, "order": ["seg"], "seed": 0, "reason": ""}]
    + [{"strategy": "naive", "order": order, "seed": "0", "reason": ""} for order in (3, [3], ["seg"])],
    ids=str,
)
def test_a_failure_of_another_form_is_an_output_error(tmp_path, content):
    (tmp_path / "failure.json").write_text(json.dumps(content))
    with pytest.raises(OutputError, match=r"failure\.json: expected why a run failed, found other content .*remove it"):
        ended_run(tmp_path)


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[]", b"3"])
def test_results_that_cannot_be_read_are_an_output_error(tmp_path, content):
    run = planned(tmp_path)[0]
    run.begin()
    (run.folder / RESULTS).write_bytes(content)
    with pytest.raises(OutputError, match=r"results\.json: expected what an earlier run wrote.*remove it"):
        run.results({})


@pytest.mark.parametrize(("version", "shown"), [(None, "none"), (3, "3"), (5, "5")])
def test_results_of_another_version_are_refused_with_what_to_do(tmp_path, results, version, shown):
    run = planned(tmp_path)[0]
    run.begin()
    content = results.as_json() | {"version": version}
    if version is None:
        del content["version"]
    (run.folder / RESULTS).write_text(json.dumps(content))
    for read in (lambda: run.results({}), lambda: ended_run(run.folder)):
        with pytest.raises(OutputError) as caught:
            read()
        assert str(caught.value).startswith(f"{run.folder / RESULTS}: expected results of version 4, found {shown}: ")
        assert "run again in a new folder" in str(caught.value)


def test_the_end_of_a_run_is_read_from_its_folder(tmp_path, results):
    assert ended_run(tmp_path) is None
    ended(tmp_path / "done", results)
    found = ended_run(tmp_path / "done")
    assert (found.strategy, found.order, found.seed, found.reason) == ("naive", ("cls", "seg"), 4, None)
    assert found.record == results


def test_a_failure_says_why(tmp_path):
    run = planned(tmp_path)[2]
    run.begin()
    run.fail("it broke")
    found = ended_run(run.folder)
    assert (found.strategy, found.order, found.seed) == ("naive", CANONICAL, 3)
    assert (found.record, found.reason) == (None, "it broke")
    assert run.results({}) is None


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
        ({"stream": "split6"}, "--stream;"),
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


def test_the_folder_of_a_single_run_is_not_taken(tmp_path, results):
    single = replace(CONFIG, strategy=("naive",), seeds=(0,))
    (tmp_path / "config.json").write_text(json.dumps(single.as_dict()))
    ended(tmp_path, results)
    with pytest.raises(UsageError, match="holds a single run"):
        claim(tmp_path, CONFIG)


SINGLE = replace(CONFIG, strategy=("ewc",), seeds=(0,)).resolved()


def test_where_nothing_began_any_run_may_begin(tmp_path):
    require_same_run(tmp_path, SINGLE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"output": Path("moved"), "workers": 2, "checkpoint_every": 1, "resume": True},
        {"data": Path("moved"), "backbone_weights": "moved.pth"},  # whose contents are compared
    ],
    ids=str,
)
def test_the_same_run_goes_on(tmp_path, change):
    (tmp_path / "config.json").write_text(json.dumps(SINGLE.as_dict()))
    require_same_run(tmp_path, replace(SINGLE, **change))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"strategy": ("naive",)}, "--strategy;"),
        ({"seeds": (1,), "set": ("ewc.lambda=3",)}, "--seeds, --set;"),
        ({"order": ("cls", "seg", "det")}, "--order;"),
        ({"replay_batch": 1, "plugin": ("own:Plugin",)}, "--plugin, --replay-batch;"),
        ({"image_size": 64}, "--image-size;"),
    ],
    ids=str,
)
def test_another_run_is_not_continued(tmp_path, change, named):
    (tmp_path / "config.json").write_text(json.dumps(SINGLE.as_dict()))
    with pytest.raises(UsageError) as caught:
        require_same_run(tmp_path, replace(SINGLE, **change))
    assert f"--resume expects the command that began {tmp_path}" in str(caught.value)
    assert f"begun with other values of {named}" in str(caught.value)
