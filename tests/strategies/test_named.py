import importlib.util
import subprocess
import sys

import pytest
from avalanche.training.templates.base import BaseTemplate

from onehead_avl.kinds import KINDS
from onehead_avl.runs.config import Config
from strategies import methods
from strategies.avalanche_classes import UNFIT
from strategies.named import SINGLE_TASK, STRATEGIES, is_baseline, parts_of, problems_of

pytestmark = pytest.mark.filterwarnings("ignore:No loggers specified", "ignore:Avalanche is transitioning")

COMBINED = [name for name, method in STRATEGIES.items() if not method.whole]


def test_the_default_strategy_has_a_name():
    assert [problem for name in Config().strategy for problem in problems_of(name)] == []


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_says_what_it_does_and_what_it_stores_and_has_a_builder(name):
    method = STRATEGIES[name]
    assert method.name == name
    assert method.summary
    assert method.stores
    assert callable(getattr(methods, name.replace("-", "_")))
    assert all(isinstance(value, int | float) for value in method.options.values())


@pytest.mark.parametrize("name", STRATEGIES)
def test_whole_strategies_are_built_whole_and_others_as_plugins(name, setting):
    built = getattr(methods, name.replace("-", "_"))(setting(), STRATEGIES[name].options)
    assert isinstance(built, BaseTemplate if STRATEGIES[name].whole else list)


def test_importing_the_table_imports_neither_torch_nor_avalanche():
    code = "import sys, strategies.named; print(sorted({'torch', 'avalanche'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_no_name_is_both_fit_and_unfit():
    assert not STRATEGIES.keys() & UNFIT.keys()


@pytest.mark.parametrize(
    "name", [*STRATEGIES, "replay+lwf", "replay+ewc", "lwf+ewc", "ewc+si+mas", "naive+lwf", "some.module:Class"]
)
def test_what_can_be_built_has_no_problems(name):
    assert problems_of(name) == []


@pytest.mark.parametrize("name", ["nonsense", "", "replay+", "+lwf", "replay+nonsense", "Replay", "replay lwf"])
def test_an_unknown_name_is_answered_with_all_known_ones(name):
    (problem,) = problems_of(name)
    assert problem.startswith("unknown strategy ")
    assert all(known in problem for known in STRATEGIES)


def test_each_unknown_part_is_named():
    assert [problem.split(",")[0] for problem in problems_of("one+replay+two")] == [
        "unknown strategy 'one'",
        "unknown strategy 'two'",
    ]


@pytest.mark.parametrize("name", UNFIT)
def test_what_cannot_learn_this_stream_is_answered_with_the_reason(name):
    expected = f"strategy {name!r} cannot learn this stream: {UNFIT[name]}"
    assert UNFIT[name]
    assert problems_of(name) == [expected]
    assert problems_of(f"replay+{name}") == [expected]


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name not in COMBINED])
def test_a_whole_strategy_cannot_be_combined(name):
    for both in (f"{name}+lwf", f"lwf+{name}"):
        assert f"{name} cannot be combined with others, but {both!r} does" in problems_of(both)


@pytest.mark.parametrize("name", COMBINED)
def test_no_strategy_is_combined_with_itself(name):
    both = f"{name}+{name}"
    assert f"{both!r} names a strategy twice" in problems_of(both)


@pytest.mark.parametrize(
    "name", ["replay+replay-all", "onehead+replay", "mir+gdumb", "agem+gem", "lwf+rar+ewc+replay", "agem+replay"]
)
def test_two_memories_cannot_be_combined(name):
    assert problems_of(name) == [f"{name!r} combines two memories of samples, expected one at most"]


@pytest.mark.parametrize("name", [name for name, method in STRATEGIES.items() if method.needs])
def test_a_package_that_is_missing_is_asked_for(name, monkeypatch):
    needs, find = STRATEGIES[name].needs, importlib.util.find_spec
    assert problems_of(name) == []
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None if package == needs else find(package))
    assert problems_of(name) == [
        f"strategy {name!r} needs the package {needs}, which is not installed; install all that strategies need with "
        'pip install "onehead-avl[strategies]"'
    ]
    assert problems_of("replay+ewc") == []


def test_only_gem_and_lamaml_need_a_package():
    assert {name: method.needs for name, method in STRATEGIES.items() if method.needs} == {
        "gem": "quadprog",
        "lamaml": "higher",
    }


def test_the_single_task_baseline_is_the_only_strategy_of_separate_networks():
    assert [name for name, method in STRATEGIES.items() if method.separate] == [SINGLE_TASK] == ["from-scratch"]


def test_others_are_measured_against_the_single_task_baseline_and_joint_training():
    assert [name for name in STRATEGIES if is_baseline(name)] == ["from-scratch", "joint"]


@pytest.mark.parametrize("name", ["replay+lwf", "joint+lwf", "some.module:joint", "nonsense"])
def test_what_has_no_name_of_its_own_is_no_baseline(name):
    assert not is_baseline(name)


@pytest.mark.parametrize(("name", "others"), [("distillation", {"features"}), ("onehead", {"features", "outlines"})])
def test_every_kind_with_a_name_has_a_weight_of_distillation(name, others):
    assert set(STRATEGIES[name].options) == {*KINDS} | others


def test_parts_are_in_the_order_of_the_name():
    assert parts_of("lwf+replay") == [STRATEGIES["lwf"], STRATEGIES["replay"]]
    assert parts_of("naive") == [STRATEGIES["naive"]]
