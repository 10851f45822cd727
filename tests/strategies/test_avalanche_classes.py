import importlib
import math
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from avalanche.training import supervised
from avalanche.training.supervised import JointTraining
from avalanche.training.templates.base import BaseTemplate

from onehead_avl.benchmark import main
from onehead_avl.errors import UsageError
from onehead_avl.evaluation.plugins import measured
from scenarios.stream import avalanche_benchmark
from strategies import avalanche_classes
from strategies.avalanche_classes import CLASSES, refusal, shown_settings
from strategies.build import build
from strategies.hyperparameters import options_of
from strategies.named import STRATEGIES, problems_of

pytestmark = pytest.mark.filterwarnings(
    "ignore:No loggers specified",
    "ignore:Avalanche is transitioning",
    "ignore:__array_wrap__ must accept",
)

SIZE = 32
NAIVE = "avalanche.training.supervised:Naive"
SECTION = "## Avalanche's strategies by their import paths\n"
DOCUMENT = Path(__file__).parents[2] / "docs" / "strategies.md"

TRIED_WITH = {
    "MIR": ("mem_size=24", "subsample=4", "batch_size_mem=2"),
    "LFL": ("lambda_e=1",),
    "PackNet": ("post_prune_epochs=1", "prune_proportion=0.5"),
    "FeatureReplay": ("last_layer_name=head",),
}
"""Settings with which refused classes come as far as they can."""

REFUSED_ANYWAY = ("ICaRL", "StreamingLDA", "ER_AML", "ObjectDetectionTemplate", "BaseTemplate")
"""Classes that do not take what a strategy is handed, or the last: take it and let it fall."""

UNTRIED = ("AR1", "LearningToPrompt", "SynapticIntelligence")
"""The first two would download their models; the last runs, but as fine-tuning (``test_adapted.py``)."""


def strategies_of_avalanche():
    """Every strategy class that a module of Avalanche's supervised strategies has, by the path to where it is made.

    A class may stand behind a function that warns that it is deprecated.
    """
    names = [each.name for each in pkgutil.walk_packages(supervised.__path__, f"{supervised.__name__}.")]
    found = {}
    for module in [supervised, *map(importlib.import_module, names)]:
        for attribute in vars(module).values():
            made = getattr(attribute, "__wrapped__", attribute)
            if isinstance(made, type) and issubclass(made, BaseTemplate):
                found[f"{attribute.__module__}:{attribute.__name__}"] = attribute
    return found


FOUND = strategies_of_avalanche()
RUNNING = [path for path, attribute in FOUND.items() if not CLASSES[attribute.__name__].lacks]
REFUSED = [path for path, attribute in FOUND.items() if CLASSES[attribute.__name__].lacks]


def row_of(path):
    return CLASSES[path.rpartition(":")[2]]


def settings_of(path):
    row = row_of(path)
    return shown_settings(row.name, row.settings).split()


def copy_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_table_has_every_class_of_avalanches_and_no_other():
    assert {path.rpartition(":")[2] for path in FOUND} == CLASSES.keys()
    assert len(RUNNING) + len(REFUSED) == len(FOUND) > 40
    assert all(row.name == name for name, row in CLASSES.items())


def test_the_table_points_to_strategies_that_there_are():
    assert {row.ours for row in CLASSES.values() if row.ours} <= STRATEGIES.keys()


def test_importing_the_table_imports_neither_torch_nor_avalanche():
    code = "import sys, strategies.avalanche_classes; print(sorted({'torch', 'avalanche'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize("path", RUNNING)
def test_a_class_that_is_not_refused_learns_every_experience(path, built, learn, tiny, steps):
    assert problems_of(path) == []
    strategy = built(path, *settings_of(path))
    made = FOUND[path]
    assert type(strategy) is getattr(made, "__wrapped__", made)
    strategy.plugins.append(steps)
    start = copy_of(strategy.model)
    learn(strategy)

    assert strategy.clock.train_exp_counter == (1 if made is JointTraining else 3)
    assert {task for step in steps.seen for task, _ in step.pictures} == {0, 1, 2}
    end = strategy.model.state_dict()
    assert all(value.isfinite().all() for value in end.values())
    assert {name.split(".")[0] for name in start if not torch.equal(start[name], end[name])} == {
        *("backbone", "neck", "head")
    }
    strategy.eval(avalanche_benchmark(tiny, SIZE).test_stream)
    scores, _ = measured(strategy.evaluator)
    assert list(scores) == ["seg", "det", "cls"]
    values = [value for each in scores.values() for value in each.values()]
    assert all(value is not None and math.isfinite(value) for value in values), scores
    assert same(end, learn(built(NAIVE)).model.state_dict()) == (row_of(path).ours == "naive")


@pytest.mark.parametrize("path", REFUSED)
def test_a_class_that_cannot_learn_is_refused_before_it_is_called(path, setting, monkeypatch):
    row, given = row_of(path), setting()
    sentence = f"{path}: Avalanche's {row.name} cannot learn this stream: {row.lacks}"
    sentence += f"; use {row.ours}" if row.ours else ""
    monkeypatch.setattr(FOUND[path], "__init__", None)  # whoever calls it fails in another way
    start = copy_of(given.model)
    with pytest.raises(UsageError) as caught:
        build(path, given, {row.name: {}})
    assert str(caught.value) == sentence
    assert problems_of(path) == [sentence]
    assert same(start, given.model.state_dict())


@pytest.mark.parametrize("path", [path for path in REFUSED if row_of(path).name not in UNTRIED])
def test_a_refused_class_could_not_have_learned(path, built, learn, tiny, monkeypatch):
    monkeypatch.setattr("strategies.build.refusal", lambda attribute: None)
    name = row_of(path).name

    def use():
        strategy = built(path, *(f"{name}.{setting}" for setting in TRIED_WITH.get(name, ())))
        strategy.eval(avalanche_benchmark(tiny, SIZE).test_stream)
        learn(strategy)

    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever Avalanche and torch raise
        use()
    assert isinstance(caught.value, UsageError) == (name in REFUSED_ANYWAY)


@pytest.mark.parametrize(("first", "second"), [(RUNNING[0], REFUSED[0]), (REFUSED[0], RUNNING[0])])
def test_a_comparison_with_a_refused_class_trains_nothing(first, second, train_own, tmp_path):
    answer = train_own(tmp_path / "run", "--strategy", first, second)
    assert answer.status == 2
    assert f"{REFUSED[0]}: {row_of(REFUSED[0]).refusal}" in answer.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("path", [path for path in RUNNING if row_of(path).settings])
def test_what_a_class_has_to_be_given_is_asked_for_before_anything_is_loaded(path, invoke, tmp_path):
    first, *others = settings_of(path)
    for given, missing in (((), [first, *others]), ((first,), others)):
        _, wrong = options_of([path], given)
        names = " and ".join(setting.partition("=")[0].partition(".")[2] for setting in missing)
        sentence = f"{path} expects {names}, found none; give it such as --set {' '.join(missing)}"
        assert wrong == ([sentence] if missing else [])
    answer = invoke(main, "--strategy", path, "--output", tmp_path / "run")
    assert answer.status == 2
    assert f"{path} expects " in answer.err
    assert "loading torch" not in answer.err


@pytest.mark.parametrize("path", [path for path in RUNNING if row_of(path).settings])
def test_a_class_cannot_be_called_without_what_the_table_has_it_given(path, setting):
    name = row_of(path).name
    for left_out in settings_of(path):
        options, _ = options_of([path], [each for each in settings_of(path) if each != left_out])
        with pytest.raises(UsageError, match=rf"missing 1 required .*'{left_out[len(name) + 1 :].partition('=')[0]}'"):
            build(path, setting(), options)


@pytest.mark.parametrize("module", ["avalanche.training", "mine"])
def test_a_class_is_known_by_whatever_path_it_is_reached(module, setting, write):
    write("mine", "from avalanche.training.supervised import DER")
    path = f"{module}:DER"
    with pytest.raises(UsageError) as caught:
        build(path, setting(), {"DER": {}})
    assert str(caught.value) == f"{path}: {CLASSES['DER'].refusal}"


def test_a_users_class_of_the_same_name_is_not_refused(write, built):
    write("mine", "from avalanche.training.supervised import DER\n\nclass DER(DER):\n    pass\n")
    assert problems_of("mine:DER") == []
    assert type(built("mine:DER")).__module__ == "mine"


@pytest.mark.parametrize("attribute", [None, 3, print, importlib, supervised.Naive, lambda: None])
def test_what_is_none_of_the_refused_classes_is_not_refused(attribute):
    assert refusal(attribute) is None


def test_a_package_that_is_missing_is_asked_for(setting, monkeypatch):
    path = "avalanche.training.supervised:GEM"
    find = importlib.util.find_spec
    monkeypatch.setattr(
        avalanche_classes.importlib.util, "find_spec", lambda name: None if name == "quadprog" else find(name)
    )
    (problem,) = problems_of(path)
    assert problem.startswith(f"{path}: Avalanche's GEM needs the package quadprog, which is not installed; ")
    with pytest.raises(UsageError) as caught:
        build(path, setting(), {"GEM": {"patterns_per_exp": 4}})
    assert str(caught.value) == problem


def rows():
    """The table of the document, as the code has it."""
    for row in CLASSES.values():
        settings = shown_settings(row.name, row.settings)
        notes = [row.lacks or row.remark, row.package and f"needs {row.package}"]
        yield (
            f"| `{row.name}` | {'refused' if row.lacks else 'runs'} | {f'`{settings}`' if settings else '-'} "
            f"| {f'`{row.ours}`' if row.ours else '-'} | {'; '.join(filter(None, notes)) or '-'} |"
        )


def test_the_documents_table_is_that_of_the_code():
    _, _, section = DOCUMENT.read_text(encoding="utf-8").partition(SECTION)
    shown = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    assert shown == list(rows())
