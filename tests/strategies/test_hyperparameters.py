import pytest

from strategies.hyperparameters import options_of
from strategies.named import STRATEGIES


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
    options, wrong = options_of(["lwf+ewc", "si"], ["ewc.lambda=7", "lwf.alpha=0.25", "si.lambda=1e-3"])
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
    assert wrong == [f"--set {name}.alpha=1: {name!r} is nothing that this run is made of, ewc, replay"]


@pytest.mark.parametrize(("name", "known"), [("lwf", "alpha, temperature"), ("replay", "none")])
def test_an_unknown_option_is_refused_with_the_known_ones(name, known):
    _, wrong = options_of([name], [f"{name}.size=1"])
    assert wrong == [f"--set {name}.size=1: unknown option 'size', {name} has {known}"]


@pytest.mark.parametrize("value", ["much", "1;5", "nan", "inf", "-inf", "1=2"])
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
    assert len(wrong) == 5
