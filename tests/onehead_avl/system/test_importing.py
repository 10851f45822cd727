import json.decoder
import traceback

import pytest

from onehead_avl.errors import DataError, TrainingError, UsageError
from onehead_avl.system.importing import call_attribute, import_attribute


def sentence_of(path):
    with pytest.raises(UsageError) as caught:
        import_attribute(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_what_a_path_names_is_imported():
    assert import_attribute("json.decoder:JSONDecoder") is json.decoder.JSONDecoder


def test_a_module_of_the_working_directory_is_imported(write):
    write("of_this_folder", "thing = 3")
    assert import_attribute("of_this_folder:thing") == 3


@pytest.mark.parametrize("path", ["no_such_module:Thing", "avalanche.nothing:Thing", ":Thing"])
def test_a_module_that_is_not_there_is_one_sentence(path):
    sentence = sentence_of(path)
    assert sentence.startswith(f"{path}: the module {path.partition(':')[0]!r} cannot be imported (")
    assert sentence.endswith("; correct the path")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import nothing_like_this", "nothing_like_this"),
        ("raise RuntimeError('on purpose')", "on purpose"),
        ("1 +", ""),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_sentence(code, reason, write):
    write("broken", code)
    sentence = sentence_of("broken:Thing")
    assert sentence.startswith("broken:Thing: the module 'broken' cannot be imported (")
    assert reason in sentence


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("avalanche.training.supervised:Nonsense", "supervised/__init__.py"),
        ("avalanche.training.supervised:", "supervised/__init__.py"),
        ("sys:Nonsense", "no file"),
    ],
)
def test_a_name_that_a_module_does_not_have_is_one_sentence(path, place):
    module, _, attribute = path.partition(":")
    sentence = sentence_of(path)
    assert sentence.startswith(f"{path}: expected {attribute!r} in module {module!r} (")
    assert f"{place}), found no such name" in sentence


def test_a_module_that_raises_is_shown_with_its_traceback(write):
    write("broken", "def inner():\n    raise RuntimeError('on purpose')\n\ninner()\n")
    with pytest.raises(UsageError) as caught:
        import_attribute("broken:Thing")
    assert isinstance(caught.value.shown, RuntimeError)
    assert traceback.extract_tb(caught.value.shown.__traceback__)[-1].line == "raise RuntimeError('on purpose')"


def test_a_module_that_lacks_another_is_shown_for_its_own_path_is_right(write):
    write("lacking", "import nothing_like_this\n")
    with pytest.raises(UsageError) as caught:
        import_attribute("lacking:Thing")
    assert isinstance(caught.value.shown, ModuleNotFoundError)


@pytest.mark.parametrize("path", ["no_such_module:Thing", "avalanche.nothing:Thing", ":Thing", "json:Nonsense"])
def test_what_is_not_there_has_no_traceback_to_show(path):
    with pytest.raises(UsageError) as caught:
        import_attribute(path)
    assert caught.value.shown is None


# Calling what a path names

OWN = """
from avalanche.training.plugins import EWCPlugin
from avalanche.training.supervised import Naive
from torch import nn

class Takes:
    def __init__(self, layout, *, width, depth=1):
        self.all = (layout, width, depth)

class HandsOn(Takes):
    def __init__(self, **options):
        super().__init__(**options)

class Adds:
    def __init__(self, layout, width):
        self.sum = layout + width

class ForgetsAnArgument:
    def __init__(self, layout):
        self.layer = nn.Linear(layout)

class GivesAnArgumentThatIsNone:
    def __init__(self, layout):
        self.layer = nn.Linear(layout, layout, width=3)

class GivesOneTwice(Takes):
    def __init__(self, **arguments):
        super().__init__(layout=0, **arguments)

class GivesTooMany:
    def __init__(self, layout):
        self.add(layout)

    def add(self):
        pass

class CallsNone:
    def __init__(self, layout):
        layout()

class CallsAvalanches:
    def __init__(self, layout):
        self.plugin = EWCPlugin(mode="online")

class Strategy(Naive):
    def __init__(self, **arguments):
        super().__init__(**arguments)

def fails(layout):
    return {}[layout]
"""


@pytest.fixture
def own(write):
    """Modules of somebody's."""
    write("own_calls", OWN)
    return lambda name: f"own_calls:{name}"


def error_of(kind, path, arguments, options):
    with pytest.raises(kind) as caught:
        call_attribute(path, arguments, options)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    return caught.value


def test_it_is_called_with_what_the_benchmark_hands_in_and_what_the_user_does(own):
    assert call_attribute(own("Takes"), {"layout": 1}, {"width": 2}).all == (1, 2, 1)
    assert call_attribute(own("HandsOn"), {"layout": 1}, {"width": 2, "depth": 3}).all == (1, 2, 3)


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("Takes", {}, "missing 1 required keyword-only argument: 'width'"),
        ("Takes", {"width": 1, "height": 2}, "unexpected keyword argument 'height'"),
        ("Takes", {"width": 1, "layout": 2}, "multiple values for keyword argument 'layout'"),
        ("HandsOn", {"width": 1, "height": 2}, "unexpected keyword argument 'height'"),
        ("Strategy", {"height": 2}, "height"),
    ],
)
def test_other_arguments_than_it_takes_are_refused_without_a_traceback(own, name, options, reason):
    error = error_of(UsageError, own(name), {"layout": 1}, options)
    given = ", ".join(["layout", *options])
    assert str(error).startswith(f"{own(name)} cannot be called with {given} (")
    assert reason in str(error)
    assert "--set" in str(error)
    assert error.shown is None


def test_without_arguments_it_is_called_with_none():
    error = error_of(UsageError, "avalanche.training.plugins:EWCPlugin", {}, {})
    assert "EWCPlugin cannot be called with no arguments (" in str(error)


def test_what_cannot_be_called_is_refused(own):
    assert "not callable" in str(error_of(UsageError, "math:pi", {}, {}))


@pytest.mark.parametrize(
    ("name", "kind", "place"),
    [
        ("fails", KeyError, "fails"),
        ("Adds", TypeError, "__init__"),
        ("ForgetsAnArgument", TypeError, "__init__"),
        ("GivesAnArgumentThatIsNone", TypeError, "__init__"),
        ("GivesOneTwice", TypeError, "__init__"),
        ("GivesTooMany", TypeError, "__init__"),
        ("CallsNone", TypeError, "__init__"),
        ("CallsAvalanches", TypeError, "__init__"),
    ],
)
def test_an_error_of_its_own_code_is_shown_and_not_taken_for_one_of_its_arguments(own, name, kind, place):
    options = {"width": "a text"} if name in ("Adds", "GivesOneTwice") else {}
    error = error_of(TrainingError, own(name), {"layout": 1}, options)
    assert str(error).startswith(f"{own(name)} could not be built: {kind.__name__} in own_calls.py, line ")
    assert f", in {place} (" in str(error)
    assert "nothing was trained" in str(error)
    assert type(error.shown) is kind
    assert traceback.extract_tb(error.shown.__traceback__)[-1].filename.endswith("own_calls.py")


def test_what_a_user_can_mend_stays_what_it_is(write):
    write("mends", "from onehead_avl.errors import DataError\n\ndef make():\n    raise DataError('mend it')\n")
    error = error_of(DataError, "mends:make", {}, {})
    assert (str(error), error.shown) == ("mend it", None)


def test_what_leads_nowhere_is_refused_before_it_is_called():
    assert "cannot be imported" in str(error_of(UsageError, "no_such_module:Thing", {}, {}))
