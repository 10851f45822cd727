import json.decoder

import pytest

from onehead_avl.errors import UsageError
from onehead_avl.system.importing import import_attribute


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
