import importlib.util
import subprocess
import sys

import pytest
from avalanche.training.templates.base import BaseTemplate

from onehead_avl.kinds import KINDS
from onehead_avl.runs.config import Config
from strategies import methods
from strategies.named import SINGLE_TASK, STRATEGIES, UNFIT, is_baseline, options_of, parts_of, problems_of

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


@pytest.mark.parametrize("name", ["distillation", "onehead"])
def test_every_kind_with_a_name_has_a_weight_of_distillation(name):
    assert set(STRATEGIES[name].options) == {*KINDS, "features"}


def test_parts_are_in_the_order_of_the_name():
    assert parts_of("lwf+replay") == [STRATEGIES["lwf"], STRATEGIES["replay"]]
    assert parts_of("naive") == [STRATEGIES["naive"]]


def test_without_settings_every_option_has_the_value_of_the_table():
    options, wrong = options_of(["replay+lwf", "ewc", "one.module:Thing"], [])
    assert wrong == []
    assert options == {
        "replay": {},
        "lwf": STRATEGIES["lwf"].options,
        "ewc": STRATEGIES["ewc"].options,
        "Thing": {},
    }


def test_settings_override_the_table_and_do_not_change_it():
    before = {name: dict(method.options) for name, method in STRATEGIES.items()}
    options, wrong = options_of(
        ["lwf+ewc", "si"], ["ewc.lambda=7", "lwf.alpha=0.5", "lwf.alpha=0.25", "si.lambda=1e-3"]
    )
    assert wrong == []
    assert options == {
        "lwf": {**before["lwf"], "alpha": 0.25},
        "ewc": {"lambda": 7.0},
        "si": {"lambda": 0.001},
    }
    assert {name: method.options for name, method in STRATEGIES.items()} == before


def test_a_number_is_of_the_kind_of_the_usual_one():
    options, _ = options_of(["ewc", "agem"], ["ewc.lambda=7", "agem.patterns=7"])
    assert type(options["ewc"]["lambda"]) is float
    assert type(options["agem"]["patterns"]) is int


def test_what_is_imported_takes_any_option_a_number_if_it_is_one():
    settings = ["Thing.size=3", "Thing.rate=0.5", "Thing.mode=online", "Plug.on=1", "Thing.place=a=b"]
    options, wrong = options_of(["one.module:Thing", "two.modules:Plug"], settings)
    assert wrong == []
    assert options == {"Thing": {"size": 3, "rate": 0.5, "mode": "online", "place": "a=b"}, "Plug": {"on": 1}}
    assert [type(value) for value in options["Thing"].values()] == [int, float, str, str]


@pytest.mark.parametrize("setting", ["ewc", "ewc.lambda", "ewc.lambda=", "ewc=3", "ewc.=3", ".lambda=3", "=3", ""])
def test_a_setting_that_is_none_is_refused(setting):
    _, wrong = options_of(["ewc"], [setting])
    assert wrong == [f"--set expects name.key=value such as ewc.lambda=100, got {setting!r}"]


@pytest.mark.parametrize("name", ["lwf", "nonsense", "EWC"])
def test_a_setting_of_another_strategy_is_refused(name):
    _, wrong = options_of(["ewc", "replay"], [f"{name}.alpha=1"])
    assert wrong == [f"--set {name}.alpha=1: {name!r} is none of the strategies of this run, ewc, replay"]


@pytest.mark.parametrize(("name", "known"), [("lwf", "alpha, temperature"), ("replay", "none")])
def test_an_unknown_option_is_refused_with_the_known_ones(name, known):
    _, wrong = options_of([name], [f"{name}.size=1"])
    assert wrong == [f"--set {name}.size=1: unknown option 'size', {name} has {known}"]


@pytest.mark.parametrize("value", ["much", "1,5", "nan", "inf", "-inf", "1=2"])
def test_what_is_no_number_is_refused(value):
    options, wrong = options_of(["ewc"], [f"ewc.lambda={value}"])
    assert wrong == [f"--set ewc.lambda={value}: expected a number, got {value!r}"]
    assert options["ewc"] == STRATEGIES["ewc"].options


@pytest.mark.parametrize("value", ["1.5", "ten", "nan", "inf", "1e2"])
def test_what_is_no_whole_number_is_not_rounded_but_refused(value):
    options, wrong = options_of(["agem"], [f"agem.patterns={value}"])
    assert wrong == [f"--set agem.patterns={value}: expected a whole number, got {value!r}"]
    assert options["agem"] == STRATEGIES["agem"].options


def test_all_that_is_wrong_is_told_at_once():
    _, wrong = options_of(["ewc"], ["ewc", "ewc.lambda=1", "ewc.decay=1", "lwf.alpha=1", "ewc.lambda=x"])
    assert len(wrong) == 4
