import pytest

from strategies.hyperparameters import FREEZES, choices, is_grid, options_of
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


# How weights are updated


def test_the_optimisation_is_set_for_every_strategy():
    settings = ["optimisation.lr=1e-4", "optimisation.weight_decay=0", "optimisation.freeze=stem"]
    options, wrong = options_of(["naive", "one.module:Thing"], settings)
    assert wrong == []
    assert options == {
        "naive": {},
        "Thing": {},
        "optimisation": {"lr": 1e-4, "weight_decay": 0.0, "freeze": "stem"},
    }


@pytest.mark.parametrize("name", ["lwf", "one.module:lwf2"])
def test_that_of_one_strategy_goes_before_that_of_all_in_any_order(name):
    bare = name.rpartition(":")[2]
    settings = [f"{bare}.optimisation.lr=0.1", "optimisation.lr=0.2", "optimisation.backbone_lr=0.3"]
    for given in (settings, settings[::-1]):
        options, wrong = options_of([name], given)
        assert wrong == []
        assert options["optimisation"] == {"lr": 0.1, "backbone_lr": 0.3}
        assert "lr" not in options[bare]


def test_without_a_setting_the_optimisation_is_not_spoken_of():
    assert "optimisation" not in options_of(["ewc"], ["ewc.lambda=1"])[0]


@pytest.mark.parametrize("prefix", ["", "ewc."])
@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("momentum=0.9", "unknown option 'momentum', optimisation has lr, backbone_lr, weight_decay, freeze"),
        ("lr=fast", "expected a number, got 'fast'"),
        ("lr=nan", "expected a number, got 'nan'"),
        ("lr=-0.1", "expected at least 0, got -0.1"),
        ("weight_decay=-1e-9", "expected at least 0, got -1e-9"),
        ("freeze=all", f"expected one of {', '.join(FREEZES)}, got 'all'"),
        ("freeze=1", f"expected one of {', '.join(FREEZES)}, got '1'"),
    ],
)
def test_an_optimisation_that_there_is_not_is_refused(prefix, setting, reason):
    options, wrong = options_of(["ewc"], [f"{prefix}optimisation.{setting}"])
    assert wrong == [f"--set {prefix}optimisation.{setting}: {reason}"]
    assert "optimisation" not in options


def test_the_optimisation_of_another_strategy_is_refused():
    _, wrong = options_of(["ewc"], ["lwf.optimisation.lr=1"])
    assert wrong == ["--set lwf.optimisation.lr=1: 'lwf' is nothing that this run is made of, ewc"]


# Several values


@pytest.mark.parametrize(
    "settings",
    [
        ["ewc.lambda=1", "ewc.lambda=2"],
        ["ewc.lambda=1", "ewc.lambda=1"],
        ["ewc.lambda=1,2", "optimisation.lr=1", "ewc.lambda=3"],
    ],
)
def test_a_name_that_is_set_twice_is_refused(settings):
    _, wrong = options_of(["ewc"], settings)
    assert wrong == ["--set names ewc.lambda more than once; give it one value, or several as ewc.lambda=1,10"]


def test_one_option_of_several_names_is_not_set_twice():
    names = ["ewc", "si", "one.module:Thing"]
    settings = ["ewc.lambda=1", "si.lambda=1", "Thing.lambda=1", "optimisation.lr=1", "ewc.optimisation.lr=1"]
    assert options_of(names, settings)[1] == []


@pytest.mark.parametrize("setting", ["ewc.lambda=1,5", "optimisation.freeze=none,stem", "Thing.mode=fast,slow,3"])
def test_several_values_are_each_checked_and_the_last_is_taken(setting):
    options, wrong = options_of(["ewc", "one.module:Thing"], [setting])
    assert wrong == []
    name, _, key = setting.partition("=")[0].partition(".")
    assert options[name][key] == {"lambda": 5.0, "freeze": "stem", "mode": 3}[key]


@pytest.mark.parametrize(
    ("setting", "bad", "reason"),
    [
        ("ewc.lambda=1,much,3", "much", "expected a number, got 'much'"),
        ("ewc.lambda=1,,3", "", "expected a number, got ''"),
        ("ewc.lambda=1,2,", "", "expected a number, got ''"),
        ("optimisation.lr=1,-2", "-2", "expected at least 0, got -2"),
    ],
)
def test_one_of_several_values_that_is_wrong_is_refused(setting, bad, reason):
    assert options_of(["ewc"], [setting])[1] == [f"--set {setting}: {reason}"]


@pytest.mark.parametrize("setting", ["lwf.alpha=1,2", "ewc.rate=1,2"])
def test_several_values_of_what_there_is_not_are_refused(setting):
    _, wrong = options_of(["ewc"], [setting])
    assert set(wrong) == {wrong[0]}
    assert wrong[0].startswith(f"--set {setting}: ")


@pytest.mark.parametrize(
    "setting",
    [
        "ewc.lambda=1,1",
        "ewc.lambda=1,2,1",
        "ewc.lambda=1,1.0",
        "ewc.lambda=100,1e2",
        "Thing.size=1,1.0",
        "Thing.mode=a,a",
        "optimisation.lr=0.1,.1",
    ],
)
def test_equal_values_are_refused_however_they_are_written(setting):
    _, wrong = options_of(["ewc", "one.module:Thing"], [setting])
    assert wrong == [f"--set {setting}: expected different values, got one of them twice"]


@pytest.mark.parametrize(
    ("settings", "grid"),
    [
        ([], False),
        (["ewc.lambda=1"], False),
        (["ewc.lambda=1", "si.lambda=1,2"], True),
        (["Thing.place=a=b,c"], True),
        (["a,b.lambda=1"], False),
    ],
)
def test_several_values_make_a_grid(settings, grid):
    assert is_grid(settings) is grid


def test_without_settings_there_is_one_choice():
    assert choices(["ewc"], []) == [([], [])]


def test_one_value_each_is_one_choice_of_which_nothing_varies():
    assert choices(["ewc"], ["ewc.lambda=1", "optimisation.lr=2"]) == [(["ewc.lambda=1", "optimisation.lr=2"], [])]


def test_every_combination_is_a_choice_and_says_what_varies():
    settings = ["ewc.lambda=1,10", "optimisation.freeze=none", "Plug.size=2,3"]
    assert choices(["ewc", "my.plugins:Plug"], settings) == [
        (["ewc.lambda=1", "optimisation.freeze=none", "Plug.size=2"], ["ewc.lambda=1", "Plug.size=2"]),
        (["ewc.lambda=1", "optimisation.freeze=none", "Plug.size=3"], ["ewc.lambda=1", "Plug.size=3"]),
        (["ewc.lambda=10", "optimisation.freeze=none", "Plug.size=2"], ["ewc.lambda=10", "Plug.size=2"]),
        (["ewc.lambda=10", "optimisation.freeze=none", "Plug.size=3"], ["ewc.lambda=10", "Plug.size=3"]),
    ]


def test_settings_of_what_is_not_in_the_run_have_no_bearing_on_it():
    settings = ["lwf.alpha=1,2", "ewc.lambda=1,2", "lwf.optimisation.lr=1,2", "Thing.size=1,2", "ew.lambda=1,2"]
    assert choices(["ewc"], settings) == [([f"ewc.lambda={n}"], [f"ewc.lambda={n}"]) for n in (1, 2)]
    assert choices(["naive"], settings) == [([], [])]


def test_a_combination_has_the_settings_of_its_parts_and_one_imported_those_of_its_bare_name():
    assert len(choices(["replay+lwf"], ["lwf.alpha=1,2", "replay.optimisation.lr=1,2,3"])) == 6
    assert len(choices(["one.module:Thing"], ["Thing.a=1,2", "one.b=1,2"])) == 2


def test_what_is_chosen_is_what_the_run_is_given():
    for number, (chosen, _) in enumerate(choices(["ewc"], ["ewc.lambda=3,5", "optimisation.lr=1"])):
        options, wrong = options_of(["ewc"], chosen)
        assert wrong == []
        assert options == {"ewc": {"lambda": [3.0, 5.0][number]}, "optimisation": {"lr": 1.0}}


# Names that cannot be told apart


def test_a_setting_of_two_import_paths_with_one_bare_name_is_refused():
    paths = ["one.module:Thing", "two.modules:Thing"]
    _, wrong = options_of(paths, ["Thing.size=1,2", "Thing.optimisation.lr=1"])
    assert wrong == [
        "--set Thing.size=1,2: 2 import paths end with Thing; rename one of them",
        "--set Thing.optimisation.lr=1: 2 import paths end with Thing; rename one of them",
    ]
    assert options_of(paths, [])[1] == []
    assert options_of([paths[0], paths[0]], ["Thing.size=1"])[1] == []  # one path, named twice


@pytest.mark.parametrize(
    ("names", "bare"), [(["ewc", "mine:ewc"], "ewc"), (["naive", "mine:optimisation"], "optimisation")]
)
def test_an_import_path_with_the_name_of_what_has_hyper_parameters_itself_is_refused(names, bare):
    _, wrong = options_of(names, [])
    assert wrong == [
        f"mine:{bare}: expected another name than {bare}, whose hyper-parameters could not be told from its own; "
        "rename it"
    ]


def test_an_import_path_with_the_name_of_a_strategy_that_has_none_may_have_its_own():
    options, wrong = options_of(["replay", "mine:replay", "other:ewc"], ["replay.size=3", "ewc.lambda=2"])
    assert wrong == []
    assert options == {"replay": {"size": 3}, "ewc": {"lambda": 2}}


def test_two_parts_of_one_strategy_have_one_optimisation():
    settings = ["ewc.optimisation.lr=1", "lwf.optimisation.lr=2"]
    _, wrong = options_of(["ewc+lwf"], settings)
    assert wrong == ["--set lwf.optimisation.lr=2: ewc.optimisation.lr is set, too, and a run has one of them"]
    assert options_of(["ewc", "lwf"], settings)[1] == []  # of two strategies, each has its own
