from pathlib import Path

import pytest
from avalanche.evaluation.metrics import EpochTime, MinibatchTime
from avalanche.logging import InteractiveLogger
from avalanche.training.plugins import EWCPlugin, LwFPlugin

from onehead_avl.errors import TrainingError, UsageError
from onehead_avl.evaluation.plugins import metric_plugins
from strategies.attached import import_logger, import_metrics, import_plugins

PLUGIN = "avalanche.training.plugins:LwFPlugin"
METRIC = "avalanche.evaluation.metrics:EpochAccuracy"
LOGGER = "avalanche.logging:InteractiveLogger"

OWN = """
    from avalanche.core import SupervisedPlugin
    from avalanche.evaluation.metrics import EpochTime, MinibatchTime
    from avalanche.logging import BaseLogger, InteractiveLogger
    from avalanche.training.plugins import EWCPlugin, LwFPlugin

    class Duck:
        def before_training(self, strategy, **kwargs):
            pass

    class InFolder(BaseLogger):
        def __init__(self, folder, name="log"):
            super().__init__()
            self.path = folder / name

    class AnyFolder(BaseLogger):
        def __init__(self, folder=None):
            super().__init__()
            self.folder = folder

    def plugins(strength):
        return [EWCPlugin(strength), LwFPlugin()]

    def pair():
        return EpochTime(), MinibatchTime()

    def loggers(folder):
        return [InFolder(folder), InteractiveLogger()]

    def mixed():
        return [EWCPlugin(1), EpochTime()]

    def nothing():
        return []

    def number():
        return 3

    def fails():
        return {}["nothing"]
"""


@pytest.fixture(autouse=True)
def own(write):
    write("own_attached", OWN)


def as_plugin(path, options=None):
    return import_plugins([path], options or {})


def as_metric(path, options=None):
    return import_metrics([path], options or {}, known=())


def as_logger(path, options=None):
    return import_logger(path, options or {}, Path("there"))


EACH = {"plugin": (as_plugin, PLUGIN), "metric": (as_metric, METRIC), "logger": (as_logger, LOGGER)}


def refusal_of(call, *arguments, **options):
    with pytest.raises(UsageError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("sort", EACH)
def test_each_is_built_by_its_own_option(sort):
    call, path = EACH[sort]
    assert [type(made).__name__ for made in call(path)] == [path.rpartition(":")[2]]


@pytest.mark.parametrize(("sort", "other"), [(one, other) for one in EACH for other in EACH if one != other])
def test_each_given_by_another_option_is_refused_with_its_own(sort, other):
    call, _ = EACH[sort]
    _, path = EACH[other]
    assert refusal_of(call, path) == (
        f"{path}: expected a {sort} of Avalanche's, found {path.rpartition(':')[2]}, a {other}; give it as --{other}"
    )


@pytest.mark.parametrize("sort", EACH)
@pytest.mark.parametrize(
    ("name", "found"), [("number", "found int"), ("nothing", "or several, found none; set what it asks for")]
)
def test_what_is_none_of_them_is_refused(sort, name, found):
    call, _ = EACH[sort]
    sentence = refusal_of(call, f"own_attached:{name}")
    assert sentence.startswith(f"own_attached:{name}: expected a {sort} of Avalanche's")
    assert sentence.endswith(found)


def test_a_plugin_is_what_has_a_plugins_methods():
    (made,) = as_plugin("own_attached:Duck")
    assert type(made).__name__ == "Duck"


def test_a_function_may_return_several():
    found = as_plugin("own_attached:plugins", {"plugins": {"strength": 7}})
    assert [type(plugin) for plugin in found] == [EWCPlugin, LwFPlugin]
    assert found[0].ewc_lambda == 7
    assert [type(metric) for metric in as_metric("own_attached:pair")] == [EpochTime, MinibatchTime]
    path = "avalanche.evaluation.metrics:timing_metrics"
    found = as_metric(path, {"timing_metrics": {"epoch": 1, "minibatch": 1}})
    assert {type(metric) for metric in found} == {EpochTime, MinibatchTime}
    assert [type(logger).__name__ for logger in as_logger("own_attached:loggers")] == ["InFolder", "InteractiveLogger"]


def test_one_of_several_that_belongs_to_another_option_is_refused():
    sentence = refusal_of(as_plugin, "own_attached:mixed")
    assert sentence == (
        "own_attached:mixed: expected a plugin of Avalanche's, found EpochTime, a metric; give it as --metric"
    )


def test_several_paths_are_built_in_their_order_each_with_its_own_options():
    paths = ["avalanche.training.plugins:LwFPlugin", "avalanche.training.plugins:EWCPlugin"]
    lwf, ewc = import_plugins(paths, {"EWCPlugin": {"ewc_lambda": 3}, "LwFPlugin": {"alpha": 0.5}})
    assert (lwf.lwf.alpha, ewc.ewc_lambda) == (0.5, 3)
    assert import_plugins([], {}) == import_metrics([], {}, known=()) == []


@pytest.mark.parametrize("name", ["EpochLoss", "loss_metrics"])
def test_a_metric_that_is_measured_anyway_is_refused(tiny, name):
    path = f"avalanche.evaluation.metrics:{name}"
    sentence = refusal_of(import_metrics, [path], {"loss_metrics": {"epoch": 1}}, known=metric_plugins(tiny.layout))
    assert sentence == f"{path}: expected a metric of another name, found Loss_Epoch, which is measured anyway"


def test_two_metrics_of_one_name_are_refused():
    paths = ["avalanche.evaluation.metrics:EpochTime", "own_attached:pair"]
    sentence = refusal_of(import_metrics, paths, {}, known=())
    assert sentence.startswith("own_attached:pair: expected a metric of another name, found Time_Epoch")


def test_a_metric_of_another_name_is_measured_beside_the_benchmarks(tiny):
    (metric,) = import_metrics(["avalanche.evaluation.metrics:EpochTime"], {}, known=metric_plugins(tiny.layout))
    assert type(metric) is EpochTime


def test_the_folder_of_the_run_is_handed_to_a_logger_that_has_the_parameter(tmp_path):
    (logger,) = import_logger("own_attached:InFolder", {"InFolder": {"name": "lines"}}, tmp_path)
    assert logger.path == tmp_path / "lines"
    (logger,) = import_logger("own_attached:AnyFolder", {}, tmp_path)
    assert logger.folder == tmp_path
    (logger,) = import_logger(LOGGER, {}, tmp_path)
    assert type(logger) is InteractiveLogger


def test_another_folder_than_that_of_the_run_is_refused():
    sentence = refusal_of(as_logger, "own_attached:InFolder", {"InFolder": {"folder": "elsewhere"}})
    assert sentence.startswith("own_attached:InFolder cannot be called with folder, folder (")


def test_what_has_no_signature_is_called_without_a_folder():
    assert refusal_of(as_logger, "builtins:dict") == "builtins:dict: expected a logger of Avalanche's, found dict"


def test_what_cannot_be_called_is_refused():
    assert refusal_of(as_logger, "math:pi").startswith("math:pi cannot be called with no arguments (")


@pytest.mark.parametrize("sort", EACH)
def test_what_leads_nowhere_or_lacks_an_option_is_refused(sort):
    call, _ = EACH[sort]
    assert "found no such name" in refusal_of(call, "own_attached:Nothing")
    assert "missing 1 required positional argument: 'strength'" in refusal_of(call, "own_attached:plugins")


@pytest.mark.parametrize("sort", EACH)
def test_an_error_of_its_own_code_is_shown(sort):
    call, _ = EACH[sort]
    with pytest.raises(TrainingError, match=r"fails could not be built: KeyError in own_attached\.py, line"):
        call("own_attached:fails")
